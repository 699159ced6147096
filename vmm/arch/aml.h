/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AML, the byte code of ACPI's definition blocks (ACPI 6.3 §20), written straight down:
 *
 *	aml_begin_device(a, "COM0");
 *	aml_name(a, "_UID");
 *	aml_int(a, 0);
 *	aml_end(a);
 *
 * What contains other things is begun and ended. Operators come before their operands:
 * `CDW1 |= 4` is aml_op(a, AML_OR), aml_ref(a, "CDW1"), aml_int(a, 4), aml_ref(a, "CDW1").
 *
 * The first error is kept in the blob. Names are of four letters or shorter, a path "\\_SB.PWRB" of
 * at most AML_MAX_SEGMENTS of them.
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/blob.h"

#define AML_MAX_DEPTH    8
#define AML_MAX_SEGMENTS 4

struct aml {
	struct blob *out;
	struct {
		size_t at;     /* where its length goes */
		bool template; /* a resource template */
	} open[AML_MAX_DEPTH];
	unsigned depth;
};

/* What has been begun ends here. */
void aml_end(struct aml *a);

void aml_begin_scope(struct aml *a, const char *path);
void aml_begin_device(struct aml *a, const char *name);
void aml_begin_method(struct aml *a, const char *name, unsigned n_args); /* serialized */
void aml_begin_if(struct aml *a);                                         /* a condition follows */
void aml_begin_else(struct aml *a);

/* Name(), whose value follows. */
void aml_name(struct aml *a, const char *name);

void aml_int(struct aml *a, uint64_t value);
void aml_string(struct aml *a, const char *text);
void aml_eisa_id(struct aml *a, const char *id); /* "PNP0A08" */
void aml_uuid(struct aml *a, const char *text);           /* as ToUUID() has it, 36 characters */
void aml_ref(struct aml *a, const char *path);
void aml_arg(struct aml *a, unsigned n);
void aml_local(struct aml *a, unsigned n);

/* Operators, with the operands that follow. */
enum aml_op {
	AML_STORE = 0x70,              /* value, target */
	AML_AND = 0x7b,                /* value, value, target */
	AML_OR = 0x7d,                 /* the same */
	AML_NOTIFY = 0x86,             /* object, value */
	AML_CREATE_DWORD_FIELD = 0x8a, /* buffer, index, the new name */
	AML_NOT = 0x92,                /* condition */
	AML_EQUAL = 0x93,              /* value, value */
	AML_RETURN = 0xa4,             /* value */
};
void aml_op(struct aml *a, enum aml_op op);

/* A resource template (§6.4), a value; descriptors follow, then aml_end(). */
void aml_begin_resources(struct aml *a);
void aml_memory32_fixed(struct aml *a, uint64_t base, uint64_t size);
void aml_memory64(struct aml *a, uint64_t base, uint64_t size);
void aml_interrupt(struct aml *a, uint32_t intid, bool edge); /* active high, exclusive */

enum aml_window { AML_MEMORY, AML_IO, AML_BUS };

/*
 * What a bridge passes on: size addresses from base on of the bus behind it, which are at
 * base + offset on this side. word: 2 bytes for a bus, else 4 or 8.
 */
void aml_window(struct aml *a, enum aml_window type, unsigned word, uint64_t base, uint64_t size,
		uint64_t offset);
