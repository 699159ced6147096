/* SPDX-License-Identifier: Apache-2.0 */
/* The REST server against a real manager: what clients do, and what they should not. */
#include <curl/curl.h>
#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "api/ops.h"
#include "tests/unit/exposition.h"
#include "tests/unit/http_client.h"
#include "tests/unit/patience.h"
#include "tests/unit/rig.h"
#include "vmm/base/macro.h"

#define JSON  "Content-Type: application/json\r\n"
#define PATCH "Content-Type: application/merge-patch+json\r\n"
#define DATA  "Content-Type: application/octet-stream\r\n"
#define XML   "Content-Type: application/xml\r\n"
#define VM    "{\"name\":\"demo\",\"memory\":\"64M\",\"boot\":{\"kernel\":\"/bin/sh\"}}"
#define VM_XML                                                                                 \
	"<domain type='kvm'><name>imported</name><title/><memory unit='MiB'>64</memory><vcpu>1</vcpu>" \
	"<os><type arch='aarch64' machine='virt'>hvm</type><kernel>/bin/sh</kernel></os></domain>"
#define UPGRADE \
	"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* One server for the tests that leave it as it was. "up" runs, as far as hvd knows. */
static struct rig shared;
static struct http_conn *conn;

static int setup(void **state)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rig_init(&shared);
	rig_start_vmm(&shared, "up");
	rig_start(&shared);
	conn = malloc(sizeof(*conn));
	return conn ? 0 : -1;
}

static int teardown(void **state)
{
	rig_clear(&shared);
	free(conn);
	curl_global_cleanup();
	return 0;
}

static int connect_shared(void **state)
{
	http_connect(conn, shared.socket);
	return 0;
}

static int disconnect(void **state)
{
	http_close(conn);
	return 0;
}

/* The last answer is a problem of this status and code. */
static void expect_problem(unsigned status, const char *code)
{
	json_t *problem = json_loads(conn->answer.body, 0, NULL);

	assert_string_equal(http_header(conn, "Content-Type"), "application/problem+json");
	assert_non_null(problem);
	assert_int_equal(json_integer_value(json_object_get(problem, "status")), status);
	assert_string_equal(json_string_value(json_object_get(problem, "code")), code);
	assert_true(json_string_length(json_object_get(problem, "detail")) > 0);
	assert_true(json_string_length(json_object_get(problem, "title")) > 0);
	json_decref(problem);
}

