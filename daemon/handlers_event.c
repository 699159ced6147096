/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "api/json.h"
#include "api/json_text.h"
#include "daemon/handlers_private.h"

static void append(struct json_text *text, const char *json, size_t len, bool *begun)
{
	if (*begun)
		json_text_raw(text, ",", 1);
	json_text_raw(text, json, len);
	*begun = true;
}

/* After which event to begin; a client that has missed some is told so first. */
static int find_start(const struct call *call, const struct event_options *options,
		      const struct event_filter *filter, struct json_text *text, bool *begun,
		      uint64_t *seq)
{
	const struct event_log *log = call->manager->events;
	AUTO(free) char *gap = NULL;
	int r;

	*seq = options->since;
	if (!json_object_get(call->options, "since")) {
		*seq = event_log_last(log, options->limit, filter);
		return 0;
	}
	r = event_log_gap(log, *seq, seq, &gap);
	if (r > 0)
		append(text, gap, strlen(gap), begun);
	return r;
}

/* The first events after since, as many as there may be; without since, the last ones. */
static int list_events(const struct call *call, const struct event_options *options,
		       struct json_text *text, struct hvd_error *err)
{
	const struct event_log *log = call->manager->events;
	const struct event_entry *entry;
	struct event_filter filter;
	bool begun = false;
	uint64_t seq;
	int r;

	r = event_filter_init(&filter, options, err);
	if (r < 0)
		return r;
	json_text_raw(text, "{\"items\":[", 10);
	r = find_start(call, options, &filter, text, &begun, &seq);
	if (r < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	for (uint32_t n = 0; n < options->limit && (entry = event_log_next(log, seq, &filter)); n++) {
		seq = entry->seq;
		append(text, entry->json, entry->len, &begun);
	}
	json_text_raw(text, "]}\n", 3);
	return 0;
}

void handle_event_list(struct manager *manager, struct vm *vm, struct call *call)
{
	struct event_options options;
	struct json_text text = { 0 };
	struct hvd_error err = { 0 };
	int r;

	r = call_options(call, &options, &err);
	if (r >= 0) {
		r = list_events(call, &options, &text, &err);
		schema_clear(&event_options_schema, &options);
	}
	if (r >= 0) {
		call->json = json_text_take(&text);
		if (!call->json)
			r = hvd_err(&err, ENOMEM, "out of memory");
	}
	json_text_clear(&text);
	call_finish(call, r, r < 0 ? &err : NULL);
}
