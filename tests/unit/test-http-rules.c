/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTP says beside methods and bodies: conditions, negotiation, and requests that come twice. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/ops.h"
#include "daemon/http_header.h"
#include "daemon/idempotency.h"
#include "tests/unit/http_client.h"
#include "tests/unit/rig.h"
#include "vmm/base/macro.h"

#define JSON  "Content-Type: application/json\r\n"
#define PATCH "Content-Type: application/merge-patch+json\r\n"
#define KEY(k) "Idempotency-Key: \"" k "\"\r\n"
#define VM(name) "{\"name\":\"" name "\",\"memory\":\"64M\",\"boot\":{\"kernel\":\"/bin/sh\"}}"

struct scene {
	struct rig rig;
	struct http_conn conn;
};

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	rig_init(&s->rig);
	rig_start_vmm(&s->rig, "up");
	rig_start(&s->rig);
	http_connect(&s->conn, s->rig.socket);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	http_close(&s->conn);
	rig_clear(&s->rig);
	free(s);
	return 0;
}

static void restart(struct scene *s)
{
	rig_stop(&s->rig);
	rig_start(&s->rig);
	http_close(&s->conn);
	http_connect(&s->conn, s->rig.socket);
}

static void expect(struct scene *s, const char *part)
{
	if (!strstr(s->conn.answer.body, part))
		fail_msg("no %s in %s", part, s->conn.answer.body);
}

static void ask(struct scene *s, unsigned status, const char *method, const char *path,
		const char *headers, const char *body)
{
	if (http_ask(&s->conn, method, path, headers, body) != status)
		fail_msg("%s %s: %u %s, not %u", method, path, s->conn.answer.status,
			 s->conn.answer.body, status);
}

static void keep_header(struct scene *s, const char *name, const char *as, char *buf, size_t size)
{
	const char *value = http_header(&s->conn, name);

	assert_non_null(value);
	snprintf(buf, size, "%s: %s\r\n", as, value);
}

/* ---- conditions ---- */

/* What has not changed is not sent again; a change of the status alone is one. */
static void test_not_modified(void **state)
{
	static const char *const paths[] = { "/v1/vms/up", "/v1/vms/up/disks", "/v1/vms/up/xml",
					     "/v1/openapi.json", "/v1/host" };
	struct scene *s = *state;
	char none[128], match[128];

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		ask(s, 200, "GET", paths[i], NULL, NULL);
		keep_header(s, "ETag", "If-None-Match", none, sizeof(none));
		ask(s, 304, "GET", paths[i], none, NULL);
		assert_int_equal(s->conn.answer.n_body, 0);
		assert_non_null(strstr(none, http_header(&s->conn, "ETag")));
		ask(s, 304, "HEAD", paths[i], none, NULL);
		ask(s, 304, "GET", paths[i], "If-None-Match: *\r\n", NULL);
		ask(s, 200, "GET", paths[i], "If-None-Match: \"0\"\r\n", NULL);
	}

	ask(s, 200, "GET", "/v1/vms/up", NULL, NULL);
	keep_header(s, "ETag", "If-None-Match", none, sizeof(none));
	keep_header(s, "ETag", "If-Match", match, sizeof(match));
	ask(s, 204, "POST", "/v1/vms/up/actions/pause", NULL, NULL);
	ask(s, 200, "GET", "/v1/vms/up", none, NULL);
	expect(s, "\"paused\"");
	/* which no change of the spec depends on */
	strcat(match, PATCH);
	ask(s, 200, "PATCH", "/v1/vms/up", match, "{\"description\":\"x\"}");
	ask(s, 412, "PATCH", "/v1/vms/up", match, "{\"description\":\"y\"}");
	ask(s, 400, "PATCH", "/v1/vms/up", PATCH "If-None-Match: *\r\n", "{}");
}

