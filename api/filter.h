/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of lists: comparisons that all have to hold, separated by commas.
 *
 *	state==running,name==web*,vcpus>=2,memory<4G,description!="a, b"
 *
 * A member is named by its path ("spec.boot.kernel"), without "spec." or "status." when it is found in
 * one of them. Texts are equal or not; "*" at the end of a value stands for any rest. Numbers and sizes
 * compare as such, in their text form. A member that is unset equals nothing but the empty text.
 */
#pragma once

#include "api/schema.h"

#define FILTER_MAX 16

/* The parts of a resource: "spec" and "status", or one without name. */
#define FILTER_PARTS 2
struct filter_part {
	const char *name; /* NULL: members are named without it */
	const struct schema *schema;
};

enum comparison { COMPARE_EQ, COMPARE_NE, COMPARE_GE, COMPARE_LE, COMPARE_GT, COMPARE_LT };

struct filter {
	size_t n;
	struct filter_term {
		unsigned part;
		struct field field; /* its offset is that within the part */
		enum comparison how;
		bool prefix; /* text up to its "*" */
		char text[128];
		uint64_t number;
	} terms[FILTER_MAX];
};

/* -EINVAL, -ERANGE: err says what is wrong with which comparison. */
int filter_parse(const char *text, const struct filter_part *parts, size_t n_parts,
		 struct filter *ret, struct hvd_error *err);

/* Does it need this part? */
bool filter_needs(const struct filter *filter, unsigned part);

/* objs: the parts, in their order. */
bool filter_match(const struct filter *filter, const void *const objs[FILTER_PARTS]);
