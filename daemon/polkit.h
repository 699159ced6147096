/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who sent a D-Bus message, and may they: questions to the bus driver and to polkit, asked without
 * waiting. Freeing the returned slot (sd_bus_slot_unref) withdraws a question: its callback is
 * not called any more. Otherwise it is called once, from the event loop.
 */
#pragma once

#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "vmm/base/err.h"

/* r < 0: err says why; uid and pid (0: unknown) are not set. */
typedef void (*polkit_peer_fn)(void *ctx, int r, const struct hvd_error *err, uid_t uid, pid_t pid);

/* r: 0 authorised; -EACCES not, or polkit is not there to ask. */
typedef void (*polkit_done_fn)(void *ctx, int r, const struct hvd_error *err);

struct polkit_query {
	polkit_peer_fn peer;
	polkit_done_fn done;
	void *ctx;
	const char *action; /* "org.hvd1.operate" */
};

/* query stays the caller's until the callback or the slot's end. Return 0 or a negative errno. */
int polkit_identify(sd_bus_message *message, struct polkit_query *query, sd_bus_slot **ret);

/*
 * May the sender of message do query->action? A dialog is allowed to come up when the message says
 * so (ALLOW_INTERACTIVE_AUTHORIZATION), and a person has some minutes for it.
 */
int polkit_authorise(sd_bus_message *message, struct polkit_query *query, sd_bus_slot **ret);
