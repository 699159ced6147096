/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio devices, made from the configuration. Disks and NICs are lists; of the others a machine has
 * one or none, and they are rows of a table.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/arch/machine_private.h"

#define DISK_QUEUES 4 /* at most, where nobody has asked for more */

_Static_assert(VM_MAX_DISKS + VM_MAX_NICS + 4 <= MEMMAP_MAX_VIRTIO, "a place for every device");

/* Into the next place of virtio-mmio. */
static int plug_mmio(struct machine *m, struct virtio_dev *dev, struct hvd_error *err)
{
	unsigned i = m->n_mmio++;
	struct virtio_mmio *t = &m->mmio[i];
	uint64_t base = MEMMAP_VIRTIO + i * MEMMAP_VIRTIO_EACH;
	int r;

	r = virtio_mmio_init(t, dev, base);
	if (r < 0)
		return hvd_err(err, -r, "virtio-mmio: %s", strerror(-r));
	r = mmio_bus_add(&m->bus, &t->region, err);
	if (r < 0)
		return r;

	for (unsigned q = 0; q < dev->n_queues; q++) {
		r = kvm_vm_ioeventfd(&m->vm, dev->kick_fd[q], base + VIRTIO_MMIO_QUEUE_NOTIFY,
				     sizeof(uint32_t), q, err);
		if (r < 0)
			return r;
	}
	return kvm_routes_bind_spi(&m->routes, t->irq_fd, SPI_VIRTIO + i, err);
}

void machine_virtio_remember(struct machine *m, struct virtio_dev *dev, const char *id)
{
	struct machine_virtio *v = &m->virtio[m->n_virtio++];

	*v = (struct machine_virtio){ .dev = dev };
	snprintf(v->id, sizeof(v->id), "%s", id ? id : "");
}

/* Put a device, which becomes the machine's, into its place: the index-th of its kind. */
static int plug(struct machine *m, enum machine_kind kind, size_t index, struct virtio_dev *dev,
		const char *id, struct hvd_error *err)
{
	int r;

	if (m->pci)
		r = machine_pci_plug(m->pci, kind, (unsigned)index, dev, err);
	else
		r = plug_mmio(m, dev, err);
	if (r == 0)
		machine_virtio_remember(m, dev, id);
	return r;
}

int machine_duplicate(int fd, int *ret, struct hvd_error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0)
		return hvd_err(err, errno, "cannot duplicate a descriptor: %s", strerror(errno));
	*ret = copy;
	return 0;
}

static void on_disk_error(void *ctx, const char *name, int error)
{
	io_fault_report(ctx, name, error);
}

static struct virtio_blk_args disk_args(const struct disk_config *disk, int fd)
{
	static const enum virtio_blk_on_error on_error[_DISK_ERROR_POLICY_MAX] = {
		[DISK_ERROR_REPORT] = VIRTIO_BLK_REPORT,
		[DISK_ERROR_STOP] = VIRTIO_BLK_STOP,
		[DISK_ERROR_ENOSPC_STOP] = VIRTIO_BLK_STOP_WHEN_FULL,
	};

	return (struct virtio_blk_args){
		.fd = fd,
		.read_only = disk->read_only,
		.direct = disk->cache == DISK_CACHE_NONE,
		.ignore_flush = disk->cache == DISK_CACHE_UNSAFE,
		.size = disk->size,
		.name = disk_place(disk),
		.serial = disk->serial,
		.ops_limit = { disk->limits.iops, disk->limits.iops_burst },
		.bytes_limit = { disk->limits.bytes_per_second, disk->limits.bytes_burst },
		.on_error = on_error[disk->error_policy],
		.failed = on_disk_error,
	};
}

static unsigned disk_queues(const struct machine *m, const struct disk_config *disk)
{
	return disk->queues ? disk->queues : MIN(m->args.config->vcpus, (uint32_t)DISK_QUEUES);
}

