/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "vmm/arch/boot.h"
#include "vmm/arch/features.h"
#include "vmm/arch/io_fault.h"
#include "vmm/arch/machine_pci.h"
#include "vmm/arch/memmap.h"
#include "vmm/hw/pl011.h"
#include "vmm/hw/pl031.h"
#include "vmm/hw/power_button.h"
#include "vmm/kvm/gic.h"
#include "vmm/virtio/mmio.h"

#define DISK_QUEUES 4 /* at most, where nobody has asked for more */

_Static_assert(VM_MAX_DISKS + VM_MAX_NICS + 2 <= MEMMAP_MAX_VIRTIO, "a place for every device");

/* A wire from a device to an SPI. */
struct machine_irq {
	struct irq_line line;
	int vm_fd;
	uint32_t spi;
};

/* The device is owned by its transport. */
struct machine_virtio {
	struct virtio_dev *dev;
	char id[VM_ID_MAX + 1]; /* of a disk or NIC */
	machine_detached_fn detached; /* to be told when the guest has let go of it, or NULL */
	void *ctx;
};

struct machine {
	struct machine_args args;
	struct memmap map;
	struct kvm_vm vm;
	struct kvm_routes routes;
	struct gic gic;
	struct guest_mem *mem;
	struct mmio_bus bus;
	struct kvm_vcpu_features features;
	struct vcpu_threads vcpus;
	bool held; /* devices are quiesced */

	struct machine_irq uart_irq, rtc_irq, gpio_irq;
	struct pl011 uart;
	struct pl031 rtc;
	struct pl061 gpio;
	struct power_button button;

	struct io_fault io_fault;
	struct machine_virtio virtio[MEMMAP_MAX_VIRTIO];
	unsigned n_virtio;
	struct virtio_mmio mmio[MEMMAP_MAX_VIRTIO];
	unsigned n_mmio;
	struct machine_pci *pci; /* NULL: profile micro */
};

static const struct kvm_cap required_caps[] = {
	KVM_CAP_NAME(KVM_CAP_USER_MEMORY),      KVM_CAP_NAME(KVM_CAP_ONE_REG),
	KVM_CAP_NAME(KVM_CAP_IRQFD),            KVM_CAP_NAME(KVM_CAP_IOEVENTFD),
	KVM_CAP_NAME(KVM_CAP_DEVICE_CTRL),      KVM_CAP_NAME(KVM_CAP_IMMEDIATE_EXIT),
	KVM_CAP_NAME(KVM_CAP_ARM_PSCI_0_2),     KVM_CAP_NAME(KVM_CAP_ARM_NISV_TO_USER),
	KVM_CAP_NAME(KVM_CAP_ARM_INJECT_EXT_DABT),
};

static void set_irq(struct irq_line *line, bool level)
{
	struct machine_irq *irq = container_of(line, struct machine_irq, line);

	/* cannot fail for an SPI that exists */
	kvm_vm_irq_line(irq->vm_fd, irq->spi, level);
}

static struct machine_irq machine_irq(struct machine *m, uint32_t spi)
{
	return (struct machine_irq){ { set_irq }, m->vm.fd, spi };
}

static int check_vcpus(const struct machine *m, struct hvd_error *err)
{
	unsigned n = m->args.config->vcpus;
	unsigned max = (unsigned)kvm_cap(m->args.files->kvm, KVM_CAP_MAX_VCPUS);

	if (!n || n > max)
		return hvd_err_field(err, ERANGE, "vcpus",
				     "%u: a VM has 1 to %u vCPUs on this host", n, max);
	return 0;
}

