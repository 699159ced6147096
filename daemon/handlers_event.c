/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/json.h"
#include "api/json_text.h"
#include "daemon/handlers_private.h"

/* What the options say, understood. */
struct choice {
	struct event_options options;
	struct event_filter filter;
	struct projection wanted;
	bool anew; /* it does not say after which event to begin */
	uint64_t seq;
};

static int understand(const struct call *call, struct choice *choice, struct hvd_error *err)
{
	const struct event_options *options = &choice->options;
	int r;

	choice->anew = !options->cursor && !json_object_get(call->options, "since");
	choice->seq = options->since;
	if (options->cursor)
		number_parse(options->cursor, &choice->seq);
	r = event_filter_init(&choice->filter, options, err);
	if (r >= 0 && options->fields)
		r = projection_parse(options->fields, &choice->wanted, err);
	return r < 0 ? r : projection_check(&choice->wanted, &event_schema, err);
}

static void append(struct json_text *text, const char *json, size_t len, bool *begun)
{
	if (*begun)
		json_text_raw(text, ",", 1);
	json_text_raw(text, json, len);
	*begun = true;
}

/* json is an event. */
static void append_event(struct json_text *text, const char *json, size_t len,
			 const struct choice *choice, bool *begun)
{
	AUTO(json_decref) json_t *event = NULL;
	AUTO(free) char *part = NULL;

	if (!choice->options.fields) {
		append(text, json, len, begun);
		return;
	}
	event = json_loadb(json, len, 0, NULL);
	if (event)
		projection_apply(&choice->wanted, event);
	part = event ? json_dumps(event, JSON_COMPACT) : NULL;
	if (part)
		append(text, part, strlen(part), begun);
	else
		text->failed = true;
}

/* A client that has missed some events is told so first. */
static int append_gap(const struct event_log *log, struct choice *choice, struct json_text *text,
		      bool *begun)
{
	AUTO(free) char *gap = NULL;
	int r;

	if (choice->anew)
		return 0;
	r = event_log_gap(log, choice->seq, &choice->seq, &gap);
	if (r > 0)
		append_event(text, gap, strlen(gap), choice, begun);
	return r;
}

/* The first events behind cursor or since, as many as there may be; without these the last ones. */
static int list_events(const struct event_log *log, struct choice *choice, struct json_text *text,
		       struct hvd_error *err)
{
	uint32_t limit = choice->options.limit;
	const struct event_entry *entry;
	bool begun = false;
	char next[48];

	if (choice->anew)
		choice->seq = event_log_last(log, limit, &choice->filter);
	json_text_raw(text, "{\"items\":[", 10);
	if (append_gap(log, choice, text, &begun) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	while ((entry = event_log_next(log, choice->seq, &choice->filter)) && limit--) {
		choice->seq = entry->seq;
		append_event(text, entry->json, entry->len, choice, &begun);
	}
	snprintf(next, sizeof(next), "],\"next\":\"%" PRIu64 "\"}\n", choice->seq);
	if (entry)
		json_text_raw(text, next, strlen(next));
	else
		json_text_raw(text, "]}\n", 3);
	return 0;
}

void handle_event_list(struct manager *manager, struct vm *vm, struct call *call)
{
	struct choice choice = { 0 };
	struct json_text text = { 0 };
	struct hvd_error err = { 0 };
	int r;

	r = call_options(call, &choice.options, &err);
	if (r >= 0)
		r = understand(call, &choice, &err);
	if (r >= 0)
		r = list_events(manager->events, &choice, &text, &err);
	if (r >= 0) {
		call->json = json_text_take(&text);
		if (!call->json)
			r = hvd_err(&err, ENOMEM, "out of memory");
	}
	json_text_clear(&text);
	schema_clear(&event_options_schema, &choice.options);
	call_finish(call, r, r < 0 ? &err : NULL);
}
