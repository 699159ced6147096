/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/pci_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/macro.h"

static struct pci_rig *to_rig(struct pci_events *events)
{
	return container_of(events, struct pci_rig, events);
}

static int bind_message(struct pci_events *events, int fd, const struct msi_message *message,
			int *route)
{
	struct pci_rig *rig = to_rig(events);
	struct rig_route *r;

	if (rig->refuse)
		return -ENOMEM;
	for (int i = 0; *route < 0 && i < RIG_ROUTES; i++)
		if (!rig->routes[i].used)
			*route = i;
	assert_true(*route >= 0);
	r = &rig->routes[*route];
	if (r->bound)
		r->updates++;
	else
		r->binds++;
	r->used = r->bound = true;
	r->fd = fd;
	r->message = *message;
	return 0;
}

static void unbind_message(struct pci_events *events, int fd, int route)
{
	struct rig_route *r = &to_rig(events)->routes[route];

	assert_true(r->bound);
	assert_int_equal(r->fd, fd);
	r->bound = false;
}

static void free_route(struct pci_events *events, int route)
{
	struct rig_route *r = &to_rig(events)->routes[route];

	assert_true(r->used && !r->bound);
	*r = (struct rig_route){ 0 };
}

static int bind_write(struct pci_events *events, int fd, uint64_t ipa)
{
	struct pci_rig *rig = to_rig(events);

	if (rig->refuse)
		return -EEXIST;
	assert_int_equal(rig_write_at(rig, ipa), -1);
	assert_true(rig->n_writes < RIG_ROUTES);
	rig->writes[rig->n_writes++] = (struct rig_write){ fd, ipa };
	return 0;
}

/* One that was refused may be taken back too. */
static void unbind_write(struct pci_events *events, int fd, uint64_t ipa)
{
	struct pci_rig *rig = to_rig(events);

	for (unsigned i = 0; i < rig->n_writes; i++)
		if (rig->writes[i].fd == fd && rig->writes[i].ipa == ipa)
			rig->writes[i] = rig->writes[--rig->n_writes];
}

void pci_rig_open(struct pci_rig *rig)
{
	static const struct pci_places places = {
		.ecam = { RIG_ECAM, RIG_ECAM_SIZE },
		.mmio32 = { RIG_MMIO32, RIG_MMIO32_SIZE },
		.mmio64 = { RIG_MMIO64, RIG_MMIO64_SIZE },
	};

	memset(rig, 0, sizeof(*rig));
	rig->events = (struct pci_events){ bind_message, unbind_message, free_route,
					   bind_write, unbind_write };
	assert_int_equal(pci_init(&rig->pci, &places, &rig->bus, NULL), 0);
}

void pci_rig_close(struct pci_rig *rig)
{
	for (unsigned i = 0; i < RIG_ROUTES; i++)
		assert_false(rig->routes[i].used);
	assert_int_equal(rig->n_writes, 0);
	pci_destroy(&rig->pci);
}

uint64_t rig_load(struct pci_rig *rig, uint64_t addr, unsigned len)
{
	uint8_t data[MMIO_DATA_SIZE];
	uint64_t value = 0;

	mmio_bus_read(&rig->bus, addr, data, len);
	memcpy(&value, data, len);
	return value;
}

void rig_store(struct pci_rig *rig, uint64_t addr, uint64_t value, unsigned len)
{
	uint8_t data[MMIO_DATA_SIZE];

	memcpy(data, &value, sizeof(value));
	mmio_bus_write(&rig->bus, addr, data, len);
}

uint32_t rig_read(struct pci_rig *rig, unsigned bdf, unsigned at, unsigned len)
{
	return (uint32_t)rig_load(rig, RIG_ECAM + bdf * PCI_ECAM_FUNCTION + at, len);
}

void rig_write(struct pci_rig *rig, unsigned bdf, unsigned at, uint32_t value, unsigned len)
{
	rig_store(rig, RIG_ECAM + bdf * PCI_ECAM_FUNCTION + at, value, len);
}

int rig_write_at(const struct pci_rig *rig, uint64_t ipa)
{
	for (unsigned i = 0; i < rig->n_writes; i++)
		if (rig->writes[i].ipa == ipa)
			return rig->writes[i].fd;
	return -1;
}

const struct rig_route *rig_route_of(const struct pci_rig *rig, int fd)
{
	for (unsigned i = 0; i < RIG_ROUTES; i++)
		if (rig->routes[i].used && rig->routes[i].fd == fd)
			return &rig->routes[i];
	return NULL;
}

unsigned rig_capability(struct pci_rig *rig, unsigned bdf, uint8_t id, unsigned index)
{
	unsigned at = rig_read(rig, bdf, PCI_CAPABILITY_LIST, 1), steps = 0;

	while (at) {
		assert_true(++steps < 48);
		if (rig_read(rig, bdf, at, 1) == id && !index--)
			return at;
		at = rig_read(rig, bdf, at + 1, 1);
	}
	return 0;
}
