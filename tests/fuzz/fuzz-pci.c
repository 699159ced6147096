/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI alone: functions with BARs of both kinds on bus 0 and behind root ports. The input is a script
 * of steps of eight bytes each: function and kind, length, offset (2 bytes), value (4 bytes). After
 * each, what the functions were told agrees with where an access finds them.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/base/macro.h"
#include "vmm/bus/pci_port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ECAM     0x4010000000ULL
#define N_DIRECT 3
#define N_PORTS  2
#define N        (N_DIRECT + N_PORTS)

struct subject {
	struct pci_function f;
	uint64_t at[PCI_N_BARS];
	unsigned touched;
	bool released;
};

struct target {
	struct mmio_bus bus;
	struct pci pci;
	struct pci_events events;
	struct pci_port ports[N_PORTS];
	struct subject subjects[N]; /* on bus 0, then behind the ports */
};

static struct subject *to_subject(struct pci_function *f)
{
	return container_of(f, struct subject, f);
}

static uint64_t subject_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned len)
{
	if (offset >= f->bar[bar].size || len > f->bar[bar].size - offset)
		abort();
	to_subject(f)->touched++;
	return offset;
}

static void subject_write(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t value,
			  unsigned len)
{
	subject_read(f, bar, offset, len);
}

static void subject_moved(struct pci_function *f, unsigned bar, uint64_t base)
{
	struct subject *s = to_subject(f);

	if ((s->at[bar] == PCI_UNMAPPED) == (base == PCI_UNMAPPED))
		abort();
	s->at[bar] = base;
}

static const struct pci_ops ops = {
	.read = subject_read,
	.write = subject_write,
	.moved = subject_moved,
};

static int bind_message(struct pci_events *events, int fd, const struct msi_message *message,
			int *route)
{
	*route = fd;
	return 0;
}

static void unbind_message(struct pci_events *events, int fd, int route)
{
}

static void free_route(struct pci_events *events, int route)
{
}

static void on_released(struct pci_port *port)
{
	to_subject(port->function.child)->released = true;
}

static void make(struct target *t)
{
	static const struct pci_places places = {
		.ecam = { ECAM, 256 * MIB },
		.mmio32 = { 0x10000000, 0x2eff0000 },
		.mmio64 = { 512 * GIB, 512 * GIB },
	};
	static const struct pci_ident ident = { .vendor = 1, .device = 2 };

	t->events = (struct pci_events){ bind_message, unbind_message, free_route, NULL, NULL };
	if (pci_init(&t->pci, &places, &t->bus, NULL) < 0)
		abort();
	for (unsigned i = 0; i < N_PORTS; i++)
		if (pci_port_init(&t->ports[i], &t->pci, (uint8_t)PCI_DEVFN(16, i), i + 1,
				  &t->events, on_released, NULL) < 0)
			abort();
	for (unsigned i = 0; i < N; i++) {
		struct subject *s = &t->subjects[i];
		int r;

		pci_function_init(&s->f, &ops, &ident);
		pci_add_bar(&s->f, 0, 0x1000 << i, i % 2, true);
		pci_add_bar(&s->f, 4, 1 * MIB, true, false);
		pci_add_express(&s->f, PCI_EXP_TYPE_ENDPOINT, 0);
		for (unsigned bar = 0; bar < PCI_N_BARS; bar++)
			s->at[bar] = PCI_UNMAPPED;
		r = i < N_DIRECT ? pci_plug(&t->pci, &s->f, (uint8_t)PCI_DEVFN(1 + i, 0), NULL) :
				   pci_port_insert(&t->ports[i - N_DIRECT], &s->f, i % 2, NULL);
		if (r < 0)
			abort();
	}
}

static void destroy(struct target *t)
{
	for (unsigned i = N; i-- > 0;) {
		pci_unplug(&t->subjects[i].f);
		for (unsigned bar = 0; bar < PCI_N_BARS; bar++)
			if (t->subjects[i].at[bar] != PCI_UNMAPPED)
				abort();
	}
	for (unsigned i = 0; i < N_PORTS; i++)
		pci_port_destroy(&t->ports[i]);
	pci_destroy(&t->pci);
}

/* Each BAR that is somewhere answers there, and nowhere across its end. */
static void check(struct target *t)
{
	uint8_t out[MMIO_DATA_SIZE];

	for (unsigned i = 0; i < N; i++) {
		struct subject *s = &t->subjects[i];

		for (unsigned bar = 0; bar < PCI_N_BARS; bar++) {
			unsigned before = s->touched;

			if (s->at[bar] == PCI_UNMAPPED)
				continue;
			mmio_bus_read(&t->bus, s->at[bar] + s->f.bar[bar].size - 4, out, 4);
			if (s->touched != before + 1)
				abort();
			mmio_bus_read(&t->bus, s->at[bar] + s->f.bar[bar].size - 4, out, 8);
			if (s->touched != before + 1)
				abort();
		}
	}
}

/* Ask the guest to let go, or take the device out and put it back. */
static void replace(struct pci_port *port, struct subject *s, uint8_t how)
{
	if (how & 1 && !pci_port_eject(port) && !s->released)
		return;
	pci_port_remove(port);
	s->released = false;
	if (pci_port_insert(port, &s->f, how & 2, NULL) < 0)
		abort();
}

static void step(struct target *t, const uint8_t *in)
{
	static const uint32_t functions[] = {
		PCI_DEVFN(0, 0), PCI_DEVFN(1, 0), PCI_DEVFN(2, 0), PCI_DEVFN(3, 0), PCI_DEVFN(16, 0),
		PCI_DEVFN(16, 1), 1 << 8, 2 << 8,
	};
	unsigned len = 1U << (in[1] & 3);
	uint8_t bytes[MMIO_DATA_SIZE] = { 0 };
	uint64_t addr;
	uint16_t offset;

	memcpy(&offset, in + 2, sizeof(offset));
	memcpy(bytes, in + 4, 4);
	/* mostly the registers that do something */
	addr = ECAM + functions[in[0] & 7] * PCI_ECAM_FUNCTION +
	       (in[1] & 4 ? offset % PCI_ECAM_FUNCTION : offset % 0x40U);
	if (in[1] & 8)
		addr = 0x10000000 + ((uint64_t)offset << 14);
	if ((in[0] & 0xf0) == 0x70)
		replace(&t->ports[in[0] & 1], &t->subjects[N_DIRECT + (in[0] & 1)], in[1]);
	else if (in[0] & 0x80)
		mmio_bus_read(&t->bus, addr, bytes, len);
	else
		mmio_bus_write(&t->bus, addr, bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct target t;

	memset(&t, 0, sizeof(t));
	make(&t);
	for (; size >= 8; data += 8, size -= 8) {
		step(&t, data);
		check(&t);
	}
	destroy(&t);
	return 0;
}