static void test_if_match(void **state)
{
	static const struct {
		const char *value, *number;
		int r;
	} cases[] = {
		{ "*", "", 0 },
		{ "\"7\"", "7", 0 },
		{ "\"7-0123\"", "7", 0 },
		{ "W/\"7\"", "", -ESTALE },
		{ "7", "", -ESTALE },
		{ "\"\"", "", -ESTALE },
		{ "\"", "", -ESTALE },
		{ "\"7", "", -ESTALE },
		{ "\"0\"", "", -ESTALE },
		{ "\"x0123\"", "", -ESTALE },
		{ "\"99999999999999999999999999\"", "", -ESTALE },
		{ "\"1\", \"2\"", "", -EBADMSG },
		{ "", "", -ESTALE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char number[HTTP_NUMBER_SIZE];

		assert_int_equal(http_if_match(cases[i].value, number, NULL), cases[i].r);
		if (!cases[i].r)
			assert_string_equal(number, cases[i].number);
	}
}

static void test_if_none_match(void **state)
{
	assert_true(http_if_none_match("\"7\"", "\"7\""));
	assert_true(http_if_none_match("W/\"7\"", "\"7\""));
	assert_true(http_if_none_match(" \"6\" , \"7\" ", "\"7\""));
	assert_true(http_if_none_match("*", "\"7\""));
	assert_false(http_if_none_match("\"70\"", "\"7\""));
	assert_false(http_if_none_match("7", "\"7\""));
	assert_false(http_if_none_match("", "\"7\""));
	assert_false(http_if_none_match(NULL, "\"7\""));
	assert_false(http_if_none_match("*", ""));
}

/* ---- negotiation ---- */

static void test_accepts(void **state)
{
	static const struct {
		const char *value;
		bool json;
	} cases[] = {
		{ NULL, true },
		{ "", true },
		{ "*/*", true },
		{ "application/*", true },
		{ "Application/JSON", true },
		{ "text/html, application/json;q=0.1", true },
		{ "text/html, */*;q=0.8", true },
		{ "application/json; charset=utf-8", true },
		{ "application/json;q=0.001", true },
		{ "text/html", false },
		{ "application/jsonx", false },
		{ "application/json;q=0", false },
		{ "application/json;q=0.000, */*", false },
		{ "*/*, application/json; x=1; q=0", false },
		{ "*/*;q=0", false },
		{ "application/*;q=0, */*", false },
		{ ",;", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (http_accepts(cases[i].value, "application/json") != cases[i].json)
			fail_msg("Accept: %s", cases[i].value);
	/* what Prometheus sends */
	assert_true(http_accepts("application/openmetrics-text;version=1.0.0;q=0.5,"
				 "text/plain;version=0.0.4;q=0.3,*/*;q=0", "text/plain; version=0.0.4"));
	assert_false(http_accepts("application/json", "text/plain; version=0.0.4"));
}

static void test_not_acceptable(void **state)
{
	struct scene *s = *state;

	ask(s, 406, "GET", "/v1/vms", "Accept: text/html\r\n", NULL);
	expect(s, "\"not-acceptable\"");
	ask(s, 406, "GET", "/v1/vms/up/xml", "Accept: application/json\r\n", NULL);
	ask(s, 200, "GET", "/v1/vms/up/xml", "Accept: application/xml\r\n", NULL);
	ask(s, 200, "GET", "/v1/events", "Accept: application/json\r\n", NULL);
	/* nothing is done that cannot be told of */
	ask(s, 406, "POST", "/v1/vms", JSON "Accept: text/html\r\n", VM("demo"));
	ask(s, 404, "GET", "/v1/vms/demo", NULL, NULL);
	ask(s, 204, "POST", "/v1/vms/up/actions/pause", "Accept: text/html\r\n", NULL);
}

static void test_options(void **state)
{
	struct scene *s = *state;

	ask(s, 204, "OPTIONS", "/v1/vms", NULL, NULL);
	assert_string_equal(http_header(&s->conn, "Allow"), "GET, HEAD, POST, OPTIONS");
	ask(s, 204, "OPTIONS", "/v1/vms/nobody", NULL, NULL);
	assert_string_equal(http_header(&s->conn, "Allow"), "GET, HEAD, PATCH, DELETE, OPTIONS");
	ask(s, 204, "OPTIONS", "*", NULL, NULL);
	ask(s, 404, "OPTIONS", "/v1/nothing", NULL, NULL);
	ask(s, 405, "PUT", "/v1/vms", NULL, NULL);
	assert_string_equal(http_header(&s->conn, "Allow"), "GET, HEAD, POST, OPTIONS");
	/* no stream for who wants its head alone */
	ask(s, 200, "HEAD", "/v1/events", "Accept: text/event-stream\r\n", NULL);
	ask(s, 200, "GET", "/v1/host", NULL, NULL);
}

/* ---- requests that come twice ---- */

static void expect_replay(struct scene *s, bool replayed)
{
	assert_int_equal(http_header(&s->conn, "Idempotency-Replayed") != NULL, replayed);
}

static void test_once(void **state)
{
	struct scene *s = *state;
	static char first[sizeof(s->conn.answer.body)];
	char etag[64];

	for (int i = 0; i < 3; i++) {
		if (i == 2)
			restart(s);
		ask(s, 201, "POST", "/v1/vms", JSON KEY("a"), VM("demo"));
		expect_replay(s, i > 0);
		if (i == 0) {
			strcpy(first, s->conn.answer.body);
			keep_header(s, "ETag", "ETag", etag, sizeof(etag));
		}
		assert_string_equal(s->conn.answer.body, first);
		assert_string_equal(http_header(&s->conn, "Location"), "/v1/vms/demo");
		assert_non_null(strstr(etag, http_header(&s->conn, "ETag")));
	}
	/* another key is another request, and so is the same one without */
	ask(s, 409, "POST", "/v1/vms", JSON KEY("b"), VM("demo"));
	ask(s, 409, "POST", "/v1/vms", JSON, VM("demo"));
	/* also without the quotes, as many send it */
	ask(s, 201, "POST", "/v1/vms", JSON "Idempotency-Key: a\r\n", VM("demo"));

	ask(s, 204, "DELETE", "/v1/vms/demo", KEY("c"), NULL);
	expect_replay(s, false);
	ask(s, 204, "DELETE", "/v1/vms/demo", KEY("c"), NULL);
	expect_replay(s, true);
	ask(s, 404, "DELETE", "/v1/vms/demo", NULL, NULL);
}

static void test_other_request(void **state)
{
	struct scene *s = *state;

	ask(s, 200, "PATCH", "/v1/vms/up", PATCH KEY("k"), "{\"description\":\"x\"}");
	ask(s, 422, "PATCH", "/v1/vms/up", PATCH KEY("k"), "{\"description\":\"y\"}");
	expect(s, "\"fields\":[{\"field\":\"Idempotency-Key\"");
	ask(s, 422, "PATCH", "/v1/vms/up?next_boot=true", PATCH KEY("k"), "{\"description\":\"x\"}");
	ask(s, 422, "PATCH", "/v1/vms/up", PATCH KEY("k") "If-Match: \"1\"\r\n",
	    "{\"description\":\"x\"}");
	ask(s, 422, "POST", "/v1/vms/up/actions/pause", KEY("k"), NULL);
	ask(s, 200, "PATCH", "/v1/vms/up", PATCH KEY("k"), "{\"description\":\"x\"}");
	expect_replay(s, true);
	/* of reading there is nothing to keep */
	ask(s, 200, "GET", "/v1/vms/up", KEY("k"), NULL);
}

static void test_bad_keys(void **state)
{
	static const char *const bad[] = { "\"\"", "\"a b\"", "\"a", "a,b", "\"\\\"\"", "\"" };
	struct scene *s = *state;
	char headers[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(headers, sizeof(headers), "Idempotency-Key: %s\r\n", bad[i]);
		ask(s, 400, "POST", "/v1/vms/up/actions/pause", headers, NULL);
	}
	memset(headers, 0, sizeof(headers));
	strcpy(headers, "Idempotency-Key: ");
	memset(headers + 17, 'x', HTTP_KEY_SIZE);
	strcat(headers, "\r\n");
	ask(s, 400, "POST", "/v1/vms/up/actions/pause", headers, NULL);
	strcpy(headers + 17 + HTTP_KEY_SIZE - 1, "\r\n");
	ask(s, 204, "POST", "/v1/vms/up/actions/pause", headers, NULL);
}

/* What has changed nothing can be tried again. */
static void test_failure_is_not_kept(void **state)
{
	struct scene *s = *state;

	ask(s, 409, "POST", "/v1/vms/up/actions/resume", KEY("r"), NULL);
	ask(s, 204, "POST", "/v1/vms/up/actions/pause", NULL, NULL);
	ask(s, 204, "POST", "/v1/vms/up/actions/resume", KEY("r"), NULL);
	expect_replay(s, false);
}

#define STOP "/v1/vms/up/actions/stop"

/* Of an operation: refused while it is under way, then what its first answer was. */
static void test_operation(void **state)
{
	struct scene *s = *state;
	static const char stop[] = "POST " STOP " HTTP/1.1\r\nHost: h\r\n" KEY("s") "\r\n";
	struct http_conn *other = calloc(1, sizeof(*other));
	char location[96];

	ask(s, 202, "POST", STOP, KEY("async") "Prefer: respond-async\r\n", NULL);
	keep_header(s, "Location", "Location", location, sizeof(location));
	ask(s, 202, "POST", STOP, KEY("async"), NULL);
	expect_replay(s, true);
	assert_string_equal(http_header(&s->conn, "Preference-Applied"), "respond-async");
	assert_non_null(strstr(location, http_header(&s->conn, "Location")));

	http_connect(other, s->rig.socket);
	assert_true(http_write(other, stop, sizeof(stop) - 1));
	do
		ask(s, 200, "GET", "/v1/operations?fields=id", NULL, NULL);
	while (!strchr(s->conn.answer.body, ',')); /* the second is there */
	ask(s, 409, "POST", STOP, KEY("s"), NULL);
	expect(s, "is under way as operation");
	rig_end_vmm(&s->rig);
	assert_int_equal(http_read(other, false), 204);
	ask(s, 204, "POST", STOP, KEY("s"), NULL);
	expect_replay(s, true);
	ask(s, 409, "POST", STOP, NULL, NULL);
	http_close(other);
	free(other);
}

/* hvd has gone before the answer: the next one knows the operation. */
static void test_operation_after_restart(void **state)
{
	struct scene *s = *state;
	static const char stop[] = "POST " STOP " HTTP/1.1\r\nHost: h\r\n" KEY("s") "\r\n";
	struct http_conn *other = calloc(1, sizeof(*other));

	http_connect(other, s->rig.socket);
	assert_true(http_write(other, stop, sizeof(stop) - 1));
	do
		ask(s, 200, "GET", "/v1/operations?fields=id", NULL, NULL);
	while (!strstr(s->conn.answer.body, "\"id\""));
	rig_stop(&s->rig);
	rig_end_vmm(&s->rig);
	rig_start(&s->rig);
	http_close(&s->conn);
	http_connect(&s->conn, s->rig.socket);
	ask(s, 202, "POST", STOP, KEY("s"), NULL);
	expect_replay(s, true);
	expect(s, "\"state\":\"succeeded\"");
	assert_memory_equal(http_header(&s->conn, "Location"), "/v1/operations/", 15);
	http_close(other);
	free(other);
}

/* ---- the store itself ---- */

static void do_one(struct idempotency *store, const char *client, const char *key)
{
	struct http_answer answer = { .status = 204 };
	struct idempotent *request;

	assert_int_equal(idempotency_begin(store, client, key, 1, &request, NULL), 0);
	idempotent_end(request, &answer);
}

static bool is_known(struct idempotency *store, const char *client, const char *key)
{
	struct idempotent *request;
	int r = idempotency_begin(store, client, key, 1, &request, NULL);

	assert_true(r >= 0);
	if (!r)
		idempotent_end(request, NULL);
	return r;
}

static void test_bounds(void **state)
{
	char folder[] = "/tmp/hvd-test.XXXXXX", path[64], key[16], command[64];
	struct idempotency *store = NULL;
	FILE *f;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/keys", folder);
	assert_int_equal(idempotency_new(path, &store, NULL), 0);
	do_one(store, "other", "0");
	for (int i = 0; i < IDEMPOTENCY_PER_CLIENT + 10; i++) {
		snprintf(key, sizeof(key), "%d", i);
		do_one(store, "a", key);
	}
	for (int again = 0; again < 2; again++) {
		assert_false(is_known(store, "a", "0"));
		assert_false(is_known(store, "a", "9"));
		assert_true(is_known(store, "a", "20"));
		assert_true(is_known(store, "a", key));
		assert_true(is_known(store, "other", "0"));
		assert_false(is_known(store, "third", "20"));

		/* and after a restart, with files of no use beside */
		idempotency_free(store);
		snprintf(path, sizeof(path), "%s/keys/0000000000000001.json", folder);
		f = fopen(path, "w");
		fputs("{\"client\":\"a\"}", f);
		fclose(f);
		snprintf(path, sizeof(path), "%s/keys/0000000000000002.json.new", folder);
		f = fopen(path, "w");
		fclose(f);
		snprintf(path, sizeof(path), "%s/keys", folder);
		assert_int_equal(idempotency_new(path, &store, NULL), 0);
	}
	snprintf(path, sizeof(path), "%s/keys/0000000000000002.json.new", folder);
	assert_int_not_equal(access(path, F_OK), 0);
	idempotency_free(store);

	/* a day later */
	snprintf(path, sizeof(path), "%s/keys/0000000000000003.json", folder);
	f = fopen(path, "w");
	fputs("{\"client\":\"old\",\"key\":\"k\",\"request\":\"1\",\"operation\":\"abc\"}", f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/keys", folder);
	assert_int_equal(idempotency_new(path, &store, NULL), 0);
	assert_false(is_known(store, "old", "k"));
	idempotency_free(store);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

/* What is kept is JSON: no operation that changes something answers with anything else. */
static void test_results(void **state)
{
	for (const struct op *op = ops; op < ops + _OP_MAX; op++)
		if (op->method != HTTP_GET)
			assert_true(op->result == RESULT_NONE || op->result == RESULT_OBJECT);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_not_modified),
		cmocka_unit_test(test_if_match),
		cmocka_unit_test(test_if_none_match),
		cmocka_unit_test(test_accepts),
		T(test_not_acceptable),
		T(test_options),
		T(test_once),
		T(test_other_request),
		T(test_bad_keys),
		T(test_failure_is_not_kept),
		T(test_operation),
		T(test_operation_after_restart),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
