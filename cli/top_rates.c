/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_rates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value.h"
#include "vmm/base/macro.h"

#define USEC_PER_SEC 1e6
#define BUSY_PERCENT 80
#define STEAL_PERCENT 5

const char *const top_sort_names[_TOP_SORT_MAX + 1] = {
	[TOP_CPU] = "cpu",     [TOP_STEAL] = "steal", [TOP_MEMORY] = "memory", [TOP_DISK] = "disk",
	[TOP_NET] = "net",     [TOP_EXITS] = "exits", [TOP_NAME] = "name",
};

/* ---- two looks at one VM ---- */

struct looks {
	const json_t *before, *now; /* before NULL: it is new */
	double seconds;
};

static double number_at(const json_t *obj, const char *place)
{
	return json_number_value(value_at(obj, place));
}

/* By how much it has grown in a second. What has gone back has begun anew. */
static double rate(const struct looks *looks, const char *place)
{
	double now = number_at(looks->now, place), before = number_at(looks->before, place);

	if (!looks->before || looks->seconds <= 0 || now < before)
		return 0;
	return (now - before) / looks->seconds;
}

/* The item of the other list that has the same first member as this one. */
static const json_t *find_item(const json_t *list, const char *key, const json_t *item)
{
	size_t i;
	json_t *other;

	json_array_foreach(list, i, other)
		if (json_equal(json_object_get(other, key), json_object_get(item, key)))
			return other;
	return NULL;
}

static struct looks item_looks(const struct looks *vm, const char *list, const char *key,
			       const json_t *item)
{
	return (struct looks){ vm->before ? find_item(value_at(vm->before, list), key, item) : NULL,
			       item, vm->seconds };
}

/* Over all items of a list. */
static double sum(const struct looks *vm, const char *list, const char *key, const char *place)
{
	double total = 0;
	size_t i;
	json_t *item;

	json_array_foreach(value_at(vm->now, list), i, item) {
		struct looks looks = item_looks(vm, list, key, item);

		total += rate(&looks, place);
	}
	return total;
}

static double percent(double usec_per_second)
{
	return usec_per_second * 100 / USEC_PER_SEC;
}

static json_int_t whole(double value)
{
	return (json_int_t)(value + 0.5);
}

static json_t *rates_of_vcpus(const struct looks *vm)
{
	AUTO(json_decref) json_t *list = json_array();
	size_t i;
	json_t *item;

	json_array_foreach(value_at(vm->now, "vcpus"), i, item) {
		struct looks l = item_looks(vm, "vcpus", "vcpu", item);

		if (json_array_append_new(
			    list, json_pack("{sO,sf,sf,sf,sI}", "vcpu", json_object_get(item, "vcpu"),
					    "cpu_percent", percent(rate(&l, "cpu_usec")),
					    "guest_percent", percent(rate(&l, "guest_usec")),
					    "steal_percent", percent(rate(&l, "steal_usec")),
					    "exits", whole(rate(&l, "exits")))) < 0)
			return NULL;
	}
	return TAKE(list);
}

static json_t *rates_of_vm(const struct looks *vm)
{
	size_t n = json_array_size(value_at(vm->now, "vcpus"));
	double steal = percent(sum(vm, "vcpus", "vcpu", "steal_usec"));

	return json_pack("{sO,sO?,sb,sf,sf,sO?,sO?,sI,sI,sI,sI,sI,sI,so}",
			 "name", json_object_get(vm->now, "name"),
			 "state", json_object_get(vm->now, "state"),
			 "up", json_is_true(json_object_get(vm->now, "up")),
			 "cpu_percent",
			 percent(rate(vm, "cpu_user_usec") + rate(vm, "cpu_system_usec")),
			 "steal_percent", n ? steal / (double)n : 0.0,
			 "memory", json_object_get(vm->now, "memory"),
			 "guest_memory", value_at(vm->now, "guest_memory.actual"),
			 "disk_requests",
			 whole(sum(vm, "disks", "disk", "reads") +
			       sum(vm, "disks", "disk", "writes") +
			       sum(vm, "disks", "disk", "flushes") +
			       sum(vm, "disks", "disk", "discards")),
			 "read_bytes", whole(sum(vm, "disks", "disk", "read_bytes")),
			 "written_bytes", whole(sum(vm, "disks", "disk", "written_bytes")),
			 "rx_bytes", whole(sum(vm, "nics", "nic", "rx.bytes")),
			 "tx_bytes", whole(sum(vm, "nics", "nic", "tx.bytes")),
			 "exits", whole(sum(vm, "vcpus", "vcpu", "exits")),
			 "vcpus", rates_of_vcpus(vm));
}

/* ---- all of them ---- */

/* What to sort by, the largest first. */
static double weight(const json_t *vm, enum top_sort sort)
{
	static const char *const members[_TOP_SORT_MAX][2] = {
		[TOP_CPU] = { "cpu_percent" },
		[TOP_STEAL] = { "steal_percent" },
		[TOP_MEMORY] = { "memory" },
		[TOP_DISK] = { "read_bytes", "written_bytes" },
		[TOP_NET] = { "rx_bytes", "tx_bytes" },
		[TOP_EXITS] = { "exits" },
	};
	double total = 0;

	for (size_t i = 0; i < 2 && members[sort][i]; i++)
		total += number_at(vm, members[sort][i]);
	return total;
}

/* Into its place: VMs that weigh the same stay in the order of their names. */
static int insert(json_t *sorted, json_t *vm, enum top_sort sort)
{
	size_t i = json_array_size(sorted);

	while (vm && i && weight(json_array_get(sorted, i - 1), sort) < weight(vm, sort))
		i--;
	return json_array_insert_new(sorted, i, vm);
}

