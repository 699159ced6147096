/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operation.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/operation.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/value.h"

#define PATIENT   "wait=600"
#define BAR_WIDTH 20
#define BAR_SIZE  (sizeof("[] ") + BAR_WIDTH)

static const char *text_at(const json_t *operation, const char *place)
{
	const char *text = value_string_at(operation, place);

	return text ? text : "";
}

static bool has_ended(const json_t *operation)
{
	return strcmp(text_at(operation, "state"), outcome_names[OUTCOME_RUNNING]) != 0;
}

/* Without "/v1/". */
static const char *resource_of(const json_t *operation)
{
	const char *resource = text_at(operation, "resource");

	return strncmp(resource, "/v1/", 4) ? resource : resource + 4;
}

/* "1.2G of 20G" */
static void format_bytes(const json_t *operation, char *buf, size_t size)
{
	static const struct field bytes = { .name = "size", .type = FIELD_SIZE };
	const json_t *whole = value_at(operation, "progress.total");
	AUTO(free) char *done = NULL, *total = NULL;

	if (value_text(&bytes, value_at(operation, "progress.done"), &done) == 0 &&
	    (!json_integer_value(whole) || value_text(&bytes, whole, &total) == 0))
		snprintf(buf, size, "%s%s%s", done ? done : "0", total ? " of " : "", total ? total : "");
}

/* "2 of 4 steps", "" when it is not known. */
static void format_progress(const json_t *operation, char *buf, size_t size)
{
	long long done = json_integer_value(value_at(operation, "progress.done"));
	long long total = json_integer_value(value_at(operation, "progress.total"));
	const char *unit = text_at(operation, "progress.unit");

	*buf = '\0';
	if (strcmp(unit, "bytes") == 0) {
		format_bytes(operation, buf, size);
		return;
	}
	if (*unit && total)
		snprintf(buf, size, "%lld of %lld %s", done, total, unit);
	else if (*unit)
		snprintf(buf, size, "%lld %s", done, unit);
}

/* ---- waiting ---- */

/* "[#####...............] ", "" when it is not known how much there is to do. */
static void format_bar(double done, double total, char bar[static BAR_SIZE])
{
	*bar = '\0';
	if (total <= 0)
		return;
	strcpy(bar, "[....................] ");
	for (int i = 0; i < BAR_WIDTH && (i + 1) * total <= done * BAR_WIDTH; i++)
		bar[1 + i] = '#';
}

/* One line that is written over. */
static void show_progress(const json_t *operation)
{
	char bar[BAR_SIZE];
	time_t begun = (time_t)(json_integer_value(value_at(operation, "created_usec")) / 1000000);
	time_t now = time(NULL);
	char progress[64], line[256];

	format_progress(operation, progress, sizeof(progress));
	format_bar((double)json_integer_value(value_at(operation, "progress.done")),
		   (double)json_integer_value(value_at(operation, "progress.total")), bar);
	snprintf(line, sizeof(line), "%s%s%s%lld s, %s %s", bar, progress, *progress ? ", " : "",
		 now > begun ? (long long)(now - begun) : 0, text_at(operation, "kind"),
		 resource_of(operation));
	terminal_show_line(line);
}

void operation_show_sent(void *ctx, uint64_t done, uint64_t total)
{
	unsigned *told = ctx, now = total ? (unsigned)(done * 1000 / total) : (unsigned)(done >> 20);
	AUTO(json_decref) json_t *progress = NULL;
	char bar[BAR_SIZE], text[64], line[128];

	if (now == *told)
		return;
	*told = now;
	progress = json_pack("{s:{s:I, s:I, s:s}}", "progress", "done", (json_int_t)done, "total",
			     (json_int_t)total, "unit", "bytes");
	format_progress(progress, text, sizeof(text));
	format_bar((double)done, (double)total, bar);
	snprintf(line, sizeof(line), "%s%s sent", bar, text);
	terminal_show_line(line);
}

