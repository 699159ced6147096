/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One method call from D-Bus on its way: read the arguments, learn who sent it, ask polkit, hand
 * it to the core, reply. Nothing waits; calls are kept in a list, bounded in all and per user.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "api/ops.h"
#include "daemon/manager.h"

struct bus_calls {
	struct manager *manager;
	struct list calls;
	unsigned n_calls;
};

void bus_calls_init(struct bus_calls *calls, struct manager *manager);

/*
 * Withdraw all questions to polkit; calls that the core has finish by themselves, without reply.
 */
void bus_calls_clear(struct bus_calls *calls);

/*
 * Begin the call of op on the resource of this name, or for that in its arguments (NULL). Takes a reference on message. An
 * error is replied, too: returns what a sd-bus method handler returns.
 */
int bus_call_begin(struct bus_calls *calls, sd_bus_message *message, const struct op *op,
		   const char *name);
