/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can the host run this definition? Asked when a VM is defined or changed, so that a mistake is
 * told to who makes it. Everything is looked at again when the VM starts: files come and go.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cpuset.h"
#include "daemon/link.h"
#include "daemon/storage.h"
#include "daemon/vm_private.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int check_host(const struct host_info *host, const struct vm_config *config,
		      struct hvd_error *err)
{
	char asked[24], there[24];

	if (host->max_vcpus && config->vcpus > host->max_vcpus)
		return hvd_err_field(err, ERANGE, "vcpus",
				     "%u is more than the %u that this host's KVM can give a VM",
				     config->vcpus, host->max_vcpus);
	if (config->memory > host->memory) {
		size_format(config->memory, asked);
		size_format(host->memory, there);
		return hvd_err_field(err, ERANGE, "memory", "%s is more than the host has (%s)",
				     asked, there);
	}
	return 0;
}

/* A regular file, or a block device where that makes sense, that hvd can open. */
static int check_file(const char *path, bool device, bool writable, const char *field,
		      struct hvd_error *err)
{
	AUTO(close) int fd = -1;
	struct stat st;

	if (path[0] != '/')
		return hvd_err_field(err, EINVAL, field, "%s: must be an absolute path", path);

	/* O_NONBLOCK: a FIFO must not hold the daemon. */
	fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return hvd_err_field(err, EINVAL, field, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !(device && S_ISBLK(st.st_mode)))
		return hvd_err_field(err, EINVAL, field, "%s: is not a regular file%s", path,
				     device ? " or block device" : "");
	return 0;
}

static int check_boot(const struct boot_config *boot, const struct boot_config *old,
		      struct hvd_error *err)
{
	int r = 0;

	if (old && schema_equal(&boot_schema, boot, old))
		return 0;
	if (boot->kernel && !(old && same_text(boot->kernel, old->kernel)))
		r = check_file(boot->kernel, false, false, "boot.kernel", err);
	if (r >= 0 && boot->initrd && !(old && same_text(boot->initrd, old->initrd)))
		r = check_file(boot->initrd, false, false, "boot.initrd", err);
	return r < 0 ? r : vm_firmware_check(boot, err);
}

/* What a disk of a storage daemon needs beside its image. */
static int check_storage(const struct disk_config *disk, struct hvd_error *err)
{
	int r = 0;

	if (!disk_needs_storage(disk))
		return 0;
	if (access(STORAGE_DAEMON, X_OK) < 0)
		return hvd_err_field(err, EINVAL, "format", "needs " STORAGE_DAEMON ", which is not "
				     "there: it is in Debian's package qemu-system-common");
	if (disk->backing)
		r = check_file(disk->backing, true, false, "backing", err);
	if (r >= 0 && disk->secret)
		r = check_file(disk->secret, false, false, "secret", err);
	if (r >= 0 && disk->ceph.keyfile)
		r = check_file(disk->ceph.keyfile, false, false, "ceph.keyfile", err);
	if (r >= 0 && disk->nbd.socket && access(disk->nbd.socket, F_OK) < 0)
		r = hvd_err_field(err, EINVAL, "nbd.socket", "%s: %s", disk->nbd.socket, strerror(errno));
	return r;
}

/* What only the volume says of it goes for the disk as well. */
static int check_volume(const struct manager *manager, const struct disk_config *disk, struct hvd_error *err)
{
	struct disk_config resolved;
	int r;

	if (!disk->volume)
		return 0;
	if (schema_copy(&disk_schema, &resolved, disk) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	r = vm_volume_resolve(manager, &resolved, err);
	if (r >= 0)
		r = schema_check(&disk_schema, disk, err);
	if (r >= 0)
		r = check_file(resolved.path, false, !disk->read_only, "volume", err);
	schema_clear(&disk_schema, &resolved);
	return r;
}

static int check_disks(const struct manager *manager, const struct vm_config *config,
		       const struct vm_config *old, struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_disks; i++) {
		const struct disk_config *disk = &config->disks[i];
		char field[64];
		int r;

		if (old && i < old->n_disks && schema_equal(&disk_schema, disk, &old->disks[i]))
			continue;
		snprintf(field, sizeof(field), "disks[%zu].path", i);
		r = disk->path ? check_file(disk->path, true, !disk->read_only, field, err) : 0;
		if (r < 0)
			return r;
		r = check_volume(manager, disk, err);
		if (r >= 0)
			r = check_storage(disk, err);
		if (r < 0)
			return hvd_err_in(err, r, "disks[%zu]", i);
	}
	return 0;
}