static int ask(struct client *client, const char *id, unsigned seconds, json_t **operation,
	       struct hvd_error *err)
{
	AUTO(json_decref) json_t *query = json_pack("{s:i}", "wait", (int)seconds);
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	AUTO(free) char *path = NULL;
	int r;

	r = client_path(ops[OP_OPERATION_GET].path, id, NULL, query, &path, err);
	if (r == 0)
		r = client_call(client, HTTP_GET, path, NULL, &answer, err);
	if (r < 0)
		return r;
	if (!json_is_object(answer.json))
		return hvd_err(err, EIO, "the server's answer is no operation");
	json_decref(*operation);
	*operation = TAKE(answer.json);
	return 0;
}

/* ^C ends the waiting, not what is waited for. Blocked while there is something to say of that. */
static void hold_interrupt(sigset_t *saved)
{
	sigset_t interrupt;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, saved);
}

static void release_interrupt(const sigset_t *saved, const char *id)
{
	sigset_t pending;

	sigpending(&pending);
	if (sigismember(&pending, SIGINT))
		fprintf(stderr, "\r\033[KIt goes on. To wait again: hvcli operation wait %s\n"
				"To end it: hvcli operation cancel %s\n", id, id);
	sigprocmask(SIG_SETMASK, saved, NULL);
}

static bool is_interrupted(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, SIGINT) == 1;
}

/* *operation is replaced by what it has become. -ETIMEDOUT after so many seconds. */
static int wait_for_end(struct client *client, json_t **operation, unsigned seconds,
			struct hvd_error *err)
{
	AUTO(free) char *id = strdup(text_at(*operation, "id"));
	bool tty = isatty(STDERR_FILENO);
	time_t end = time(NULL) + seconds;
	int r = id ? 0 : hvd_err(err, ENOMEM, "out of memory");
	sigset_t saved;

	if (r == 0 && tty)
		hold_interrupt(&saved);
	while (r == 0 && !has_ended(*operation) && !(tty && is_interrupted())) {
		time_t left = end - time(NULL);

		if (left <= 0)
			r = hvd_err(err, ETIMEDOUT, "operation %s still runs after %u s", id,
				    seconds);
		if (r == 0)
			show_progress(*operation);
		if (r == 0)
			r = ask(client, id, tty ? 1 : (unsigned)(left > 600 ? 600 : left), operation,
				err);
	}
	terminal_clear_line();
	if (id && tty)
		release_interrupt(&saved, id);
	return r;
}

/* As if the request had been answered with it. */
static int error_of(const json_t *operation, struct hvd_error *err)
{
	const struct error_class *class = error_class_by_name(text_at(operation, "error.code"));
	int code = class ? class->code : EIO;

	if (!strcmp(text_at(operation, "state"), outcome_names[OUTCOME_CANCELLED]))
		return hvd_err(err, ECANCELED, "operation %s was cancelled",
			       text_at(operation, "id"));
	if (*text_at(operation, "error.field"))
		return hvd_err_field(err, code, text_at(operation, "error.field"), "%s",
				     text_at(operation, "error.detail"));
	return hvd_err(err, code, "%s", text_at(operation, "error.detail"));
}

/* What the operation would have answered: the resource as it is now, if it is there. */
static int fetch_result(struct client *client, const struct op *op, json_t *operation,
			struct client_answer *ret, struct hvd_error *err)
{
	int r = 0;

	if (ret)
		client_answer_clear(ret);
	if (!ret || op->result == RESULT_NONE)
		return 0;
	r = client_call(client, HTTP_GET, text_at(operation, "resource"), NULL, ret, err);
	if (r != -ENOENT)
		return r;
	ret->json = json_incref(operation);
	if (err)
		*err = (struct hvd_error){ 0 };
	return 0;
}

