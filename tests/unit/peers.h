/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a D-Bus connection without a bus between them: real messages over a socket pair. */
#pragma once

#include <systemd/sd-bus.h>

#include "vmm/base/cleanup.h"

DEFINE_AUTO(sd_bus_message *, sd_bus_message_unref);

struct peers {
	sd_bus *client, *server;
};

/* 0 or -errno. */
int peers_open(struct peers *peers);
void peers_close(struct peers *peers);

/* A message with which client can be written to: a signal. */
int peers_message(struct peers *peers, sd_bus_message **ret);

/* Send it, and *ret is what server has received. */
int peers_pass(struct peers *peers, sd_bus_message *m, sd_bus_message **ret);
