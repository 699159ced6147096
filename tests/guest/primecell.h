/* SPDX-License-Identifier: Apache-2.0 */
/* What all PrimeCells have at the end of their 4 KiB: four bytes of peripheral id, four of their own. */
#pragma once

#include "rt.h"

static inline uint64_t primecell_id(uint64_t base)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)(read32(base + 0xfe0 + i * 4) & 0xff) << i * 8;
	return v;
}

/* Part number and designer, whatever the revision; and the PrimeCell's own id. */
static inline void check_id(uint64_t base, unsigned part, const char *what)
{
	uint64_t id = primecell_id(base);

	check_eq(id & 0xfffff, 0x41000 | part, what);
	check_eq(id >> 32, 0xb105f00d, "PrimeCell id");
}
