/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/cleanup.h"
#include "vmm/hw/flash.h"
#include "vmm/plain_file.h"

#define COPY_CHUNK (64 * KIB)

/* UEFI as distributions ship it, and the stores that they mean to be copied; the best first. */
static const struct image {
	const char *image, *template;
} images[] = {
	/* Debian, Ubuntu */
	{ "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd" },
	{ "/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd" },
	/* Fedora, RHEL */
	{ "/usr/share/edk2/aarch64/QEMU_EFI-silent-pflash.raw",
	  "/usr/share/edk2/aarch64/vars-template-pflash.raw" },
	/* SUSE */
	{ "/usr/share/qemu/aavmf-aarch64-code.bin", "/usr/share/qemu/aavmf-aarch64-vars.bin" },
};

static const struct image *find_image(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(images); i++)
		if (path ? strcmp(path, images[i].image) == 0 : access(images[i].image, R_OK) == 0)
			return &images[i];
	return NULL;
}

static int set(char **text, const char *value, struct hvd_error *err)
{
	char *copy = strdup(value);

	if (!copy)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	free(*text);
	*text = copy;
	return 0;
}

int firmware_find(struct boot_config *config, struct hvd_error *err)
{
	const struct image *found;
	bool word;
	int r = 0;

	if (!config->firmware)
		return 0;
	if (config->kernel)
		return hvd_err_field(err, EINVAL, "boot.firmware",
				     "is given beside a kernel: a VM boots one or the other");
	word = config->firmware[0] != '/';
	found = find_image(word ? NULL : config->firmware);
	if (word && !found)
		return hvd_err_field(err, ENOENT, "boot.firmware",
				     "this host has no UEFI firmware for VMs: install "
				     "qemu-efi-aarch64 (Debian) or edk2-aarch64 (Fedora), or give "
				     "the path of an image");
	if (word)
		r = set(&config->firmware, found->image, err);
	if (r == 0 && found && !config->nvram_template && access(found->template, R_OK) == 0)
		r = set(&config->nvram_template, found->template, err);
	return r;
}

int firmware_check_image(uint64_t size, struct hvd_error *err)
{
	if (!size)
		return hvd_err(err, EINVAL, "it is empty");
	if (size > FLASH_SIZE)
		return hvd_err(err, EFBIG, "it has %llu MiB; flash has %llu MiB",
			       (unsigned long long)(size / MIB), FLASH_SIZE / MIB);
	return 0;
}

int firmware_check_store(uint64_t size, struct hvd_error *err)
{
	if (!size || size > FLASH_SIZE || size % FLASH_BLOCK)
		return hvd_err(err, EINVAL,
			       "it has %llu bytes; a store for variables has a multiple of %llu KiB, "
			       "at most %llu MiB", (unsigned long long)size, FLASH_BLOCK / KIB,
			       FLASH_SIZE / MIB);
	return 0;
}

static int check_size(int fd, const char *path, int (*check)(uint64_t, struct hvd_error *),
		      struct hvd_error *err)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	r = check((uint64_t)st.st_size, err);
	return r < 0 ? hvd_err_prefix(err, r, "%s", path) : 0;
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
	return !bytes[0] && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static int store_error(struct hvd_error *err, int errnum, const struct boot_config *config)
{
	return hvd_err_field(err, errnum, "boot.nvram", "%s: %s",
			     config->nvram ? config->nvram : "memory", strerror(errnum));
}

/* Holes where there are zeroes: most of a template is. */
static int copy(const struct boot_config *config, int from, int to, struct hvd_error *err)
{
	AUTO(free) uint8_t *chunk = malloc(COPY_CHUNK);
	off_t at = 0;
	ssize_t n;

	if (!chunk)
		return store_error(err, ENOMEM, config);
	while ((n = pread(from, chunk, COPY_CHUNK, at)) > 0) {
		ssize_t done = is_zero(chunk, (size_t)n) ? n : pwrite(to, chunk, (size_t)n, at);

		if (done != n)
			return store_error(err, done < 0 ? errno : ENOSPC, config);
		at += n;
	}
	if (n < 0)
		return hvd_err_field(err, errno, "boot.nvram_template", "%s: %s",
				     config->nvram_template, strerror(errno));
	return 0;
}

static int copy_template(const struct boot_config *config, int fd, struct hvd_error *err)
{
	const char *path = config->nvram_template;
	AUTO(close) int from = plain_file_open(path, O_RDONLY, false, err);
	int r = from < 0 ? from : check_size(from, path, firmware_check_store, err);

	if (r < 0)
		return hvd_err_in(err, r, "boot.nvram_template");
	if (ftruncate(fd, lseek(from, 0, SEEK_END)) < 0)
		return store_error(err, errno, config);
	return copy(config, from, fd, err);
}

static int fill(const struct boot_config *config, int fd, struct hvd_error *err)
{
	if (config->nvram_template)
		return copy_template(config, fd, err);
	return ftruncate(fd, FLASH_SIZE) < 0 ? store_error(err, errno, config) : 0;
}

static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO(free) char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	AUTO(close) int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* A crash leaves the whole store or none: it gets its name at last. */
static int make_store(const struct boot_config *config, struct hvd_error *err)
{
	char new[PATH_MAX];
	AUTO(close) int fd = -1;
	int r;

	if (snprintf(new, sizeof(new), "%s.new", config->nvram) >= (int)sizeof(new))
		return store_error(err, ENAMETOOLONG, config);
	fd = open(new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return store_error(err, errno, config);
	r = fill(config, fd, err);
	if (r == 0 && (fsync(fd) < 0 || rename(new, config->nvram) < 0))
		r = store_error(err, errno, config);
	if (r < 0) {
		unlink(new);
		return r;
	}
	r = sync_parent(config->nvram);
	return r < 0 ? store_error(err, -r, config) : 0;
}

static int lock_store(int fd, const char *path, struct hvd_error *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return hvd_err(err, EBUSY, "%s is in use by another VM", path);
	return hvd_err(err, errno, "cannot lock %s: %s", path, strerror(errno));
}

static int open_unnamed(const struct boot_config *config, int *ret, struct hvd_error *err)
{
	AUTO(close) int fd = memfd_create("nvram", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return store_error(err, errno, config);
	r = fill(config, fd, err);
	if (r < 0)
		return r;
	*ret = TAKE_FD(fd);
	return 0;
}

static int open_existing(const char *path, int *ret, struct hvd_error *err)
{
	AUTO(close) int fd = plain_file_open(path, O_RDWR, false, err);
	int r = fd < 0 ? fd : lock_store(fd, path, err);

	if (r >= 0)
		r = check_size(fd, path, firmware_check_store, err);
	if (r < 0)
		return hvd_err_in(err, r, "boot.nvram");
	*ret = TAKE_FD(fd);
	return 0;
}

static int open_store(const struct boot_config *config, int *ret, struct hvd_error *err)
{
	int r = 0;

	if (!config->nvram)
		return open_unnamed(config, ret, err);
	if (access(config->nvram, F_OK) < 0 && errno == ENOENT)
		r = make_store(config, err);
	return r < 0 ? r : open_existing(config->nvram, ret, err);
}

int firmware_open(const struct boot_config *config, int *image, int *store, struct hvd_error *err)
{
	AUTO(close) int code = plain_file_open(config->firmware, O_RDONLY, false, err);
	int r = code < 0 ? code : check_size(code, config->firmware, firmware_check_image, err);

	if (r < 0)
		return hvd_err_in(err, r, "boot.firmware");
	r = open_store(config, store, err);
	if (r < 0)
		return r;
	*image = TAKE_FD(code);
	return 0;
}