static const struct {
	const char *method, *path, *headers, *body;
	unsigned status;
	const char *code; /* of a problem */
} errors[] = {
	{ "GET", "/", NULL, NULL, 404, "not-found" },
	{ "GET", "/v1/vms/", NULL, NULL, 404, "not-found" },
	{ "GET", "/v1/vms%00", NULL, NULL, 404, "not-found" },
	{ "GET", "/v1%2fvms", NULL, NULL, 404, "not-found" },
	{ "GET", "/v1/vms/nobody", NULL, NULL, 404, "not-found" },
	{ "GET", "/v1/networks/nowhere", NULL, NULL, 404, "not-found" },
	{ "POST", "/v1/vms/nobody/actions/start", NULL, NULL, 404, "not-found" },
	{ "PUT", "/v1/vms", NULL, NULL, 405, "method-not-allowed" },
	{ "GET", "/v1/vms/up/actions/start", NULL, NULL, 405, "method-not-allowed" },
	{ "GET", "/v1/vms?x=1", NULL, NULL, 422, "invalid" },
	{ "GET", "/v1/vms?cursor=%0", NULL, NULL, 400, "bad-syntax" },
	{ "GET", "/v1/vms?cursor=%00", NULL, NULL, 400, "bad-syntax" },
	{ "GET", "/v1/vms?cursor=%zz", NULL, NULL, 400, "bad-syntax" },
	{ "GET", "/v1/vms?cursor=%ff", NULL, NULL, 400, "bad-syntax" },
	{ "GET", "/v1/vms?cursor=a&cursor=b", NULL, NULL, 400, "bad-syntax" },
	{ "POST", "/v1/vms", NULL, "{}", 415, "unsupported-media-type" },
	{ "POST", "/v1/vms", "Content-Type: text/plain\r\n", "{}", 415, "unsupported-media-type" },
	{ "POST", "/v1/vms", PATCH, "{}", 415, "unsupported-media-type" },
	{ "POST", "/v1/vms/import", JSON, "{}", 415, "unsupported-media-type" },
	{ "POST", "/v1/vms", JSON, NULL, 400, "bad-syntax" },
	{ "POST", "/v1/vms", JSON, "{", 400, "bad-syntax" },
	{ "POST", "/v1/vms", JSON, "{\"name\":\"a\",\"name\":\"b\"}", 400, "bad-syntax" },
	{ "POST", "/v1/vms", JSON, "{} {}", 400, "bad-syntax" },
	{ "POST", "/v1/vms/import", XML, "<domain", 400, "bad-syntax" },
	{ "POST", "/v1/vms", JSON, "{}", 422, "invalid" },
	{ "POST", "/v1/vms", JSON, "[]", 422, "invalid" },
	{ "POST", "/v1/vms", JSON, "{\"name\":\"a\",\"vcpu\":1}", 422, "invalid" },
	{ "POST", "/v1/vms", JSON, "{\"name\":\"a\",\"vcpus\":\"many\"}", 422, "invalid" },
	{ "POST", "/v1/vms", JSON, "{\"name\":\"a\",\"boot\":{\"kernel\":\"/nowhere\"}}", 422,
	  "invalid" },
	{ "POST", "/v1/vms", JSON, "{\"name\":\"up\",\"boot\":{\"kernel\":\"/bin/sh\"}}", 409,
	  "already-exists" },
	{ "POST", "/v1/vms/up/actions/resume", JSON, "{\"x\":1}", 422, "invalid" },
	{ "POST", "/v1/vms/up/actions/start", NULL, NULL, 409, "conflict" },
	{ "DELETE", "/v1/vms/up", NULL, NULL, 409, "conflict" },
	{ "GET", "/v1/vms/up/console", NULL, NULL, 426, "upgrade-required" },
	{ "HEAD", "/v1/vms/up/console", UPGRADE KEY, NULL, 426, NULL },
	{ "GET", "/v1/vms/up/console", "Connection: Upgrade\r\nUpgrade: h2c\r\n", NULL, 426,
	  "upgrade-required" },
	{ "GET", "/v1/vms/up/console",
	  "Connection: Upgrade\r\nUpgrade: websocket\r\n" KEY "Sec-WebSocket-Version: 8\r\n", NULL,
	  426, "upgrade-required" },
	{ "GET", "/v1/vms/up/console", UPGRADE, NULL, 400, "bad-syntax" },
	{ "GET", "/v1/vms/up/console", UPGRADE "Sec-WebSocket-Key: short\r\n", NULL, 400,
	  "bad-syntax" },
	{ "GET", "/v1/vms/up/console?mode=sniff", UPGRADE KEY, NULL, 422, "invalid" },
	{ "GET", "/v1/vms/up/console?mod=read", UPGRADE KEY, NULL, 422, "invalid" },
	{ "GET", "/v1/vms/nobody/console", UPGRADE KEY, NULL, 404, "not-found" },
	{ "GET", "/v1/vms/up/disks/vda", NULL, NULL, 404, "not-found" },
	{ "DELETE", "/v1/vms/up/nics/net0", NULL, NULL, 404, "not-found" },
	{ "PATCH", "/v1/vms/up/disks/vda", PATCH, "{}", 404, "not-found" },
	{ "POST", "/v1/vms/up/disks", JSON, "{}", 422, "invalid" },
	{ "POST", "/v1/vms/up/disks", JSON, "{\"path\":\"/nowhere\"}", 422, "invalid" },
	{ "POST", "/v1/vms/up/disks?dry_run=maybe", JSON, "{\"path\":\"/bin/sh\"}", 422, "invalid" },
	{ "POST", "/v1/vms/up/nics", JSON, "{\"network\":\"nowhere\"}", 422, "invalid" },
	{ "PATCH", "/v1/vms/up?generation=77", PATCH, "{}", 412, "precondition-failed" },
	{ "PATCH", "/v1/vms/up?generation=-1", PATCH, "{}", 422, "invalid" },
	{ "PATCH", "/v1/vms/up", PATCH "If-Match: \"77\"\r\n", "{}", 412, "precondition-failed" },
	{ "PATCH", "/v1/vms/up", PATCH "If-Match: W/\"1\"\r\n", "{}", 412, "precondition-failed" },
	{ "PATCH", "/v1/vms/up", PATCH "If-Match: \"1\", \"2\"\r\n", "{}", 400, "bad-syntax" },
	{ "POST", "/v1/vms/up/actions/pause", "If-Match: \"1\"\r\n", NULL, 400, "bad-syntax" },
};

static void test_errors(void **state)
{
	/* all on one connection: an error with a small body does not end it */
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		unsigned status = http_ask(conn, errors[i].method, errors[i].path,
					   errors[i].headers, errors[i].body);

		if (status != errors[i].status)
			fail_msg("%s %s: %u %s, not %u", errors[i].method, errors[i].path, status,
				 conn->answer.body, errors[i].status);
		if (errors[i].code)
			expect_problem(errors[i].status, errors[i].code);
	}
}