static int check_nics(const struct manager *manager, const struct vm_config *config,
		      struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_nics; i++) {
		const struct nic_config *nic = &config->nics[i];
		char field[64];

		if (nic->network && !manager_find_network(manager, nic->network)) {
			snprintf(field, sizeof(field), "nics[%zu].network", i);
			return hvd_err_field(err, EINVAL, field,
					     "there is no network %s; see hvcli network list",
					     nic->network);
		}
		if (nic->tap && if_nametoindex(nic->tap) == 0) {
			snprintf(field, sizeof(field), "nics[%zu].tap", i);
			return hvd_err_field(err, EINVAL, field, "there is no interface %s",
					     nic->tap);
		}
		if (nic->interface && if_nametoindex(nic->interface) == 0) {
			snprintf(field, sizeof(field), "nics[%zu].interface", i);
			return hvd_err_field(err, EINVAL, field, "there is no interface %s",
					     nic->interface);
		}
		if (nic->bridge && !link_is_bridge_up(nic->bridge)) {
			snprintf(field, sizeof(field), "nics[%zu].bridge", i);
			return hvd_err_field(err, EINVAL, field,
					     "the host has no bridge %s, or it is not up",
					     nic->bridge);
		}
	}
	return 0;
}

/*
 * Not a rule of the schema: what a process has may be of two minds until its next start, and its
 * devices make the best of it.
 */
static int check_balloon(const struct vm_config *config, struct hvd_error *err)
{
	if (config->memory_target > config->memory)
		return hvd_err_field(err, EINVAL, "memory_target", "is more than memory");
	if (config->memory_target && config->memory_target < config->memory && !config->balloon)
		return hvd_err_field(err, EINVAL, "memory_target",
				     "is less than memory, which takes a balloon: set balloon too");
	return 0;
}

static int check_rng(const struct vm_config *config, struct hvd_error *err)
{
	if (config->rng_bytes_per_second && !config->rng)
		return hvd_err_field(err, EINVAL, "rng_bytes_per_second",
				     "limits an entropy source that the VM does not have: set rng too");
	return 0;
}

static int check_vsock(const struct manager *manager, const struct vm_config *config,
		       struct hvd_error *err)
{
	if (!config->vsock)
		return 0;
	for (const struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		if (vm->config.vsock && vm->config.vsock_cid == config->vsock_cid &&
		    strcmp(vm->config.name, config->name) != 0)
			return hvd_err_field(err, EINVAL, "vsock_cid", "%u is that of VM %s",
					     config->vsock_cid, vm->config.name);
	return 0;
}

static int check_resources(const struct resources_config *resources, struct hvd_error *err)
{
	uint8_t mask[CPUSET_BYTES];
	size_t len;

	if (resources->cpuset && cpuset_parse(resources->cpuset, mask, &len) < 0)
		return hvd_err_field(err, EINVAL, "resources.cpuset",
				     "\"%s\" is no list of CPUs like \"0-3,8\"", resources->cpuset);
	return 0;
}

int vm_check(const struct manager *manager, const struct vm_config *config,
	     const struct vm_config *old, struct hvd_error *err)
{
	int r;

	r = check_host(&manager->host, config, err);
	if (r >= 0)
		r = check_boot(&config->boot, old ? &old->boot : NULL, err);
	if (r >= 0)
		r = check_disks(manager, config, old, err);
	if (r >= 0)
		r = check_nics(manager, config, err);
	if (r >= 0)
		r = check_balloon(config, err);
	if (r >= 0)
		r = check_rng(config, err);
	if (r >= 0)
		r = check_vsock(manager, config, err);
	if (r >= 0)
		r = check_resources(&config->resources, err);
	return r;
}
