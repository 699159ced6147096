/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/event_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/json.h"
#include "api/utf8.h"
#include "daemon/event_file.h"
#include "vmm/base/log.h"

/* One allocation: the entry, its JSON, the name of its VM. */
struct slot {
	struct event_entry entry;
	char text[];
};

struct event_log {
	struct slot *ring[EVENT_LIST_MAX];
	size_t first, n; /* the oldest, and how many there are */
	size_t bytes;
	uint64_t seq; /* of the newest event there ever was */
	struct list listeners;
	struct event_file file;
};

static const struct event_entry *entry_at(const struct event_log *log, size_t i)
{
	return &log->ring[(log->first + i) % EVENT_LIST_MAX]->entry;
}

static size_t slot_size(const struct event_entry *entry)
{
	return sizeof(struct slot) + entry->len + 1 + strlen(entry->vm) + 1;
}

static void drop_oldest(struct event_log *log)
{
	struct slot *slot = log->ring[log->first];

	log->bytes -= slot_size(&slot->entry);
	free(slot);
	log->ring[log->first] = NULL;
	log->first = (log->first + 1) % EVENT_LIST_MAX;
	log->n--;
}

/* json is one object of len bytes. -ENOMEM. */
static int keep(struct event_log *log, const struct event *event, const char *json, size_t len)
{
	const char *vm = event->vm ? event->vm : "";
	struct slot *slot = malloc(sizeof(*slot) + len + 1 + strlen(vm) + 1);

	if (!slot)
		return -ENOMEM;
	slot->entry = (struct event_entry){ .seq = event->seq, .type = event->type, .len = len,
					    .json = slot->text, .vm = slot->text + len + 1 };
	memcpy(slot->entry.vm_uuid, event->vm_uuid, sizeof(event->vm_uuid));
	memcpy(slot->text, json, len);
	slot->text[len] = '\0';
	strcpy(slot->text + len + 1, vm);

	while (log->n && (log->n == EVENT_LIST_MAX ||
			  log->bytes + slot_size(&slot->entry) > EVENT_BYTES_MAX))
		drop_oldest(log);
	log->ring[(log->first + log->n++) % EVENT_LIST_MAX] = slot;
	log->bytes += slot_size(&slot->entry);
	log->seq = event->seq;
	return 0;
}

/* ---- adding ---- */

static void clean(char *text)
{
	if (text)
		utf8_clean(text);
}

