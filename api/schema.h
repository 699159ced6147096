/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field table: the one description of every setting.
 *
 * A struct schema describes a plain C struct by a constant array of fields: name, XML place, type,
 * range, default, help, and when a change applies. Walkers over it read and write JSON
 * (api/json.h), XML (api/xml.h), D-Bus (api/dbus.h) and command-line arguments (api/args.h), and
 * write the OpenAPI document (api/openapi.h). Adding a setting is one line in a table and its use;
 * nothing else knows the names.
 *
 * Values also have a text form, which XML, arguments and tables for people share:
 * "512M" for SIZE, "yes"/"no" for BOOL, "52:54:00:12:34:56" for MAC, RFC 9562 text for UUID.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

enum field_type {
	FIELD_STR,    /* char *, heap, NULL when unset; "" is unset too */
	FIELD_BOOL,   /* bool */
	FIELD_U32,    /* uint32_t */
	FIELD_U64,    /* uint64_t */
	FIELD_SIZE,   /* uint64_t bytes; text with suffix K, M, G, T (powers of 1024) */
	FIELD_ENUM,   /* unsigned enum; text is names[value] */
	FIELD_UUID,   /* uint8_t[16]; all zero is unset */
	FIELD_MAC,    /* uint8_t[6]; all zero is unset */
	FIELD_STRUCT, /* struct in place, described by sub */
	FIELD_LIST,   /* pointer to an array of structs described by sub, and a size_t count */
};

/* When a change of the field reaches a VM that runs. */
enum field_applies { APPLIES_NEXT_BOOT, APPLIES_LIVE, APPLIES_NEVER, _APPLIES_MAX };
extern const char *const field_applies_names[_APPLIES_MAX + 1]; /* "next-boot", … */

struct schema;

struct field {
	const char *name; /* JSON member and D-Bus key; the flag is this with '-' for '_' */
	const char *xml;  /* place below the parent's element (api/xml.h); NULL: not in XML */
	enum field_type type;
	size_t offset, count_offset;

	/*
	 * U32, U64, SIZE: range (0, 0: any); STR: length in bytes; LIST: number of elements.
	 * A number without a default is unset when 0, and the range does not apply to it.
	 */
	uint64_t min, max;
	uint64_t multiple;            /* U32, U64, SIZE: must be a multiple of this (0: any) */
	const char *def;              /* default in text form; NULL: zero, unset or empty */
	/* ENUM: names, NULL-terminated; STR that is a path: words that may stand in its place */
	const char *const *names;
	/*
	 * ENUM: names in XML where libvirt's are others ("": said by leaving it out); BOOL: those of false and
	 * true; or NULL.
	 */
	const char *const *xml_names;
	uint32_t xml_scale;           /* U32: XML has this many times the value (0: the value) */
	uint32_t xml_divisor;         /* U64, SIZE: XML counts in these, without a unit; value: a multiple */
	const struct schema *sub;    /* STRUCT, LIST */
	bool required;
	bool path;                   /* STR: names a file of the host; clients make it absolute */
	bool read_only;              /* in answers only: a client may not set it */
	bool omit_zero;              /* U32, U64: 0 is unset, and left out of answers */
	bool host;                   /* hvd's own business: hvd-vmm has no use for it */
	enum field_applies applies;

	/* STR: a further rule beyond length; text is never NULL. */
	int (*check)(const char *text, struct hvd_error *err);
	const char *help; /* one line, no full stop: OpenAPI, --help, man page */
	const char *unit; /* "bytes", "percent", … or NULL */
};

struct schema {
	const char *name; /* "Vm", "Disk": the name in OpenAPI's components */
	const char *xml;  /* element: "domain", "disk" */
	size_t size;
	const struct field *fields;
	size_t n_fields;
	/*
	 * The STR that tells items of a list apart, and never changes; or NULL. A STRUCT member whose
	 * key is unset is unset.
	 */
	const char *key;
	/* What no single field can say (both network and tap set, …). Sees a complete object. */
	int (*check)(const void *obj, struct hvd_error *err);
};

/*
 * Initialisers that check the member's type at compile time: a FIELD_U32 on a uint64_t member does
 * not compile. Use: { "vcpus", "vcpu", U32(struct vm_config, vcpus), .min = 1, … }
 */
#define FIELD_OF_TYPE(t, type_name, s, m)                                                          \
	.type = (t),                                                                               \
	.offset = offsetof(s, m) +                                                                 \
		  0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((s *)0)->m), type_name) \
					  ? 1                                                      \
					  : -1])
#define STR(s, m) FIELD_OF_TYPE(FIELD_STR, char *, s, m)
#define BOOL(s, m) FIELD_OF_TYPE(FIELD_BOOL, bool, s, m)
#define U32(s, m) FIELD_OF_TYPE(FIELD_U32, uint32_t, s, m)
#define U64(s, m) FIELD_OF_TYPE(FIELD_U64, uint64_t, s, m)
#define SIZE(s, m) FIELD_OF_TYPE(FIELD_SIZE, uint64_t, s, m)
#define UUID(s, m) FIELD_OF_TYPE(FIELD_UUID, uint8_t[16], s, m)
#define MAC(s, m) FIELD_OF_TYPE(FIELD_MAC, uint8_t[6], s, m)
/* Any enum: gcc and clang give those without negative members the type unsigned int. */
#define ENUM(s, m)                                                                                 \
	.type = FIELD_ENUM, .offset = offsetof(s, m) +                                             \
		0 * sizeof(char[sizeof(((s *)0)->m) == sizeof(unsigned) ? 1 : -1])
