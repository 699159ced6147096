/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CHUNK 4096
#define CHUNKS_PER_TURN 16 /* for one client, before others have theirs */
#define INPUT_SIZE 256

struct console_client {
	struct loop_source src;
	uint32_t events; /* watched for */
	struct console *console;
	struct list node;
	uint64_t cursor; /* position in the stream of output, not in the ring */
	bool is_socket;
	bool eof;        /* sends no more; still reads */
};

struct console_sink {
	console_input_fn fn;
	void *ctx;
};

struct console {
	struct loop *main;
	struct loop_work output_work, input_work;

	struct list clients;
	unsigned n_clients;
	struct console_client *writer; /* has the keyboard, or NULL */
	uint8_t input[INPUT_SIZE];     /* typed and not yet taken */
	size_t input_pos, input_len;

	pthread_mutex_t lock; /* protects what follows */
	struct console_sink sink, claimed;
	struct console_size size;
	bool wake_wanted; /* a client has read all there is */
	uint64_t written; /* bytes since creation; the ring holds the last of them */
	uint8_t ring[CONSOLE_SCROLLBACK];
};

void console_set_size(struct console *console, struct console_size size)
{
	pthread_mutex_lock(&console->lock);
	console->size = size;
	pthread_mutex_unlock(&console->lock);
}

struct console_size console_size(struct console *console)
{
	struct console_size size;

	pthread_mutex_lock(&console->lock);
	size = console->size;
	pthread_mutex_unlock(&console->lock);
	return size;
}

void console_write(struct console *console, const uint8_t *data, size_t len)
{
	bool wake;

	pthread_mutex_lock(&console->lock);
	if (len > CONSOLE_SCROLLBACK) {
		console->written += len - CONSOLE_SCROLLBACK;
		data += len - CONSOLE_SCROLLBACK;
		len = CONSOLE_SCROLLBACK;
	}
	while (len) {
		size_t at = console->written % CONSOLE_SCROLLBACK;
		size_t part = MIN(len, CONSOLE_SCROLLBACK - at);

		memcpy(console->ring + at, data, part);
		console->written += part;
		data += part;
		len -= part;
	}
	wake = console->wake_wanted;
	console->wake_wanted = false;
	pthread_mutex_unlock(&console->lock);

	if (wake)
		loop_post(console->main, &console->output_work);
}

/*
 * The next bytes for a client, copied because the ring goes on while they are being sent. Returns 0
 * when it has read all, and then the next console_write() wakes the main loop.
 */
static size_t next_chunk(struct console_client *client, uint8_t buf[static CHUNK])
{
	struct console *console = client->console;
	size_t at, len;

	pthread_mutex_lock(&console->lock);
	if (console->written - client->cursor > CONSOLE_SCROLLBACK)
		client->cursor = console->written - CONSOLE_SCROLLBACK;
	at = client->cursor % CONSOLE_SCROLLBACK;
	len = MIN((size_t)CHUNK, CONSOLE_SCROLLBACK - at);
	len = MIN(len, console->written - client->cursor);
	memcpy(buf, console->ring + at, len);
	if (!len)
		console->wake_wanted = true;
	pthread_mutex_unlock(&console->lock);
	return len;
}

static void detach(struct console_client *client)
{
	struct console *console = client->console;

	loop_remove(&client->src);
	close(client->src.fd);
	list_remove(&client->node);
	console->n_clients--;
	if (console->writer == client)
		console->writer = NULL;
	free(client);
}

static void watch(struct console_client *client, uint32_t bit, bool on)
{
	uint32_t events = on ? client->events | bit : client->events & ~bit;

	if (events == client->events)
		return;
	client->events = events;
	loop_modify(&client->src, events);
}

static ssize_t send_bytes(struct console_client *client, const void *buf, size_t len)
{
	if (client->is_socket)
		return send(client->src.fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return write(client->src.fd, buf, len);
}

/* Send what the client has not read. It may be gone on return. */
static void flush_client(struct console_client *client)
{
	uint8_t buf[CHUNK];

	for (int i = 0; i < CHUNKS_PER_TURN; i++) {
		size_t len = next_chunk(client, buf);
		ssize_t n;

		if (!len) {
			watch(client, EPOLLOUT, false);
			return;
		}
		n = send_bytes(client, buf, len);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			detach(client);
			return;
		}
		if (n < 0)
			break;
		client->cursor += (size_t)n;
	}
	watch(client, EPOLLOUT, true);
}

static void on_output(struct loop_work *work)
{
	struct console *console = container_of(work, struct console, output_work);
	struct console_client *client;

	/* who waits for EPOLLOUT is served then */
	list_for_each(client, &console->clients, node)
		if (!(client->events & EPOLLOUT))
			flush_client(client);
}

static struct console_sink current_sink(struct console *console)
{
	struct console_sink sink;