/* NULL: out of memory. */
static char *to_json(const struct event *event)
{
	AUTO(json_decref) json_t *json = json_from_obj(&event_schema, event);

	return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void event_log_add(struct event_log *log, struct event *event)
{
	struct event_listener *listener;
	AUTO(free) char *json = NULL;

	event->time_usec = now_usec();
	event->seq = log->seq + 1;
	clean(event->detail);
	json = to_json(event);
	if (!json || keep(log, event, json, strlen(json)) < 0) {
		/* who asks is told of a gap: the number is gone */
		log->seq++;
		log_err("out of memory: event %" PRIu64 " is lost", event->seq);
		return;
	}
	event_file_add(&log->file, event->seq, json, strlen(json));
	list_for_each(listener, &log->listeners, node)
		listener->fn(listener, event);
}

void event_log_listen(struct event_log *log, struct event_listener *listener)
{
	list_append(&log->listeners, &listener->node);
}

/* ---- what an earlier hvd has left ---- */

static const char *text_of(const json_t *json, const char *name)
{
	return json_string_value(json_object_get(json, name));
}

static uint64_t on_line(void *ctx, const char *line, size_t len)
{
	struct event_log *log = ctx;
	AUTO(json_decref) json_t *json = NULL;
	struct event event = { 0 };
	const char *uuid;

	if (json_parse(line, len, &json, NULL) < 0)
		return 0;
	event.seq = (uint64_t)json_integer_value(json_object_get(json, "seq"));
	event.vm = (char *)text_of(json, "vm");
	uuid = text_of(json, "vm_uuid");
	if (!text_of(json, "type") || event.seq <= log->seq || event.seq > INT64_MAX)
		return 0;
	while (event.type < _EVENT_TYPE_MAX &&
	       strcmp(event_type_names[event.type], text_of(json, "type")) != 0)
		event.type++;
	if (event.type == _EVENT_TYPE_MAX || (uuid && uuid_parse(uuid, event.vm_uuid) < 0))
		return 0;
	return keep(log, &event, line, len) < 0 ? 0 : event.seq;
}

int event_log_new(const char *folder, struct event_log **ret, struct hvd_error *err)
{
	AUTO(event_log_free) struct event_log *log = calloc(1, sizeof(*log));
	uint64_t seq = 0;
	int r;

	if (!log)
		return hvd_err(err, ENOMEM, "out of memory");
	list_init(&log->listeners);
	r = event_file_open(&log->file, folder, on_line, log, &seq, err);
	if (r < 0)
		return r;
	log->seq = seq;
	*ret = TAKE(log);
	return 0;
}

struct event_log *event_log_free(struct event_log *log)
{
	if (!log)
		return NULL;
	while (log->n)
		drop_oldest(log);
	event_file_close(&log->file, log->seq);
	free(log);
	return NULL;
}

/* ---- asking ---- */

uint64_t event_log_oldest(const struct event_log *log)
{
	return log->n ? entry_at(log, 0)->seq : log->seq + 1;
}

uint64_t event_log_newest(const struct event_log *log)
{
	return log->seq;
}

int event_filter_init(struct event_filter *filter, const struct event_options *options,
		      struct hvd_error *err)
{
	*filter = (struct event_filter){ 0 };
	if (options->vm) {
		snprintf(filter->vm, sizeof(filter->vm), "%s", options->vm);
		filter->by_uuid = uuid_parse(options->vm, filter->vm_uuid) == 0;
	}
	return options->type ? event_types_parse(options->type, &filter->types, err) : 0;
}

static bool matches(const struct event_entry *entry, const struct event_filter *filter)
{
	if (filter->types && !(filter->types & 1u << entry->type))
		return false;
	if (!filter->vm[0] || strcmp(filter->vm, entry->vm) == 0)
		return true;
	return filter->by_uuid && memcmp(filter->vm_uuid, entry->vm_uuid, 16) == 0;
}

const struct event_entry *event_log_next(const struct event_log *log, uint64_t seq,
					 const struct event_filter *filter)
{
	size_t low = 0, high = log->n;

	/* the first that is newer: numbers grow */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (entry_at(log, middle)->seq <= seq)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < log->n; low++)
		if (matches(entry_at(log, low), filter))
			return entry_at(log, low);
	return NULL;
}

uint64_t event_log_seq(const struct event_log *log)
{
	return log->seq;
}

uint64_t event_log_last(const struct event_log *log, size_t n, const struct event_filter *filter)
{
	for (size_t i = log->n; i; i--)
		if (matches(entry_at(log, i - 1), filter) && !n--)
			return entry_at(log, i - 1)->seq;
	return 0;
}

int event_log_gap(const struct event_log *log, uint64_t seq, uint64_t *ret_seq, char **ret)
{
	uint64_t oldest = event_log_oldest(log);
	struct event event = { .type = EVENT_GAP, .seq = oldest - 1,
			       .time_usec = now_usec() };
	char detail[128];
	char *json;

	if (seq > log->seq)
		snprintf(detail, sizeof(detail), "there is no event %" PRIu64 " yet", seq);
	else if (seq + 1 < oldest && seq < log->seq)
		snprintf(detail, sizeof(detail),
			 "events %" PRIu64 " to %" PRIu64 " are not kept any more", seq + 1,
			 oldest - 1);
	else
		return 0;
	event.detail = detail;
	json = to_json(&event);
	if (!json)
		return -ENOMEM;
	*ret_seq = event.seq;
	*ret = json;
	return 1;
}
