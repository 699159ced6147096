/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a qcow2 image (QEMU's docs/interop/qcow2.txt): what hvd has to know before others open it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

/*
 * The size that a guest sees. -EINVAL: it is no qcow2 image of version 2 or 3, it names a backing file or an
 * external data file, or it is encrypted; backed: it may name one, which whoever opens it has to know better.
 */
int qcow2_check(int fd, bool backed, uint64_t *size, struct hvd_error *err);