	pthread_mutex_lock(&console->lock);
	sink = console->claimed.fn ? console->claimed : console->sink;
	pthread_mutex_unlock(&console->lock);
	return sink;
}

/* Give the device what it takes; the client with the keyboard is read when all is gone. */
static void pump_input(struct console *console)
{
	struct console_sink sink = current_sink(console);

	if (sink.fn && console->input_len) {
		const uint8_t *data = console->input + console->input_pos;
		size_t n = sink.fn(sink.ctx, data, console->input_len);

		console->input_pos += n;
		console->input_len -= n;
	}
	if (console->writer)
		watch(console->writer, EPOLLIN, !console->input_len);
}

static void on_input_ready(struct loop_work *work)
{
	pump_input(container_of(work, struct console, input_work));
}

static void end_of_input(struct console_client *client)
{
	client->eof = true;
	watch(client, EPOLLIN, false);
	if (client->console->writer == client)
		client->console->writer = NULL;
}

/* Returns false when the client is gone. */
static bool read_client(struct console_client *client)
{
	struct console *console = client->console;
	bool writer = console->writer == client;
	uint8_t ignored[INPUT_SIZE];
	ssize_t n;

	n = read(client->src.fd, writer ? console->input : ignored, INPUT_SIZE);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		detach(client);
		return false;
	}
	if (n == 0) {
		end_of_input(client);
	} else if (writer) {
		console->input_pos = 0;
		console->input_len = (size_t)n;
		pump_input(console);
	}
	return true;
}

static void on_client(struct loop_source *src, uint32_t events)
{
	struct console_client *client = container_of(src, struct console_client, src);
	bool can_read = client->events & EPOLLIN;

	/* What a client sent before it hung up is read first, unless the guest does not take it. */
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN && can_read)) {
		detach(client);
		return;
	}
	if (events & EPOLLIN && can_read && !read_client(client))
		return;
	if (events & EPOLLOUT)
		flush_client(client);
}

static bool is_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

static int check_attach(struct console *console, bool writer, struct hvd_error *err)
{
	if (console->n_clients == CONSOLE_MAX_CLIENTS)
		return hvd_err(err, ENOSPC, "the console has %u clients already",
			       CONSOLE_MAX_CLIENTS);
	if (writer && console->writer)
		return hvd_err(err, EBUSY, "another client has the keyboard: attach read-only");
	return 0;
}

int console_attach(struct console *console, int fd, bool writer, struct hvd_error *err)
{
	AUTO(close) int owned = fd;
	AUTO(free) struct console_client *client = NULL;
	int r, flags;

	r = check_attach(console, writer, err);
	if (r < 0)
		return r;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return hvd_err(err, errno, "console: %s", strerror(errno));

	client = calloc(1, sizeof(*client));
	if (!client)
		return hvd_err(err, ENOMEM, "out of memory");

	/* The cursor of a new client is at 0: what the ring still has of that is the scrollback. */
	client->console = console;
	client->is_socket = is_socket(fd);
	client->src = (struct loop_source){ .fd = fd, .fn = on_client };
	client->events = EPOLLOUT | (writer && console->input_len ? 0 : EPOLLIN);
	r = loop_add(console->main, &client->src, client->events);
	if (r < 0)
		return hvd_err(err, -r, "console: cannot watch the client: %s", strerror(-r));

	owned = -1;
	list_append(&console->clients, &client->node);
	console->n_clients++;
	if (writer)
		console->writer = client;
	client = NULL;
	return 0;
}

static void set_sink(struct console *console, struct console_sink *sink, console_input_fn fn,
		     void *ctx)
{
	pthread_mutex_lock(&console->lock);
	*sink = (struct console_sink){ .fn = fn, .ctx = ctx };
	pthread_mutex_unlock(&console->lock);
	console_input_ready(console);
}

void console_set_input(struct console *console, console_input_fn fn, void *ctx)
{
	set_sink(console, &console->sink, fn, ctx);
}

void console_claim_input(struct console *console, console_input_fn fn, void *ctx)
{
	set_sink(console, &console->claimed, fn, ctx);
}

void console_input_ready(struct console *console)
{
	loop_post(console->main, &console->input_work);
}

int console_new(struct loop *main, struct console **ret)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console)
		return -ENOMEM;

	console->main = main;
	console->output_work.fn = on_output;
	console->input_work.fn = on_input_ready;
	list_init(&console->clients);
	pthread_mutex_init(&console->lock, NULL);
	*ret = console;
	return 0;
}

struct console *console_free(struct console *console)
{
	struct console_client *client;

	if (!console)
		return NULL;

	list_for_each(client, &console->clients, node)
		detach(client);
	loop_cancel(console->main, &console->output_work);
	loop_cancel(console->main, &console->input_work);
	pthread_mutex_destroy(&console->lock);
	free(console);
	return NULL;
}
