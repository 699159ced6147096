/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "api/json.h"
#include "daemon/handlers_private.h"

static int append(json_t *items, json_t *item, struct hvd_error *err)
{
	return json_array_append_new(items, item) < 0 ? hvd_err(err, ENOMEM, "out of memory") : 0;
}

/* After which event to begin; a client that has missed some is told so first. */
static int find_start(const struct call *call, const struct event_options *options,
		      const struct event_filter *filter, uint64_t *seq, struct hvd_error *err)
{
	const struct event_log *log = call->manager->events;
	AUTO(free) char *gap = NULL;

	*seq = options->since;
	if (!json_object_get(call->options, "since")) {
		*seq = event_log_last(log, options->limit, filter);
		return 0;
	}
	return event_log_gap(log, *seq, seq, &gap) == 0
		       ? 0
		       : append(call->result, gap ? json_loads(gap, 0, NULL) : NULL, err);
}

/* The first events after since, as many as there may be; without since, the last ones. */
static int list_events(const struct call *call, const struct event_options *options,
		       struct hvd_error *err)
{
	const struct event_log *log = call->manager->events;
	const struct event_entry *entry;
	struct event_filter filter;
	uint64_t seq;
	int r;

	r = event_filter_init(&filter, options, err);
	if (r >= 0)
		r = find_start(call, options, &filter, &seq, err);
	for (uint32_t n = 0; r >= 0 && n < options->limit; n++) {
		entry = event_log_next(log, seq, &filter);
		if (!entry)
			break;
		seq = entry->seq;
		r = append(call->result, json_loadb(entry->json, entry->len, 0, NULL), err);
	}
	return r;
}

void handle_event_list(struct manager *manager, struct vm *vm, struct call *call)
{
	struct event_options options;
	struct hvd_error err = { 0 };
	int r;

	r = call_options(call, &options, &err);
	if (r >= 0) {
		call->result = json_array();
		r = call->result ? list_events(call, &options, &err)
				 : hvd_err(&err, ENOMEM, "out of memory");
		schema_clear(&event_options_schema, &options);
	}
	call_finish(call, r, r < 0 ? &err : NULL);
}
