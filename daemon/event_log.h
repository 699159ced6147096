/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of events: a ring in memory for those who ask, and a file for the next hvd.
 *
 * Each event has a number. Numbers only ever grow, also over restarts of hvd and of the host, so
 * that a client can say which was the last that it has seen. In memory are the last EVENT_LIST_MAX
 * events, EVENT_BYTES_MAX at most; a client that asks for what has gone is told of the gap.
 *
 * STATE/events has `log` and `log.old`, a line of JSON each event, rotated at EVENT_FILE_MAX, and
 * `seq`, a number that no event has reached yet. Lines are not synced: a crash of hvd loses none, one of
 * the host may lose the last; numbers go on behind `seq` after both. While the files cannot be
 * written, events are kept in memory alone.
 */
#pragma once

#include <sys/types.h>

#include "api/event.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/list.h"

#define EVENT_BYTES_MAX (1024 * 1024)
#define EVENT_FILE_MAX  (1024 * 1024)

struct event_log;

/* Told of each event, after it is in the ring. Strings of event are valid until fn returns. */
struct event_listener {
	struct list node;
	void (*fn)(struct event_listener *listener, const struct event *event);
};

/* An event in the ring. */
struct event_entry {
	uint64_t seq;
	enum event_type type;
	uint8_t vm_uuid[16];
	const char *vm; /* "" when it is about none */
	size_t len;
	const char *json; /* one object, as of event_schema */
};

/* What of the log somebody wants. */
struct event_filter {
	unsigned types; /* a bit per event_type; 0: all */
	char vm[64];    /* name, "": all */
	uint8_t vm_uuid[16];
	bool by_uuid; /* vm is a UUID, the one above */
};

/* folder is made; what is in it already is in the ring then. -ENOMEM, or the folder's errno. */
int event_log_new(const char *folder, struct event_log **ret, struct hvd_error *err);
struct event_log *event_log_free(struct event_log *log);
DEFINE_AUTO(struct event_log *, event_log_free);

/* Numbers and dates event, then logs it. Texts are taken as they are, made clean UTF-8. */
void event_log_add(struct event_log *log, struct event *event);

/* listener->node is the caller's to remove from its list. */
void event_log_listen(struct event_log *log, struct event_listener *listener);

/* Numbers of the oldest and the newest event in the ring; newest + 1 and newest when it is empty. */
uint64_t event_log_oldest(const struct event_log *log);
uint64_t event_log_newest(const struct event_log *log);

/* From the options of a query. -EINVAL. */
int event_filter_init(struct event_filter *filter, const struct event_options *options,
		      struct hvd_error *err);

/* Of the last event ever. */
uint64_t event_log_seq(const struct event_log *log);

/* The first after seq that the filter takes, or NULL; valid until the next event_log_add(). */
const struct event_entry *event_log_next(const struct event_log *log, uint64_t seq,
					 const struct event_filter *filter);
/* The number after which there are at most n that the filter takes. */
uint64_t event_log_last(const struct event_log *log, size_t n, const struct event_filter *filter);

/*
 * Has a client that has seen seq missed something? Then *ret is the event that tells it, whose
 * number is the one to go on from, as JSON. 1, 0, -ENOMEM.
 */
int event_log_gap(const struct event_log *log, uint64_t seq, uint64_t *ret_seq, char **ret);