static int create_vm(struct machine *m, struct hvd_error *err)
{
	int kvm = m->args.files->kvm;
	struct memmap_args args = {
		.memory = m->args.config->memory,
		.vcpus = m->args.config->vcpus,
		.host_ipa_bits = kvm_max_ipa_bits(kvm),
		.pci = m->args.config->profile == PROFILE_STANDARD,
	};
	int r;

	r = kvm_require(kvm, required_caps, ARRAY_SIZE(required_caps), err);
	if (r < 0)
		return r;
	r = check_vcpus(m, err);
	if (r < 0)
		return r;
	r = memmap_init(&m->map, &args, err);
	if (r < 0)
		return r;

	r = kvm_vm_create(kvm, m->map.ipa_bits, &m->vm, err);
	if (r < 0)
		return r;
	r = kvm_vm_enable_cap(&m->vm, KVM_CAP_ARM_NISV_TO_USER);
	if (r < 0)
		return hvd_err(err, -r, "KVM_CAP_ARM_NISV_TO_USER: %s", strerror(-r));
	r = kvm_routes_init(&m->routes, &m->vm);
	return r < 0 ? hvd_err(err, -r, "%s", strerror(-r)) : 0;
}

static int create_memory(struct machine *m, struct hvd_error *err)
{
	uint64_t size = m->args.config->memory;
	int r;

	r = guest_mem_new(MEMMAP_RAM, size, &m->mem);
	if (r < 0)
		return hvd_err_field(err, -r, "memory", "cannot map %llu MiB of guest memory: %s",
				     (unsigned long long)(size / MIB), strerror(-r));
	return kvm_vm_set_memory(&m->vm, 0, MEMMAP_RAM, size,
				 guest_mem_ptr(m->mem, MEMMAP_RAM, size), err);
}

static int create_vcpus(struct machine *m, struct hvd_error *err)
{
	unsigned n = m->args.config->vcpus;
	struct kvm_vcpu_features offered;
	int r;

	m->vcpus.vcpus = calloc(n, sizeof(m->vcpus.vcpus[0]));
	if (!m->vcpus.vcpus)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	m->vcpus.n_vcpus = n;

	offered = kvm_vcpu_features_offered(&m->vm);
	r = features_choose(m->args.config, &offered, &m->features, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++) {
		r = kvm_vcpu_create(&m->vm, i, &m->features, i > 0, &m->vcpus.vcpus[i].kvm, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int create_gic(struct machine *m, struct hvd_error *err)
{
	struct gic_places places = {
		.dist = MEMMAP_GICD,
		.its = m->args.config->profile == PROFILE_STANDARD ? MEMMAP_ITS : 0,
		.redist = { { MEMMAP_GICR, m->map.n_gicr_low },
			    { m->map.gicr_high, m->map.n_gicr_high } },
		.n_spis = SPI_COUNT,
	};
	int r;

	r = gic_create(&m->vm, &places, &m->gic, err);
	for (unsigned i = 0; r == 0 && m->features.pmu && i < m->vcpus.n_vcpus; i++)
		r = kvm_vcpu_init_pmu(&m->vcpus.vcpus[i].kvm, PPI_TO_INTID(PPI_PMU), err);
	return r;
}

static int create_hw(struct machine *m, struct hvd_error *err)
{
	int r;

	m->uart_irq = machine_irq(m, SPI_PL011);
	pl011_init(&m->uart, MEMMAP_PL011, &m->uart_irq.line, m->args.console);
	r = mmio_bus_add(&m->bus, &m->uart.region, err);
	if (r < 0)
		return r;

	m->rtc_irq = machine_irq(m, SPI_PL031);
	r = pl031_init(&m->rtc, MEMMAP_PL031, &m->rtc_irq.line, m->args.main);
	if (r < 0)
		return hvd_err(err, -r, "real-time clock: %s", strerror(-r));
	r = mmio_bus_add(&m->bus, &m->rtc.region, err);
	if (r < 0)
		return r;

	m->gpio_irq = machine_irq(m, SPI_PL061);
	pl061_init(&m->gpio, MEMMAP_PL061, &m->gpio_irq.line);
	r = power_button_init(&m->button, &m->gpio, GPIO_POWER_BUTTON, m->args.main);
	if (r < 0)
		return hvd_err(err, -r, "power button: %s", strerror(-r));
	return mmio_bus_add(&m->bus, &m->gpio.region, err);
}

static void on_detached(void *ctx, const struct virtio_dev *dev, int r);

static int create_pci(struct machine *m, struct hvd_error *err)
{
	struct machine_pci_args args = {
		.vm = &m->vm,
		.routes = &m->routes,
		.map = &m->map,
		.bus = &m->bus,
		.spare_ports = m->args.config->hotplug_ports,
		.main = m->args.main,
		.on_detached = on_detached,
		.ctx = m,
	};

	if (m->args.config->profile != PROFILE_STANDARD)
		return 0;
	return machine_pci_new(&args, &m->pci, err);
}

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

/* id: of a disk or NIC, or NULL. */
static void remember(struct machine *m, struct virtio_dev *dev, const char *id)
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
		remember(m, dev, id);
	return r;
}

static int duplicate(int fd, int *ret, struct hvd_error *err)
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
		.name = disk->path,
		.serial = disk->serial,
		.ops_limit = { disk->limits.iops, disk->limits.iops_burst },
		.bytes_limit = { disk->limits.bytes_per_second, disk->limits.bytes_burst },
		.on_error = on_error[disk->error_policy],
		.failed = on_disk_error,
	};
}

