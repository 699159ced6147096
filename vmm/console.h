/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's console: what the guest writes (PL011, virtio-console) goes into one ring, the
 * scrollback; clients are stream descriptors (a terminal, a socket) that each read the ring at
 * their own pace, and one of which may type.
 *
 * A client that does not read loses its oldest unread bytes, never stalls the guest. The ring
 * outlives a reset of the VM. Main-loop thread only, but where any thread is said.
 *
 * Two devices may share a console, the PL011 and virtio-console. The guest's choice of which one to
 * talk on is not known beforehand, so what is typed goes to the PL011 until the guest writes
 * something to virtio-console, and from then on there, until that device is reset.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"

#define CONSOLE_SCROLLBACK (64 * 1024) /* bytes */
#define CONSOLE_MAX_CLIENTS 16

struct console;

/* Receives what clients type. Returns how many bytes it took; see console_input_ready(). */
typedef size_t (*console_input_fn)(void *ctx, const uint8_t *data, size_t len);

int console_new(struct loop *main, struct console **ret);
struct console *console_free(struct console *console);
DEFINE_AUTO(struct console *, console_free);

/*
 * Append guest output; any thread (vCPUs, I/O loops). Takes one short lock, never blocks on I/O;
 * the main loop is woken only when a client waits for output and was not woken yet.
 */
void console_write(struct console *console, const uint8_t *data, size_t len);

/*
 * Serve a client on fd (any stream that epoll takes; made non-blocking, owned from here on in
 * either outcome) until it hangs up. It first gets the scrollback. writer: its input goes to the
 * guest, until it closes its end; what others type is thrown away. -EBUSY: another client has the
 * keyboard, -ENOSPC: CONSOLE_MAX_CLIENTS, -EPERM: a file. SIGPIPE is to be ignored for pipes.
 */
int console_attach(struct console *console, int fd, bool writer, struct hvd_error *err);

/* Of the terminal that shows it, in characters; 0: not known. It outlives a reset of the VM. Any thread. */
struct console_size {
	uint16_t columns, rows;
};
void console_set_size(struct console *console, struct console_size size);
struct console_size console_size(struct console *console);

/* Where input goes: the device that the guest reads. NULL: input is kept until there is one. */
void console_set_input(struct console *console, console_input_fn fn, void *ctx);

/*
 * Another device takes input over from the one of console_set_input(), and gives it back with
 * NULL. fn is called on the main loop, perhaps once more while this call runs. Any thread.
 */
void console_claim_input(struct console *console, console_input_fn fn, void *ctx);

/* The device has room again after having taken less than it was given. Any thread. */
void console_input_ready(struct console *console);