/* No operation is without a route, and all its neighbours are 405 with it in Allow. */
static void test_every_operation(void **state)
{
	char path[128];

	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		const char *rest = op->path, *open;

		path[0] = '\0';
		for (; (open = strchr(rest, '{')); rest = strchr(rest, '}') + 1)
			sprintf(path + strlen(path), "%.*snobody", (int)(open - rest), rest);
		strcat(path, rest);
		http_ask(conn, http_method_names[op->method], path,
			 op->upload ? DATA : op->body_type ? XML : JSON,
			 op->args || op->body_type ? "{" : NULL);
		assert_int_not_equal(conn->answer.status, 405);
		assert_null(strstr(conn->answer.body, "openapi.json lists"));

		assert_int_equal(http_ask(conn, "TRACE", path, NULL, NULL), 405);
		assert_non_null(strstr(http_header(conn, "Allow"), http_method_names[op->method]));
	}
}

static void test_metrics(void **state)
{
	http_ask(conn, "GET", "/v1/vms/nobody", NULL, NULL);
	assert_int_equal(http_ask(conn, "GET", "/v1/metrics", NULL, NULL), 200);
	assert_string_equal(http_header(conn, "Content-Type"),
			    "text/plain; version=0.0.4; charset=utf-8");
	assert_true(exposition_check(conn->answer.body) > 10);
	assert_non_null(exposition_find(conn->answer.body, "hvd_http_requests_total{code=\"404\"}"));
	assert_int_equal(*exposition_find(conn->answer.body, "hvd_http_connections"), '1');
	assert_int_equal(*exposition_find(conn->answer.body, "hvd_vm_up{vm=\"up\"}"), '1');
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up/metrics", NULL, NULL), 200);
	assert_non_null(strstr(conn->answer.body, "\"name\":\"up\""));
	assert_int_equal(http_ask(conn, "GET", "/v1/metrics/vms", NULL, NULL), 200);
	assert_memory_equal(conn->answer.body, "{\"items\":[{\"name\":", 18);
}

static void test_life_of_a_definition(void **state)
{
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, VM), 201);
	assert_string_equal(http_header(conn, "Location"), "/v1/vms/demo");
	assert_string_equal(http_header(conn, "Content-Type"), "application/json");
	assert_string_equal(http_header(conn, "Server"), "hvd/" PACKAGE_VERSION);
	assert_non_null(http_header(conn, "Date"));
	assert_int_equal(conn->answer.body[conn->answer.n_body - 1], '\n');

	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, VM), 409);
	assert_int_equal(http_ask(conn, "GET", "/v1/vms", NULL, NULL), 200);
	assert_memory_equal(conn->answer.body, "{\"items\":[{", 11);
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/demo", PATCH, "{\"vcpus\":2}"), 200);
	assert_non_null(strstr(conn->answer.body, "\"vcpus\":2"));
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/demo", JSON, "{\"vcpus\":0}"), 422);
	assert_non_null(strstr(conn->answer.body, "\"fields\":[{\"field\":\"vcpus\""));
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/demo/xml", NULL, NULL), 200);
	assert_string_equal(http_header(conn, "Content-Type"), "application/xml");
	assert_int_equal(http_ask(conn, "POST", "/v1/vms/demo/actions/start", NULL, NULL), 501);
	expect_problem(501, "not-supported");
	assert_int_equal(http_ask(conn, "DELETE", "/v1/vms/demo", JSON, "{}"), 204);
	assert_null(http_header(conn, "Content-Length"));

	assert_int_equal(http_ask(conn, "POST", "/v1/vms/import", XML, VM_XML), 201);
	assert_string_equal(http_header(conn, "Location"), "/v1/vms/imported");
	assert_non_null(strstr(conn->answer.body, "\"ignored\":[{\"element\":\"domain/title\",\"lines\":\"1\","));
	assert_non_null(strstr(conn->answer.body, "\"spec\":{"));
	assert_int_equal(http_ask(conn, "DELETE", "/v1/vms/imported", NULL, NULL), 204);
	assert_int_equal(http_ask(conn, "GET", "/v1/openapi.json", NULL, NULL), 200);
	assert_int_equal(http_ask(conn, "GET", "/v1/host", NULL, NULL), 200);
}

#define DISK(n) "/v1/vms/demo/disks" n

static void expect_body(const char *part)
{
	if (!strstr(conn->answer.body, part))
		fail_msg("no %s in %s", part, conn->answer.body);
}

/*
 * Disks are resources of their own, and changes of them are changes of the spec. Any file is one,
 * but for those that somebody runs: they cannot be written.
 */
