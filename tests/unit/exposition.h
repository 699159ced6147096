/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of Prometheus' text format 0.0.4: what it takes, Prometheus takes. Stricter where the format
 * only recommends: every family has HELP and TYPE, counters end in _total, seconds and bytes say so.
 */
#pragma once

#include <stddef.h>

/* Fails the test, naming the line. Returns the number of samples. */
size_t exposition_check(const char *text);

/* The value behind exactly this series ("hvd_vm_up{vm=\"a\"}"); NULL: it is not there. Not terminated. */
const char *exposition_find(const char *text, const char *series);
