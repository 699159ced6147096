/* SPDX-License-Identifier: Apache-2.0 */
/* The handful of macros that every C project of this kind needs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]) + 0 * sizeof(char[1 - 2 * IS_POINTER(a)]))
#define IS_POINTER(a) __builtin_types_compatible_p(__typeof__(a), __typeof__(&(a)[0]))

#define container_of(ptr, type, member)                                                            \
	({                                                                                         \
		const __typeof__(((type *)0)->member) *mptr_ = (ptr);                              \
		(type *)((char *)mptr_ - offsetof(type, member));                                  \
	})

#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__auto_type min_a_ = (a);                                                          \
		__auto_type min_b_ = (b);                                                          \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                 \
	})

#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__auto_type max_a_ = (a);                                                          \
		__auto_type max_b_ = (b);                                                          \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                 \
	})

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* size must be a power of two. */
#define ALIGN_UP(x, size) (((x) + ((size)-1)) & ~((__typeof__(x))(size)-1))
#define ALIGN_DOWN(x, size) ((x) & ~((__typeof__(x))(size)-1))
#define IS_ALIGNED(x, size) (((x) & ((size)-1)) == 0)
