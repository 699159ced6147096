/* SPDX-License-Identifier: Apache-2.0 */
/* hvcli vm edit: the settings of a VM as JSON in the user's editor. */
#pragma once

#include "cli/command.h"

int vm_edit(struct client *client, const struct invocation *inv, struct hvd_error *err);

/*
 * The merge patch (RFC 7396) that makes `to` of `from`, both objects; an empty object when they are
 * the same. NULL when out of memory.
 */
json_t *edit_diff(const json_t *from, const json_t *to);