static void test_disks(void **state)
{
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, VM), 201);
	assert_memory_equal(http_header(conn, "ETag"), "\"1-", 3);
	assert_int_equal(http_ask(conn, "GET", DISK(""), NULL, NULL), 200);
	assert_string_equal(conn->answer.body, "{\"items\":[]}\n");

	assert_int_equal(http_ask(conn, "POST", DISK("?dry_run=true"), JSON,
				  "{\"path\":\"/etc/passwd\"}"), 200);
	expect_body("{\"changes\":[{\"field\":\"disks[vda]\",\"applies\":\"next-boot\"}]}");
	assert_null(http_header(conn, "Location"));
	assert_int_equal(http_ask(conn, "POST", DISK(""), JSON "If-Match: \"1\"\r\n",
				  "{\"path\":\"/etc/passwd\"}"), 201);
	assert_string_equal(http_header(conn, "Location"), DISK("/vda"));
	assert_string_equal(http_header(conn, "ETag"), "\"2\"");
	expect_body("\"id\":\"vda\"");
	/* of another generation, and the same file twice */
	assert_int_equal(http_ask(conn, "POST", DISK(""), JSON "If-Match: \"1\"\r\n",
				  "{\"path\":\"/etc/group\"}"), 412);
	assert_int_equal(http_ask(conn, "POST", DISK(""), JSON, "{\"path\":\"/etc/passwd\"}"), 422);
	expect_body("\"fields\":[{\"field\":\"path\"");

	assert_int_equal(http_ask(conn, "GET", DISK("/vda"), NULL, NULL), 200);
	assert_string_equal(http_header(conn, "ETag"), "\"2\"");
	assert_int_equal(http_ask(conn, "PATCH", DISK("/vda"), PATCH, "{\"read_only\":true}"), 200);
	expect_body("\"read_only\":true");
	assert_int_equal(http_ask(conn, "PATCH", DISK("/vda"), PATCH, "{\"id\":\"vdb\"}"), 422);
	expect_body("\"field\":\"id\"");
	assert_int_equal(http_ask(conn, "PATCH", DISK("/vda"), PATCH, "{\"cache\":\"hot\"}"), 422);
	expect_body("\"field\":\"cache\"");

	/* a list like any other */
	assert_int_equal(http_ask(conn, "GET", DISK("?fields=id,path&filter=read_only==true"), NULL,
				  NULL), 200);
	assert_string_equal(conn->answer.body,
			    "{\"items\":[{\"path\":\"/etc/passwd\",\"id\":\"vda\"}]}\n");
	assert_int_equal(http_ask(conn, "GET", DISK("?fields=id&cursor=vda"), NULL, NULL), 200);
	assert_string_equal(conn->answer.body, "{\"items\":[]}\n");
	assert_int_equal(http_ask(conn, "GET", DISK("?filter=colour==red"), NULL, NULL), 422);
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/demo/nics?limit=1", NULL, NULL), 200);

	assert_int_equal(http_ask(conn, "DELETE", DISK("/vda?dry_run=yes"), NULL, NULL), 200);
	assert_int_equal(http_ask(conn, "DELETE", DISK("/vda"), NULL, NULL), 200);
	expect_body("{\"changes\":[{\"field\":\"disks[vda]\"");
	assert_int_equal(http_ask(conn, "GET", DISK("/vda"), NULL, NULL), 404);
	assert_int_equal(http_ask(conn, "DELETE", "/v1/vms/demo", "If-Match: \"3\"\r\n", NULL), 412);
	assert_int_equal(http_ask(conn, "DELETE", "/v1/vms/demo", "If-Match: *\r\n", NULL), 204);
}

