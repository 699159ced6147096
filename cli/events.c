/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/events.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/event.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/value.h"
#include "cli/vm_table.h"
#include "cli/yaml.h"
#include "vmm/base/macro.h"

#define DETAIL_COLUMN 50u /* where a line goes on at the latest */

static const char *text_at(const json_t *event, const char *name)
{
	const char *text = value_string_at(event, name);

	return text ? text : "";
}

static void format_time(const json_t *event, char buf[static 32])
{
	time_t seconds = (time_t)(json_integer_value(value_at(event, "time_usec")) / 1000000);
	struct tm tm;

	strcpy(buf, "-");
	if (value_at(event, "time_usec") && (!localtime_r(&seconds, &tm) || !strftime(buf, 32, "%Y-%m-%d %H:%M:%S", &tm)))
		strcpy(buf, "?");
}

/* " by root (rest)", " by token:ci (rest)", or "" */
static void format_actor(const json_t *event, char *buf, size_t size)
{
	const char *name = value_string_at(event, "by.name");
	const json_t *uid = value_at(event, "by.uid");
	const struct passwd *user;
	char number[24];

	*buf = '\0';
	if (!uid)
		return;
	if (name) {
		snprintf(buf, size, " by %s (%s)", name, text_at(event, "by.front"));
		return;
	}
	user = getpwuid((uid_t)json_integer_value(uid));
	snprintf(number, sizeof(number), "user %u", (unsigned)json_integer_value(uid));
	snprintf(buf, size, " by %s (%s)", user ? user->pw_name : number,
		 text_at(event, "by.front"));
}

/* What happened, of what is known of it (--fields): "running", "vm.start failed by root (rest)". */
static void format_what(const json_t *event, char *buf, size_t size)
{
	const char *type = text_at(event, "type");
	char actor[128];

	if (!strcmp(type, event_type_names[EVENT_STATE])) {
		snprintf(buf, size, "%s", text_at(event, "state"));
	} else if (!strcmp(type, event_type_names[EVENT_OPERATION])) {
		format_actor(event, actor, sizeof(actor));
		snprintf(buf, size, "%s %s%s", text_at(event, "operation"),
			 text_at(event, "outcome"), actor);
	} else if (!strcmp(type, event_type_names[EVENT_STARTED])) {
		snprintf(buf, size, "hvd started, version %s", text_at(event, "detail"));
	} else {
		snprintf(buf, size, "%s", type);
	}
}

static const char *colour_of(const json_t *event)
{
	const char *outcome = text_at(event, "outcome");

	if (!strcmp(text_at(event, "type"), event_type_names[EVENT_GAP]))
		return "33";
	if (*outcome)
		return !strcmp(outcome, "failed") ? "31" : NULL;
	return vm_state_colour(text_at(event, "state"));
}

/* Without "/v1/": a resource is "vms/demo/disks/vda", hvd itself "-". */
static const char *short_resource(const json_t *event)
{
	const char *resource = text_at(event, "resource");

	if (!strncmp(resource, "/v1/", 4))
		return resource + 4;
	return *resource ? resource : "-";
}

static int print_event(const json_t *event, bool colour)
{
	bool started = !strcmp(text_at(event, "type"), event_type_names[EVENT_STARTED]);
	const char *detail = started ? "" : text_at(event, "detail");
	const char *sgr = colour ? colour_of(event) : NULL;
	AUTO(free) char *line = NULL, *clean = text_clean(short_resource(event)), *rest = NULL;
	unsigned width = terminal_width(stdout);
	char when[32], what[256], seq[24] = "-";
	int at;

	format_time(event, when);
	format_what(event, what, sizeof(what));
	if (asprintf(&line, "%s%s%s", what, *detail ? ": " : "", detail) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	rest = text_clean(line);
	if (!clean || !rest)
		return -ENOMEM;
	if (value_at(event, "seq"))
		snprintf(seq, sizeof(seq), "%lld", (long long)json_integer_value(value_at(event, "seq")));
	at = printf("%6s  %-19s  ", seq, when);
	printf("%s%s%s%-20s ", sgr ? "\033[" : "", sgr ? sgr : "", sgr ? "m" : "", clean);
	at += (int)MAX(text_width(clean), (size_t)20) + 1;
	text_wrap(stdout, rest, (unsigned)at, MIN((unsigned)at, DETAIL_COLUMN),
		  width ? width : (unsigned)-1);
	fputs(sgr ? "\033[0m" : "", stdout);
	return 0;
}

static int show(const struct invocation *inv, const json_t *event)
{
	int r = 0;

	switch (inv->options.format) {
	case OUTPUT_JSON:
		r = json_dumpf(event, stdout, JSON_COMPACT) < 0 ? -EIO : 0;
		putchar('\n');
		break;
	case OUTPUT_YAML:
		puts("---");
		r = yaml_write(event, stdout);
		break;
	case OUTPUT_NAME:
		printf("%lld\n", (long long)json_integer_value(value_at(event, "seq")));
		break;
	default:
		r = print_event(event, terminal_colour(stdout));
		break;
	}
	return r;
}

/* ---- following ---- */

struct follower {
	const struct invocation *inv;
	struct hvd_error *err;
};

/* One line of a stream; the data of an event is one line of JSON (WHATWG HTML §9.2.6). */
static int on_line(void *ctx, const char *line, size_t len)
{
	struct follower *follower = ctx;
	AUTO(json_decref) json_t *event = NULL;
	int r;

	if (len < 6 || strncmp(line, "data: ", 6) != 0)
		return 0;
	r = json_parse(line + 6, len - 6, &event, follower->err);
	if (r < 0)
		return hvd_err_prefix(follower->err, r, "the server's event");
	r = show(follower->inv, event);
	if (r >= 0 && fflush(stdout) != 0)
		r = -errno;
	return r < 0 ? hvd_err(follower->err, -r, "cannot show an event: %s", strerror(-r)) : 0;
}

static int follow(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	struct follower follower = { inv, err };
	AUTO(free) char *path = NULL;
	int r;

	r = client_path(inv->command->op->path, "", NULL, inv->query, &path, err);
	return r < 0 ? r : client_follow(client, path, on_line, &follower, err);
}

int events_run(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	size_t index;
	json_t *event;
	int r;

	if (inv->options.follow)
		return follow(client, inv, err);
	r = command_request(client, inv, &answer, err);
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(answer.json, "items"), index, event)
		if (show(inv, event) < 0)
			return hvd_err(err, EIO, "cannot show an event");
	if (!output_is_data(inv->options.format))
		output_tell_more(answer.json);
	return 0;
}