static bool has_process(const json_t *vm)
{
	return number_at(vm, "uptime_usec") > 0;
}

json_t *top_rates(const json_t *before, const json_t *now, double seconds, enum top_sort sort)
{
	AUTO(json_decref) json_t *sorted = json_array();
	size_t i;
	json_t *vm;

	json_array_foreach(now, i, vm) {
		struct looks looks = { find_item(before, "uuid", vm), vm, seconds };

		if (!has_process(vm))
			continue;
		/* started anew meanwhile */
		if (looks.before &&
		    number_at(looks.before, "uptime_usec") > number_at(vm, "uptime_usec"))
			looks.before = NULL;
		if (insert(sorted, rates_of_vm(&looks), sort) < 0)
			return NULL;
	}
	return TAKE(sorted);
}

/* ---- the table ---- */

#define CELL 24

static const char *busy_colour(const char *cell)
{
	return strtod(cell, NULL) >= BUSY_PERCENT ? "33" : NULL;
}

static const char *steal_colour(const char *cell)
{
	return strtod(cell, NULL) >= STEAL_PERCENT ? "31" : NULL;
}

/* Three digits at most, and a letter: "0", "7.3", "812", "1.2k", "64M". */
static void format_short(double value, double step, const char *letters, char buf[static CELL])
{
	while (value >= 999.5 && letters[1]) {
		value /= step;
		letters++;
	}
	snprintf(buf, CELL, value > 0 && value < 9.95 ? "%.1f" : "%.0f", value);
	if (*letters != ' ')
		snprintf(buf + strlen(buf), CELL - strlen(buf), "%c", *letters);
}

enum cell_kind { CELL_TEXT, CELL_PERCENT, CELL_COUNT, CELL_BYTES };

struct top_column {
	struct column column;
	const char *member, *vcpu_member; /* of a VM, of a vCPU; NULL: nothing */
	enum cell_kind kind;
	bool wide;
};

static const struct top_column columns[] = {
	{ { .heading = "NAME" }, "name", "vcpu", CELL_TEXT, false },
	{ { .heading = "STATE" }, "state", NULL, CELL_TEXT, true },
	{ { "CPU%", true, busy_colour }, "cpu_percent", "cpu_percent", CELL_PERCENT, false },
	{ { "GUEST%", true, NULL }, NULL, "guest_percent", CELL_PERCENT, true },
	{ { "STEAL%", true, steal_colour }, "steal_percent", "steal_percent", CELL_PERCENT, false },
	{ { "MEM", true, NULL }, "memory", NULL, CELL_BYTES, false },
	{ { "GUEST", true, NULL }, "guest_memory", NULL, CELL_BYTES, false },
	{ { "IO/s", true, NULL }, "disk_requests", NULL, CELL_COUNT, false },
	{ { "READ/s", true, NULL }, "read_bytes", NULL, CELL_BYTES, false },
	{ { "WRITE/s", true, NULL }, "written_bytes", NULL, CELL_BYTES, false },
	{ { "RX/s", true, NULL }, "rx_bytes", NULL, CELL_BYTES, false },
	{ { "TX/s", true, NULL }, "tx_bytes", NULL, CELL_BYTES, false },
	{ { "EXITS/s", true, NULL }, "exits", "exits", CELL_COUNT, false },
};

static void format_cell(const struct top_column *column, const json_t *value, char buf[static CELL])
{
	double number = json_number_value(value);

	switch (column->kind) {
	case CELL_TEXT:
		break;
	case CELL_PERCENT:
		snprintf(buf, CELL, "%.1f", number);
		break;
	case CELL_COUNT:
		format_short(number, 1000, " kMG", buf);
		break;
	case CELL_BYTES:
		format_short(number, (double)KIB, " KMGT", buf);
		break;
	}
}

/* vcpu: of a VM's vCPU. */
static int add_row(struct table *table, const json_t *obj, bool vcpu, bool wide)
{
	char text[ARRAY_SIZE(columns)][CELL];
	const char *cells[ARRAY_SIZE(columns)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		const char *member = vcpu ? columns[i].vcpu_member : columns[i].member;
		const json_t *value = member ? json_object_get(obj, member) : NULL;

		if (columns[i].wide && !wide)
			continue;
		cells[n] = vcpu || !value ? "" : "-";
		if (json_is_string(value)) {
			cells[n] = json_string_value(value);
		} else if (i == 0 && vcpu) {
			snprintf(text[n], CELL, "  vcpu %lld", (long long)json_integer_value(value));
			cells[n] = text[n];
		} else if (value) {
			format_cell(&columns[i], value, text[n]);
			cells[n] = text[n];
		}
		n++;
	}
	return table_add(table, cells);
}

static int add_rows(struct table *table, const json_t *vm, const struct top_view *view)
{
	int r = add_row(table, vm, false, view->wide);
	size_t i;
	json_t *vcpu;

	if (!view->vcpus)
		return r;
	json_array_foreach(json_object_get(vm, "vcpus"), i, vcpu)
		r = r < 0 ? r : add_row(table, vcpu, true, view->wide);
	return r;
}

int top_print(const json_t *rates, const struct top_view *view, FILE *f)
{
	AUTO(table_free) struct table *table = NULL;
	struct column chosen[ARRAY_SIZE(columns)];
	size_t n = 0, i;
	json_t *vm;
	int r;

	for (size_t k = 0; k < ARRAY_SIZE(columns); k++)
		if (view->wide || !columns[k].wide)
			chosen[n++] = columns[k].column;
	r = table_new(chosen, n, &table);
	json_array_foreach(rates, i, vm)
		r = r < 0 ? r : add_rows(table, vm, view);
	return r < 0 ? r : table_print(table, f, view->width, view->colour);
}
