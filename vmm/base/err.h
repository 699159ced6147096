/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors that a person reads.
 *
 * Functions return 0 or a negative errno. A function whose failure a user can cause also takes
 * `struct hvd_error *err` last (may be NULL) and fills it at the place that knows what went wrong
 * and what to do about it. The rule: negative return <=> error set; success <=> error untouched.
 * The object is a fixed buffer: nothing to free, nothing that can fail.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct hvd_error {
	int code;        /* negative errno, 0 when not set */
	char field[64];  /* the setting at fault as a path ("disks[0].path"), or "" */
	char msg[432];   /* one line, no newline, no trailing full stop */
};

/* Fill err (if not NULL) and return -errnum. errnum is positive: hvd_err(err, EINVAL, "…"). */
int hvd_err(struct hvd_error *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, and name the setting that is wrong. */
int hvd_err_field(struct hvd_error *err, int errnum, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Put "<prefix>: " before the message on the way out; returns r. When the callee left err unset
 * (it does not take one), the message becomes "<prefix>: <strerror(-r)>".
 */
int hvd_err_prefix(struct hvd_error *err, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "<prefix>" before the path of the field at fault ("disks[0]" + "path" -> "disks[0].path"). */
int hvd_err_in(struct hvd_error *err, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
