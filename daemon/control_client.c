/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/control_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "vmm/base/list.h"
#include "vmm/base/log.h"

#define LISTEN_BACKLOG 4

struct request {
	struct list node;
	struct control_client *client;
	uint32_t serial;
	sd_event_source *timer;
	control_counters_fn part; /* NULL: of another request than CONTROL_COUNT */
	control_reply_fn fn;
	void *ctx;
};

struct control_client {
	sd_event *event;
	int sock;
	sd_event_source *io;
	const struct control_client_ops *ops;
	void *ctx;
	struct list requests; /* struct request */
	uint32_t serial;
	bool closed; /* told the owner */
	bool *freed; /* set on free while a callback runs */
};

static void request_free(struct request *req)
{
	list_remove(&req->node);
	sd_event_source_disable_unref(req->timer);
	free(req);
}

/* Calls back and frees the request; the callback may free the client. */
static void request_finish(struct request *req, int r, const struct control_message *reply,
			   const struct hvd_error *err)
{
	control_reply_fn fn = req->fn;
	void *ctx = req->ctx;

	request_free(req);
	fn(ctx, r, reply, err);
}

static struct request *find_request(struct control_client *client, uint32_t serial)
{
	struct request *req;

	list_for_each(req, &client->requests, node)
		if (req->serial == serial)
			return req;
	return NULL;
}

/* The connection is at its end: fail what is pending, then tell the owner. */
static void client_close(struct control_client *client, bool *freed)
{
	struct hvd_error err = { 0 };

	sd_event_source_set_enabled(client->io, SD_EVENT_OFF);
	hvd_err(&err, EPIPE, "hvd-vmm closed its control connection");
	client->closed = true;

	while (!list_empty(&client->requests)) {
		request_finish(list_entry(client->requests.next, struct request, node), -EPIPE,
			       NULL, &err);
		if (*freed)
			return;
	}
	client->ops->closed(client->ctx);
}

static void handle_counters(struct request *req, const struct control_message *msg)
{
	const struct control_counters *c = &msg->counters;

	/* the sender is less trusted than we */
	if (req->part && c->kind < _COUNTERS_KIND_MAX && c->stride <= CONTROL_COUNTERS_MAX &&
	    c->n <= CONTROL_COUNTERS_MAX && c->n * c->stride <= CONTROL_COUNTERS_MAX &&
	    c->first < VM_MAX_VCPUS && c->n <= VM_MAX_VCPUS - c->first)
		req->part(req->ctx, c, msg->field);
}

static void handle_message(struct control_client *client, const struct control_message *msg)
{
	struct hvd_error err = { 0 };
	struct request *req;
	int r;

	if (msg->type == CONTROL_EVENT || msg->type == CONTROL_BALLOON || msg->type == CONTROL_SETTLED) {
		client->ops->event(client->ctx, msg);
		return;
	}
	if (msg->type == CONTROL_DISK_LOST) {
		client->ops->disk_lost(client->ctx, msg->field);
		return;
	}
	req = find_request(client, msg->serial);
	if (req && msg->type == CONTROL_COUNTERS)
		handle_counters(req, msg);
	if (!req || msg->type != CONTROL_REPLY)
		return; /* of a request that has timed out, or nothing that is known */

	r = control_get_error(msg, &err);
	request_finish(req, r, msg, r < 0 ? &err : NULL);
}

/* Take all that has come. False: the client was freed meanwhile. */
static bool receive(struct control_client *client)
{
	struct control_message msg;
	bool freed = false;
	int r;

	client->freed = &freed;
	for (;;) {
		size_t n = 0;

		r = control_recv(client->sock, &msg, NULL, &n);
		if (r != 1)
			break;
		handle_message(client, &msg);
		if (freed)
			return false;
	}
	if (r != -EAGAIN) {
		if (r < 0 && r != -ECONNRESET)
			log_warning("control connection to hvd-vmm: %s", strerror(-r));
		client_close(client, &freed);
	}
	if (!freed)
		client->freed = NULL;
	return !freed;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	receive(userdata);
	return 0;
}

int control_client_new(sd_event *event, int sock, const struct control_client_ops *ops, void *ctx,
		       struct control_client **ret)
{
	AUTO(close) int fd = sock;
	AUTO(control_client_free) struct control_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return -ENOMEM;

