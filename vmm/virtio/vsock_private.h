/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the socket device share; nobody else includes this.
 *
 *	vsock.c        the device: packets to and from the guest
 *	vsock_conn.c   connections: a socket of the host on the one side, credit and state on the other
 *	vsock_host.c   programs of the host that want one
 *
 * Nothing is kept of what goes to the guest: it is read from the socket when the guest has credit and a
 * buffer for it. What comes from the guest and the socket does not take is kept, up to VSOCK_BUFFER,
 * which is what the guest is told that it may send. The guest gets an answer for each packet that
 * wants one; when it leaves no room for them, no more packets are taken from it.
 *
 * All on the device's I/O loop.
 */
#pragma once

#include <linux/virtio_vsock.h>

#include "vmm/virtio/virtio.h"

#define VSOCK_MAX_CONNECTIONS 512
#define VSOCK_BUFFER	      (64 * KIB)
#define VSOCK_BUCKETS	      128
#define VSOCK_MAX_RESETS      32
#define VSOCK_FIRST_PORT      (1U << 30) /* of the host, for connections that it begins: above what is listened on */
#define VSOCK_GREETING_MAX    32 /* "CONNECT 4294967295\n" */
#define VSOCK_HOST_CID	      2ULL

#define VSOCK_BOTH ((uint32_t)(VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND))

#define VSOCK_OP(op) (1U << VIRTIO_VSOCK_OP_##op)

enum vsock_state {
	VSOCK_GREETING,  /* a program of the host has connected, and is to say to which port */
	VSOCK_REQUESTED, /* the guest has been asked */
	VSOCK_OPEN,
	VSOCK_DRAINING, /* the guest has forgotten it; the socket is to take what is left */
	VSOCK_CLOSED,   /* no socket any more: until the guest says that it has no more use for it */
	VSOCK_DEAD,     /* until the guest has been sent a reset */
};

struct vsock_conn {
	struct list by_ports; /* in a bucket, from VSOCK_REQUESTED to VSOCK_CLOSED */
	struct list ready;    /* has something for the guest */
	struct list closed;   /* in VSOCK_CLOSED, the oldest first */
	struct list unused;
	struct vsock *vsock;
	struct loop_source src;
	enum vsock_state state;
	uint32_t host_port, guest_port;

	uint32_t pending;      /* VSOCK_OP() of packets for the guest */
	uint32_t closed_sides; /* VIRTIO_VSOCK_SHUTDOWN_*: what the host's side does not do any more */
	uint32_t guest_closed; /* what the guest does not */
	bool readable, writable, hung_up; /* as epoll has told, until the contrary shows */

	/* Credit (virtio 1.2 §5.10.6.3). Counters of bytes, which wrap. */
	uint32_t sent, peer_alloc, peer_forwarded;
	uint32_t forwarded, told_forwarded;
	bool asked_credit;

	/* From the guest, for the socket: a ring of VSOCK_BUFFER bytes. */
	uint32_t at, len;
	bool buffer_used;

	char greeting[VSOCK_GREETING_MAX];
	unsigned n_greeting;
};

struct vsock_ports {
	uint32_t host, guest;
};

struct vsock {
	struct virtio_dev dev;
	uint64_t cid;
	char *folder;                /* NULL: the guest reaches nobody */
	struct loop_source listener; /* fd -1: nobody reaches the guest */
	bool running;
	bool incoming; /* somebody waits to be accepted */
	uint32_t next_port;

	struct vsock_conn conns[VSOCK_MAX_CONNECTIONS];
	unsigned n_conns; /* that have ever been used */
	uint8_t *buffers; /* of all of them */
	struct list unused, ready, closed;
	struct list buckets[VSOCK_BUCKETS];

	/* Resets for what is no connection: a ring. */
	struct vsock_ports resets[VSOCK_MAX_RESETS];
	unsigned first_reset, n_resets;
};

/* --- connections */

int vsock_conns_init(struct vsock *v);
void vsock_conns_destroy(struct vsock *v);
/* The guest forgets them all, and so does the host. */
void vsock_conns_reset(struct vsock *v);
/* Do what has been left undone while the device was suspended. */
void vsock_conns_resume(struct vsock *v);

/* fd is the connection's in either outcome. NULL: no room. */
struct vsock_conn *vsock_conn_new(struct vsock *v, int fd, enum vsock_state state);
/* It is over, and nobody is told. */
void vsock_conn_release(struct vsock_conn *c);
/* From now on it is found by its ports. */
void vsock_conn_name(struct vsock_conn *c, uint32_t host_port, uint32_t guest_port);
/* It has these packets for the guest, VSOCK_OP(), or data. */
void vsock_conn_pend(struct vsock_conn *c, uint32_t ops);

struct vsock_conn *vsock_find(struct vsock *v, uint32_t host_port, uint32_t guest_port);

/* The guest wants to connect to a port of the host. Returns false when it is refused. */
bool vsock_request(struct vsock *v, const struct virtio_vsock_hdr *hdr);

/* A packet of the guest's for a connection; iov has hdr->len bytes, or more. */
void vsock_packet(struct vsock_conn *c, const struct virtio_vsock_hdr *hdr, struct iovec *iov,
		  unsigned n);

/*
 * The next packet for the guest. Fills op, flags and len, and reads the payload into iov; the rest of
 * the header is filled too. Returns false when there is none. c may be gone on return.
 */
bool vsock_produce(struct vsock_conn *c, struct virtio_vsock_hdr *hdr, struct iovec *iov, unsigned n);

/* Does the connection have something for the guest? */
bool vsock_wants(const struct vsock_conn *c);

/* --- programs of the host */

/* Take who waits at the listener, as far as there is room. */
void vsock_accept(struct vsock *v);

/* One that has been taken has said something, or has gone. c may be gone on return. */
void vsock_greet(struct vsock_conn *c);

/* Tell one that the guest has accepted, before anything else. False: it does not take that. */
bool vsock_welcome(struct vsock_conn *c);

/* --- the device */

/* Send what waits for the guest, as far as it has buffers. */
void vsock_send(struct vsock *v);
