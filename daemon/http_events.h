/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events (WHATWG HTML §9.2) of the REST front end: GET /v1/events with
 * Accept: text/event-stream.
 *
 * A stream is a place in the log of events and has no queue of its own: a client that reads slowly falls
 * behind, is told of the gap when what it has not read has left the log, and is cut when it has not
 * taken what was sent within the request timeout. While there is nothing to send the connection is
 * suspended in libmicrohttpd; a comment now and then shows that both sides are there.
 */
#pragma once

#include <microhttpd.h>
#include <systemd/sd-event.h>

#include "daemon/event_log.h"

struct http_client;
struct http_stream;
struct manager;

/* All streams of a server. */
struct http_streams {
	struct event_listener listener;
	sd_event_source *timer; /* heartbeats, while there are streams */
	struct list list;       /* struct http_stream */
	unsigned n, max, heartbeat; /* seconds */
};

/* max: streams at the same time. manager must outlive it. */
int http_streams_init(struct http_streams *streams, struct manager *manager, unsigned max,
		      unsigned heartbeat);
void http_streams_clear(struct http_streams *streams);

/*
 * Answer a request with the events after seq, and those to come. -EBUSY: too many streams.
 */
int http_stream_open(struct http_streams *streams, struct http_client *client,
		     struct MHD_Connection *connection, const struct event_filter *filter,
		     uint64_t seq, struct hvd_error *err);

/* The client has gone, or the server is about to be freed: a suspended connection must go on. */
void http_stream_abandon(struct http_stream *stream);
