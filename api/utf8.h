/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes are text that every front end can carry. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One character at text, of at most len bytes: its length, 0 when malformed; *ret is its code point. */
size_t utf8_next(const char *text, size_t len, uint32_t *ret);

/*
 * True for well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms) without control
 * characters but tab and newline, and without U+FFFE and U+FFFF: text that JSON, D-Bus and
 * XML 1.0 all carry unchanged.
 */
bool utf8_is_text(const char *text, size_t len);

/* Put '?' in the place of every byte that utf8_is_text() would not have. */
void utf8_clean(char *text);
