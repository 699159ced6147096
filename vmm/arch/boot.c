/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/boot.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "vmm/arch/image.h"
#include "vmm/arch/image_reader.h"
#include "vmm/base/macro.h"

#define BOOT_ALIGN (2 * MIB)

static int too_large(struct hvd_error *err, const struct guest_mem *mem)
{
	return hvd_err(err, ENOSPC, "does not fit into the VM's memory of %llu MiB",
		       (unsigned long long)(guest_mem_size(mem) / MIB));
}

static int check_size(const struct image_header *header, uint64_t have, struct hvd_error *err)
{
	if (have < header->file_size)
		return hvd_err(err, EBADMSG, "truncated: it has %llu bytes, its header says %llu",
			       (unsigned long long)have, (unsigned long long)header->file_size);
	return 0;
}

/* All that is left of the image, at most room bytes. */
static int read_rest(struct image_reader *reader, uint8_t *dst, uint64_t room, uint64_t *ret_len,
		     const struct guest_mem *mem, struct hvd_error *err)
{
	uint64_t beyond = 0;
	uint8_t extra;
	int r;

	r = image_read(reader, dst, room, ret_len, err);
	if (r < 0)
		return r;
	r = image_read(reader, &extra, sizeof(extra), &beyond, err);
	if (r < 0)
		return r;
	return beyond ? too_large(err, mem) : 0;
}

/* Reads the image to its place, returns the first address behind it in *ret_end. */
static int load_image(struct image_reader *reader, struct guest_mem *mem, uint64_t *ret_entry,
		      uint64_t *ret_end, struct hvd_error *err)
{
	AUTO(free) uint8_t *head = malloc(IMAGE_HEAD_SIZE);
	uint64_t room = guest_mem_size(mem), entry, head_len, rest_len;
	struct image_header header;
	uint8_t *dst;
	int r;

	if (!head)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	r = image_read(reader, head, IMAGE_HEAD_SIZE, &head_len, err);
	if (r < 0)
		return r;
	r = image_parse(head, head_len, &header, err);
	if (r < 0)
		return r;

	if (header.text_offset >= room)
		return too_large(err, mem);
	room -= header.text_offset;
	if (room < MAX(header.image_size, head_len))
		return too_large(err, mem);
	entry = guest_mem_base(mem) + header.text_offset;

	dst = guest_mem_ptr(mem, entry, room);
	memcpy(dst, head, head_len);
	r = read_rest(reader, dst + head_len, room - head_len, &rest_len, mem, err);
	if (r < 0)
		return r;
	r = check_size(&header, head_len + rest_len, err);
	if (r < 0)
		return r;

	*ret_entry = entry;
	*ret_end = entry + MAX(head_len + rest_len, header.image_size);
	return 0;
}

static int load_kernel(int fd, struct guest_mem *mem, uint64_t *ret_entry, uint64_t *ret_end,
		       struct hvd_error *err)
{
	AUTO(image_reader_free) struct image_reader *reader = NULL;
	int r = image_reader_new(fd, &reader, err);

	return r < 0 ? r : load_image(reader, mem, ret_entry, ret_end, err);
}

static int read_all(int fd, uint8_t *dst, uint64_t size, struct hvd_error *err)
{
	for (uint64_t done = 0; done < size;) {
		ssize_t n = pread(fd, dst + done, size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hvd_err(err, errno, "cannot read it: %s", strerror(errno));
		if (!n)
			return hvd_err(err, EBADMSG, "truncated while it was read");
		done += (uint64_t)n;
	}
	return 0;
}

static int load_initrd(int fd, uint64_t at, struct guest_mem *mem, uint64_t *ret_size,
		       struct hvd_error *err)
{
	struct stat st;
	uint8_t *dst;
	int r;

	if (fstat(fd, &st) < 0)
		return hvd_err(err, errno, "cannot read it: %s", strerror(errno));
	if (st.st_size <= 0)
		return hvd_err(err, EBADMSG, "it is empty");

	dst = guest_mem_ptr(mem, at, (uint64_t)st.st_size);
	if (!dst)
		return too_large(err, mem);
	r = read_all(fd, dst, (uint64_t)st.st_size, err);
	if (r < 0)
		return r;

	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static int name_error(struct hvd_error *err, int r, const char *field, const char *path)
{
	hvd_err_prefix(err, r, "%s", path);
	return hvd_err_in(err, r, "%s", field);
}

int boot_load(const struct boot_config *config, int kernel, int initrd, struct guest_mem *mem,
	      struct boot_layout *ret, struct hvd_error *err)
{
	struct boot_layout layout = { 0 };
	uint64_t kernel_end = 0;
	int r;

	if (kernel < 0)
		return hvd_err_field(err, EINVAL, "boot.kernel",
				     "no kernel: name an arm64 Image, plain or gzip-compressed, "
				     "or an EFI zboot image (vmlinuz)");

	r = load_kernel(kernel, mem, &layout.entry, &kernel_end, err);
	if (r < 0)
		return name_error(err, r, "boot.kernel", config->kernel);

	layout.fdt = ALIGN_UP(kernel_end, BOOT_ALIGN);
	if (!guest_mem_ptr(mem, layout.fdt, BOOT_FDT_SIZE)) {
		r = too_large(err, mem);
		return name_error(err, r, "boot.kernel", config->kernel);
	}

	if (initrd >= 0) {
		layout.initrd = layout.fdt + BOOT_FDT_SIZE;
		r = load_initrd(initrd, layout.initrd, mem, &layout.initrd_size, err);
		if (r < 0)
			return name_error(err, r, "boot.initrd", config->initrd);
	}
	*ret = layout;
	return 0;
}

int boot_firmware(struct guest_mem *mem, struct boot_layout *ret, struct hvd_error *err)
{
	uint64_t ram = guest_mem_base(mem);

	if (!guest_mem_ptr(mem, ram, BOOT_FDT_SIZE))
		return hvd_err_field(err, ENOSPC, "memory", "is too little for the device tree");
	*ret = (struct boot_layout){ .entry = MEMMAP_FLASH_CODE, .fdt = ram };
	return 0;
}

static int fill_random(void *buf, size_t len, struct hvd_error *err)
{
	if (getrandom(buf, len, 0) != (ssize_t)len)
		return hvd_err(err, EIO, "getrandom failed: %s", strerror(errno));
	return 0;
}

int boot_write_fdt(const struct boot_config *config, const struct boot_layout *layout,
		   struct fdt_machine *machine, struct guest_mem *mem, struct hvd_error *err)
{
	int r;

	machine->memory = guest_mem_size(mem);
	machine->cmdline = config->cmdline;
	machine->initrd = layout->initrd;
	machine->initrd_size = layout->initrd_size;

	r = fill_random(machine->rng_seed, sizeof(machine->rng_seed), err);
	if (r < 0)
		return r;
	r = fill_random(&machine->kaslr_seed, sizeof(machine->kaslr_seed), err);
	if (r < 0)
		return r;

	r = fdt_build(machine, guest_mem_ptr(mem, layout->fdt, BOOT_FDT_SIZE), BOOT_FDT_SIZE, err);
	if (r < 0)
		return hvd_err_in(err, r, "boot.cmdline");
	return 0;
}
