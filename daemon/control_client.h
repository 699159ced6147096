/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvd's end of the control protocol (daemon/control.h) with one hvd-vmm, on the event loop.
 *
 * Requests are answered in any order; each has a deadline. The connection ends by itself when
 * the process does, or breaks the protocol: pending requests then fail with -EPIPE, and the
 * owner is told once by closed(). Callbacks come from the event loop, and from
 * control_client_free(), which fails what is pending.
 */
#pragma once

#include <systemd/sd-event.h>

#include "daemon/control.h"
#include "vmm/base/cleanup.h"
#include "vmm/vmm.h"

/* hvd-vmm answers at once, when the host has a CPU for it. */
#define CONTROL_TIMEOUT_USEC (30 * 1000000ULL)
/* A whole start, from systemd's job to a guest that runs. Terabytes of huge pages take minutes to clear. */
#define CONTROL_START_TIMEOUT_USEC (180 * 1000000ULL)
/* Whoever asks for metrics wants some soon rather than all late. */
#define CONTROL_COUNT_TIMEOUT_USEC (2 * 1000000ULL)
/* The guest may have to let go of a device, and hvd-vmm is to be the one who says that it did not. */
#define CONTROL_UPDATE_TIMEOUT_USEC ((VMM_DETACH_SECONDS + 15) * 1000000ULL)

struct control_client;

struct control_client_ops {
	void (*event)(void *ctx, const struct control_message *msg); /* CONTROL_EVENT, _BALLOON, _SETTLED */
	void (*disk_lost)(void *ctx, const char *id);                /* CONTROL_DISK_LOST */
	void (*closed)(void *ctx);                                   /* the client may be freed in it */
};

/* reply is NULL when r < 0 and hvd-vmm has not answered. */
typedef void (*control_reply_fn)(void *ctx, int r, const struct control_message *reply,
				 const struct hvd_error *err);

/* sock: a connected SOCK_SEQPACKET socket, taken over in either outcome. 0 or -errno. */
int control_client_new(sd_event *event, int sock, const struct control_client_ops *ops, void *ctx,
		       struct control_client **ret);
/* Pending requests fail with -ECANCELED, from within; their callbacks must not free it again. */
struct control_client *control_client_free(struct control_client *client);
DEFINE_AUTO(struct control_client *, control_client_free);

/*
 * Send a request; fds stay the caller's. fn is called exactly once if this returns 0: with the
 * reply, -ETIMEDOUT, -EPIPE or -ECANCELED. Otherwise -ENOMEM, -EPIPE or -EAGAIN (hvd-vmm does not read) and err
 * is set.
 */
int control_client_request(struct control_client *client, enum control_type type, uint32_t arg,
			   const int *fds, size_t n, control_reply_fn fn, void *ctx,
			   struct hvd_error *err);

/*
 * CONTROL_COUNT, likewise: part is called with each CONTROL_COUNTERS before fn, checked: n times stride
 * values are within it, the vCPUs within VM_MAX_VCPUS. hvd-vmm has CONTROL_COUNT_TIMEOUT_USEC.
 */
typedef void (*control_counters_fn)(void *ctx, const struct control_counters *counters,
				    const char *id);
int control_client_count(struct control_client *client, control_counters_fn part,
			 control_reply_fn fn, void *ctx, struct hvd_error *err);

/* CONTROL_DISK, likewise. */
int control_client_send_disk(struct control_client *client, const char *id, int sock,
			     control_reply_fn fn, void *ctx, struct hvd_error *err);

/* For a fresh connection to the socket of a VM's runtime folder. Returns a descriptor or -errno. */
int control_connect(const char *path);

/* The listening socket at path, replacing what is there. Returns a descriptor or -errno. */
int control_listen(const char *path);