static int new_disk(struct machine *m, const struct disk_config *disk, int fd,
		    struct virtio_dev **ret, struct hvd_error *err)
{
	const struct virtio_loops loops = { m->args.loops, m->args.n_loops, m->n_virtio };
	struct virtio_blk_args args;
	int copy = -1, r;

	r = duplicate(fd, &copy, err);
	if (r < 0)
		return r;
	args = disk_args(disk, copy);
	args.n_queues = disk->queues ? disk->queues
				     : MIN(m->args.config->vcpus, (uint32_t)DISK_QUEUES);
	args.loops = &loops;
	args.ctx = &m->io_fault;
	r = virtio_blk_new(&args, m->mem, m->args.io, ret, err);
	return r < 0 ? hvd_err_prefix(err, r, "%s", disk->path) : 0;
}

static int create_disk(struct machine *m, size_t index, struct hvd_error *err)
{
	const struct disk_config *disk = &m->args.config->disks[index];
	struct virtio_dev *dev;
	int r = new_disk(m, disk, m->args.files->disks[index], &dev, err);

	return r < 0 ? r : plug(m, MACHINE_DISK, index, dev, disk->id, err);
}

static struct virtio_net_args nic_args(const struct nic_config *nic, int tap)
{
	struct virtio_net_args args = { .tap = tap };

	memcpy(args.mac, nic->mac, sizeof(args.mac));
	return args;
}

static int new_nic(struct machine *m, const struct nic_config *nic, int tap,
		   struct virtio_dev **ret, struct hvd_error *err)
{
	struct virtio_net_args args;
	int copy = -1, r;

	r = duplicate(tap, &copy, err);
	if (r < 0)
		return r;
	args = nic_args(nic, copy);
	return virtio_net_new(&args, m->mem, m->args.loops[m->n_virtio % m->args.n_loops], ret, err);
}

static int create_nic(struct machine *m, size_t index, struct hvd_error *err)
{
	const struct nic_config *nic = &m->args.config->nics[index];
	struct virtio_dev *dev;
	int r = new_nic(m, nic, m->args.files->taps[index], &dev, err);

	return r < 0 ? r : plug(m, MACHINE_NIC, index, dev, nic->id, err);
}

static int create_console(struct machine *m, struct hvd_error *err)
{
	struct virtio_dev *dev;
	int r = virtio_console_new(m->args.console, m->mem, m->args.io, &dev, err);

	return r < 0 ? r : plug(m, MACHINE_CONSOLE, 0, dev, NULL, err);
}

static int create_rng(struct machine *m, struct hvd_error *err)
{
	struct virtio_dev *dev;
	int r = virtio_rng_new(m->mem, m->args.io, &dev, err);

	return r < 0 ? r : plug(m, MACHINE_RNG, 0, dev, NULL, err);
}

