/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/xml_client.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "api/json.h"
#include "api/json_text.h"
#include "daemon/child.h"
#include "daemon/xml_frame.h"
#include "vmm/base/list.h"
#include "vmm/base/macro.h"

#define IDLE_USEC      (10 * 1000000ULL)
#define OWN_TIMEOUT_MS 25000 /* for a document of hvd's own; twice that is within what the watchdog allows */
#define TIMEOUT_SEC    30    /* for a client's */
#define IMPORTS_MAX    4     /* processes at a time */

struct xml_client {
	sd_event *event;
	char *program;

	/* For definitions; NULL and -1 while there is none. */
	struct child *child;
	int sock;
	sd_event_source *idle;

	struct list imports; /* in the order in which they came */
	unsigned n_running;
};

struct import {
	struct list node;
	struct xml_client *xml;
	const struct schema *schema;
	const char *text;
	struct child *child; /* NULL: it waits for its turn */
	int answer;          /* memfd */
	xml_imported_fn fn;
	void *ctx;
};

/* ---- answers ---- */

/* What goes into a log is one line, and nothing that a terminal obeys. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			*text = '?';
}

/* It is nobody's word but hvd-xml's. */
static int check_answer(const struct xml_frame *head, enum xml_frame_kind kind, struct hvd_error *err)
{
	if (head->kind != (uint32_t)kind || head->result < -4095 || head->result > 0)
		return hvd_err(err, EREMOTEIO, "hvd-xml has answered what it was not asked");
	if (head->result == 0)
		return 0;
	if (err) {
		err->code = head->result;
		memcpy(err->field, head->field, sizeof(err->field));
		memcpy(err->msg, head->msg, sizeof(err->msg));
		make_printable(err->field);
		make_printable(err->msg);
	}
	return head->result;
}

static int take_object(const struct xml_frame *head, const char *data, const struct schema *schema, void *obj,
		       struct import_report *report, struct hvd_error *err)
{
	AUTO(json_decref) json_t *json = NULL;
	json_t *object, *remarks;
	int r;

	r = check_answer(head, XML_READ, err);
	if (r < 0)
		return r;
	r = json_parse(data, head->len, &json, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "hvd-xml");
	object = json_object_get(json, "object");
	remarks = json_object_get(json, "report");
	if (!object || !remarks)
		return hvd_err(err, EREMOTEIO, "hvd-xml has answered without an object");
	r = json_to_whole_obj(schema, object, obj, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "hvd-xml");
	r = json_to_whole_obj(&import_report_schema, remarks, report, err);
	if (r < 0) {
		schema_clear(schema, obj);
		return hvd_err_prefix(err, r, "hvd-xml");
	}
	return 0;
}

static struct xml_frame request(enum xml_frame_kind kind, const struct schema *schema, size_t len)
{
	struct xml_frame head = { .version = XML_FRAME_VERSION, .kind = kind, .len = (uint32_t)len };

	snprintf(head.schema, sizeof(head.schema), "%s", schema->name);
	return head;
}

static int check_program(const struct xml_client *xml, struct hvd_error *err)
{
	return access(xml->program, X_OK) < 0
		       ? hvd_err(err, EREMOTEIO, "%s: %s: it reads and writes XML for hvd; install hvd whole",
				 xml->program, strerror(errno))
		       : 0;
}

/* ---- definitions: one process, one request at a time ---- */

static void end_process(struct xml_client *xml)
{
	xml->child = child_free(xml->child);
	if (xml->sock >= 0)
		close(TAKE_FD(xml->sock));
	xml->idle = sd_event_source_disable_unref(xml->idle);
}

static void on_process_ended(void *ctx, int r, const struct hvd_error *err)
{
	end_process(ctx);
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
	end_process(userdata);
	return 0;
}