#define STRUCT(s, m, subschema) .type = FIELD_STRUCT, .offset = offsetof(s, m), .sub = &(subschema)
#define LIST(s, m, n, subschema)                                                                   \
	.type = FIELD_LIST, .offset = offsetof(s, m), .sub = &(subschema),                         \
	.count_offset = offsetof(s, n)

#define SCHEMA_FIELDS(table) .fields = (table), .n_fields = sizeof(table) / sizeof((table)[0])

/* Set every field to its default. obj is uninitialised memory of schema->size bytes. 0, -ENOMEM. */
int schema_init(const struct schema *schema, void *obj);

/* Free everything that the fields own and zero obj. obj may be all zero. */
void schema_clear(const struct schema *schema, void *obj);

/* dst is uninitialised memory. 0 or -ENOMEM; dst is zero on failure. */
int schema_copy(const struct schema *schema, void *dst, const void *src);

bool schema_equal(const struct schema *schema, const void *a, const void *b);

/*
 * Ranges, required fields, per-field and whole-object rules, recursively. -EINVAL, -ERANGE; err
 * names the field ("disks[1].path") and what is allowed.
 */
int schema_check(const struct schema *schema, const void *obj, struct hvd_error *err);

/*
 * Call fn for each difference between a and b: field, its path within the object ("boot.cmdline",
 * "disks[vda].cache"), and when the change reaches a running VM. Items of a list with a key are told
 * apart by it; one that has come or gone is one difference ("disks[vdb]"), of the list's own
 * applies. Stops when fn returns a negative errno, and returns it.
 */
typedef int (*schema_diff_fn)(void *ctx, const struct field *field, const char *path);
int schema_diff(const struct schema *schema, const void *a, const void *b, schema_diff_fn fn,
		void *ctx);

/*
 * Of the changes from a to b, make those in obj (another object of this kind) that reach a running
 * VM: what runs keeps what it was started with. On -ENOMEM obj is valid, and half changed.
 */
int schema_apply_live(const struct schema *schema, void *obj, const void *a, const void *b);

/*
 * Put into the lists with a key of obj, in their places, those items of src that obj lacks and
 * present (a third such object) has. On -ENOMEM obj is valid.
 */
int schema_keep(const struct schema *schema, void *obj, const void *src, const void *present);

/* The first item of obj's lists with a key that wanted lacks, and its list; NULL: there is none. */
const void *schema_surplus(const struct schema *schema, const void *obj, const void *wanted,
			   const struct field **list);

/* The key of an item of a list that has keys; "" when it is unset. */
const char *schema_key(const struct schema *schema, const void *item);

const struct field *schema_field(const struct schema *schema, const char *name);
/* By a name that is not terminated. */
const struct field *schema_field_n(const struct schema *schema, const char *name, size_t len);

/*
 * One scalar field from and to its text form. set frees what was there; on failure obj keeps its
 * old value. get allocates; *ret is NULL when the field is unset.
 */
int field_set_text(const struct field *field, void *obj, const char *text, struct hvd_error *err);
int field_get_text(const struct field *field, const void *obj, char **ret);

/* BOOL, U32, U64, SIZE, ENUM as a number. set: -ERANGE when the member cannot hold it. */
uint64_t field_get_number(const struct field *field, const void *obj);
int field_set_number(const struct field *field, void *obj, uint64_t value, struct hvd_error *err);

/* True when the field has its default value (an unset string, an empty list, …). */
bool field_is_default(const struct field *field, const void *obj);

/*
 * True for an unset STR, UUID, MAC, or omit_zero, a STRUCT whose key is unset or, without a key, all
 * of it; others always have a value.
 */
bool field_is_unset(const struct field *field, const void *obj);

/* STR: a path that is to be made absolute; "", and a word in its place, are none. */
bool field_is_relative_path(const struct field *field, const char *text);

/* LIST: append one element with default values; returns it, or NULL when out of memory or max. */
void *field_list_append(const struct field *field, void *obj);

/* One field of obj. copy: dst's is zero before; -ENOMEM leaves something to clear. clear zeroes. */
bool field_equal(const struct field *field, const void *a, const void *b);
int field_copy(const struct field *field, void *dst, const void *src);
void field_clear(const struct field *field, void *obj);

/* LIST: the item at i; the one of this key, or NULL; take that one out, if it is there. */
void *field_list_item(const struct field *list, const void *obj, size_t i);
void *field_list_find(const struct field *list, const void *obj, const char *key);
void field_list_remove(const struct field *list, void *obj, const char *key);

static inline void *field_ptr(const struct field *field, const void *obj)
{
	return (char *)obj + field->offset;
}

static inline size_t *field_count(const struct field *field, const void *obj)
{
	return (size_t *)((char *)obj + field->count_offset);
}

/* "512M" -> bytes, and back to the shortest exact form. -EINVAL, -ERANGE (over INT64_MAX). */
int size_parse(const char *text, uint64_t *ret);
void size_format(uint64_t bytes, char buf[static 24]);

/* Decimal digits only: no sign, no space. -EINVAL, -ERANGE (over INT64_MAX). */
int number_parse(const char *text, uint64_t *ret);

#define UUID_TEXT_SIZE 37
int uuid_parse(const char *text, uint8_t ret[static 16]);
void uuid_format(const uint8_t uuid[static 16], char buf[static UUID_TEXT_SIZE]);

#define MAC_TEXT_SIZE 18
int mac_parse(const char *text, uint8_t ret[static 6]);
void mac_format(const uint8_t mac[static 6], char buf[static MAC_TEXT_SIZE]);