static int create_virtio(struct machine *m, struct hvd_error *err)
{
	const struct vm_config *config = m->args.config;
	int r = 0;

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
	if (config->virtio_console)
		r = create_console(m, err);
	if (r == 0 && config->rng)
		r = create_rng(m, err);
	return r;
}

static int describe(struct machine *m, const struct boot_layout *layout, struct hvd_error *err)
{
	unsigned n = m->vcpus.n_vcpus;
	AUTO(free) uint64_t *mpidr = calloc(n, sizeof(*mpidr));
	struct fdt_machine fdt = {
		.map = &m->map,
		.mpidr = mpidr,
		.n_vcpus = n,
		.n_virtio = m->n_mmio,
		.pmu = m->features.pmu,
		.its = m->gic.its_fd >= 0,
	};

	if (!mpidr)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	for (unsigned i = 0; i < n; i++) {
		int r = kvm_vcpu_mpidr(&m->vcpus.vcpus[i].kvm, &mpidr[i]);

		if (r < 0)
			return hvd_err(err, -r, "vCPU %u: MPIDR_EL1: %s", i, strerror(-r));
	}
	return boot_write_fdt(&m->args.config->boot, layout, &fdt, m->mem, err);
}

static int load(struct machine *m, struct hvd_error *err)
{
	const struct vm_files *files = m->args.files;
	struct boot_layout layout;
	int r;

	r = boot_load(&m->args.config->boot, files->kernel, files->initrd, m->mem, &layout, err);
	if (r < 0)
		return r;
	r = describe(m, &layout, err);
	if (r < 0)
		return r;
	r = kvm_vcpu_set_entry(&m->vcpus.vcpus[0].kvm, layout.entry, layout.fdt);
	if (r < 0)
		return hvd_err(err, -r, "registers of vCPU 0: %s", strerror(-r));
	return 0;
}

int machine_new(const struct machine_args *args, struct machine **ret, struct hvd_error *err)
{
	static int (*const steps[])(struct machine *, struct hvd_error *) = {
		create_vm, create_memory, create_vcpus, create_gic, create_hw,
		create_pci, create_virtio, load,
	};
	AUTO(machine_free) struct machine *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	m->args = *args;
	m->vm.fd = -1;
	m->gic = (struct gic)GIC_INIT;
	m->vcpus.bus = &m->bus;
	m->vcpus.main = args->main;
	m->vcpus.on_event = args->on_event;
	m->vcpus.on_thread = args->on_vcpu_thread;
	m->vcpus.ctx = args->ctx;
	vcpu_threads_init(&m->vcpus);
	io_fault_init(&m->io_fault, args->main, args->on_io_error, args->ctx);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		r = steps[i](m, err);
		if (r < 0)
			return r;
	}
	r = vcpu_threads_start(&m->vcpus, err);
	if (r < 0)
		return r;

	*ret = TAKE(m);
	return 0;
}

static void destroy_hw(struct machine *m)
{
	power_button_destroy(&m->button);
	pl031_destroy(&m->rtc);
	pl061_destroy(&m->gpio);
	pl011_destroy(&m->uart);
}

static void cancel_detachments(struct machine *m)
{
	struct hvd_error err = { 0 };

	hvd_err(&err, ECANCELED, "the VM was reset or stopped before the guest let go of it");
	for (unsigned i = 0; i < m->n_virtio; i++)
		if (m->virtio[i].detached)
			m->virtio[i].detached(m->virtio[i].ctx, -ECANCELED, &err);
}

struct machine *machine_free(struct machine *m)
{
	if (!m)
		return NULL;

	vcpu_threads_end(&m->vcpus);
	cancel_detachments(m);
	for (unsigned i = 0; i < m->n_mmio; i++)
		virtio_mmio_destroy(&m->mmio[i]);
	machine_pci_free(m->pci);
	io_fault_destroy(&m->io_fault);
	destroy_hw(m);
	for (unsigned i = 0; i < m->vcpus.n_vcpus; i++)
		kvm_vcpu_destroy(&m->vcpus.vcpus[i].kvm);
	free(m->vcpus.vcpus);
	vcpu_threads_destroy(&m->vcpus);
	gic_destroy(&m->gic);
	kvm_routes_destroy(&m->routes);
	kvm_vm_destroy(&m->vm);
	guest_mem_free(m->mem);
	free(m);
	return NULL;
}

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

