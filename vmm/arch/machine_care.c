/* SPDX-License-Identifier: Apache-2.0 */
/* What watches over the guest: pvpanic, on PCI where there is one, and the watchdog. */
#include <errno.h>
#include <string.h>

#include "vmm/arch/machine_private.h"

/*
 * On a vCPU. What the guest does after it has told of a panic, a reset for one, is not to be done before
 * somebody has decided on that.
 */
static void on_panic_write(struct pvpanic *panic, unsigned events)
{
	struct machine *m = container_of(panic, struct machine, pvpanic);

	m->panic_events |= events;
	if (!(events & PVPANIC_CRASH_LOADED))
		vcpu_threads_ask_hold(&m->vcpus);
	loop_post(m->args.main, &m->panicked);
}

static void on_panicked(struct loop_work *work)
{
	struct machine *m = container_of(work, struct machine, panicked);
	unsigned events = atomic_exchange(&m->panic_events, 0);

	m->args.on_panic(m->args.ctx, events & PVPANIC_CRASH_LOADED);
}

static int create_pvpanic(struct machine *m, struct hvd_error *err)
{
	if (m->pci) {
		pvpanic_init_pci(&m->pvpanic, on_panic_write);
		return machine_pci_plug_function(m->pci, MACHINE_PVPANIC, &m->pvpanic.function, err);
	}
	pvpanic_init_mmio(&m->pvpanic, MEMMAP_PVPANIC, on_panic_write);
	return mmio_bus_add(&m->bus, &m->pvpanic.region, err);
}

/* The host's counter, which every guest's is at a constant distance from. */
static uint64_t host_counter(void)
{
	uint64_t value;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value)::"memory");
	return value;
}

static uint64_t counter_hz(void)
{
	uint64_t value;

	__asm__("mrs %0, cntfrq_el0" : "=r"(value));
	return value;
}

static uint64_t guest_counter(const struct sbsa_gwdt_clock *clock)
{
	return host_counter() -
	       container_of(clock, const struct machine, watchdog_clock)->counter_offset;
}

static int create_watchdog(struct machine *m, struct hvd_error *err)
{
	uint64_t counter;
	int r;

	r = kvm_vcpu_counter(&m->vcpus.vcpus[0].kvm, &counter);
	if (r < 0)
		return hvd_err(err, -r, "watchdog: counter of vCPU 0: %s", strerror(-r));
	m->counter_offset = host_counter() - counter;
	m->watchdog_clock = (struct sbsa_gwdt_clock){ guest_counter, counter_hz() };
	m->watchdog_irq = machine_irq(m, SPI_WATCHDOG);
	r = sbsa_gwdt_init(&m->watchdog, MEMMAP_WATCHDOG_REFRESH, MEMMAP_WATCHDOG_CONTROL,
			   &m->watchdog_clock, &m->watchdog_irq.line, m->args.main,
			   m->args.on_watchdog, m->args.ctx);
	if (r < 0)
		return hvd_err(err, -r, "watchdog: %s", strerror(-r));
	r = mmio_bus_add(&m->bus, &m->watchdog.refresh, err);
	return r < 0 ? r : mmio_bus_add(&m->bus, &m->watchdog.control, err);
}

int machine_care_create(struct machine *m, struct hvd_error *err)
{
	int r = 0;

	m->panicked.fn = on_panicked;
	if (m->args.config->pvpanic)
		r = create_pvpanic(m, err);
	if (r == 0 && m->args.config->watchdog != WATCHDOG_OFF)
		r = create_watchdog(m, err);
	return r;
}

void machine_care_destroy(struct machine *m)
{
	loop_cancel(m->args.main, &m->panicked);
	sbsa_gwdt_destroy(&m->watchdog);
}
