/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI Express: a host bridge with ECAM, functions on bus 0 and one behind each root port (PCIe Base
 * 5.0 §7; PCI-to-PCI Bridge 1.2).
 *
 * A function is a config space with a mask of the bits that the guest may write, and BARs. Its
 * owner builds it (pci_function_init() and what follows it here), plugs it in, and is called back.
 * BARs are memory only; the extended config space (from 0x100 on) holds no capabilities.
 *
 * Threads: config space belongs to pci->lock: vCPU threads by way of ECAM, and the main loop. What a
 * BAR access reaches is looked up in a table that config writes replace, under map_lock: the guest
 * may move a BAR while another vCPU reads it. BAR callbacks run with map_lock held for reading, on
 * several vCPUs at a time. Lock order: lock, map_lock, a function's own locks; no callback takes
 * lock or map_lock, and the I/O loop takes neither.
 *
 * What makes no sense is well defined: the config space of an absent function reads as ones. Addresses
 * in the windows that nobody claims read as zeroes, which is what a virtio driver that resets a device
 * torn out under it waits for (Linux would wait for ever). Writes to either are ignored; accesses may have any width and alignment; of overlapping BARs the first in
 * order of bus 0 answers and the others do as if they were disabled; a BAR answers only as a whole
 * within a window of the host bridge and of the root port that it is behind.
 */
#pragma once

#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdbool.h>

#include "vmm/bus/mmio.h"
#include "vmm/bus/pci_map.h"

#define PCI_CONFIG_SIZE   256
#define PCI_ECAM_FUNCTION 4096ULL /* bytes of ECAM for each function */
#define PCI_N_BARS        6
#define PCI_MAX_FUNCTIONS 128
#define PCI_UNMAPPED      UINT64_MAX

#define PCI_DEVFN(slot, function) ((uint8_t)((slot) << 3 | (function)))

struct pci;

/* Called with pci->lock held, but for read and write. All but those may be NULL. */
struct pci_ops {
	/* vCPU threads: access to a BAR; len is 1, 2, 4 or 8 and does not cross its end. */
	uint64_t (*read)(struct pci_function *f, unsigned bar, uint64_t offset, unsigned len);
	void (*write)(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t value,
		      unsigned len);
	/* The BAR answers at base from now on, or nowhere (PCI_UNMAPPED). Always in turns. */
	void (*moved)(struct pci_function *f, unsigned bar, uint64_t base);
	/* Bytes of config space are about to be read, or have been written. */
	void (*config_read)(struct pci_function *f, unsigned at, unsigned len);
	void (*config_written)(struct pci_function *f, unsigned at, unsigned len);
	/* pci_requester_id() is another one now. */
	void (*renamed)(struct pci_function *f);
	/* Reset from outside (bus, function level): config space is as at first already. */
	void (*reset)(struct pci_function *f);
};

struct pci_bar {
	uint64_t size; /* 0: there is none */
	bool wide;     /* 64 bits */
	uint64_t base; /* where it answers, or PCI_UNMAPPED */
	uint64_t next; /* pci.c: while a new table is being built */
};

struct pci_function {
	const struct pci_ops *ops;
	struct pci *pci;            /* NULL while not plugged in */
	struct pci_function *port;  /* that it is behind; NULL on bus 0 */
	struct pci_function *child; /* of a root port */
	uint8_t devfn;
	bool off; /* without power: does not answer at all */
	uint8_t last_capability;
	uint16_t end_of_capabilities;
	uint8_t express; /* offset of the PCI Express capability, 0: none */
	struct pci_bar bar[PCI_N_BARS];
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE]; /* bits that the guest may write; 0 after a reset */
	uint8_t clearable[PCI_CONFIG_SIZE]; /* bits that writing 1 clears */
};

struct pci_ident {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class; /* class, subclass, programming interface: 24 bits */
};

struct pci_range {
	uint64_t base, size; /* size 0: there is none */
};

struct pci_places {
	struct pci_range ecam, mmio32, mmio64;
};

/* Where BARs may be, on the MMIO bus. */
struct pci_aperture {
	struct mmio_region region;
	struct pci *pci;
};

struct pci {
	struct mmio_region ecam;
	struct pci_aperture aperture[2]; /* 32 and 64 bits */

	pthread_mutex_t lock;
	struct pci_function *functions[PCI_MAX_FUNCTIONS]; /* in order of bus 0, children next */
	unsigned n_functions;
	struct pci_function host_bridge;

	pthread_rwlock_t map_lock; /* writers come first: no guest can keep them out by reading */
	struct pci_map *map;
	struct pci_map *spare; /* under lock: where the next table is built */
};

/* Make the host bridge and put its regions on the bus. -ENOMEM, or as mmio_bus_add(). */
int pci_init(struct pci *pci, const struct pci_places *places, struct mmio_bus *bus,
	     struct hvd_error *err);

/* vCPUs stopped; functions are their owners'. No-op on a zeroed struct. */
void pci_destroy(struct pci *pci);

/* Building a function, before it is plugged in. */
void pci_function_init(struct pci_function *f, const struct pci_ops *ops,
		       const struct pci_ident *ident);
void pci_function_is_bridge(struct pci_function *f); /* type 1 header, memory windows only */

/* size is a power of two of at least 16; a 64-bit BAR takes the register behind it too. */
void pci_add_bar(struct pci_function *f, unsigned bar, uint64_t size, bool wide, bool prefetchable);

/* Returns where it is in config space; len includes the two bytes of its header. */
unsigned pci_add_capability(struct pci_function *f, uint8_t id, unsigned len);

/* PCI Express capability; type is PCI_EXP_TYPE_*, slot the physical slot of a port, 0: none. */
void pci_add_express(struct pci_function *f, unsigned type, unsigned slot);

/* Little-endian values in config space; allow() lets the guest write the bits that are set. */
uint32_t pci_config_get(const struct pci_function *f, unsigned at, unsigned len);
void pci_config_set(struct pci_function *f, unsigned at, uint32_t value, unsigned len);
void pci_config_allow(struct pci_function *f, unsigned at, uint32_t mask, unsigned len);

/*
 * Plug a function, which stays the caller's, in on bus 0, or behind a root port, as its device 0.
 * vCPUs may run. -EEXIST: something is there, -ENOSPC: PCI_MAX_FUNCTIONS are.
 */
int pci_plug(struct pci *pci, struct pci_function *f, uint8_t devfn, struct hvd_error *err);
int pci_plug_behind(struct pci_function *port, struct pci_function *f, struct hvd_error *err);

/* On return, no vCPU is in a callback of f, and none will be. No-op when not plugged in. */
void pci_unplug(struct pci_function *f);

/*
 * Under pci->lock, which callbacks have. Power of what is behind a port: taken away, it resets the
 * function and hides it.
 */
void pci_set_power(struct pci_function *f, bool on);
uint16_t pci_requester_id(const struct pci_function *f);
bool pci_bus_master(const struct pci_function *f);
