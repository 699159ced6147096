/* SPDX-License-Identifier: Apache-2.0 */
/* JSON walker over the field table. Errors name the member ("disks[0].pth") and what to do. */
#pragma once

#include <jansson.h>

#include "api/schema.h"
#include "vmm/base/cleanup.h"

DEFINE_AUTO(json_t *, json_decref);

#define JSON_DEPTH_MAX 32

/*
 * Parse text from a client, an object or an array: duplicate keys, NUL, depth over
 * JSON_DEPTH_MAX and trailing bytes are refused. -EBADMSG with line and column.
 */
int json_parse(const char *text, size_t len, json_t **ret, struct hvd_error *err);

/*
 * obj is uninitialised; it gets defaults, then what json says, then schema_check(). Unknown and
 * read-only members are errors (-EINVAL, naming the nearest known member), wrong types too. SIZE
 * members take integers (bytes) and strings ("512M"). obj is zero on failure.
 */
int json_to_obj(const struct schema *schema, json_t *json, void *obj, struct hvd_error *err);

/* The same of what a part of hvd has written: with the members that clients may only read. */
int json_to_whole_obj(const struct schema *schema, json_t *json, void *obj, struct hvd_error *err);

/*
 * Unset strings, UUIDs and MACs are left out; all else is written. NULL when out of memory, or when
 * a string is not UTF-8 (obj has not been checked).
 */
json_t *json_from_obj(const struct schema *schema, const void *obj);

/* One scalar from its text form ("yes", "512M") to what json_to_obj() takes for it. */
int json_from_text(const struct field *field, const char *text, json_t **ret,
		   struct hvd_error *err);

/*
 * RFC 7396: result = obj patched with json, checked; null resets a member to its default, lists
 * are replaced whole. patch is not changed, nor is obj; *ret_obj is uninitialised memory.
 */
int json_merge_obj(const struct schema *schema, const void *obj, json_t *patch, void *ret_obj,
		   struct hvd_error *err);