static int new_raw(struct machine *m, const struct disk_config *disk, int fd, struct virtio_dev **ret,
		   struct hvd_error *err)
{
	const struct virtio_loops loops = { m->args.loops, m->args.n_loops, m->n_virtio };
	struct virtio_blk_args args = disk_args(disk, fd);

	args.n_queues = disk_queues(m, disk);
	args.loops = &loops;
	args.ctx = &m->io_fault;
	return virtio_blk_new(&args, m->mem, m->args.io, ret, err);
}

static void on_disk_lost(void *ctx, struct virtio_dev *dev)
{
	struct machine *m = ctx;

	for (unsigned i = 0; i < m->n_virtio; i++)
		if (m->virtio[i].dev == dev)
			m->args.on_disk_lost(m->args.ctx, m->virtio[i].id);
}

static struct virtio_vhost_user_blk_args storage_args(const struct disk_config *disk, int sock)
{
	return (struct virtio_vhost_user_blk_args){
		.sock = sock,
		.assume_inflight = true,
		.size = disk->size,
		.name = disk_place(disk),
		/* its metadata is written when the guest flushes */
		.forgets = disk->format == DISK_FORMAT_QCOW2 && !disk->read_only,
	};
}

static int new_of_storage(struct machine *m, const struct disk_config *disk, int sock,
			  struct virtio_dev **ret, struct hvd_error *err)
{
	struct virtio_vhost_user_blk_args args = storage_args(disk, sock);

	if (guest_mem_fd(m->mem) < 0) {
		close(sock);
		return hvd_err(err, EOPNOTSUPP, "a disk of this format needs a VM whose memory is "
			       "shared: set shared_memory and start it anew");
	}
	args.n_queues = disk_queues(m, disk);
	args.main = m->args.main;
	args.lost = on_disk_lost;
	args.ctx = m;
	return virtio_vhost_user_blk_new(&args, m->mem, m->args.io, ret, err);
}

int machine_virtio_disk(struct machine *m, const struct disk_config *disk, int fd,
			struct virtio_dev **ret, struct hvd_error *err)
{
	int copy = -1, r;

	r = machine_duplicate(fd, &copy, err);
	if (r < 0)
		return r;
	r = disk_needs_storage(disk) ? new_of_storage(m, disk, copy, ret, err)
				     : new_raw(m, disk, copy, ret, err);
	return r < 0 ? hvd_err_prefix(err, r, "%s", disk_place(disk)) : 0;
}

static int create_disk(struct machine *m, size_t index, struct hvd_error *err)
{
	const struct disk_config *disk = &m->args.config->disks[index];
	struct virtio_dev *dev;
	int r = machine_virtio_disk(m, disk, m->args.files->disks[index], &dev, err);

	return r < 0 ? r : plug(m, MACHINE_DISK, index, dev, disk->id, err);
}

static struct virtio_net_args nic_args(const struct nic_config *nic)
{
	const struct nic_limits_config *limits = &nic->limits;
	struct virtio_net_args args = {
		.name = nic->id,
		.trust_mac = nic->trust_guest_mac,
		.mtu = (uint16_t)nic->mtu,
		.link_down = nic->link == NIC_LINK_DOWN,
		.rx_frames = { limits->rx_frames_per_second, limits->rx_frames_burst },
		.rx_bytes = { limits->rx_bytes_per_second, limits->rx_bytes_burst },
		.tx_frames = { limits->tx_frames_per_second, limits->tx_frames_burst },
		.tx_bytes = { limits->tx_bytes_per_second, limits->tx_bytes_burst },
	};

	memcpy(args.mac, nic->mac, sizeof(args.mac));
	return args;
}

static int duplicate_nic(const struct nic_files *files, struct nic_files *ret,
			 struct hvd_error *err)
{
	struct nic_files copy = NIC_FILES_INIT;
	int r = 0;

