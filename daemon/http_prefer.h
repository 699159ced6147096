/* SPDX-License-Identifier: Apache-2.0 */
/* The header Prefer (RFC 7240), as far as hvd has choices: wait and respond-async. */
#pragma once

#include <stdbool.h>

struct prefer {
	bool respond_async, has_wait;
	unsigned wait; /* seconds, OPERATION_WAIT_MAX at most */
};

/*
 * Read one value of the header into *prefer, which has what came before. The first of a kind counts, and
 * what is not known or makes no sense is passed over, as the standard wants it (§2).
 */
void prefer_parse(const char *text, struct prefer *prefer);
