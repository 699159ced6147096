/* SPDX-License-Identifier: Apache-2.0 */
/* Native hotplug of PCI Express, from the side of the guest's driver. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/pci_rig.h"
#include "vmm/base/macro.h"
#include "vmm/bus/pci_port.h"

#define PORT   PCI_DEVFN(16, 0)
#define CHILD  (1U << 8)
#define WINDOW 0x10100000U

#define ENABLES                                                                                    \
	(PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_DLLSCE)
#define POWER_OFF (PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF)
#define POWER_ON  PCI_EXP_SLTCTL_PWR_IND_ON
#define EVENTS    (PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC)

struct scene {
	struct pci_rig rig;
	struct pci_port port;
	struct pci_function device;
	unsigned resets, released;
};

static uint64_t device_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned len)
{
	return 0x77;
}

static void device_write(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t value,
			 unsigned len)
{
}

static void device_reset(struct pci_function *f)
{
	container_of(f, struct scene, device)->resets++;
}

static const struct pci_ops ops = {
	.read = device_read,
	.write = device_write,
	.reset = device_reset,
};

static void on_released(struct pci_port *port)
{
	container_of(port, struct scene, port)->released++;
}

static void make_device(struct scene *s)
{
	static const struct pci_ident ident = { .vendor = 0x1234, .device = 0x5678 };

	pci_function_init(&s->device, &ops, &ident);
	pci_add_bar(&s->device, 0, 0x1000, false, false);
	pci_add_express(&s->device, PCI_EXP_TYPE_ENDPOINT, 0);
}

static uint32_t get(struct scene *s, unsigned at)
{
	return rig_read(&s->rig, PORT, s->port.function.express + at, 2);
}

static void put(struct scene *s, unsigned at, uint32_t value)
{
	rig_write(&s->rig, PORT, s->port.function.express + at, value, 2);
}

/* The port as firmware leaves it: a bus, a window, MSI-X, and the driver's events. */
static void set_up_port(struct scene *s)
{
	rig_write(&s->rig, PORT, PCI_PRIMARY_BUS, 0x010100, 4);
	rig_write(&s->rig, PORT, PCI_MEMORY_BASE, WINDOW >> 16 | WINDOW, 4);
	rig_write(&s->rig, PORT, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	rig_write(&s->rig, PORT, s->port.msix.at + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
}

static int set_up(void **state)
{
	static struct scene s;

	memset(&s, 0, sizeof(s));
	pci_rig_open(&s.rig);
	make_device(&s);
	assert_int_equal(pci_port_init(&s.port, &s.rig.pci, PORT, 37, &s.rig.events, on_released,
				       NULL), 0);
	set_up_port(&s);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	pci_port_remove(&s->port);
	pci_port_destroy(&s->port);
	pci_rig_close(&s->rig);
	return 0;
}

/* Interrupts since it was last asked: the vector is masked, so its eventfd counts them. */
static uint64_t interrupts(struct scene *s)
{
	uint64_t count = 0;

	return read(msix_fd(&s->port.msix, 0), &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static bool is_there(struct scene *s)
{
	return rig_read(&s->rig, CHILD, 0, 4) == 0x56781234;
}

static void place_device(struct scene *s)
{
	rig_write(&s->rig, CHILD, PCI_BASE_ADDRESS_0, WINDOW, 4);
	rig_write(&s->rig, CHILD, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(rig_load(&s->rig, WINDOW, 4), 0x77);
}

static void an_empty_slot(void **state)
{
	struct scene *s = *state;
	uint32_t cap = rig_read(&s->rig, PORT, s->port.function.express + PCI_EXP_SLTCAP, 4);

	assert_true(get(s, PCI_EXP_FLAGS) & PCI_EXP_FLAGS_SLOT);
	assert_int_equal(cap >> 19, 37);
	assert_true(cap & PCI_EXP_SLTCAP_HPC);
	assert_true(cap & PCI_EXP_SLTCAP_ABP);
	assert_true(cap & PCI_EXP_SLTCAP_PCP);
	assert_true(cap & PCI_EXP_SLTCAP_NCCS);
	assert_true(rig_read(&s->rig, PORT, s->port.function.express + PCI_EXP_LNKCAP, 4) &
		    PCI_EXP_LNKCAP_DLLLARC);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), 0);
	assert_int_equal(get(s, PCI_EXP_SLTCTL) & POWER_OFF, POWER_OFF);
	assert_int_equal(get(s, PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA, 0);
	assert_false(is_there(s));
	assert_int_equal(interrupts(s), 0);
}

static void there_from_the_start(void **state)
{
	struct scene *s = *state;

	put(s, PCI_EXP_SLTCTL, POWER_OFF | ENABLES);
	assert_int_equal(pci_port_insert(&s->port, &s->device, false, NULL), 0);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS);
	assert_int_equal(get(s, PCI_EXP_SLTCTL) & POWER_OFF, POWER_ON);
	assert_true(get(s, PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA);
	assert_true(is_there(s));
	assert_int_equal(interrupts(s), 0);
	place_device(s);
}

static void inserted_while_the_guest_runs(void **state)
{
	struct scene *s = *state;

	put(s, PCI_EXP_SLTCTL, POWER_OFF | ENABLES);
	assert_int_equal(pci_port_insert(&s->port, &s->device, true, NULL), 0);
	assert_int_equal(interrupts(s), 1);
	assert_int_equal(get(s, PCI_EXP_SLTSTA),
			 PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_ABP);
	/* without power it is not to be seen */
	assert_false(is_there(s));
	assert_int_equal(get(s, PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA, 0);

	put(s, PCI_EXP_SLTSTA, EVENTS);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS);
	put(s, PCI_EXP_SLTCTL, POWER_ON | ENABLES);
	assert_true(is_there(s));
	assert_true(get(s, PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_DLLSC);
	assert_int_equal(interrupts(s), 1);
	place_device(s);
	assert_int_equal(s->released, 0);
}

static void ejected(void **state)
{
	struct scene *s = *state;

	pci_port_insert(&s->port, &s->device, false, NULL);
	put(s, PCI_EXP_SLTCTL, POWER_ON | ENABLES);
	place_device(s);
	assert_false(pci_port_eject(&s->port));
	assert_int_equal(interrupts(s), 1);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_ABP);
	/* still there while the guest thinks about it */
	assert_int_equal(rig_load(&s->rig, WINDOW, 4), 0x77);
	put(s, PCI_EXP_SLTSTA, EVENTS);

	put(s, PCI_EXP_SLTCTL, POWER_OFF | ENABLES);
	assert_int_equal(s->released, 1);
	assert_int_equal(s->resets, 1);
	assert_false(is_there(s));
	assert_int_equal(rig_load(&s->rig, WINDOW, 4), 0);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_DLLSC);
	/* what the guest does now changes nothing any more */
	put(s, PCI_EXP_SLTCTL, POWER_OFF | ENABLES);
	assert_int_equal(s->released, 1);

	pci_port_remove(&s->port);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_DLLSC | PCI_EXP_SLTSTA_PDC);
	put(s, PCI_EXP_SLTSTA, EVENTS);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), 0);

	/* and the next one */
	make_device(s);
	assert_int_equal(pci_port_insert(&s->port, &s->device, true, NULL), 0);
	put(s, PCI_EXP_SLTCTL, POWER_ON | ENABLES);
	assert_true(is_there(s));
	assert_int_equal(s->released, 1);
}