/* Parts of the spec, which change as if the spec did. */
static void test_parts(void **state)
{
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, VM), 201);
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up/vcpus", NULL, NULL), 200);
	assert_string_equal(conn->answer.body, "{\"vcpus\":1}\n");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up/memory", NULL, NULL), 200);
	expect_body("{\"memory\":67108864,\"memory_target\":0,\"shared_memory\":false}");
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/up/vcpus?dry_run=true", PATCH,
				  "{\"vcpus\":3}"), 200);
	expect_body("{\"changes\":[{\"field\":\"vcpus\",\"applies\":\"next-boot\"}]}");
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/up/vcpus", PATCH, "{\"vcpus\":3}"), 200);
	assert_string_equal(conn->answer.body, "{\"vcpus\":3}\n");
	assert_non_null(http_header(conn, "ETag"));
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/up/memory", PATCH,
				  "{\"memory\":\"128M\"}"), 200);
	expect_body("{\"memory\":134217728,");
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/demo/resources", PATCH,
				  "{\"cpu_weight\":20}"), 200);
	expect_body("\"cpu_weight\":20");
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/demo/resources", PATCH,
				  "{\"memory_high\":\"1G\",\"cpu_weight\":null}"), 200);
	expect_body("{\"cpu_weight\":0,");
	expect_body("\"memory_high\":1073741824");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up", NULL, NULL), 200);
	expect_body("\"pending\":[{\"field\":\"vcpus\"},{\"field\":\"memory\"}]");

	/* what belongs to another part; what is no limit; what two of them say together */
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/up/vcpus", PATCH, "{\"memory\":1}"), 422);
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/up/memory", PATCH, "{\"memory\":1}"), 422);
	expect_body("\"field\":\"memory\"");
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/demo/resources", PATCH,
				  "{\"cpuset\":\"x\"}"), 422);
	expect_body("\"field\":\"cpuset\"");
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/up/memory", PATCH,
				  "{\"memory_target\":\"1G\"}"), 422);
	assert_int_equal(http_ask(conn, "DELETE", "/v1/vms/demo", NULL, NULL), 204);
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/up", PATCH,
				  "{\"vcpus\":1,\"memory\":\"64M\"}"), 200);
	expect_body("\"pending\":[]");
}

/* Of a VM that runs: at once, or at its next start. */
static void test_changes_while_running(void **state)
{
	assert_int_equal(http_ask(conn, "POST", "/v1/vms/up/disks?next_boot=true", JSON,
				  "{\"path\":\"/bin/sh\",\"id\":\"later\",\"read_only\":true}"),
			 201);
	assert_int_equal(http_ask(conn, "POST", "/v1/vms/up/disks", JSON,
				  "{\"path\":\"/bin/ls\",\"read_only\":true}"), 201);
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up", NULL, NULL), 200);
	expect_body("\"pending\":[{\"field\":\"disks[later]\"}]");
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/up/disks/vda?dry_run=true", PATCH,
				  "{\"cache\":\"unsafe\"}"), 200);
	expect_body("{\"field\":\"disks[vda].cache\",\"applies\":\"next-boot\"}");
	assert_int_equal(http_ask(conn, "PATCH", "/v1/vms/up?dry_run=true", PATCH,
				  "{\"description\":\"x\",\"name\":\"down\"}"), 200);
	expect_body("{\"field\":\"description\",\"applies\":\"live\"}");
	expect_body("{\"field\":\"name\",\"applies\":\"immutable\"}");
	assert_int_equal(http_ask(conn, "DELETE", "/v1/vms/up/disks/later", NULL, NULL), 200);
	assert_int_equal(http_ask(conn, "DELETE", "/v1/vms/up/disks/vda", NULL, NULL), 200);
	expect_body("\"live\"");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up", NULL, NULL), 200);
	expect_body("\"pending\":[]");
}

/* Pages, filters and fields of the list of VMs. */
static void test_lists(void **state)
{
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, VM), 201);
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?fields=name", NULL, NULL), 200);
	assert_string_equal(conn->answer.body, "{\"items\":[{\"name\":\"demo\"},{\"name\":\"up\"}]}\n");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?fields=name&limit=1", NULL, NULL), 200);
	assert_string_equal(conn->answer.body,
			    "{\"items\":[{\"name\":\"demo\"}],\"next\":\"demo\"}\n");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?fields=name&limit=1&cursor=demo", NULL, NULL),
			 200);
	assert_string_equal(conn->answer.body, "{\"items\":[{\"name\":\"up\"}]}\n");
	/* the item of a cursor may have gone */
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?fields=name&cursor=gone", NULL, NULL), 200);
	assert_string_equal(conn->answer.body, "{\"items\":[{\"name\":\"up\"}]}\n");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?fields=name&cursor=z", NULL, NULL), 200);
	assert_string_equal(conn->answer.body, "{\"items\":[]}\n");

	assert_int_equal(http_ask(conn, "GET", "/v1/vms?filter=state==running&fields=status.state,"
					       "spec.boot.kernel", NULL, NULL), 200);
	assert_string_equal(conn->answer.body,
			    "{\"items\":[{\"spec\":{\"boot\":{\"kernel\":\"/bin/sh\"}},"
			    "\"status\":{\"state\":\"running\"}}]}\n");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?filter=name==d*,memory<65M&fields=name",
				  NULL, NULL), 200);
	assert_string_equal(conn->answer.body, "{\"items\":[{\"name\":\"demo\"}]}\n");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?filter=name==%22demo%22&fields=name", NULL,
				  NULL), 200);
	assert_string_equal(conn->answer.body, "{\"items\":[{\"name\":\"demo\"}]}\n");

	assert_int_equal(http_ask(conn, "GET", "/v1/vms?filter=colour==red", NULL, NULL), 422);
	expect_body("\"field\":\"filter\"");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?fields=vcpus", NULL, NULL), 422);
	expect_body("is it spec.vcpus?");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?fields=spec.vcpu", NULL, NULL), 422);
	assert_int_equal(http_ask(conn, "GET", "/v1/vms?limit=10001", NULL, NULL), 422);
	assert_int_equal(http_ask(conn, "GET", "/v1/operations?cursor=gone", NULL, NULL), 422);
	expect_body("begin anew");
	assert_int_equal(http_ask(conn, "DELETE", "/v1/vms/demo", NULL, NULL), 204);
}

