/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identification registers that every PrimeCell peripheral has at the end of its page: four bytes of
 * PeriphID and four of PCellID, one in each word (Arm DDI 0183 §3.3.14 and alike).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PRIMECELL_SIZE 0x1000
#define PRIMECELL_ID   0xfe0

/* The same for all PrimeCells. */
#define PRIMECELL_CID 0x0d, 0xf0, 0x05, 0xb1

static inline bool primecell_is_id(uint64_t offset)
{
	return offset >= PRIMECELL_ID && offset < PRIMECELL_SIZE;
}

static inline uint8_t primecell_id(const uint8_t id[static 8], uint64_t offset)
{
	return id[(offset - PRIMECELL_ID) / 4];
}