/* echo 0 >/sys/bus/pci/slots/N/power, and 1: nobody asked for it, so it stays in its slot. */
static void power_off_by_the_guest_alone(void **state)
{
	struct scene *s = *state;

	pci_port_insert(&s->port, &s->device, false, NULL);
	place_device(s);
	put(s, PCI_EXP_SLTCTL, POWER_OFF | ENABLES);
	assert_int_equal(s->released, 0);
	assert_int_equal(s->resets, 1);
	assert_false(is_there(s));
	assert_true(get(s, PCI_EXP_SLTSTA) & PCI_EXP_SLTSTA_PDS);
	put(s, PCI_EXP_SLTCTL, POWER_ON | ENABLES);
	assert_true(is_there(s));
	assert_int_equal(rig_read(&s->rig, CHILD, PCI_BASE_ADDRESS_0, 4), 0);
	place_device(s);

	/* without power there is nobody to ask */
	put(s, PCI_EXP_SLTCTL, POWER_OFF | ENABLES);
	assert_true(pci_port_eject(&s->port));
	assert_int_equal(s->released, 0);
}

static void asked_no_more(void **state)
{
	struct scene *s = *state;

	pci_port_insert(&s->port, &s->device, false, NULL);
	assert_false(pci_port_eject(&s->port));
	pci_port_cancel_eject(&s->port);
	put(s, PCI_EXP_SLTCTL, POWER_OFF | ENABLES);
	assert_int_equal(s->released, 0);
}

