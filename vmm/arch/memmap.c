/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/memmap.h"

#include <errno.h>

#define DEFAULT_IPA_BITS 40U /* KVM's own default; fewer bits are no fewer levels of tables */
#define HIGH_BASE        (256 * GIB)
#define HIGH_ALIGN       (1 * GIB)

#define GICR_LOW_MAX   ((unsigned)((MEMMAP_PL011 - MEMMAP_GICR) / MEMMAP_GICR_EACH))
#define GICR_HIGH_SIZE (64 * MIB) /* 512 of them */
#define GICR_HIGH_MAX  ((unsigned)(GICR_HIGH_SIZE / MEMMAP_GICR_EACH))

#define ECAM_SIZE       (256 * MEMMAP_PCI_BUS_SIZE)
#define ECAM_SMALL_SIZE (MEMMAP_RAM - MEMMAP_PCI_ECAM)
#define MMIO64_SIZE     (512 * GIB)
#define MMIO64_MIN      (1 * GIB)

_Static_assert(ECAM_SMALL_SIZE == 16 * MEMMAP_PCI_BUS_SIZE, "16 buses below RAM");

static bool fits(uint64_t end, unsigned bits)
{
	return !((end - 1) >> bits);
}

unsigned memmap_max_vcpus(unsigned host_ipa_bits)
{
	return GICR_LOW_MAX + (fits(HIGH_BASE + GICR_HIGH_SIZE, host_ipa_bits) ? GICR_HIGH_MAX : 0);
}

/* Place `size` bytes at *at or behind, aligned to their size; *at moves to their end. */
static uint64_t place(uint64_t *at, uint64_t size)
{
	uint64_t base = ALIGN_UP(*at, size);

	*at = base + size;
	return base;
}

static void place_pci(struct memmap *map, uint64_t at, unsigned bits)
{
	uint64_t ecam = place(&at, ECAM_SIZE), window, end;

	if (!fits(at, bits)) {
		map->ecam = (struct memmap_range){ MEMMAP_PCI_ECAM, ECAM_SMALL_SIZE };
		return;
	}
	map->ecam = (struct memmap_range){ ecam, ECAM_SIZE };
	for (uint64_t size = MMIO64_SIZE; size >= MMIO64_MIN; size /= 2) {
		end = at;
		window = place(&end, size);
		if (fits(end, bits)) {
			map->mmio64 = (struct memmap_range){ window, size };
			return;
		}
	}
}

/* End of the highest thing there is. */
static uint64_t end_of(const struct memmap *map, uint64_t ram_end)
{
	uint64_t end = MAX(ram_end, map->ecam.base + map->ecam.size);

	if (map->n_gicr_high)
		end = MAX(end, map->gicr_high + GICR_HIGH_SIZE);
	return MAX(end, map->mmio64.base + map->mmio64.size);
}

int memmap_init(struct memmap *map, const struct memmap_args *args, struct hvd_error *err)
{
	uint64_t ram_end = MEMMAP_RAM + args->memory;
	uint64_t at = ALIGN_UP(MAX(HIGH_BASE, ram_end), HIGH_ALIGN);
	unsigned bits = MIN(DEFAULT_IPA_BITS, args->host_ipa_bits);
	struct memmap result = { 0 };

	if (!fits(ram_end, args->host_ipa_bits))
		return hvd_err_field(err, ERANGE, "memory",
				     "%llu MiB do not fit into this host's guest address space of %u bits",
				     (unsigned long long)(args->memory / MIB), args->host_ipa_bits);

	/* The place of the redistributors is kept free: the number of vCPUs moves nothing else. */
	result.gicr_high = place(&at, GICR_HIGH_SIZE);
	result.n_gicr_low = MIN(args->vcpus, GICR_LOW_MAX);
	result.n_gicr_high = args->vcpus - result.n_gicr_low;
	if (result.n_gicr_high && (result.n_gicr_high > GICR_HIGH_MAX || !fits(at, args->host_ipa_bits)))
		return hvd_err_field(err, ERANGE, "vcpus",
				     "%u: with this memory, a VM has at most %u vCPUs on this host, "
				     "whose guest address space has %u bits",
				     args->vcpus, GICR_LOW_MAX, args->host_ipa_bits);

	if (args->pci)
		place_pci(&result, at, args->host_ipa_bits);
	while (!fits(end_of(&result, ram_end), bits))
		bits++;
	result.ipa_bits = bits;
	*map = result;
	return 0;
}