static void test_head(void **state)
{
	char length[32];

	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up", NULL, NULL), 200);
	snprintf(length, sizeof(length), "%s", http_header(conn, "Content-Length"));
	assert_int_equal(http_ask(conn, "HEAD", "/v1/vms/up", NULL, NULL), 200);
	assert_string_equal(http_header(conn, "Content-Length"), length);
	/* the next answer begins where HEAD's ended */
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up", NULL, NULL), 200);
}

static void test_pipelining(void **state)
{
	static const char three[] = "GET /v1/vms HTTP/1.1\r\nHost: h\r\n\r\n"
				    "POST /v1/vms/up/actions/pause HTTP/1.1\r\nHost: h\r\n"
				    "Content-Length: 0\r\n\r\n"
				    "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
				    "POST /v1/vms/up/actions/resume HTTP/1.1\r\nHost: h\r\n\r\n";

	assert_true(http_write(conn, three, sizeof(three) - 1));
	assert_int_equal(http_read(conn, false), 200);
	assert_int_equal(http_read(conn, false), 204);
	assert_int_equal(http_read(conn, false), 404);
	assert_int_equal(http_read(conn, false), 204);
}

static void test_connection_close(void **state)
{
	assert_int_equal(http_ask(conn, "GET", "/v1/vms", "Connection: close\r\n", NULL), 200);
	assert_int_equal(http_read(conn, false), 0);
}

static char *zeros(size_t n)
{
	char *text = malloc(n + 1);

	assert_non_null(text);
	memset(text, '0', n);
	text[n] = '\0';
	return text;
}

static void test_large_bodies(void **state)
{
	char *body = zeros(HTTP_BODY_MAX);
	char *large = zeros(HTTP_BODY_MAX + 1);
	char *huge = zeros(4 * MIB);

	/* read, and no JSON object; and one byte more, after which the connection goes on */
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, body), 400);
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, large), 413);
	expect_problem(413, "too-large");
	assert_int_equal(http_ask(conn, "GET", "/v1/vms", NULL, NULL), 200);

	/* the client who asks is told before it sends */
	assert_int_equal(http_ask(conn, "POST", "/v1/vms",
				  JSON "Expect: 100-continue\r\nContent-Length: 70000\r\n", NULL),
			 413);
	http_close(conn);

	http_connect(conn, shared.socket);
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, huge), 413);
	http_close(conn);
	http_connect(conn, shared.socket);
	free(body);
	free(large);
	free(huge);
}

static void test_chunks(void **state)
{
	static const char head[] =
		"POST /v1/vms HTTP/1.1\r\nHost: h\r\n" JSON "Transfer-Encoding: chunked\r\n\r\n";
	static const char two[] = "2\r\n{\"\r\n5\r\nx\":1}\r\n0\r\n\r\n";
	char chunk[16 + 4096 + 2];
	int n = sprintf(chunk, "1000\r\n");

	assert_true(http_write(conn, head, sizeof(head) - 1));
	assert_true(http_write(conn, two, sizeof(two) - 1));
	assert_int_equal(http_read(conn, false), 422);

	assert_true(http_write(conn, head, sizeof(head) - 1));
	memset(chunk + n, ' ', 4096);
	memcpy(chunk + n + 4096, "\r\n", 2);
	for (int i = 0; i < 17; i++)
		assert_true(http_write(conn, chunk, (size_t)n + 4098));
	assert_true(http_write(conn, "0\r\n\r\n", 5));
	assert_int_equal(http_read(conn, false), 413);
}

/* A body without end is cut off. */
static void test_endless_chunks(void **state)
{
	static const char head[] =
		"POST /v1/vms HTTP/1.1\r\nHost: h\r\n" JSON "Transfer-Encoding: chunked\r\n\r\n";
	static char chunk[6 + 65536 + 2] = "10000\r\n";
	size_t sent = 0;

	memset(chunk + 7, ' ', sizeof(chunk) - 9);
	memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
	assert_true(http_write(conn, head, sizeof(head) - 1));
	while (http_write(conn, chunk, sizeof(chunk))) {
		sent += sizeof(chunk);
		assert_true(sent < 64 * MIB);
	}
}

