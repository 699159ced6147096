/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/err.h"

#include <stdio.h>
#include <string.h>

static int verr(struct hvd_error *err, int errnum, const char *field, const char *fmt, va_list ap)
{
	if (!err)
		return -errnum;

	err->code = -errnum;
	snprintf(err->field, sizeof(err->field), "%s", field);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	return -errnum;
}

int hvd_err(struct hvd_error *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = verr(err, errnum, "", fmt, ap);
	va_end(ap);
	return r;
}

int hvd_err_field(struct hvd_error *err, int errnum, const char *field, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = verr(err, errnum, field, fmt, ap);
	va_end(ap);
	return r;
}

/* dst = prefix + sep + dst, cut to what fits. */
static void prepend(char *dst, size_t size, const char *prefix, const char *sep)
{
	char old[sizeof(((struct hvd_error *)NULL)->msg)];

	snprintf(old, sizeof(old), "%s", dst);
	if (snprintf(dst, size, "%s%s%s", prefix, sep, old) >= (int)size)
		dst[size - 1] = '\0';
}

int hvd_err_prefix(struct hvd_error *err, int r, const char *fmt, ...)
{
	char prefix[256];
	va_list ap;

	if (!err)
		return r;

	va_start(ap, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);

	if (!err->code)
		hvd_err(err, -r, "%s", strerror(-r));
	prepend(err->msg, sizeof(err->msg), prefix, ": ");
	return r;
}

int hvd_err_in(struct hvd_error *err, int r, const char *fmt, ...)
{
	char prefix[sizeof(err->field)];
	const char *sep;
	va_list ap;

	if (!err)
		return r;

	va_start(ap, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);

	sep = err->field[0] && err->field[0] != '[' ? "." : "";
	prepend(err->field, sizeof(err->field), prefix, sep);
	return r;
}
