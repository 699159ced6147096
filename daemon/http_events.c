/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "daemon/http_reply.h"
#include "daemon/http_request.h"
#include "daemon/manager.h"

#define USEC_PER_SEC 1000000ULL
#define BLOCK_SIZE   8192 /* what libmicrohttpd asks for at once, at most */
#define RETRY_MS     2000 /* how soon a client should come back when its connection has ended */

struct http_stream {
	struct list node;
	struct http_streams *streams;
	struct http_client *client;
	struct MHD_Connection *connection;
	struct event_filter filter;
	uint64_t seq; /* of the last event that was sent */
	bool suspended, beat, ending;
	sd_event_source *hangup; /* libmicrohttpd does not look at a suspended connection */

	char *out; /* what is being sent, and how far it is */
	size_t n_out, at;
};

static struct event_log *log_of(const struct http_stream *stream)
{
	return http_server_manager(stream->client->server)->events;
}

static int put(struct http_stream *stream, uint64_t seq, const char *type, const char *json)
{
	int n = asprintf(&stream->out, "id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", seq, type, json);

	if (n < 0) {
		stream->out = NULL;
		return -ENOMEM;
	}
	stream->n_out = (size_t)n;
	stream->at = 0;
	stream->seq = seq;
	return 1;
}

/* The next thing to send. 1: there is one, 0: not now, -ENOMEM. */
static int next(struct http_stream *stream)
{
	const struct event_log *log = log_of(stream);
	const struct event_entry *entry;
	AUTO(free) char *gap = NULL;
	uint64_t seq = 0;
	int r;

	r = event_log_gap(log, stream->seq, &seq, &gap);
	if (r < 0)
		return r;
	if (r > 0)
		return put(stream, seq, event_type_names[EVENT_GAP], gap);
	entry = event_log_next(log, stream->seq, &stream->filter);
	if (entry)
		return put(stream, entry->seq, event_type_names[entry->type], entry->json);
	/* what the filter does not take is not missed */
	stream->seq = event_log_newest(log);
	if (!stream->beat)
		return 0;
	stream->beat = false;
	stream->out = strdup(":\n\n");
	stream->n_out = 3;
	stream->at = 0;
	return stream->out ? 1 : -ENOMEM;
}

static size_t copy_out(struct http_stream *stream, char *buf, size_t max)
{
	size_t n = MIN(max, stream->n_out - stream->at);

	memcpy(buf, stream->out + stream->at, n);
	stream->at += n;
	if (stream->at == stream->n_out) {
		free(stream->out);
		stream->out = NULL;
	}
	return n;
}

/* libmicrohttpd has room for more: all that was sent before has been taken. */
static ssize_t on_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct http_stream *stream = cls;
	size_t n = 0;
	int r = 1;

	if (stream->ending)
		return MHD_CONTENT_READER_END_OF_STREAM;
	while (n < max && (stream->out || (r = next(stream)) > 0))
		n += copy_out(stream, buf + n, max - n);
	if (r < 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n) {
		http_client_phase(stream->client, HTTP_PHASE_REPLY);
		return (ssize_t)n;
	}
	http_client_phase(stream->client, HTTP_PHASE_BUSY);
	stream->suspended = true;
	MHD_suspend_connection(stream->connection);
	return 0;
}

static void resume(struct http_stream *stream)
{
	if (!stream->suspended)
		return;
	stream->suspended = false;
	MHD_resume_connection(stream->connection);
	http_server_wake(stream->client->server);
}

static void on_free(void *cls)
{
	struct http_stream *stream = cls;

	stream->client->stream = NULL;
	list_remove(&stream->node);
	if (!--stream->streams->n)
		sd_event_source_set_enabled(stream->streams->timer, SD_EVENT_OFF);
	sd_event_source_disable_unref(stream->hangup);
	free(stream->out);
	free(stream);
}

static int on_hangup(sd_event_source *source, int fd, uint32_t events, void *data)
{
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	http_stream_abandon(data);
	return 0;
}

static void on_event(struct event_listener *listener, const struct event *event)
{
	struct http_streams *streams = container_of(listener, struct http_streams, listener);
	struct http_stream *stream;

	list_for_each(stream, &streams->list, node)
		resume(stream);
}

static void set_timer(struct http_streams *streams)
{
	sd_event_source_set_time_relative(streams->timer, streams->heartbeat * USEC_PER_SEC);
	sd_event_source_set_enabled(streams->timer, SD_EVENT_ONESHOT);
}

static int on_heartbeat(sd_event_source *source, uint64_t usec, void *data)
{
	struct http_streams *streams = data;
	struct http_stream *stream;

	list_for_each(stream, &streams->list, node) {
		/* one that is not suspended has something to take first */
		stream->beat = stream->suspended;
		resume(stream);
	}
	set_timer(streams);
	return 0;
}

int http_streams_init(struct http_streams *streams, struct manager *manager, unsigned max,
		      unsigned heartbeat)
{
	int r;

	*streams = (struct http_streams){ .max = max, .heartbeat = heartbeat,
					  .listener.fn = on_event };
	list_init(&streams->list);
	r = sd_event_add_time(manager->event, &streams->timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC,
			      on_heartbeat, streams);
	if (r >= 0)
		r = sd_event_source_set_enabled(streams->timer, SD_EVENT_OFF);
	list_init(&streams->listener.node);
	if (r >= 0)
		event_log_listen(manager->events, &streams->listener);
	return r;
}

void http_streams_clear(struct http_streams *streams)
{
	if (streams->listener.fn)
		list_remove(&streams->listener.node);
	sd_event_source_disable_unref(streams->timer);
}

static enum MHD_Result reply(struct http_stream *stream)
{
	struct MHD_Response *response;
	enum MHD_Result r;

	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, on_read, stream,
						     on_free);
	if (!response) {
		on_free(stream);
		return MHD_NO;
	}
	r = MHD_add_response_header(response, MHD_HTTP_HEADER_SERVER, HTTP_SERVER_NAME);
	if (r)
		r = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
					    EVENT_STREAM_TYPE);
	if (r)
		r = MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (r)
		r = MHD_queue_response(stream->connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return r;
}

int http_stream_open(struct http_streams *streams, struct http_client *client,
		     struct MHD_Connection *connection, const struct event_filter *filter,
		     uint64_t seq, struct hvd_error *err)
{
	struct http_stream *stream;
	int r;

	if (streams->n >= streams->max)
		return hvd_err(err, EAGAIN, "%u clients follow the events already", streams->n);
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return hvd_err(err, ENOMEM, "out of memory");
	*stream = (struct http_stream){ .streams = streams, .client = client,
					.connection = connection, .filter = *filter, .seq = seq };
	r = sd_event_add_io(http_server_manager(client->server)->event, &stream->hangup, client->fd,
			    EPOLLRDHUP, on_hangup, stream);
	/* the head of the answer is to go out at once, whenever the first event comes */
	if (r < 0 || asprintf(&stream->out, "retry: %d\n\n", RETRY_MS) < 0) {
		sd_event_source_disable_unref(stream->hangup);
		free(stream);
		return hvd_err(err, ENOMEM, "out of memory");
	}
	stream->n_out = strlen(stream->out);
	list_append(&streams->list, &stream->node);
	if (!streams->n++)
		set_timer(streams);
	client->stream = stream;
	return reply(stream) ? 0 : hvd_err(err, ENOMEM, "out of memory");
}

void http_stream_abandon(struct http_stream *stream)
{
	stream->ending = true;
	resume(stream);
}