	for (unsigned i = 0; i < VM_MAX_NIC_QUEUES && r >= 0; i++) {
		if (files->tap[i] >= 0)
			r = machine_duplicate(files->tap[i], &copy.tap[i], err);
		if (files->vhost[i] >= 0 && r >= 0)
			r = machine_duplicate(files->vhost[i], &copy.vhost[i], err);
	}
	if (r < 0) {
		nic_files_close(&copy);
		return r;
	}
	*ret = copy;
	return 0;
}

int machine_virtio_nic(struct machine *m, const struct nic_config *nic,
		       const struct nic_files *files, struct virtio_dev **ret,
		       struct hvd_error *err)
{
	const struct virtio_loops loops = { m->args.loops, m->args.n_loops, m->n_virtio };
	struct virtio_net_args args = nic_args(nic);
	struct nic_files copy;
	int r;

	r = duplicate_nic(files, &copy, err);
	if (r < 0)
		return r;
	args.n_pairs = vm_config_nic_queues(m->args.config, nic);
	args.taps = copy.tap;
	if (nic->backend == NIC_BACKEND_VHOST)
		args.vhosts = copy.vhost;
	args.loops = &loops;
	return virtio_net_new(&args, m->mem, loops.loop[loops.first % loops.n], ret, err);
}

static int create_nic(struct machine *m, size_t index, struct hvd_error *err)
{
	const struct nic_config *nic = &m->args.config->nics[index];
	struct virtio_dev *dev;
	int r = machine_virtio_nic(m, nic, &m->args.files->nics[index], &dev, err);

	return r < 0 ? r : plug(m, MACHINE_NIC, index, dev, nic->id, err);
}

static bool has_console(const struct vm_config *config)
{
	return config->virtio_console;
}

static int new_console(struct machine *m, struct virtio_dev **ret, struct hvd_error *err)
{
	return virtio_console_new(m->args.console, m->mem, m->args.io, ret, err);
}

void machine_console_resized(struct machine *m)
{
	for (unsigned i = 0; i < m->n_virtio; i++)
		if (m->virtio[i].dev->ops->id == VIRTIO_ID_CONSOLE)
			virtio_update(m->virtio[i].dev, NULL, NULL);
}

static bool has_rng(const struct vm_config *config)
{
	return config->rng;
}

static struct virtio_rng_args rng_args(const struct vm_config *config)
{
	uint64_t bytes = config->rng_bytes_per_second;

	return (struct virtio_rng_args){ .bytes_limit = { .per_second = bytes, .burst = bytes } };
}

static int new_rng(struct machine *m, struct virtio_dev **ret, struct hvd_error *err)
{
	const struct virtio_rng_args args = rng_args(m->args.config);

	return virtio_rng_new(&args, m->mem, m->args.io, ret, err);
}

static int update_rng(struct virtio_dev *dev, const struct vm_config *config, struct hvd_error *err)
{
	const struct virtio_rng_args args = rng_args(config);

	return virtio_update(dev, &args, err);
}

static bool has_balloon(const struct vm_config *config)
{
	return config->balloon;
}

static void on_balloon(void *ctx, const struct balloon_info *info)
{
	balloon_report_put(ctx, info);
}

static struct virtio_balloon_args balloon_args(const struct vm_config *config)
{
	return (struct virtio_balloon_args){
		.target = config->memory_target,
		.deflate_on_oom = config->deflate_on_oom,
		.page_reporting = config->page_reporting,
		.stats_period = config->balloon_stats_period,
		.changed = on_balloon,
	};
}

static int new_balloon(struct machine *m, struct virtio_dev **ret, struct hvd_error *err)
{
	const struct balloon_info info = { .actual = m->args.config->memory };
	struct virtio_balloon_args args = balloon_args(m->args.config);
	int r;

	r = balloon_report_init(&m->balloon_report, m->args.main, m->args.on_balloon, m->args.ctx);
	if (r < 0)
		return hvd_err(err, -r, "balloon: %s", strerror(-r));
	/* also after a reset, when the guest had less */
	balloon_report_put(&m->balloon_report, &info);
	args.ctx = &m->balloon_report;
	return virtio_balloon_new(&args, m->mem, m->args.io, ret, err);
}

