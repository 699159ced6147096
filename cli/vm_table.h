/* SPDX-License-Identifier: Apache-2.0 */
/* VMs and the host as people want to read them. */
#pragma once

#include "api/ops.h"
#include "cli/sheet.h"

/* NAME STATE VCPUS MEMORY ADDRESS UPTIME; wide adds more. items: an array of VM resources. */
int vm_table(const json_t *items, bool wide, FILE *f, unsigned width, bool colour);

/* One VM resource: what it is doing, then its settings. */
int vm_sheet(const struct sheet *sheet, const struct op *op, const json_t *vm);

/* The host: first how KVM runs there and what that means. */
int host_sheet(const struct sheet *sheet, const json_t *host);

/* SGR parameter of a state's colour, or NULL. */
const char *vm_state_colour(const char *state);
