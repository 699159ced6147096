/* SPDX-License-Identifier: Apache-2.0 */
/* Disks and NICs that change, come and go while the guest runs. */
#include <errno.h>
#include <string.h>

#include "vmm/arch/machine_private.h"

static struct machine_virtio *find(struct machine *m, uint16_t type, const char *id)
{
	for (unsigned i = 0; id && i < m->n_virtio; i++)
		if (m->virtio[i].dev->ops->id == type && strcmp(m->virtio[i].id, id) == 0)
			return &m->virtio[i];
	return NULL;
}

static struct virtio_dev *find_device(struct machine *m, uint16_t type, const char *id)
{
	struct machine_virtio *v = find(m, type, id);

	return v ? v->dev : NULL;
}

/* What the machine does not have yet is left alone. */
static int update_devices(struct machine *m, const struct vm_config *config, struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_disks; i++) {
		const struct disk_config *disk = &config->disks[i];
		struct virtio_dev *dev = find_device(m, VIRTIO_ID_BLOCK, disk->id);
		int r = dev ? machine_virtio_update_disk(dev, disk, err) : 0;

		if (r < 0)
			return hvd_err_in(err, r, "disks[%zu]", i);
	}
	for (size_t i = 0; i < config->n_nics; i++) {
		const struct nic_config *nic = &config->nics[i];
		struct virtio_dev *dev = find_device(m, VIRTIO_ID_NET, nic->id);
		int r = dev ? machine_virtio_update_nic(dev, nic, err) : 0;

		if (r < 0)
			return hvd_err_in(err, r, "nics[%zu]", i);
	}
	return machine_virtio_update_singles(m, config, err);
}

static int check_attach(struct machine *m, uint16_t type, const char *id, struct hvd_error *err)
{
	if (!m->pci)
		return hvd_err(err, EOPNOTSUPP,
			       "only VMs of profile standard take devices while they run");
	if (find(m, type, id))
		return hvd_err_field(err, EEXIST, "id", "'%s' is attached already", id);
	if (m->n_virtio == MEMMAP_MAX_VIRTIO)
		return hvd_err(err, ENOSPC, "more than %d devices", MEMMAP_MAX_VIRTIO);
	return 0;
}

static int attach(struct machine *m, enum machine_kind kind, struct virtio_dev *dev, const char *id,
		  struct hvd_error *err)
{
	int r;

	if (m->held)
		virtio_quiesce(dev);
	r = machine_pci_attach(m->pci, kind, dev, err);
	if (r == 0)
		machine_virtio_remember(m, dev, id);
	return r;
}

int machine_attach_disk(struct machine *m, const struct disk_config *disk, int fd,
			struct hvd_error *err)
{
	struct virtio_dev *dev;
	int r;

	r = check_attach(m, VIRTIO_ID_BLOCK, disk->id, err);
	if (r < 0)
		return r;
	r = machine_virtio_disk(m, disk, fd, &dev, err);
	return r < 0 ? r : attach(m, MACHINE_DISK, dev, disk->id, err);
}

int machine_attach_nic(struct machine *m, const struct nic_config *nic,
		       const struct nic_files *files, struct hvd_error *err)
{
	struct virtio_dev *dev;
	int r;

	r = check_attach(m, VIRTIO_ID_NET, nic->id, err);
	if (r < 0)
		return r;
	r = machine_virtio_nic(m, nic, files, &dev, err);
	return r < 0 ? r : attach(m, MACHINE_NIC, dev, nic->id, err);
}

static void forget(struct machine *m, struct machine_virtio *v)
{
	*v = m->virtio[--m->n_virtio];
}

void machine_on_detached(void *ctx, const struct virtio_dev *dev, int r)
{
	struct machine *m = ctx;
	struct machine_virtio *v = m->virtio;
	struct machine_virtio copy;
	struct hvd_error err = { 0 };

	while (v->dev != dev)
		v++;
	copy = *v;
	v->detached = NULL;
	if (r == 0)
		forget(m, v);
	else
		hvd_err(&err, -r, "the guest did not let go of it: it has no driver for PCI Express "
			"hotplug, or is busy with the device");
	if (copy.detached)
		copy.detached(copy.ctx, r, r < 0 ? &err : NULL);
}