static int start_process(struct xml_client *xml, struct hvd_error *err)
{
	char *argv[] = { xml->program, NULL };
	AUTO(close) int theirs = -1;
	int pair[2], r;

	r = check_program(xml, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return hvd_err(err, errno, "hvd-xml: %s", strerror(errno));
	xml->sock = pair[0];
	theirs = pair[1];
	r = fcntl(xml->sock, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	if (r >= 0)
		r = child_start(xml->event,
				&(struct child_program){ .argv = argv,
							 .stdio = { theirs, theirs, STDERR_FILENO } },
				on_process_ended, xml, &xml->child);
	if (r >= 0)
		r = sd_event_add_time_relative(xml->event, &xml->idle, CLOCK_MONOTONIC, IDLE_USEC, 0, on_idle,
					       xml);
	if (r < 0) {
		end_process(xml);
		return hvd_err(err, -r, "hvd-xml: %s", strerror(-r));
	}
	return 0;
}

static int exchange(struct xml_client *xml, const struct xml_frame *head, const char *data,
		    struct xml_frame *answer, char **ret)
{
	int r = xml_frame_send(xml->sock, head, data, OWN_TIMEOUT_MS);

	return r < 0 ? r : xml_frame_receive(xml->sock, answer, ret, OWN_TIMEOUT_MS);
}

static int ask(struct xml_client *xml, const struct xml_frame *head, const char *data, struct xml_frame *answer,
	       char **ret, struct hvd_error *err)
{
	bool fresh = !xml->child;
	int r = fresh ? start_process(xml, err) : 0;

	if (r < 0)
		return r;
	sd_event_source_set_time_relative(xml->idle, IDLE_USEC);
	r = exchange(xml, head, data, answer, ret);
	if (r >= 0)
		return 0;
	end_process(xml);
	/* It may have been killed long ago. */
	if (r == -EPIPE && !fresh)
		return ask(xml, head, data, answer, ret, err);
	return hvd_err(err, EREMOTEIO, "hvd-xml: %s", r == -EPIPE ? "has ended before it answered" : strerror(-r));
}

static int ping(struct xml_client *xml, struct hvd_error *err)
{
	const struct xml_frame head = { .version = XML_FRAME_VERSION, .kind = XML_PING };
	AUTO(free) char *data = NULL;
	struct xml_frame answer;
	int r = ask(xml, &head, NULL, &answer, &data, err);

	return r < 0 ? r : check_answer(&answer, XML_PING, err);
}

int xml_client_read(struct xml_client *xml, const struct schema *schema, const char *text, size_t len,
		    void *obj, struct hvd_error *err)
{
	const struct xml_frame head = request(XML_READ, schema, len);
	AUTO(free) char *data = NULL;
	struct import_report report;
	struct xml_frame answer;
	int r;

	memset(obj, 0, schema->size);
	r = ask(xml, &head, text, &answer, &data, err);
	if (r >= 0)
		r = take_object(&answer, data, schema, obj, &report, err);
	if (r >= 0)
		schema_clear(&import_report_schema, &report);
	return r;
}

int xml_client_write(struct xml_client *xml, const struct schema *schema, const void *obj, char **ret,
		     struct hvd_error *err)
{
	AUTO(free) char *json = NULL, *data = NULL;
	struct json_text text = { 0 };
	struct xml_frame head, answer;
	int r;

	json_text_obj(&text, schema, obj, NULL);
	json = json_text_take(&text);
	if (!json)
		return hvd_err(err, ENOMEM, "out of memory");
	head = request(XML_WRITE, schema, strlen(json));
	r = ask(xml, &head, json, &answer, &data, err);
	if (r >= 0)
		r = check_answer(&answer, XML_WRITE, err);
	if (r >= 0)
		*ret = TAKE(data);
	return r;
}

/* ---- documents of clients: a process for each ---- */

static void start_imports(struct xml_client *xml);

static void finish_import(struct import *import, int r, void *obj, const struct import_report *report,
			  const struct hvd_error *err)
{
	struct xml_client *xml = import->xml;

	list_remove(&import->node);
	if (import->child) {
		child_free(import->child);
		xml->n_running--;
	}
	if (import->answer >= 0)
		close(import->answer);
	import->fn(import->ctx, r, obj, report, err);
	free(import);
}

static int take_answer(const struct import *import, void *obj, struct import_report *report,
		       struct hvd_error *err)
{
	AUTO(free) char *data = NULL;
	struct xml_frame head;
	int r;

	r = lseek(import->answer, 0, SEEK_SET) < 0 ? -errno : 0;
	if (r >= 0)
		r = xml_frame_receive(import->answer, &head, &data, -1);
	if (r < 0)
		return hvd_err(err, EREMOTEIO, "hvd-xml: %s", strerror(-r));
	return take_object(&head, data, import->schema, obj, report, err);
}

static void on_import_ended(void *ctx, int r, const struct hvd_error *end)
{
	struct import *import = ctx;
	struct xml_client *xml = import->xml;
	AUTO(free) void *obj = calloc(1, import->schema->size);
	struct import_report report = { 0 };
	struct hvd_error err = { 0 };

	if (!obj)
		r = hvd_err(&err, ENOMEM, "out of memory");
	else if (r < 0)
		r = hvd_err(&err, r == -ETIMEDOUT ? ETIMEDOUT : EREMOTEIO,
			    "the document was too much for hvd-xml, which %s", end->msg);
	else
		r = take_answer(import, obj, &report, &err);
	finish_import(import, r, r < 0 ? NULL : obj, r < 0 ? NULL : &report, r < 0 ? &err : NULL);
	schema_clear(&import_report_schema, &report);
	start_imports(xml);
}

static int open_memory(void)
{
	int fd = memfd_create("hvd-xml", MFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A file in memory with the request in it. */
static int write_request(const struct import *import)
{
	const struct xml_frame head = request(XML_READ, import->schema, strlen(import->text));
	AUTO(close) int fd = open_memory();
	int r;

	if (fd < 0)
		return fd;
	r = xml_frame_send(fd, &head, import->text, -1);
	if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

static int start_import(struct import *import, struct hvd_error *err)
{
	struct xml_client *xml = import->xml;
	char *argv[] = { xml->program, NULL };
	AUTO(close) int fd = -1;
	int r;

	r = check_program(xml, err);
	if (r < 0)
		return r;
	r = fd = write_request(import);
	if (r >= 0)
		r = import->answer = open_memory();
	if (r >= 0)
		r = child_start(xml->event,
				&(struct child_program){ .argv = argv,
							 .stdio = { fd, import->answer, STDERR_FILENO },
							 .timeout_sec = TIMEOUT_SEC },
				on_import_ended, import, &import->child);
	if (r < 0)
		return hvd_err(err, -r, "hvd-xml: %s", strerror(-r));
	xml->n_running++;
	return 0;
}

static struct import *next_import(struct xml_client *xml)
{
	struct import *import;

	list_for_each(import, &xml->imports, node)
		if (!import->child)
			return import;
	return NULL;
}

static void start_imports(struct xml_client *xml)
{
	struct hvd_error err = { 0 };
	struct import *import;

	while (xml->n_running < IMPORTS_MAX && (import = next_import(xml))) {
		int r = start_import(import, &err);

		if (r < 0)
			finish_import(import, r, NULL, NULL, &err);
	}
}

void xml_client_import(struct xml_client *xml, const struct schema *schema, const char *text, xml_imported_fn fn,
		       void *ctx)
{
	struct import *import = calloc(1, sizeof(*import));
	struct hvd_error err = { 0 };

	if (!import || strlen(text) > XML_FRAME_MAX) {
		int r = import ? hvd_err(&err, EFBIG, "the document has more than %d bytes", XML_FRAME_MAX)
			       : hvd_err(&err, ENOMEM, "out of memory");

		free(import);
		fn(ctx, r, NULL, NULL, &err);
		return;
	}
	*import = (struct import){ .xml = xml, .schema = schema, .text = text, .answer = -1, .fn = fn,
				   .ctx = ctx };
	list_append(&xml->imports, &import->node);
	start_imports(xml);
}

/* ---- life ---- */

int xml_client_new(sd_event *event, const char *program, struct xml_client **ret, struct hvd_error *err)
{
	AUTO(xml_client_free) struct xml_client *xml = calloc(1, sizeof(*xml));
	int r;

	if (!xml)
		return hvd_err(err, ENOMEM, "out of memory");
	list_init(&xml->imports);
	xml->sock = -1;
	xml->event = sd_event_ref(event);
	xml->program = strdup(program);
	if (!xml->program)
		return hvd_err(err, ENOMEM, "out of memory");
	r = ping(xml, err);
	if (r < 0)
		return r;
	*ret = TAKE(xml);
	return 0;
}

void xml_client_stop(struct xml_client *xml)
{
	struct hvd_error err = { 0 };
	struct import *import;

	if (!xml)
		return;
	hvd_err(&err, ECANCELED, "hvd is stopping");
	list_for_each(import, &xml->imports, node)
		finish_import(import, err.code, NULL, NULL, &err);
}

struct xml_client *xml_client_free(struct xml_client *xml)
{
	if (!xml)
		return NULL;
	end_process(xml);
	sd_event_unref(xml->event);
	free(xml->program);
	free(xml);
	return NULL;
}
