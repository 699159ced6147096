/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The volumes that are disks of a VM. A definition names a volume and has its format; where the data is, and
 * which image is behind it, is looked up whenever somebody opens it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/vm_private.h"
#include "daemon/volume.h"

static struct pool_item *volume_of(const struct manager *manager, const struct disk_config *disk)
{
	return disk->volume ? pool_find(manager->volumes, disk->volume) : NULL;
}

void vm_volumes_complete(const struct manager *manager, struct vm_config *config)
{
	for (size_t i = 0; i < config->n_disks; i++) {
		const struct pool_item *volume = volume_of(manager, &config->disks[i]);

		if (volume)
			config->disks[i].format = pool_config(volume)->format;
	}
}

static void look_at_volumes(const struct manager *manager, const struct vm_config *config)
{
	for (size_t i = 0; i < config->n_disks; i++) {
		struct pool_item *volume = volume_of(manager, &config->disks[i]);

		if (volume)
			pool_changed(volume);
	}
}

void vm_volumes_changed(const struct vm *vm)
{
	look_at_volumes(vm->manager, vm_running(vm));
	look_at_volumes(vm->manager, vm_config(vm));
}

static int no_volume(const char *name, struct hvd_error *err)
{
	return hvd_err_field(err, EINVAL, "volume", "there is no volume %s; see hvcli volume list", name);
}

static int set_image(const struct manager *manager, const char *name, struct disk_config *disk,
		     struct hvd_error *err)
{
	const struct pool_item *image = pool_find(manager->images, name);

	if (!image)
		return hvd_err_field(err, EINVAL, "volume", "%s is backed by image %s, which is not there",
				     disk->volume, name);
	disk->backing = strdup(pool_path(image));
	disk->backing_format = pool_config(image)->format;
	return disk->backing ? 0 : hvd_err(err, ENOMEM, "out of memory");
}

int vm_volume_resolve(const struct manager *manager, struct disk_config *disk, struct hvd_error *err)
{
	const struct pool_item *volume = volume_of(manager, disk);

	if (!disk->volume)
		return 0;
	if (!volume)
		return no_volume(disk->volume, err);
	disk->path = strdup(pool_path(volume));
	if (!disk->path)
		return hvd_err(err, ENOMEM, "out of memory");
	disk->format = pool_config(volume)->format;
	return pool_config(volume)->backed ? set_image(manager, pool_config(volume)->image, disk, err) : 0;
}

int vm_files_open_all(const struct manager *manager, const struct vm_config *config,
		      const struct vm_config *running, const struct vm_macvtaps *macvtaps,
		      struct vm_files *ret, struct hvd_error *err)
{
	struct vm_config resolved;
	int r = 0;

	if (schema_copy(&vm_schema, &resolved, config) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	for (size_t i = 0; r >= 0 && i < resolved.n_disks; i++) {
		r = vm_volume_resolve(manager, &resolved.disks[i], err);
		if (r < 0)
			hvd_err_in(err, r, "disks[%zu]", i);
	}
	if (r >= 0)
		r = vm_files_open(&resolved, running, macvtaps, ret, err);
	schema_clear(&vm_schema, &resolved);
	return r;
}

static const struct disk_config *disk_of(const struct vm_config *config, const char *volume)
{
	for (size_t i = 0; i < config->n_disks; i++)
		if (config->disks[i].volume && strcmp(config->disks[i].volume, volume) == 0)
			return &config->disks[i];
	return NULL;
}

const struct disk_config *vm_disk_of_volume(const struct vm *vm, const char *volume, bool running)
{
	const struct disk_config *disk = disk_of(vm_running(vm), volume);

	/* one that starts is about to have what its definition has */
	return disk || (running && vm_state(vm) != VM_STARTING) ? disk : disk_of(vm_config(vm), volume);
}

/* Does another VM that runs have it in a way that excludes this one? */
static int check_free(const struct vm *vm, const struct disk_config *disk, struct hvd_error *err)
{
	for (const struct vm *other = vm_next(vm->manager, NULL); other; other = vm_next(vm->manager, other)) {
		const struct disk_config *its = vm_disk_of_volume(other, disk->volume, true);

		if (other != vm && its && !(its->read_only && disk->read_only))
			return hvd_err(err, EBUSY, "volume %s is in use by VM %s, which runs", disk->volume,
				       other->config.name);
	}
	return 0;
}

int vm_volumes_check_free(const struct vm *vm, const struct vm_config *config, struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_disks; i++) {
		const struct disk_config *disk = &config->disks[i];
		const struct pool_item *volume = volume_of(vm->manager, disk);
		int r = volume ? check_free(vm, disk, err) : 0;

		if (r < 0)
			return r;
		if (volume && pool_is_held(volume))
			return hvd_err(err, EBUSY, "volume %s is being changed; try again", disk->volume);
	}
	return 0;
}
