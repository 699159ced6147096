/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control protocol between hvd and one hvd-vmm: messages of fixed size on a SOCK_SEQPACKET unix
 * socket, descriptors beside them as SCM_RIGHTS.
 *
 * hvd-vmm serves any number of connections, all alike. The first is its standard input, on which
 * hvd sends CONTROL_START: memfd with the JSON spec, a listening socket bound to
 * /run/hvd/vms/NAME/control, then the files of vmm/files.h. A hvd that comes back after a restart
 * connects to that path. Every request is answered with one CONTROL_REPLY of the same serial, and
 * changes of state are sent to every connection as CONTROL_EVENT.
 *
 * The layout is versioned because an upgraded hvd meets older hvd-vmm processes: fields are only
 * ever added at the end, within CONTROL_MESSAGE_SIZE.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/balloon.h"
#include "vmm/base/err.h"
#include "vmm/counters.h"
#include "vmm/files.h"

#define CONTROL_VERSION 1
#define CONTROL_MAX_FDS (2 + VM_MAX_FILES)

/* Exit statuses of hvd-vmm beside 0 and EXIT_FAILURE, for a hvd that was not there to be told why. */
#define CONTROL_EXIT_PANIC    3
#define CONTROL_EXIT_WATCHDOG 4

enum control_type {
	/*
	 * result, state; text: of the error, or of what the VM is in its state for (paused by itself, reset
	 * by its watchdog, …); arg: that of the last spec taken; changing: the guest is asked for a
	 * CONTROL_UPDATE of a connection that may have gone, and CONTROL_SETTLED follows
	 */
	CONTROL_REPLY = 1,
	CONTROL_EVENT,     /* state, reason, text; serial 0 */
	CONTROL_START,     /* fds: spec, listener, files; arg: number of the spec */
	CONTROL_STATUS,
	CONTROL_PAUSE,
	CONTROL_RESUME,
	CONTROL_RESET,
	CONTROL_POWER_BUTTON,
	CONTROL_STOP,
	CONTROL_CONSOLE, /* fds: one stream socket; arg 1: may type */
	CONTROL_UPDATE,  /* fds: spec, files of disks and NICs that are new; arg: number of the spec */
	/* balloon: by itself, and behind the reply to CONTROL_STATUS, where there is one; serial 0 */
	CONTROL_BALLOON,
	CONTROL_DISK,    /* field: id; fds: a socket to the disk's next storage daemon */
	CONTROL_DISK_LOST, /* like CONTROL_EVENT: field: id of a disk whose storage daemon has ended */
	CONTROL_RESIZE_CONSOLE, /* arg: columns, and rows in the upper 16 bits */
	CONTROL_COUNT,     /* CONTROL_COUNTERS come before the reply */
	CONTROL_COUNTERS,  /* counters; field: id of a disk or NIC; serial: that of CONTROL_COUNT */
	/* like CONTROL_EVENT: the CONTROL_UPDATE of another connection is over; arg: as of a reply */
	CONTROL_SETTLED,
};

/* Counters of one kind (vmm/counters.h): of some vCPUs, or of one disk or NIC. */
#define CONTROL_COUNTERS_MAX 50
struct control_counters {
	uint32_t kind;   /* enum counters_kind */
	uint32_t first;  /* vCPU */
	uint32_t n;      /* of vCPUs, else 1 */
	uint32_t stride; /* values of each, in the order of its enum */
	uint64_t values[CONTROL_COUNTERS_MAX];
};

struct control_message {
	uint32_t version, type, serial;
	int32_t result;  /* 0 or negative errno */
	uint32_t state;  /* enum vmm_state */
	uint32_t reason; /* enum vmm_reason */
	uint32_t arg;
	uint32_t changing; /* 0 or 1 */
	char field[64]; /* of struct hvd_error */
	union {
		char text[432]; /* of struct hvd_error; NUL-terminated */
		struct balloon_info balloon; /* CONTROL_BALLOON */
		struct control_counters counters; /* CONTROL_COUNTERS */
	};
};

_Static_assert(sizeof(struct control_message) == 528, "the layout is an interface");

/*
 * Send one message with n descriptors (which stay the caller's). -EAGAIN when the peer does not read: close it.
 */
int control_send(int sock, const struct control_message *msg, const int *fds, size_t n);

/*
 * Receive one message. *n is the room in fds, and on return the number received (close-on-exec;
 * the caller's). Returns 1, 0 at end of file, -EAGAIN, -EBADMSG (not this protocol; descriptors
 * closed) or another -errno. Strings in msg are terminated.
 */
int control_recv(int sock, struct control_message *msg, int *fds, size_t *n);

/* Copy an error into and out of a message. */
void control_set_error(struct control_message *msg, int r, const struct hvd_error *err);
int control_get_error(const struct control_message *msg, struct hvd_error *err);
