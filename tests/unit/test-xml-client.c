/* SPDX-License-Identifier: Apache-2.0 */
/* The real hvd-xml, and programs that answer in its place what it never should. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/network_schema.h"
#include "api/snapshot_schema.h"
#include "api/vm_schema.h"
#include "api/volume_schema.h"
#include "daemon/xml_client.h"
#include "daemon/xml_frame.h"
#include "tests/unit/fill.h"
#include "vmm/base/macro.h"

#define MANY 12 /* documents at a time: more than are read at a time */
#define DOMAIN "<domain type='kvm'><name>demo</name><memory unit='MiB'>64</memory>" \
	       "<os><type>hvm</type><kernel>/k</kernel></os>"

struct fixture {
	sd_event *event;
	struct xml_client *xml;
	unsigned answers;
};

static int set_up(void **state)
{
	static struct fixture f;
	struct hvd_error err = { 0 };

	f.answers = 0;
	signal(SIGPIPE, SIG_IGN); /* as in hvd */
	assert_true(sd_event_new(&f.event) >= 0);
	if (xml_client_new(f.event, BUILT_XML, &f.xml, &err) < 0)
		fail_msg("%s", err.msg);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	xml_client_stop(f->xml);
	f->xml = xml_client_free(f->xml);
	f->event = sd_event_unref(f->event);
	return 0;
}

/* ---- definitions ---- */

static void test_round_trip(void **state)
{
	static const struct schema *const schemas[] = { &vm_schema, &network_schema, &volume_schema,
							&snapshot_schema };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++) {
		AUTO(free) void *in = calloc(1, schemas[i]->size), *out = calloc(1, schemas[i]->size);
		AUTO(free) char *text = NULL, *again = NULL;
		struct hvd_error err = { 0 };

		fill_obj(schemas[i], in, 1);
		if (xml_client_write(f->xml, schemas[i], in, &text, &err) < 0 ||
		    xml_client_read(f->xml, schemas[i], text, strlen(text), out, &err) < 0)
			fail_msg("%s: %s %s", schemas[i]->name, err.field, err.msg);
		assert_int_equal(xml_client_write(f->xml, schemas[i], out, &again, &err), 0);
		assert_string_equal(text, again);
		schema_clear(schemas[i], in);
		schema_clear(schemas[i], out);
	}
}

static void test_errors_of_a_document(void **state)
{
	static const char unknown[] = DOMAIN "\n<frobnicate/></domain>";
	struct fixture *f = *state;
	struct hvd_error err = { 0 };
	struct vm_config vm;

	assert_int_equal(xml_client_read(f->xml, &vm_schema, "<domain", 7, &vm, &err), -EBADMSG);
	assert_int_equal(err.code, -EBADMSG);
	assert_non_null(strstr(err.msg, "line 1"));
	assert_int_equal(xml_client_read(f->xml, &vm_schema, unknown, strlen(unknown), &vm, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "line 2: <frobnicate>"));
	assert_null(vm.name);
}

/* The one child of this process. 0: there is none. */
static pid_t child_pid(void)
{
	AUTO(fclose) FILE *file = NULL;
	char path[64];
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "re");
	assert_non_null(file);
	return fscanf(file, "%d", &pid) == 1 ? pid : 0;
}

static void need(struct fixture *f)
{
	struct hvd_error err = { 0 };
	AUTO(free) char *text = NULL;
	struct network_config network;

	fill_obj(&network_schema, &network, 1);
	if (xml_client_write(f->xml, &network_schema, &network, &text, &err) < 0)
		fail_msg("%s", err.msg);
	schema_clear(&network_schema, &network);
}

static void test_killed_between_two(void **state)
{
	struct fixture *f = *state;
	pid_t first;

	need(f);
	first = child_pid();
	assert_int_not_equal(first, 0);
	assert_int_equal(kill(first, SIGKILL), 0);
	need(f);
	assert_int_not_equal(child_pid(), first);
	/* and again, when the loop has seen it */
	assert_int_equal(kill(child_pid(), SIGKILL), 0);
	while (child_pid())
		assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
	need(f);
}