static int update_devices(struct machine *m, const struct vm_config *config, struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_disks; i++) {
		const struct disk_config *disk = &config->disks[i];
		const struct virtio_blk_args args = disk_args(disk, -1);
		int r = virtio_update(find_device(m, VIRTIO_ID_BLOCK, disk->id), &args, err);

		if (r < 0)
			return hvd_err_in(err, r, "disks[%zu]", i);
	}
	for (size_t i = 0; i < config->n_nics; i++) {
		const struct nic_config *nic = &config->nics[i];
		const struct virtio_net_args args = nic_args(nic, -1);
		int r = virtio_update(find_device(m, VIRTIO_ID_NET, nic->id), &args, err);

		if (r < 0)
			return hvd_err_in(err, r, "nics[%zu]", i);
	}
	return 0;
}

static int check_devices(struct machine *m, const struct vm_config *config,
			 struct hvd_error *err)
{
	static const char text[] = "cannot be attached or detached while this VM runs";

	if (config->n_disks != m->args.config->n_disks)
		return hvd_err_field(err, EOPNOTSUPP, "disks", "%s", text);
	if (config->n_nics != m->args.config->n_nics)
		return hvd_err_field(err, EOPNOTSUPP, "nics", "%s", text);
	for (size_t i = 0; i < config->n_disks; i++)
		if (!find_device(m, VIRTIO_ID_BLOCK, config->disks[i].id))
			return hvd_err_field(err, EOPNOTSUPP, "disks", "%s", text);
	for (size_t i = 0; i < config->n_nics; i++)
		if (!find_device(m, VIRTIO_ID_NET, config->nics[i].id))
			return hvd_err_field(err, EOPNOTSUPP, "nics", "%s", text);
	return 0;
}

int machine_update(struct machine *m, const struct vm_config *config,
		   const struct vm_files *files, struct hvd_error *err)
{
	int r;

	r = check_devices(m, config, err);
	if (r < 0)
		return r;
	r = update_devices(m, config, err);
	if (r < 0) /* what a device had, it can have again */
		update_devices(m, m->args.config, NULL);
	return r;
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
		remember(m, dev, id);
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
	r = new_disk(m, disk, fd, &dev, err);
	return r < 0 ? r : attach(m, MACHINE_DISK, dev, disk->id, err);
}

int machine_attach_nic(struct machine *m, const struct nic_config *nic, int tap,
		       struct hvd_error *err)
{
	struct virtio_dev *dev;
	int r;

	r = check_attach(m, VIRTIO_ID_NET, nic->id, err);
	if (r < 0)
		return r;
	r = new_nic(m, nic, tap, &dev, err);
	return r < 0 ? r : attach(m, MACHINE_NIC, dev, nic->id, err);
}

static void forget(struct machine *m, struct machine_virtio *v)
{
	*v = m->virtio[--m->n_virtio];
}

/* dev may be a mere name by now. */
static void on_detached(void *ctx, const struct virtio_dev *dev, int r)
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

void machine_keep(struct machine *m)
{
}

void machine_run(struct machine *m)
{
	if (m->held)
		for (unsigned i = 0; i < m->n_virtio; i++)
			virtio_resume(m->virtio[i].dev);
	m->held = false;
	vcpu_threads_let_go(&m->vcpus);
}

void machine_hold(struct machine *m)
{
	vcpu_threads_hold(&m->vcpus);
	for (unsigned i = 0; i < m->n_virtio; i++)
		virtio_quiesce(m->virtio[i].dev);
	m->held = true;
}

void machine_press_power_button(struct machine *m)
{
	power_button_press(&m->button);
}
