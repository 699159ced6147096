/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the link module (link*.c) share; nobody else includes this.
 *
 *	link.c         asking, and what is done to any interface
 *	link_port.c    ports of bridges
 *	link_macvtap.c macvtaps
 *	link_filter.c  what a guest may send
 *	link_rule.c    rules of routing policy
 */
#pragma once

#include <libmnl/libmnl.h>

#include "daemon/link.h"
#include "vmm/base/cleanup.h"

#define LINK_REQUEST_SIZE 1024

/* A message of this type about an interface (0: none), in buf of LINK_REQUEST_SIZE. */
struct nlmsghdr *link_request(char *buf, uint16_t type, uint16_t flags, uint8_t family, int index);

/* Send it and wait for the answer; fn (may be NULL) gets what comes before its end. 0 or -errno. */
int link_talk(struct nlmsghdr *request, mnl_cb_t fn, void *ctx);

/* Set it up, and these flags (IFF_…) besides. */
int link_set_up(int index, unsigned more_flags);