/* What stands there as /proc/PID/status has it. */
static void expect_status(pid_t pid, const char *line)
{
	AUTO(fclose) FILE *file = NULL;
	char path[64], got[256];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(got, sizeof(got), file)) {
		got[strcspn(got, "\n")] = '\0';
		if (strcmp(got, line) == 0)
			return;
	}
	fail_msg("%s has no line '%s'", path, line);
}

static unsigned count_descriptors(pid_t pid)
{
	AUTO(closedir) DIR *dir = NULL;
	struct dirent *entry;
	unsigned n = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	return n;
}

static void test_confinement(void **state)
{
	struct fixture *f = *state;
	int inherited = dup(STDERR_FILENO);

	assert_true(inherited >= 0);
	assert_int_equal(kill(child_pid(), SIGKILL), 0); /* it was started without that one */
	need(f);
	expect_status(child_pid(), "Seccomp:\t2");
	expect_status(child_pid(), "NoNewPrivs:\t1");
	expect_status(child_pid(), "CapEff:\t0000000000000000");
	expect_status(child_pid(), "CapPrm:\t0000000000000000");
	assert_int_equal(count_descriptors(child_pid()), 3);
	close(inherited);
}

/* ---- documents of clients ---- */

static void on_domain(void *ctx, int r, void *obj, const struct import_report *report, const struct hvd_error *err)
{
	struct fixture *f = ctx;
	struct vm_config *vm = obj;

	if (r < 0)
		fail_msg("%s", err->msg);
	assert_string_equal(vm->name, "demo");
	assert_int_equal(vm->memory, 64 * MIB);
	assert_int_equal(report->n_ignored, 1);
	assert_string_equal(report->ignored[0].element, "domain/metadata");
	schema_clear(&vm_schema, vm);
	f->answers++;
}

static void test_many_imports(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < MANY; i++)
		xml_client_import(f->xml, &vm_schema, DOMAIN "<metadata/></domain>", on_domain, f);
	/* definitions do not wait for them */
	need(f);
	while (f->answers < MANY)
		assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

struct end {
	unsigned n;
	int r;
	char field[64], msg[432];
};

static void on_end(void *ctx, int r, void *obj, const struct import_report *report, const struct hvd_error *err)
{
	struct end *end = ctx;

	assert_true(r < 0);
	assert_null(obj);
	assert_null(report);
	end->n++;
	end->r = r;
	strcpy(end->field, err->field);
	strcpy(end->msg, err->msg);
}

static void import(struct fixture *f, struct xml_client *xml, const char *text, struct end *end)
{
	*end = (struct end){ 0 };
	xml_client_import(xml, &vm_schema, text, on_end, end);
	while (!end->n)
		assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

static void test_refused_imports(void **state)
{
	struct fixture *f = *state;
	struct end end;

	import(f, f->xml, "", &end);
	assert_int_equal(end.r, -EBADMSG);
	import(f, f->xml, DOMAIN "<vcpu>0</vcpu></domain>", &end);
	assert_int_equal(end.r, -ERANGE);
	assert_string_equal(end.field, "vcpus");
}

static void test_stop(void **state)
{
	struct end ends[MANY] = { 0 };
	struct fixture *f = *state;

	for (unsigned i = 0; i < MANY; i++)
		xml_client_import(f->xml, &vm_schema, DOMAIN "</domain>", on_end, &ends[i]);
	xml_client_stop(f->xml);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(ends[i].n, 1);
		assert_int_equal(ends[i].r, -ECANCELED);
	}
}

/* ---- not hvd-xml ---- */

