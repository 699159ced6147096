/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a: tells things apart that nobody has made to look the same. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_SEED 0xcbf29ce484222325ULL

static inline uint64_t hash_add(uint64_t hash, const void *data, size_t len)
{
	for (const unsigned char *p = data; len; p++, len--)
		hash = (hash ^ *p) * 0x100000001b3ULL;
	return hash;
}
