/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flattened device tree of machine type hvd-1.0: what the guest is told about its machine.
 * Places and interrupts come from vmm/arch/memmap.h, the rest from struct fdt_machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/arch/memmap.h"
#include "vmm/base/err.h"

struct fdt_machine {
	const struct memmap *map;
	uint64_t memory;       /* bytes of RAM */
	const uint64_t *mpidr; /* affinity of each vCPU */
	unsigned n_vcpus;
	unsigned n_virtio; /* virtio-mmio devices, in the first places */
	bool pmu;
	bool its;
	bool fw_cfg;
	bool pvpanic;  /* at its place on the MMIO bus; on PCI it is found there */
	bool watchdog;
	bool flash;

	const char *cmdline;            /* or NULL */
	uint64_t initrd, initrd_size;   /* size 0: none */
	uint8_t rng_seed[64];           /* what the guest's random pool starts from */
	uint64_t kaslr_seed;
};

/*
 * Write the tree into buf. Returns the bytes used, or -ENOSPC when it does not fit (a very long
 * command line).
 */
int fdt_build(const struct fdt_machine *machine, void *buf, size_t size, struct hvd_error *err);
