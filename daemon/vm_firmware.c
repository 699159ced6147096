/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware of a VM and its variable store.
 *
 * hvd's own stores are STATE/nvram/NAME.fd: made when the VM first starts (vmm/firmware.h), kept as long
 * as the VM is defined. A store elsewhere was named by the user: it is made as well if it is not there,
 * but is the user's to remove, like a disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/store.h"
#include "daemon/vm_private.h"
#include "vmm/firmware.h"

static int folder_path(const struct manager *manager, char path[static PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/nvram", manager->paths.state) >= PATH_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

static int own_path(const struct manager *manager, const char *name, char path[static PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/nvram/%s.fd", manager->paths.state, name) >= PATH_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

static int choose_store(const struct manager *manager, struct vm_config *config,
			struct hvd_error *err)
{
	char path[PATH_MAX];
	int r;

	r = folder_path(manager, path);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", manager->paths.state, strerror(-r));
	r = store_make_folder(path, err);
	if (r < 0)
		return r;
	r = own_path(manager, config->name, path);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", manager->paths.state, strerror(-r));
	config->boot.nvram = strdup(path);
	return config->boot.nvram ? 0 : hvd_err(err, ENOMEM, "out of memory");
}

int vm_firmware_complete(const struct manager *manager, struct vm_config *config,
			 struct hvd_error *err)
{
	int r;

	if (!config->boot.firmware)
		return 0;
	r = firmware_find(&config->boot, err);
	/* that it is not there is no error of the resource that the client has named */
	if (r == -ENOENT && err)
		err->code = -EINVAL;
	if (r == -ENOENT)
		return -EINVAL;
	if (r >= 0 && !config->boot.nvram)
		r = choose_store(manager, config, err);
	return r;
}

static int check_file(const char *path, const char *field, int flags,
		      int (*check)(uint64_t size, struct hvd_error *), struct hvd_error *err)
{
	/* O_NONBLOCK: a FIFO must not hold the daemon. */
	AUTO(close) int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return hvd_err_field(err, EINVAL, field, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return hvd_err_field(err, EINVAL, field, "%s: is not a regular file", path);
	r = check((uint64_t)st.st_size, err);
	if (r >= 0)
		return 0;
	hvd_err_prefix(err, r, "%s", path);
	return hvd_err_in(err, r, "%s", field);
}

/* The folder that a file is to be made in. */
static int check_folder(const char *path, const char *field, struct hvd_error *err)
{
	char folder[PATH_MAX];
	struct stat st;

	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path) + 1, path);
	if (stat(folder, &st) < 0)
		return hvd_err_field(err, EINVAL, field, "%s: %s", folder, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return hvd_err_field(err, EINVAL, field, "%s: is not a folder", folder);
	return 0;
}

static int check_store(const struct boot_config *boot, struct hvd_error *err)
{
	int r;

	if (access(boot->nvram, F_OK) == 0 || errno != ENOENT)
		return check_file(boot->nvram, "boot.nvram", O_RDWR, firmware_check_store, err);
	r = check_folder(boot->nvram, "boot.nvram", err);
	if (r < 0 || !boot->nvram_template)
		return r;
	return check_file(boot->nvram_template, "boot.nvram_template", O_RDONLY,
			  firmware_check_store, err);
}

/* What says something about a boot that the VM does not make is a mistake, or left over from a change. */
static int check_company(const struct boot_config *boot, struct hvd_error *err)
{
	const struct {
		const char *field, *value, *needs;
	} checks[] = {
		{ "boot.initrd", boot->kernel ? NULL : boot->initrd, "kernel" },
		{ "boot.cmdline", boot->kernel ? NULL : boot->cmdline, "kernel" },
		{ "boot.nvram", boot->firmware ? NULL : boot->nvram, "firmware" },
		{ "boot.nvram_template", boot->firmware ? NULL : boot->nvram_template, "firmware" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		if (checks[i].value)
			return hvd_err_field(err, EINVAL, checks[i].field,
					     "means nothing without a %s: unset it too",
					     checks[i].needs);
	return 0;
}

int vm_firmware_check(const struct boot_config *boot, struct hvd_error *err)
{
	int r = check_company(boot, err);

	if (r < 0 || !boot->firmware)
		return r;
	r = check_file(boot->firmware, "boot.firmware", O_RDONLY, firmware_check_image, err);
	return r < 0 ? r : check_store(boot, err);
}

int vm_firmware_forget(const struct vm *vm, struct hvd_error *err)
{
	char path[PATH_MAX];

	if (own_path(vm->manager, vm->config.name, path) < 0 || unlink(path) == 0 ||
	    errno == ENOENT)
		return 0;
	return hvd_err(err, errno, "%s: %s", path, strerror(errno));
}
