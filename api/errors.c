/* SPDX-License-Identifier: Apache-2.0 */
#include "api/errors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/json.h"
#include "api/utf8.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define DBUS(name) "org.hvd1.Error." name

const struct error_class error_classes[] = {
	{ EBADMSG, 400, "bad-syntax", DBUS("BadSyntax"), 1, "The request cannot be read" },
	{ ENOKEY, 401, "unauthenticated", DBUS("Unauthenticated"), 1, "Say who you are" },
	{ EKEYREJECTED, 401, "bad-token", DBUS("BadToken"), 1, "The token is not valid" },
	{ EACCES, 403, "access-denied", DBUS("AccessDenied"), 1, "Access denied" },
	{ EPERM, 403, "not-permitted", DBUS("NotPermitted"), 1, "Not permitted" },
	{ ENOENT, 404, "not-found", DBUS("NotFound"), 3, "Not found" },
	{ ENOSYS, 405, "method-not-allowed", DBUS("MethodNotAllowed"), 1, "Method not allowed" },
	{ EPROTOTYPE, 406, "not-acceptable", DBUS("NotAcceptable"), 1, "Not an accepted media type" },
	{ EEXIST, 409, "already-exists", DBUS("AlreadyExists"), 4, "Exists already" },
	{ EBUSY, 409, "conflict", DBUS("Conflict"), 4, "Not possible in this state" },
	{ ECANCELED, 409, "cancelled", DBUS("Cancelled"), 1, "Cancelled" },
	{ ESTALE, 412, "precondition-failed", DBUS("PreconditionFailed"), 4, "Changed meanwhile" },
	{ EFBIG, 413, "too-large", DBUS("TooLarge"), 1, "The request is too large" },
	{ EMEDIUMTYPE, 415, "unsupported-media-type", DBUS("UnsupportedMediaType"), 1,
	  "Unsupported media type" },
	{ EINVAL, 422, "invalid", DBUS("Invalid"), 1, "Invalid request" },
	{ ERANGE, 422, "out-of-range", DBUS("OutOfRange"), 1, "Value out of range" },
	{ ENOEXEC, 422, "bad-image", DBUS("BadImage"), 1, "Not an image that can be booted" },
	{ ENOPROTOOPT, 426, "upgrade-required", DBUS("UpgradeRequired"), 1, "Upgrade required" },
	{ EUSERS, 429, "too-many-connections", DBUS("TooManyConnections"), 1,
	  "Too many connections" },
	{ EOPNOTSUPP, 501, "not-supported", DBUS("NotSupported"), 1, "Not supported here" },
	{ EAGAIN, 503, "try-again", DBUS("TryAgain"), 1, "Try again later" },
	{ ENOTCONN, 503, "unavailable", DBUS("Unavailable"), 5, "Service unavailable" },
	{ ETIMEDOUT, 504, "timed-out", DBUS("TimedOut"), 1, "Timed out" },
	{ ENOSPC, 507, "no-space", DBUS("NoSpace"), 1, "No space left" },
	{ ENOMEM, 507, "no-memory", DBUS("NoMemory"), 1, "Not enough memory" },
	{ EIO, 500, "internal", DBUS("Internal"), 1, "Internal error" },
};
const size_t n_error_classes = ARRAY_SIZE(error_classes);

const struct error_class *error_class_of(int r)
{
	for (size_t i = 0; i < n_error_classes; i++)
		if (error_classes[i].code == -r)
			return &error_classes[i];
	return &error_classes[n_error_classes - 1];
}

const struct error_class *error_class_of_error(const struct hvd_error *err)
{
	const struct error_class *class = error_class_of(err->code);

	/*
	 * The errno of a file that a setting names (missing, unreadable, a directory) is not that
	 * of the request: its VM was found and its caller may.
	 */
	if (err->field[0] && (class->status == 403 || class->status == 404 || class->status == 500))
		return error_class_of(-EINVAL);
	return class;
}

const struct error_class *error_class_by_name(const char *name)
{
	for (size_t i = 0; i < n_error_classes; i++)
		if (strcmp(error_classes[i].name, name) == 0)
			return &error_classes[i];
	return NULL;
}

void error_text(const struct hvd_error *err, char buf[static ERROR_TEXT_SIZE])
{
	snprintf(buf, ERROR_TEXT_SIZE, "%s%s%s", err->field, err->field[0] ? ": " : "", err->msg);
	/* a message may quote what a client sent, or be cut within a character */
	utf8_clean(buf);
}

json_t *problem_to_json(const struct hvd_error *err)
{
	const struct error_class *class = error_class_of_error(err);
	AUTO(json_decref) json_t *problem = NULL;
	char detail[ERROR_TEXT_SIZE];
	struct hvd_error shown = *err;
	json_t *fields;

	error_text(err, detail);
	utf8_clean(shown.field);
	utf8_clean(shown.msg);
	problem = json_pack("{s:s+, s:s, s:i, s:s, s:s}", "type", "urn:hvd:error:", class->name,
			    "title", class->title, "status", (int)class->status, "code",
			    class->name, "detail", detail);
	if (!problem)
		return NULL;
	if (!err->field[0])
		return TAKE(problem);

	fields = json_pack("[{s:s, s:s}]", "field", shown.field, "detail", shown.msg);
	if (json_object_set_new(problem, "fields", fields) < 0)
		return NULL;
	return TAKE(problem);
}

static const char *member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

void problem_from_json(json_t *problem, struct hvd_error *ret)
{
	const struct error_class *class = error_class_by_name(member(problem, "code"));
	const json_t *first = json_array_get(json_object_get(problem, "fields"), 0);
	int code = class ? class->code : EIO;

	if (first)
		hvd_err_field(ret, code, member(first, "field"), "%s", member(first, "detail"));
	else
		hvd_err(ret, code, "%s", member(problem, "detail"));
	if (!ret->msg[0])
		snprintf(ret->msg, sizeof(ret->msg), "the server gave no reason");
}