static int update_balloon(struct virtio_dev *dev, const struct vm_config *config,
			  struct hvd_error *err)
{
	const struct virtio_balloon_args args = balloon_args(config);

	return virtio_update(dev, &args, err);
}

static bool has_vsock(const struct vm_config *config)
{
	return config->vsock;
}

static int new_vsock(struct machine *m, struct virtio_dev **ret, struct hvd_error *err)
{
	struct virtio_vsock_args args = {
		.cid = m->args.config->vsock_cid,
		.listener = -1,
		.folder = VM_VSOCK_FOLDER,
	};
	int r = 0;

	/* a VM in the foreground has none */
	if (m->args.files->vsock >= 0)
		r = machine_duplicate(m->args.files->vsock, &args.listener, err);
	return r < 0 ? r : virtio_vsock_new(&args, m->mem, m->args.io, ret, err);
}

/* In the order in which they take places of virtio-mmio. */
static const struct {
	enum machine_kind kind;
	uint16_t type;
	bool (*wanted)(const struct vm_config *config);
	int (*make)(struct machine *m, struct virtio_dev **ret, struct hvd_error *err);
	/* NULL: nothing of it can change while the guest runs. */
	int (*update)(struct virtio_dev *dev, const struct vm_config *config,
		      struct hvd_error *err);
} singles[] = {
	{ MACHINE_CONSOLE, VIRTIO_ID_CONSOLE, has_console, new_console, NULL },
	{ MACHINE_RNG, VIRTIO_ID_RNG, has_rng, new_rng, update_rng },
	{ MACHINE_BALLOON, VIRTIO_ID_BALLOON, has_balloon, new_balloon, update_balloon },
	{ MACHINE_VSOCK, VIRTIO_ID_VSOCK, has_vsock, new_vsock, NULL },
};

static int create_singles(struct machine *m, struct hvd_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(singles); i++) {
		struct virtio_dev *dev;
		int r;

		if (!singles[i].wanted(m->args.config))
			continue;
		r = singles[i].make(m, &dev, err);
		if (r < 0)
			return r;
		r = plug(m, singles[i].kind, 0, dev, NULL, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int machine_virtio_create(struct machine *m, struct hvd_error *err)
{
	const struct vm_config *config = m->args.config;
	int r;

	for (size_t i = 0; i < config->n_disks; i++) {
		r = create_disk(m, i, err);
		if (r < 0)
			return hvd_err_in(err, r, "disks[%zu]", i);
	}
	for (size_t i = 0; i < config->n_nics; i++) {
		r = create_nic(m, i, err);
		if (r < 0)
			return hvd_err_in(err, r, "nics[%zu]", i);
	}
	return create_singles(m, err);
}

int machine_virtio_update_disk(struct virtio_dev *dev, const struct disk_config *disk,
			       struct hvd_error *err)
{
	const struct virtio_blk_args raw = disk_args(disk, -1);
	const struct virtio_vhost_user_blk_args of_storage = storage_args(disk, -1);

	return virtio_update(dev, virtio_is_vhost_user_blk(dev) ? (const void *)&of_storage : &raw, err);
}

int machine_virtio_update_nic(struct virtio_dev *dev, const struct nic_config *nic,
			      struct hvd_error *err)
{
	const struct virtio_net_args args = nic_args(nic);

	return virtio_update(dev, &args, err);
}

int machine_virtio_update_singles(struct machine *m, const struct vm_config *config,
				  struct hvd_error *err)
{
	for (unsigned i = 0; i < m->n_virtio; i++) {
		struct virtio_dev *dev = m->virtio[i].dev;

		for (size_t j = 0; j < ARRAY_SIZE(singles); j++) {
			int r = 0;

			if (singles[j].type == dev->ops->id && singles[j].update)
				r = singles[j].update(dev, config, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