static void write_program(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", text);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

/* A client whose program is well for the first answer, and then becomes another. */
static void with_program(struct fixture *f, const char *text, int want, const char *say)
{
	char path[] = "/tmp/hvd-xml.XXXXXX", command[128];
	struct network_config network = { 0 };
	AUTO(xml_client_free) struct xml_client *xml = NULL;
	struct hvd_error err = { 0 };
	struct end end;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	snprintf(command, sizeof(command), "exec %s", BUILT_XML);
	write_program(path, command);
	assert_int_equal(xml_client_new(f->event, path, &xml, &err), 0);
	write_program(path, text);
	import(f, xml, DOMAIN "</domain>", &end);
	unlink(path);
	assert_int_equal(end.r, want);
	if (!strstr(end.msg, say))
		fail_msg("'%s' does not say '%s'", end.msg, say);
	/* the one that was started before still answers */
	assert_int_equal(xml_client_read(xml, &network_schema, "<network/>", 10, &network, &err), -EINVAL);
	xml_client_stop(xml);
}

/* A shell command that prints an answer of this kind and result, and what follows its head. */
static const char *answer(unsigned kind, int result, const char *data)
{
	static char command[8192];
	struct xml_frame head = { .version = XML_FRAME_VERSION, .kind = kind, .result = result,
				  .len = (uint32_t)strlen(data), .msg = "bad\nnews\033" };
	size_t n = (size_t)sprintf(command, "printf '");

	for (size_t i = 0; i < sizeof(head); i++)
		n += (size_t)sprintf(command + n, "\\%03o", ((const unsigned char *)&head)[i]);
	sprintf(command + n, "'; printf '%%s' '%s'", data);
	return command;
}

static void test_strange_answers(void **state)
{
	struct fixture *f = *state;

	with_program(f, "exit 1", -EREMOTEIO, "failed with status 1");
	with_program(f, "kill -SEGV $$", -EREMOTEIO, "killed by signal 11");
	with_program(f, "exit 0", -EREMOTEIO, "hvd-xml");
	with_program(f, "echo what", -EREMOTEIO, "hvd-xml");
	with_program(f, "cat", -EBADMSG, "not valid JSON"); /* the request */
	with_program(f, answer(XML_WRITE, 0, ""), -EREMOTEIO, "not asked");
	with_program(f, answer(XML_READ, 1, ""), -EREMOTEIO, "not asked");
	with_program(f, answer(XML_READ, -EINVAL, ""), -EINVAL, "bad?news?");
	with_program(f, answer(XML_READ, 0, ""), -EBADMSG, "not valid JSON");
	with_program(f, answer(XML_READ, 0, "[]"), -EREMOTEIO, "without an object");
	with_program(f, answer(XML_READ, 0, "{\"object\": {\"name\": \"x\"}, \"report\": {}}"), -EINVAL,
		     "hvd-xml");
	with_program(f, answer(XML_READ, 0, "{\"object\": {\"name\": \"../x\", \"boot\": {\"kernel\": \"/k\"}},"
					    " \"report\": {}}"),
		     -EINVAL, "hvd-xml");
	with_program(f, answer(XML_READ, 0, "{\"object\": {\"name\": \"x\", \"boot\": {\"kernel\": \"/k\"}},"
					    " \"report\": {\"ignored\": 1}}"),
		     -EINVAL, "hvd-xml");
	/* what is ignored goes into the log, a line for each */
	with_program(f, answer(XML_READ, 0, "{\"object\": {\"name\": \"x\", \"boot\": {\"kernel\": \"/k\"}},"
					    " \"report\": {\"ignored\": [{\"element\": \"a\\nb\"}]}}"),
		     -EINVAL, "one line");
}

static void test_no_program(void **state)
{
	struct fixture *f = *state;
	struct xml_client *xml = NULL;
	struct hvd_error err = { 0 };

	assert_int_equal(xml_client_new(f->event, "/nonexistent/hvd-xml", &xml, &err), -EREMOTEIO);
	assert_non_null(strstr(err.msg, "/nonexistent/hvd-xml: No such file"));
	assert_int_equal(xml_client_new(f->event, "/bin/true", &xml, &err), -EREMOTEIO);
	assert_null(xml);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip), TEST(test_errors_of_a_document), TEST(test_killed_between_two),
		TEST(test_confinement), TEST(test_many_imports), TEST(test_refused_imports), TEST(test_stop),
		TEST(test_strange_answers), TEST(test_no_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
