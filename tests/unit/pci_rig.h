/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host bridge on an MMIO bus of its own, and events that remember what is bound, for tests of
 * what is on PCI. The test is the guest: it loads and stores at addresses.
 */
#pragma once

#include "vmm/bus/pci.h"
#include "vmm/bus/pci_events.h"

#define RIG_ECAM        0x4010000000ULL
#define RIG_ECAM_SIZE   (256 * MIB)
#define RIG_MMIO32      0x10000000ULL
#define RIG_MMIO32_SIZE 0x2eff0000ULL
#define RIG_MMIO64      0x8000000000ULL
#define RIG_MMIO64_SIZE (512 * GIB)
#define RIG_ROUTES      64

struct rig_route {
	bool used, bound;
	int fd;
	struct msi_message message;
	unsigned binds, updates; /* how often it was bound, and its message changed while it was */
};

struct rig_write {
	int fd;
	uint64_t ipa;
};

struct pci_rig {
	struct mmio_bus bus;
	struct pci pci;
	struct pci_events events;
	struct rig_route routes[RIG_ROUTES];
	struct rig_write writes[RIG_ROUTES];
	unsigned n_writes;
	bool refuse; /* bind nothing more */
};

void pci_rig_open(struct pci_rig *rig);

/* Functions have been unplugged; whatever is still bound fails the test. */
void pci_rig_close(struct pci_rig *rig);

/* The guest's accesses by address, and to config space of a function on bus 0 or another. */
uint64_t rig_load(struct pci_rig *rig, uint64_t addr, unsigned len);
void rig_store(struct pci_rig *rig, uint64_t addr, uint64_t value, unsigned len);
uint32_t rig_read(struct pci_rig *rig, unsigned bdf, unsigned at, unsigned len);
void rig_write(struct pci_rig *rig, unsigned bdf, unsigned at, uint32_t value, unsigned len);

/* The eventfd that a write to ipa signals, or -1; the route whose message is from fd, or NULL. */
int rig_write_at(const struct pci_rig *rig, uint64_t ipa);
const struct rig_route *rig_route_of(const struct pci_rig *rig, int fd);

/* Offset of the index-th capability of this kind, found as a guest does; 0: there is none. */
unsigned rig_capability(struct pci_rig *rig, unsigned bdf, uint8_t id, unsigned index);