static void torn_out(void **state)
{
	struct scene *s = *state;

	pci_port_insert(&s->port, &s->device, false, NULL);
	put(s, PCI_EXP_SLTCTL, POWER_ON | ENABLES);
	place_device(s);
	pci_port_remove(&s->port);
	assert_int_equal(interrupts(s), 1);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
	assert_int_equal(get(s, PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA, 0);
	assert_int_equal(rig_load(&s->rig, WINDOW, 4), 0);
	assert_false(is_there(s));
	pci_port_remove(&s->port);
	assert_int_equal(interrupts(s), 0);
}

/* One message for the first event; the next when all have been cleared (§6.7.3.4). */
static void interrupts_are_for_enabled_events(void **state)
{
	struct scene *s = *state;

	pci_port_insert(&s->port, &s->device, true, NULL);
	assert_int_equal(interrupts(s), 0);
	/* enabled after it has come */
	put(s, PCI_EXP_SLTCTL, POWER_OFF | PCI_EXP_SLTCTL_ABPE);
	assert_int_equal(interrupts(s), 0);
	put(s, PCI_EXP_SLTCTL, POWER_OFF | PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_HPIE);
	assert_int_equal(interrupts(s), 1);
	put(s, PCI_EXP_SLTCTL, POWER_OFF | ENABLES);
	assert_int_equal(interrupts(s), 0);
	put(s, PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDC);
	assert_int_equal(interrupts(s), 0);
	put(s, PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_ABP);
	put(s, PCI_EXP_SLTCTL, POWER_ON | ENABLES);
	assert_int_equal(interrupts(s), 1);

	/* the status bits that are no events cannot be written */
	put(s, PCI_EXP_SLTSTA, 0xffff);
	assert_int_equal(get(s, PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS);

	/* an event that is not enabled */
	put(s, PCI_EXP_SLTCTL, POWER_ON | PCI_EXP_SLTCTL_HPIE);
	assert_false(pci_port_eject(&s->port));
	assert_int_equal(interrupts(s), 0);
}

static void a_full_slot(void **state)
{
	struct scene *s = *state;
	struct pci_function other;
	struct hvd_error err = { 0 };

	pci_port_insert(&s->port, &s->device, false, NULL);
	pci_function_init(&other, &ops, &(struct pci_ident){ .vendor = 9, .device = 9 });
	assert_int_equal(pci_port_insert(&s->port, &other, true, &err), -EEXIST);
	assert_true(is_there(s));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_slot),
		TEST(there_from_the_start),
		TEST(inserted_while_the_guest_runs),
		TEST(ejected),
		TEST(power_off_by_the_guest_alone),
		TEST(asked_no_more),
		TEST(torn_out),
		TEST(interrupts_are_for_enabled_events),
		TEST(a_full_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