	list_init(&client->requests);
	client->sock = TAKE_FD(fd);
	client->event = sd_event_ref(event);
	client->ops = ops;
	client->ctx = ctx;

	r = sd_event_add_io(event, &client->io, client->sock, EPOLLIN, on_io, client);
	if (r < 0)
		return r;

	*ret = TAKE(client);
	return 0;
}

struct control_client *control_client_free(struct control_client *client)
{
	struct hvd_error err = { 0 };

	if (!client)
		return NULL;

	client->closed = true;
	if (client->freed)
		*client->freed = true;
	hvd_err(&err, ECANCELED, "the control connection is closed");
	while (!list_empty(&client->requests))
		request_finish(list_entry(client->requests.next, struct request, node), -ECANCELED,
			       NULL, &err);
	sd_event_source_disable_unref(client->io);
	sd_event_unref(client->event);
	close(client->sock);
	free(client);
	return NULL;
}

/* It may be hvd that is late: an answer that is there counts. */
static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct request *req = userdata;
	struct control_client *client = req->client;
	uint32_t serial = req->serial;
	struct hvd_error err = { 0 };

	if (!receive(client))
		return 0;
	req = find_request(client, serial);
	if (req)
		request_finish(req, hvd_err(&err, ETIMEDOUT, "hvd-vmm does not answer"), NULL, &err);
	return 0;
}

static uint64_t timeout_of(enum control_type type)
{
	switch (type) {
	case CONTROL_START:
		return CONTROL_START_TIMEOUT_USEC;
	case CONTROL_COUNT:
		return CONTROL_COUNT_TIMEOUT_USEC;
	case CONTROL_UPDATE:
		return CONTROL_UPDATE_TIMEOUT_USEC;
	default:
		return CONTROL_TIMEOUT_USEC;
	}
}

static int send_request(struct control_client *client, struct control_message *msg, const int *fds,
			size_t n, control_counters_fn part, control_reply_fn fn, void *ctx,
			struct hvd_error *err)
{
	struct request *req;
	int r;

	if (client->closed)
		return hvd_err(err, EPIPE, "hvd-vmm closed its control connection");

	req = calloc(1, sizeof(*req));
	if (!req)
		return hvd_err(err, ENOMEM, "out of memory");

	*req = (struct request){ .client = client, .part = part, .fn = fn, .ctx = ctx };
	req->serial = msg->serial = ++client->serial;
	list_append(&client->requests, &req->node);

	r = sd_event_add_time_relative(client->event, &req->timer, CLOCK_MONOTONIC,
				       timeout_of(msg->type), 0, on_timeout, req);
	if (r >= 0)
		r = control_send(client->sock, msg, fds, n);
	if (r < 0) {
		request_free(req);
		hvd_err(err, -r, "control connection to hvd-vmm: %s", strerror(-r));
	}
	return r < 0 ? r : 0;
}

int control_client_request(struct control_client *client, enum control_type type, uint32_t arg,
			   const int *fds, size_t n, control_reply_fn fn, void *ctx,
			   struct hvd_error *err)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = type, .arg = arg };

	return send_request(client, &msg, fds, n, NULL, fn, ctx, err);
}

int control_client_count(struct control_client *client, control_counters_fn part,
			 control_reply_fn fn, void *ctx, struct hvd_error *err)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_COUNT };

	return send_request(client, &msg, NULL, 0, part, fn, ctx, err);
}

int control_client_send_disk(struct control_client *client, const char *id, int sock,
			     control_reply_fn fn, void *ctx, struct hvd_error *err)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_DISK };

	snprintf(msg.field, sizeof(msg.field), "%s", id);
	return send_request(client, &msg, &sock, 1, NULL, fn, ctx, err);
}

static int control_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path) >=
	    sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	return 0;
}

int control_connect(const char *path)
{
	struct sockaddr_un addr;
	AUTO(close) int fd = -1;
	int r;

	r = control_address(path, &addr);
	if (r < 0)
		return r;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int control_listen(const char *path)
{
	struct sockaddr_un addr;
	AUTO(close) int fd = -1;
	int r;

	r = control_address(path, &addr);
	if (r < 0)
		return r;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	if (chmod(path, 0600) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		return -errno;
	return TAKE_FD(fd);
}
