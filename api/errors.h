/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table: errno to HTTP status, stable problem code, D-Bus error name and hvcli exit status.
 *
 *	EBADMSG 400 syntax · ENOKEY, EKEYREJECTED 401 · EACCES, EPERM 403 · ENOENT 404 ·
 *	ENOSYS 405 · EPROTOTYPE 406 · EEXIST, EBUSY, ECANCELED 409 · ESTALE 412 · EFBIG 413 · EMEDIUMTYPE 415 · EINVAL, ERANGE,
 *	ENOEXEC 422 · ENOPROTOOPT 426 · EUSERS 429 · EOPNOTSUPP 501 · EAGAIN, ENOTCONN 503 ·
 *	ETIMEDOUT 504 · ENOSPC, ENOMEM 507 · else 500
 *
 * An error that names a setting is about the value of that setting: the errno of a file that a
 * setting names (404, 403, 500 by the table) is 422 then. error_class_of_error() knows this.
 */
#pragma once

#include <jansson.h>

#include "vmm/base/err.h"

struct error_class {
	int code;          /* positive errno */
	unsigned status;   /* HTTP */
	const char *name;  /* problem+json "code": "not-found" */
	const char *dbus;  /* "org.hvd1.Error.NotFound" */
	int exit_status;   /* hvcli: 1 failed, 3 not found, 4 conflict, 5 no daemon */
	const char *title; /* problem+json "title" */
};

extern const struct error_class error_classes[];
extern const size_t n_error_classes;

/* r: negative errno. Never NULL: the last row (500 internal) is for all others. */
const struct error_class *error_class_of(int r);

/* The class of a whole error (err->code is set): what front ends answer with. */
const struct error_class *error_class_of_error(const struct hvd_error *err);

/* By "code" of problem+json. NULL: unknown. */
const struct error_class *error_class_by_name(const char *name);

/* For a person: "disks[0].path: no such file", or the message alone. */
/* field, ": ", msg */
#define ERROR_TEXT_SIZE                                                                            \
	(sizeof(((struct hvd_error *)0)->field) + 2 + sizeof(((struct hvd_error *)0)->msg))
void error_text(const struct hvd_error *err, char buf[static ERROR_TEXT_SIZE]);

/*
 * RFC 9457 object of an error: type, title, status, code, detail (error_text()), and fields
 * [{field, detail}] when the error names one. NULL when out of memory. And the reverse, for
 * clients: of whatever a server sent, *ret is always filled.
 */
json_t *problem_to_json(const struct hvd_error *err);
void problem_from_json(json_t *problem, struct hvd_error *ret);