int operation_call(struct client *client, const struct op *op, const char *path,
		   const struct client_body *body, bool no_wait, struct client_answer *ret,
		   struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	AUTO(json_decref) json_t *operation = NULL;
	int r;

	/* on a terminal, who waits longer than a moment is shown why */
	if (op->effect != EFFECT_NONE)
		client_prefer(client, no_wait			? "respond-async"
				      : isatty(STDERR_FILENO) ? "wait=1"
							      : PATIENT);
	r = client_call(client, op->method, path, body, &answer, err);
	client_prefer(client, NULL);
	if (r < 0)
		return r;
	if (answer.status == 202 && !no_wait) {
		operation = TAKE(answer.json);
		r = wait_for_end(client, &operation, 24 * 3600, err);
		if (r == 0 && strcmp(text_at(operation, "state"), outcome_names[OUTCOME_SUCCEEDED]))
			r = error_of(operation, err);
		if (r == 0)
			r = fetch_result(client, op, operation, &answer, err);
	}
	if (r == 0 && ret) {
		*ret = answer;
		answer = (struct client_answer){ 0 };
	}
	return r;
}

/* ---- commands ---- */

static int add_row(struct table *table, const json_t *operation)
{
	AUTO(free) char *began = NULL;
	char progress[64], detail[256];
	const char *cells[] = { text_at(operation, "id"),    text_at(operation, "kind"),
				resource_of(operation),	     text_at(operation, "state"),
				NULL,			     detail };
	int r;

	r = value_text(schema_field(&operation_schema, "created_usec"),
		       value_at(operation, "created_usec"), &began);
	cells[4] = began;
	format_progress(operation, progress, sizeof(progress));
	snprintf(detail, sizeof(detail), "%s",
		 has_ended(operation) ? text_at(operation, "error.detail") : progress);
	return r < 0 ? r : table_add(table, cells);
}

static int print_table(const json_t *items, bool wide)
{
	static const struct column columns[] = {
		{ .heading = "ID" },	{ .heading = "KIND" },	{ .heading = "RESOURCE" },
		{ .heading = "STATE" }, { .heading = "BEGAN" }, { .heading = "DETAIL" },
	};
	AUTO(table_free) struct table *table = NULL;
	size_t index;
	json_t *item;
	int r;

	r = table_new(columns, sizeof(columns) / sizeof(columns[0]), &table);
	json_array_foreach(items, index, item)
		r = r < 0 ? r : add_row(table, item);
	return r < 0 ? r
		     : table_print(table, stdout, wide ? 0 : terminal_width(stdout),
				   terminal_colour(stdout));
}

int operation_list(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	const json_t *items;
	size_t index;
	json_t *item;
	int r;

	r = command_request(client, inv, &answer, err);
	if (r < 0)
		return r;
	items = json_object_get(answer.json, "items");
	switch (inv->options.format) {
	case OUTPUT_JSON:
	case OUTPUT_YAML:
		return output_answer(inv, &answer, err);
	case OUTPUT_NAME:
		json_array_foreach(items, index, item)
			puts(text_at(item, "id"));
		break;
	default:
		r = print_table(items, inv->options.format == OUTPUT_WIDE);
		if (r < 0)
			return hvd_err(err, -r, "cannot show the answer: %s", strerror(-r));
		break;
	}
	output_tell_more(answer.json);
	return 0;
}

static void say_state(const struct invocation *inv, const json_t *operation)
{
	if (output_is_data(inv->options.format))
		output_data(inv->options.format, operation, stdout);
	else
		printf("Operation %s: %s\n", inv->operand, text_at(operation, "state"));
}

int operation_wait(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	AUTO(json_decref) json_t *operation = NULL;
	int r;

	r = ask(client, inv->operand, 0, &operation, err);
	if (r == 0)
		r = wait_for_end(client, &operation, inv->options.timeout, err);
	if (r < 0)
		return r;
	if (strcmp(text_at(operation, "state"), outcome_names[OUTCOME_SUCCEEDED]))
		return error_of(operation, err);
	say_state(inv, operation);
	return 0;
}

int operation_cancel(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	int r = command_request(client, inv, &answer, err);

	if (r == 0)
		say_state(inv, answer.json);
	return r;
}
