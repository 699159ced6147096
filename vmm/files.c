/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "vmm/base/cleanup.h"
#include "vmm/firmware.h"
#include "vmm/plain_file.h"

_Static_assert(VM_MAX_FILES + 2 <= 253, "as many as one message takes (SCM_MAX_FD)");

struct vm_files vm_files_none(void)
{
	struct vm_files files = {
		.kvm = -1, .kernel = -1, .initrd = -1, .firmware = -1, .nvram = -1,
		.vsock = -1,
	};

	for (size_t i = 0; i < VM_MAX_DISKS; i++)
		files.disks[i] = -1;
	for (size_t i = 0; i < VM_MAX_NICS; i++)
		files.nics[i] = NIC_FILES_INIT;
	return files;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vm_files_close(struct vm_files *files)
{
	close_one(&files->kvm);
	close_one(&files->kernel);
	close_one(&files->initrd);
	close_one(&files->firmware);
	close_one(&files->nvram);
	close_one(&files->vsock);
	for (size_t i = 0; i < VM_MAX_DISKS; i++)
		close_one(&files->disks[i]);
	for (size_t i = 0; i < VM_MAX_NICS; i++)
		nic_files_close(&files->nics[i]);
}

static int open_kvm(struct hvd_error *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return hvd_err(err, errno,
			       "/dev/kvm: %s: the host kernel has no KVM (CONFIG_KVM), or was not "
			       "started at EL2", strerror(errno));
	return hvd_err(err, errno, "/dev/kvm: %s", strerror(errno));
}

static int open_boot_file(const char *path, const char *field, int *ret, struct hvd_error *err)
{
	int fd;

	if (!path)
		return 0;
	fd = plain_file_open(path, O_RDONLY, false, err);
	if (fd < 0)
		return hvd_err_in(err, fd, "%s", field);
	*ret = fd;
	return 0;
}

static int lock_disk(int fd, const struct disk_config *disk, struct hvd_error *err)
{
	struct flock lock = { .l_type = disk->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return hvd_err_field(err, EBUSY, "path",
				     "%s is in use by another VM, or twice by this one", disk->path);
	return hvd_err_field(err, errno, "path", "cannot lock %s: %s", disk->path, strerror(errno));
}

/* After an open with O_DIRECT that failed: is it that, or the file itself? */
static int explain_direct(const struct disk_config *disk, int flags, struct hvd_error *err)
{
	AUTO(close) int fd = plain_file_open(disk->path, flags, true, err);

	if (fd < 0)
		return hvd_err_in(err, fd, "path");
	return hvd_err_field(err, EINVAL, "cache",
			     "%s: its file system has no direct I/O (O_DIRECT); use cache \"writeback\"",
			     disk->path);
}

/*
 * A block device that is to be written must not be mounted, part of a RAID or a volume group: the
 * kernel lets one holder have it exclusively. Opened anew by its descriptor, so that it is the same.
 */
static int claim_device(int *fd, const struct disk_config *disk, int flags, struct hvd_error *err)
{
	char self[64];
	int claimed;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", *fd);
	claimed = open(self, flags | O_EXCL | O_CLOEXEC);
	if (claimed < 0 && errno == EBUSY)
		return hvd_err_field(err, EBUSY, "path", "%s is in use by this host: mounted, or part "
				     "of a RAID or volume group", disk->path);
	if (claimed < 0)
		return hvd_err_field(err, errno, "path", "%s: %s", disk->path, strerror(errno));

	close(*fd);
	*fd = claimed;
	return lock_disk(*fd, disk, err);
}

static bool is_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
}

static int open_disk(const struct disk_config *disk, int *ret, struct hvd_error *err)
{
	int flags = disk->read_only ? O_RDONLY : O_RDWR;
	int direct = disk->cache == DISK_CACHE_NONE ? O_DIRECT : 0;
	AUTO(close) int fd = plain_file_open(disk->path, flags | direct, true, err);
	int r;

	if (fd == -EINVAL && direct)
		return explain_direct(disk, flags, err);
	if (fd < 0)
		return hvd_err_in(err, fd, "path");

	r = lock_disk(fd, disk, err);
	if (r >= 0 && !disk->read_only && is_device(fd))
		r = claim_device(&fd, disk, flags | direct, err);
	if (r < 0)
		return r;
	*ret = TAKE_FD(fd);
	return 0;
}

int vm_files_tap_name(int tap, char name[static 16])
{
	struct ifreq ifr = { 0 };

	_Static_assert(IFNAMSIZ == 16, "the size of an interface name");
	if (ioctl(tap, TUNGETIFF, &ifr) < 0)
		return -errno;
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

static int open_boot(const struct vm_config *config, struct vm_files *files, struct hvd_error *err)
{
	const struct boot_config *boot = &config->boot;
	int r;

	r = open_boot_file(boot->kernel, "boot.kernel", &files->kernel, err);
	if (r >= 0)
		r = open_boot_file(boot->initrd, "boot.initrd", &files->initrd, err);
	if (r >= 0 && boot->firmware)
		r = firmware_open(boot, &files->firmware, &files->nvram, err);
	return r;
}

static bool has_disk(const struct vm_config *running, const struct disk_config *disk)
{
	return running && vm_config_find_disk(running, disk->id) >= 0;
}

static bool has_nic(const struct vm_config *running, const struct nic_config *nic)
{
	return running && vm_config_find_nic(running, nic->id) >= 0;
}

static int open_devices(const struct vm_config *config, const struct vm_config *running,
			const struct vm_macvtaps *macvtaps, struct vm_files *files, struct hvd_error *err)
{
	int r;

	for (size_t i = 0; i < config->n_disks; i++) {
		if (has_disk(running, &config->disks[i]) || disk_needs_storage(&config->disks[i]))
			continue;
		r = open_disk(&config->disks[i], &files->disks[i], err);
		if (r < 0)
			return hvd_err_in(err, r, "disks[%zu]", i);
	}
	for (size_t i = 0; i < config->n_nics; i++) {
		if (has_nic(running, &config->nics[i]))
			continue;
		r = nic_files_open(&config->nics[i], vm_config_nic_queues(config, &config->nics[i]),
				   macvtaps ? macvtaps->index[i] : 0,				   &files->nics[i], err);
		if (r < 0)
			return hvd_err_in(err, r, "nics[%zu]", i);
	}
	return 0;
}

static int open_all(const struct vm_config *config, const struct vm_config *running,
		    const struct vm_macvtaps *macvtaps, struct vm_files *files, struct hvd_error *err)
{
	int r;

	if (running)
		return open_devices(config, running, macvtaps, files, err);
	r = open_boot(config, files, err);
	if (r >= 0)
		r = open_devices(config, NULL, macvtaps, files, err);
	if (r >= 0)
		r = open_kvm(err);
	if (r < 0)
		return r;
	files->kvm = r;
	return 0;
}

int vm_files_open(const struct vm_config *config, const struct vm_config *running,
		  const struct vm_macvtaps *macvtaps, struct vm_files *ret, struct hvd_error *err)
{
	struct vm_files files = VM_FILES_INIT;
	int r;

	if (config->n_disks > VM_MAX_DISKS)
		return hvd_err_field(err, ERANGE, "disks", "more than %d disks", VM_MAX_DISKS);
	if (config->n_nics > VM_MAX_NICS)
		return hvd_err_field(err, ERANGE, "nics", "more than %d NICs", VM_MAX_NICS);

	r = open_all(config, running, macvtaps, &files, err);
	if (r < 0) {
		vm_files_close(&files);
		return r;
	}
	*ret = files;
	return 0;
}

static size_t nic_places(struct nic_files *files, const struct vm_config *config,
			 const struct nic_config *nic, int **ret)
{
	unsigned n_queues = vm_config_nic_queues(config, nic);
	size_t n = 0;

	for (unsigned i = 0; i < n_queues; i++) {
		ret[n++] = &files->tap[i];
		if (nic->backend == NIC_BACKEND_VHOST)
			ret[n++] = &files->vhost[i];
	}
	return n;
}

/* The places that are filled, in the order of the wire. */
static size_t places(struct vm_files *files, const struct vm_config *config,
		     const struct vm_config *running, int *ret[static VM_MAX_FILES])
{
	size_t n = 0;

	if (!running)
		ret[n++] = &files->kvm;
	if (!running && config->boot.kernel)
		ret[n++] = &files->kernel;
	if (!running && config->boot.initrd)
		ret[n++] = &files->initrd;
	if (!running && config->boot.firmware) {
		ret[n++] = &files->firmware;
		ret[n++] = &files->nvram;
	}
	if (!running && config->vsock)
		ret[n++] = &files->vsock;
	for (size_t i = 0; i < config->n_disks && i < VM_MAX_DISKS; i++)
		if (!has_disk(running, &config->disks[i]))
			ret[n++] = &files->disks[i];
	for (size_t i = 0; i < config->n_nics && i < VM_MAX_NICS; i++)
		if (!has_nic(running, &config->nics[i]))
			n += nic_places(&files->nics[i], config, &config->nics[i], ret + n);
	return n;
}

size_t vm_files_pack(const struct vm_files *files, const struct vm_config *config,
		     const struct vm_config *running, int fds[static VM_MAX_FILES])
{
	struct vm_files copy = *files;
	int *place[VM_MAX_FILES];
	size_t n = places(&copy, config, running, place);

	for (size_t i = 0; i < n; i++)
		fds[i] = *place[i];
	return n;
}

int vm_files_unpack(const struct vm_config *config, const struct vm_config *running,
		    const int *fds, size_t n, struct vm_files *ret)
{
	struct vm_files files = VM_FILES_INIT;
	int *place[VM_MAX_FILES];

	if (places(&files, config, running, place) != n) {
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
		return -EBADMSG;
	}

	for (size_t i = 0; i < n; i++)
		*place[i] = fds[i];
	*ret = files;
	return 0;
}

static struct nic_files take_nic(struct nic_files *files)
{
	struct nic_files taken = *files;

	*files = NIC_FILES_INIT;
	return taken;
}

void vm_files_update(struct vm_files *files, const struct vm_config *running,
		     const struct vm_config *config, struct vm_files *added)
{
	struct vm_files next = VM_FILES_INIT;

	next.kvm = TAKE_FD(files->kvm);
	next.kernel = TAKE_FD(files->kernel);
	next.initrd = TAKE_FD(files->initrd);
	next.firmware = TAKE_FD(files->firmware);
	next.nvram = TAKE_FD(files->nvram);
	next.vsock = TAKE_FD(files->vsock);
	for (size_t i = 0; i < config->n_disks && i < VM_MAX_DISKS; i++) {
		int at = vm_config_find_disk(running, config->disks[i].id);

		next.disks[i] = at < 0 ? TAKE_FD(added->disks[i]) : TAKE_FD(files->disks[at]);
	}
	for (size_t i = 0; i < config->n_nics && i < VM_MAX_NICS; i++) {
		int at = vm_config_find_nic(running, config->nics[i].id);

		next.nics[i] = take_nic(at < 0 ? &added->nics[i] : &files->nics[at]);
	}
	vm_files_close(files);
	*files = next;
}
