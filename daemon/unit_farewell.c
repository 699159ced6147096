/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/unit_farewell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/unit.h"
#include "vmm/base/list.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

#define POLL_FIRST_USEC 20000ULL
#define POLL_MAX_USEC   2000000ULL
#define POLLS_MAX       100 /* minutes: systemd has killed it long before */

struct farewell {
	struct list node; /* in manager->farewells */
	struct manager *manager;
	char unit[UNIT_NAME_MAX];
	struct unit_query *query;
	sd_event_source *timer;
	unsigned polls;
};

static void leave(struct farewell *farewell)
{
	list_remove(&farewell->node);
	unit_query_free(farewell->query);
	sd_event_source_disable_unref(farewell->timer);
	free(farewell);
}

static struct farewell *find(struct manager *manager, const char *unit)
{
	struct farewell *farewell;

	list_for_each(farewell, &manager->farewells, node)
		if (strcmp(farewell->unit, unit) == 0)
			return farewell;
	return NULL;
}

static void ask(struct farewell *farewell);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct farewell *farewell = userdata;

	farewell->timer = sd_event_source_disable_unref(farewell->timer);
	ask(farewell);
	return 0;
}

static void ask_later(struct farewell *farewell)
{
	uint64_t delay = POLL_FIRST_USEC << MIN(farewell->polls, 10u);

	if (++farewell->polls > POLLS_MAX ||
	    sd_event_add_time_relative(farewell->manager->event, &farewell->timer, CLOCK_MONOTONIC,
				       MIN(delay, POLL_MAX_USEC), 0, on_timer, farewell) < 0) {
		log_warning("%s has not ended", farewell->unit);
		leave(farewell);
	}
}

static void on_info(void *ctx, int r, const struct unit_info *info, const struct hvd_error *err)
{
	struct farewell *farewell = ctx;

	farewell->query = unit_query_free(farewell->query);
	if (r < 0 || info->state == UNIT_ALIVE) {
		ask_later(farewell);
		return;
	}
	if (info->state == UNIT_FAILED)
		unit_reset_failed_name(farewell->manager->bus, farewell->unit);
	leave(farewell);
}

static void ask(struct farewell *farewell)
{
	if (unit_query_name(farewell->manager->bus, farewell->unit, on_info, farewell, &farewell->query, NULL) < 0)
		ask_later(farewell);
}

void unit_farewell(struct manager *manager, const char *unit)
{
	struct farewell *farewell;

	if (!manager->bus)
		return;
	unit_stop_name(manager->bus, unit);
	unit_reset_failed_name(manager->bus, unit);
	if (find(manager, unit))
		return;
	farewell = calloc(1, sizeof(*farewell));
	if (!farewell) {
		log_err("out of memory, the end of %s is not seen", unit);
		return;
	}
	farewell->manager = manager;
	snprintf(farewell->unit, sizeof(farewell->unit), "%s", unit);
	list_append(&manager->farewells, &farewell->node);
	ask(farewell);
}

void unit_farewell_drop(struct manager *manager, const char *unit)
{
	struct farewell *farewell = find(manager, unit);

	if (farewell)
		leave(farewell);
}

void unit_farewells_drop(struct manager *manager)
{
	while (!list_empty(&manager->farewells))
		leave(list_entry(manager->farewells.next, struct farewell, node));
}
