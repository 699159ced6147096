/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: guest RAM, vCPUs, GIC, boot; its life. */
#include <errno.h>
#include <string.h>

#include "vmm/arch/boot.h"
#include "vmm/arch/features.h"
#include "vmm/arch/machine_private.h"

static const struct kvm_cap required_caps[] = {
	KVM_CAP_NAME(KVM_CAP_USER_MEMORY),      KVM_CAP_NAME(KVM_CAP_ONE_REG),
	KVM_CAP_NAME(KVM_CAP_IRQFD),            KVM_CAP_NAME(KVM_CAP_IOEVENTFD),
	KVM_CAP_NAME(KVM_CAP_DEVICE_CTRL),      KVM_CAP_NAME(KVM_CAP_IMMEDIATE_EXIT),
	KVM_CAP_NAME(KVM_CAP_ARM_PSCI_0_2),     KVM_CAP_NAME(KVM_CAP_ARM_NISV_TO_USER),
	KVM_CAP_NAME(KVM_CAP_ARM_INJECT_EXT_DABT),
};

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

	if (m->args.config->shared_memory)
		r = guest_mem_new_shared(MEMMAP_RAM, size, &m->mem);
	else
		r = guest_mem_new(MEMMAP_RAM, size, &m->mem);
	if (r < 0)
		return hvd_err_field(err, -r, "memory", "cannot map %llu MiB of guest memory: %s",
				     (unsigned long long)(size / MIB), strerror(-r));
	return kvm_vm_set_memory(&m->vm, MACHINE_SLOT_RAM, MEMMAP_RAM, size,
				 guest_mem_ptr(m->mem, MEMMAP_RAM, size), err);
}

static int read_affinities(struct machine *m, struct hvd_error *err)
{
	m->mpidr = calloc(m->vcpus.n_vcpus, sizeof(*m->mpidr));
	if (!m->mpidr)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	for (unsigned i = 0; i < m->vcpus.n_vcpus; i++) {
		int r = kvm_vcpu_mpidr(&m->vcpus.vcpus[i].kvm, &m->mpidr[i]);

		if (r < 0)
			return hvd_err(err, -r, "vCPU %u: MPIDR_EL1: %s", i, strerror(-r));
	}
	return 0;
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
	machine_count_create(m);
	return read_affinities(m, err);
}

static int create_steal_time(struct machine *m, struct hvd_error *err)
{
	int r = 0;

	if (m->features.steal_time)
		r = steal_time_create(&m->steal_time, &m->vm, MACHINE_SLOT_STEAL_TIME, err);
	for (unsigned i = 0; r == 0 && m->features.steal_time && i < m->vcpus.n_vcpus; i++)
		r = steal_time_give(&m->vcpus.vcpus[i].kvm, err);
	return r;
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

static int create_pci(struct machine *m, struct hvd_error *err)
{
	struct machine_pci_args args = {
		.vm = &m->vm,
		.routes = &m->routes,
		.map = &m->map,
		.bus = &m->bus,
		.spare_ports = m->args.config->hotplug_ports,
		.main = m->args.main,
		.on_detached = machine_on_detached,
		.ctx = m,
	};

	if (m->args.config->profile != PROFILE_STANDARD)
		return 0;
	return machine_pci_new(&args, &m->pci, err);
}

static int describe(struct machine *m, const struct boot_layout *layout, struct hvd_error *err)
{
	struct fdt_machine fdt = {
		.map = &m->map,
		.mpidr = m->mpidr,
		.n_vcpus = m->vcpus.n_vcpus,
		.n_virtio = m->n_mmio,
		.pmu = m->features.pmu,
		.its = m->gic.its_fd >= 0,
		.pvpanic = m->args.config->pvpanic && !m->pci,
		.watchdog = m->args.config->watchdog != WATCHDOG_OFF,
		.flash = m->args.files->firmware >= 0,
		.fw_cfg = m->fw_cfg != NULL,
	};

	return boot_write_fdt(&m->args.config->boot, layout, &fdt, m->mem, err);
}

static int load(struct machine *m, struct hvd_error *err)
{
	const struct vm_files *files = m->args.files;
	struct boot_layout layout;
	int r;

	if (files->firmware >= 0)
		r = boot_firmware(m->mem, &layout, err);
	else
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
		create_vm, create_memory, create_vcpus, create_steal_time, create_gic,
		machine_hw_create, create_pci, machine_care_create, machine_virtio_create,
		machine_fw_cfg_create, load,
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
	m->vcpus.crew = args->crew;
	m->vcpus.ctx = args->ctx;
	vcpu_threads_init(&m->vcpus);
	io_fault_init(&m->io_fault, args->main, args->on_io_error, args->ctx);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		r = steps[i](m, err);
		if (r < 0)
			return r;
	}
	vcpu_threads_start(&m->vcpus);
	*ret = TAKE(m);
	return 0;
}

struct machine *machine_free(struct machine *m)
{
	if (!m)
		return NULL;

	vcpu_threads_end(&m->vcpus);
	machine_cancel_detachments(m);
	for (unsigned i = 0; i < m->n_mmio; i++)
		virtio_mmio_destroy(&m->mmio[i]);
	machine_pci_free(m->pci);
	io_fault_destroy(&m->io_fault);
	machine_care_destroy(m);
	balloon_report_destroy(&m->balloon_report);
	machine_hw_destroy(m);
	fw_cfg_free(m->fw_cfg);
	for (unsigned i = 0; i < m->vcpus.n_vcpus; i++)
		kvm_vcpu_destroy(&m->vcpus.vcpus[i].kvm);
	free(m->vcpus.vcpus);
	free(m->mpidr);
	vcpu_threads_destroy(&m->vcpus);
	gic_destroy(&m->gic);
	kvm_routes_destroy(&m->routes);
	kvm_vm_destroy(&m->vm);
	steal_time_destroy(&m->steal_time);
	guest_mem_free(m->mem);
	free(m);
	return NULL;
}

void machine_run(struct machine *m)
{
	if (m->held)
		for (unsigned i = 0; i < m->n_virtio; i++)
			virtio_resume(m->virtio[i].dev);
	m->held = false;
	sbsa_gwdt_let_go(&m->watchdog);
	vcpu_threads_let_go(&m->vcpus);
}

void machine_hold(struct machine *m)
{
	vcpu_threads_hold(&m->vcpus);
	sbsa_gwdt_hold(&m->watchdog);
	for (unsigned i = 0; i < m->n_virtio; i++)
		virtio_quiesce(m->virtio[i].dev);
	m->held = true;
}