static void test_large_head(void **state)
{
	char *value = zeros(100000), *head;

	assert_true(asprintf(&head, "GET /v1/vms HTTP/1.1\r\nHost: h\r\nX-Long: %s\r\n\r\n",
			     value) > 0);
	http_write(conn, head, strlen(head));
	assert_int_equal(http_read(conn, false), 431);
	assert_int_equal(http_read(conn, false), 0);
	free(value);
	free(head);
}

static void test_no_http(void **state)
{
	static const char *const junk[] = {
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"\x16\x03\x01\x02\r\n\r\n",
		"GET /v1/vms HTTP/1.1\r\n\r\n", /* no Host */
		"POST /v1/vms HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
		"POST /v1/vms HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
		unsigned status;

		http_close(conn);
		http_connect(conn, shared.socket);
		http_write(conn, junk[i], strlen(junk[i]));
		shutdown(conn->fd, SHUT_WR);
		status = http_read(conn, false);
		assert_true(status == 0 || status == 400);
	}
}

/* ---- libcurl, as hvcli uses it ---- */

static size_t ignore(char *data, size_t size, size_t n, void *ctx)
{
	return size * n;
}

static void test_libcurl_keeps_the_connection(void **state)
{
	CURL *curl = curl_easy_init();
	long status, connects;

	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, shared.socket);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
	for (int i = 0; i < 3; i++) {
		curl_easy_setopt(curl, CURLOPT_URL,
				 i ? "http://hvd/v1/nowhere" : "http://hvd/v1/vms");
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
		assert_int_equal(status, i ? 404 : 200);
		assert_int_equal(connects, i ? 0 : 1);
	}
	curl_easy_cleanup(curl);
}

/* ---- the console ---- */

static void expect_frame(const char *want, size_t n)
{
	char buf[64];

	while (conn->n < n) {
		ssize_t got = recv(conn->fd, conn->buf + conn->n, sizeof(conn->buf) - conn->n, 0);

		assert_true(got > 0);
		conn->n += (size_t)got;
	}
	memcpy(buf, conn->buf, n);
	assert_memory_equal(buf, want, n);
	conn->n -= n;
	memmove(conn->buf, conn->buf + n, conn->n);
}

static void test_console(void **state)
{
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up/console", UPGRADE KEY, NULL), 101);
	assert_string_equal(http_header(conn, "Sec-WebSocket-Accept"),
			    "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_string_equal(http_header(conn, "Upgrade"), "websocket");
	assert_string_equal(http_header(conn, "Connection"), "Upgrade");
	expect_frame("\x82\x07login: ", 9);
	assert_true(http_write(conn, "\x82\x82\0\0\0\0hi", 8));
	expect_frame("\x82\x02hi", 4);
	assert_true(http_write(conn, "\x88\x82\0\0\0\0\x03\xe8", 8));
	expect_frame("\x88\x02\x03\xe8", 4);
	assert_int_equal(http_read(conn, false), 0);
}

/* Bytes that come with the handshake are not lost between libmicrohttpd and the session. */
static void test_console_impatient(void **state)
{
	static const char both[] =
		"GET /v1/vms/up/console HTTP/1.1\r\nHost: h\r\n" UPGRADE KEY "\r\n"
		"\x82\x82\0\0\0\0hi";

	assert_true(http_write(conn, both, sizeof(both) - 1));
	assert_int_equal(http_read(conn, false), 101);
	/* in one message or two, in either order */
	while (conn->buf[conn->n] = '\0', conn->n < 11 || !strstr(conn->buf, "hi")) {
		ssize_t n = recv(conn->fd, conn->buf + conn->n, 100, 0);

		assert_true(n > 0 && conn->n < 100);
		conn->n += (size_t)n;
	}
}

static void test_console_read_only(void **state)
{
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/up/console?mode=read", UPGRADE KEY, NULL),
			 101);
	expect_frame("\x82\x07login: ", 9);
	assert_true(http_write(conn, "\x82\x82\0\0\0\0hi", 8));
	expect_frame("\x88\x1b\x03\xf0this console is read-only", 29);
}

/* ---- hang-ups: a server each ---- */

static void wait_held(struct rig *rig, int n)
{
	for (int i = 0; atomic_load(&rig->vmm_held) < n; i++) {
		assert_true(i < PATIENCE_MS / 10);
		poll(NULL, 0, 10);
	}
}

static void expect_served(struct rig *rig)
{
	http_connect(conn, rig->socket);
	assert_int_equal(http_ask(conn, "GET", "/v1/vms", NULL, NULL), 200);
	http_close(conn);
}

