/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/qmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "api/json.h"
#include "vmm/base/list.h"
#include "vmm/base/log.h"

#define LINE_MAX_BYTES (256 * 1024)
#define READ_BYTES     4096

struct command {
	struct list node;
	char *line; /* with its newline; NULL once sent */
	qmp_reply_fn fn;
	void *ctx;
};

struct qmp {
	int sock;
	sd_event_source *io;
	const struct qmp_ops *ops;
	void *ctx;
	bool greeted, closed;
	bool *freed; /* set when a callback frees the client */

	char *line; /* what has come of the next one */
	size_t len, room;
	struct list commands; /* the first is under way once it is sent */
};

static void command_free(struct command *command)
{
	list_remove(&command->node);
	free(command->line);
	free(command);
}

struct qmp *qmp_free(struct qmp *qmp)
{
	if (!qmp)
		return NULL;
	if (qmp->freed)
		*qmp->freed = true;
	while (!list_empty(&qmp->commands))
		command_free(list_entry(qmp->commands.next, struct command, node));
	sd_event_source_disable_unref(qmp->io);
	close(qmp->sock);
	free(qmp->line);
	free(qmp);
	return NULL;
}

static void lose(struct qmp *qmp)
{
	if (qmp->closed)
		return;
	qmp->closed = true;
	sd_event_source_set_enabled(qmp->io, SD_EVENT_OFF);
	qmp->ops->closed(qmp->ctx);
}

/* Commands are short: a socket that does not take one is stuck. */
static int send_next(struct qmp *qmp)
{
	struct command *command;
	size_t len;
	ssize_t n;

	if (!qmp->greeted || list_empty(&qmp->commands))
		return 0;
	command = list_entry(qmp->commands.next, struct command, node);
	if (!command->line)
		return 0;
	len = strlen(command->line);
	n = send(qmp->sock, command->line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(TAKE(command->line));
	return n == (ssize_t)len ? 0 : -EPIPE;
}

int qmp_execute(struct qmp *qmp, const char *name, json_t *arguments, qmp_reply_fn fn, void *ctx)
{
	AUTO(json_decref) json_t *object = json_pack("{s:s}", "execute", name);
	struct command *command = calloc(1, sizeof(*command));
	char *text = NULL;

	/* takes arguments over in either outcome */
	if (arguments && json_object_set_new(object, "arguments", arguments) < 0)
		goto fail;
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	if (!command || !text)
		goto fail;
	command->line = realloc(text, strlen(text) + 2);
	if (!command->line)
		goto fail;
	strcat(command->line, "\n");
	command->fn = fn;
	command->ctx = ctx;
	list_append(&qmp->commands, &command->node);
	/* when it cannot be sent, the end of the connection tells */
	if (qmp->commands.next == &command->node)
		(void)send_next(qmp);
	return 0;
fail:
	free(text);
	free(command);
	return -ENOMEM;
}

void qmp_printable(const char *text, char *buf, size_t size)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		buf[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
	buf[n] = '\0';
}

static void finish_command(struct qmp *qmp, json_t *message)
{
	struct command *command = list_entry(qmp->commands.next, struct command, node);
	json_t *result = json_object_get(message, "return");
	const char *desc = json_string_value(
		json_object_get(json_object_get(message, "error"), "desc"));
	qmp_reply_fn fn = command->fn;
	void *ctx = command->ctx;
	struct hvd_error err = { 0 };
	char text[200];

	command_free(command);
	if (!fn)
		return;
	if (result) {
		fn(ctx, 0, result, NULL);
		return;
	}
	qmp_printable(desc ? desc : "failed", text, sizeof(text));
	fn(ctx, hvd_err(&err, EIO, "qemu-storage-daemon: %s", text), NULL, &err);
}

/* Returns 1 when the client is freed, 0, or -EBADMSG. */
static int handle(struct qmp *qmp, json_t *message)
{
	bool freed = false;

	if (!json_is_object(message))
		return -EBADMSG;
	if (json_object_get(message, "event"))
		return 0;
	if (!qmp->greeted) {
		if (!json_object_get(message, "QMP"))
			return -EBADMSG;
		qmp->greeted = true;
		qmp->freed = &freed;
		qmp->ops->ready(qmp->ctx);
		if (freed)
			return 1;
		qmp->freed = NULL;
		return send_next(qmp);
	}
	if (list_empty(&qmp->commands) ||
	    list_entry(qmp->commands.next, struct command, node)->line)
		return -EBADMSG;
	qmp->freed = &freed;
	finish_command(qmp, message);
	if (freed)
		return 1;
	qmp->freed = NULL;
	return send_next(qmp);
}

static int handle_line(struct qmp *qmp, const char *line, size_t len)
{
	AUTO(json_decref) json_t *message = json_loadb(line, len, 0, NULL);

	return message ? handle(qmp, message) : -EBADMSG;
}

/* All whole lines; 1 when the client is freed. */
static int handle_lines(struct qmp *qmp)
{
	char *start = qmp->line, *end;
	int r = 0;

	while ((end = memchr(start, '\n', qmp->len - (size_t)(start - qmp->line)))) {
		r = handle_line(qmp, start, (size_t)(end - start));
		if (r)
			return r;
		start = end + 1;
	}
	qmp->len -= (size_t)(start - qmp->line);
	memmove(qmp->line, start, qmp->len);
	return 0;
}

static int receive(struct qmp *qmp)
{
	ssize_t n;

	if (qmp->room - qmp->len < READ_BYTES) {
		char *line = qmp->room < LINE_MAX_BYTES ? realloc(qmp->line, qmp->room + 4 * READ_BYTES)
							: NULL;

		if (!line)
			return -EBADMSG;
		qmp->line = line;
		qmp->room += 4 * READ_BYTES;
	}
	n = recv(qmp->sock, qmp->line + qmp->len, READ_BYTES, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	qmp->len += (size_t)n;
	return n ? 0 : -EPIPE;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct qmp *qmp = userdata;
	int r = receive(qmp);

	if (r == 0)
		r = handle_lines(qmp);
	if (r == -EBADMSG)
		log_warning("qemu-storage-daemon does not speak QMP");
	if (r < 0)
		lose(qmp);
	return 0;
}

int qmp_new(sd_event *event, int sock, const struct qmp_ops *ops, void *ctx, struct qmp **ret)
{
	AUTO(close) int fd = sock;
	AUTO(qmp_free) struct qmp *qmp = calloc(1, sizeof(*qmp));
	int r;

	if (!qmp)
		return -ENOMEM;
	qmp->sock = TAKE_FD(fd);
	qmp->ops = ops;
	qmp->ctx = ctx;
	list_init(&qmp->commands);
	r = sd_event_add_io(event, &qmp->io, qmp->sock, EPOLLIN, on_io, qmp);
	if (r >= 0)
		r = qmp_execute(qmp, "qmp_capabilities", NULL, NULL, NULL);
	if (r < 0)
		return r;
	*ret = TAKE(qmp);
	return 0;
}
