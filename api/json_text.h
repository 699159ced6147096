/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON written as text straight from the field table, for answers of which there are many or large ones:
 * no tree is built. The text is what json_from_obj() and json_dumps(JSON_COMPACT) would give.
 */
#pragma once

#include <jansson.h>

#include "api/schema.h"

/* Zero-initialised; data is heap memory, NULL while it is empty, not terminated. */
struct json_text {
	char *data;
	size_t len, size;
	bool failed; /* out of memory: nothing more is written */
};

/* The text, terminated; the caller's to free. NULL: out of memory. Leaves it empty. */
char *json_text_take(struct json_text *text);
void json_text_clear(struct json_text *text);

/* As it is; as a string, in quotes and escaped, every byte that is no UTF-8 text as '?'. */
void json_text_raw(struct json_text *text, const char *data, size_t len);
void json_text_string(struct json_text *text, const char *value);

/* Which members are wanted: dotted paths ("spec.disks.path"); whoever names one wants all of it. */
#define PROJECTION_MAX 32
struct projection {
	size_t n;
	struct {
		const char *at;
		size_t len;
	} paths[PROJECTION_MAX];
};

/*
 * Take "name,spec.vcpus" apart; text must outlive *ret. -EINVAL: empty, too many. Whether there are
 * such members, projection_check() says of each part of a resource.
 */
int projection_parse(const char *text, struct projection *ret, struct hvd_error *err);

/* Which of the paths name something below the member of this name. ret->n 0: none. */
enum projected { PROJECTED_NO, PROJECTED_PART, PROJECTED_ALL };
enum projected projection_of(const struct projection *projection, const char *name,
			     struct projection *ret);

/* -EINVAL, naming a path that is of no member of schema. */
int projection_check(const struct projection *projection, const struct schema *schema,
		     struct hvd_error *err);

/* Take the members that are not wanted from an object. */
void projection_apply(const struct projection *projection, json_t *object);

/* An object. wanted NULL: all members. */
void json_text_obj(struct json_text *text, const struct schema *schema, const void *obj,
		   const struct projection *wanted);

/* The value of a field that is set. */
void json_text_value(struct json_text *text, const struct field *field, const void *obj);

/* One member of an object of which begun says whether it has any yet: its name and a colon. */
void json_text_member(struct json_text *text, const char *name, bool *begun);