static void test_client_gone_while_pending(void **state)
{
	static const char pause[] = "POST /v1/vms/up/actions/pause HTTP/1.1\r\nHost: h\r\n\r\n";
	struct rig rig;

	rig_init(&rig);
	rig_start_vmm(&rig, "up");
	atomic_store(&rig.vmm_hold, true);
	rig_start(&rig);

	http_connect(conn, rig.socket);
	assert_true(http_write(conn, pause, sizeof(pause) - 1));
	wait_held(&rig, 1);
	http_close(conn);
	expect_served(&rig);
	/* the process hangs up: the call ends for a client that is gone */
	rig_end_vmm(&rig);
	expect_served(&rig);
	rig_clear(&rig);
}

static void test_stopped_while_pending(void **state)
{
	static const char pause[] = "POST /v1/vms/up/actions/pause HTTP/1.1\r\nHost: h\r\n\r\n";
	static const char half[] =
		"POST /v1/vms HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{";
	struct http_conn *others = calloc(2, sizeof(*others));
	struct rig rig;

	rig_init(&rig);
	rig_start_vmm(&rig, "up");
	atomic_store(&rig.vmm_hold, true);
	rig_start(&rig);
	http_connect(conn, rig.socket);
	assert_true(http_write(conn, pause, sizeof(pause) - 1));
	wait_held(&rig, 1);
	http_connect(&others[0], rig.socket);
	assert_true(http_write(&others[0], half, sizeof(half) - 1));
	http_connect(&others[1], rig.socket);
	assert_int_equal(http_ask(&others[1], "GET", "/v1/vms/up/console", UPGRADE KEY, NULL), 101);
	rig_stop(&rig);

	/* all three see the end of their connections (a pending call may still be answered) */
	while (http_read(conn, false))
		;
	assert_int_equal(http_read(&others[0], false), 0);
	while (recv(others[1].fd, others[1].buf, sizeof(others[1].buf), 0) > 0)
		;
	http_close(conn);
	http_close(&others[0]);
	http_close(&others[1]);
	free(others);
	rig_clear(&rig);
}

static void test_half_requests(void **state)
{
	static const char half[] =
		"POST /v1/vms HTTP/1.1\r\nHost: h\r\n" JSON "Content-Length: 100\r\n\r\n{\"name\":";

	for (size_t n = 1; n < sizeof(half); n += 7) {
		http_close(conn);
		http_connect(conn, shared.socket);
		assert_true(http_write(conn, half, n));
	}
	http_close(conn);
	expect_served(&shared);
	http_connect(conn, shared.socket);
}

/* The status that a process of another user and group gets. */
static unsigned ask_as(const char *socket, uid_t uid, gid_t gid, gid_t group)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(1, &group) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
			_exit(1);
		http_connect(conn, socket);
		_exit(http_ask(conn, "GET", "/v1/vms", NULL, NULL) == 403 ? 43 : 20);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) * 10 : 0;
}

static void test_who_may(void **state)
{
	const struct group *group = getgrnam("mail");
	struct rig rig;

	if (geteuid() != 0 || !group)
		skip();
	rig_init(&rig);
	rig.http.group = "mail";
	rig_start(&rig);
	assert_int_equal(ask_as(rig.socket, 65534, 65534, 65534), 430);
	assert_int_equal(ask_as(rig.socket, 65534, 65534, group->gr_gid), 200);
	assert_int_equal(ask_as(rig.socket, 65534, group->gr_gid, 65534), 200);
	assert_int_equal(ask_as(rig.socket, 0, 65534, 65534), 200);
	rig_clear(&rig);
}

#define SHARED(test) cmocka_unit_test_setup_teardown(test, connect_shared, disconnect)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		SHARED(test_errors),
		SHARED(test_every_operation),
		SHARED(test_metrics),
		SHARED(test_life_of_a_definition),
		SHARED(test_disks),
		SHARED(test_parts),
		SHARED(test_changes_while_running),
		SHARED(test_lists),
		SHARED(test_head),
		SHARED(test_pipelining),
		SHARED(test_connection_close),
		SHARED(test_large_bodies),
		SHARED(test_chunks),
		SHARED(test_endless_chunks),
		SHARED(test_large_head),
		SHARED(test_no_http),
		SHARED(test_half_requests),
		SHARED(test_console),
		SHARED(test_console_impatient),
		SHARED(test_console_read_only),
		cmocka_unit_test(test_libcurl_keeps_the_connection),
		cmocka_unit_test(test_client_gone_while_pending),
		cmocka_unit_test(test_stopped_while_pending),
		cmocka_unit_test(test_who_may),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