int machine_detach(struct machine *m, uint16_t type, const char *id, unsigned seconds,
		   machine_detached_fn fn, void *ctx, struct hvd_error *err)
{
	struct machine_virtio *v = find(m, type, id), gone;
	int r;

	if (!m->pci)
		return hvd_err(err, EOPNOTSUPP,
			       "only VMs of profile standard let devices go while they run");
	if (!v)
		return hvd_err(err, ENOENT, "no device '%s' is attached", id ? id : "");
	r = machine_pci_detach(m->pci, v->dev, seconds, err);
	if (r < 0)
		return r;
	if (r == 0) {
		v->detached = fn;
		v->ctx = ctx;
		return 0;
	}
	gone = *v;
	forget(m, v);
	/* who waits for the guest need not any more */
	if (gone.detached)
		gone.detached(gone.ctx, 0, NULL);
	return 1;
}

void machine_cancel_detachments(struct machine *m)
{
	struct hvd_error err = { 0 };

	hvd_err(&err, ECANCELED, "the VM was reset or stopped before the guest let go of it");
	for (unsigned i = 0; i < m->n_virtio; i++)
		if (m->virtio[i].detached)
			m->virtio[i].detached(m->virtio[i].ctx, -ECANCELED, &err);
}

static int attach_disks(struct machine *m, const struct vm_config *config, const int *fds,
			struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_disks; i++) {
		const struct disk_config *disk = &config->disks[i];
		int r = 0;

		if (!find(m, VIRTIO_ID_BLOCK, disk->id))
			r = machine_attach_disk(m, disk, fds[i], err);
		if (r < 0)
			return hvd_err_in(err, r, "disks[%zu]", i);
	}
	return 0;
}

static int attach_nics(struct machine *m, const struct vm_config *config,
		       const struct nic_files *files, struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_nics; i++) {
		const struct nic_config *nic = &config->nics[i];
		int r = 0;

		if (!find(m, VIRTIO_ID_NET, nic->id))
			r = machine_attach_nic(m, nic, &files[i], err);
		if (r < 0)
			return hvd_err_in(err, r, "nics[%zu]", i);
	}
	return 0;
}

/* A disk or NIC that config does not have; NULL: there is none. */
static struct machine_virtio *surplus(struct machine *m, const struct vm_config *config)
{
	for (unsigned i = 0; i < m->n_virtio; i++) {
		struct machine_virtio *v = &m->virtio[i];
		uint16_t type = v->dev->ops->id;

		if ((type == VIRTIO_ID_BLOCK && vm_config_find_disk(config, v->id) < 0) ||
		    (type == VIRTIO_ID_NET && vm_config_find_nic(config, v->id) < 0))
			return v;
	}
	return NULL;
}

/* Every device as the machine's own configuration has it; what came since goes at once. */
static void undo(struct machine *m)
{
	struct machine_virtio *v;

	while ((v = surplus(m, m->args.config)))
		machine_detach(m, v->dev->ops->id, v->id, 0, NULL, NULL, NULL);
	update_devices(m, m->args.config, NULL);
}

int machine_update(struct machine *m, const struct vm_config *config,
		   const struct vm_files *files, struct hvd_error *err)
{
	struct machine_virtio *gone = surplus(m, config);
	int r;

	if (gone) {
		r = machine_detach(m, gone->dev->ops->id, gone->id, m->args.detach_seconds,
				   m->args.on_detached, m->args.ctx, err);
		/* in this order: 1 is that it is gone already */
		return r < 0 ? r : !r;
	}
	r = update_devices(m, config, err);
	if (r >= 0)
		r = attach_disks(m, config, files->disks, err);
	if (r >= 0)
		r = attach_nics(m, config, files->nics, err);
	if (r < 0)
		undo(m);
	return r;
}

int machine_reconnect_disk(struct machine *m, const char *id, int sock, struct hvd_error *err)
{
	struct virtio_dev *dev = find_device(m, VIRTIO_ID_BLOCK, id);
	int copy = -1, r;

	if (!dev || !virtio_is_vhost_user_blk(dev))
		return hvd_err(err, ENOENT, "no disk '%s' of a storage daemon is attached", id);
	r = machine_duplicate(sock, &copy, err);
	return r < 0 ? r : virtio_vhost_user_blk_reconnect(dev, copy, err);
}

bool machine_disk_is_lost(struct machine *m, const char *id)
{
	struct virtio_dev *dev = find_device(m, VIRTIO_ID_BLOCK, id);

	return dev && virtio_is_vhost_user_blk(dev) && virtio_vhost_user_blk_is_lost(dev);
}
