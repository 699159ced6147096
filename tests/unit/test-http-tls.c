/* SPDX-License-Identifier: Apache-2.0 */
/* REST over TLS: who is let in, with which role, and what that role may. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "api/access.h"
#include "api/ops.h"
#include "tests/unit/http_client.h"
#include "tests/unit/rig.h"
#include "tests/unit/tls_client.h"
#include "vmm/base/macro.h"

#define JSON "Content-Type: application/json\r\n"
#define KEY  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" KEY
#define ASYNC "Prefer: respond-async\r\n"
#define EXPIRED "hvd_expired"

#define TLS_ONLY(version) "NORMAL:-VERS-ALL:+VERS-" version

static struct rig rig;
static struct http_conn *conn; /* over the unix socket */
static struct tls_conn *tls;
static struct tls_party authority, other_authority, clients[_ROLE_MAX];
static char tokens[_ROLE_MAX][64];

/* ---- set-up: as an administrator would, over the unix socket ---- */

static void hash(const char *text, char hex[static 65])
{
	unsigned char bytes[32];

	assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), bytes), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(hex + 2 * i, "%02x", bytes[i]);
}

/* What is there before hvd starts: a token that has expired, and the authority of clients. */
static void write_files(void)
{
	char path[160], hex[65];
	FILE *f;

	assert_true(mkdir(rig.state, 0700) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/tokens.json", rig.state);
	f = fopen(path, "we");
	assert_non_null(f);
	hash(EXPIRED, hex);
	fprintf(f, "{\"tokens\":[{\"name\":\"old\",\"role\":\"admin\",\"created_usec\":1,"
		   "\"expires_usec\":86400000001,\"sha256\":\"%s\"}]}", hex);
	assert_int_equal(fclose(f), 0);
	snprintf(path, sizeof(path), "%s/tls", rig.state);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/clients.pem");
	tls_party_write(&authority, path);
}

static void make_tokens(void)
{
	for (int role = 0; role < _ROLE_MAX; role++) {
		char body[128];
		json_t *answer;

		snprintf(body, sizeof(body), "{\"name\":\"t-%s\",\"role\":\"%s\"}", role_names[role],
			 role_names[role]);
		assert_int_equal(http_ask(conn, "POST", "/v1/tokens", JSON, body), 201);
		assert_non_null(strstr(http_header(conn, "Location"), "/v1/tokens/t-"));
		answer = json_loads(conn->answer.body, 0, NULL);
		snprintf(tokens[role], sizeof(tokens[role]), "%s",
			 json_string_value(json_object_get(answer, "token")));
		json_decref(answer);
		assert_int_equal(strlen(tokens[role]), 4 + 43);
	}
}

static int set_up(void **state)
{
	static const char *const units[] = { "hvd-reader", "hvd-operator", "hvd-admin" };

	conn = malloc(sizeof(*conn));
	tls = malloc(sizeof(*tls));
	assert_true(conn && tls);
	tls_party_init(&authority, "authority", NULL, 3600, NULL);
	tls_party_init(&other_authority, "authority", NULL, 3600, NULL);
	for (int role = 0; role < _ROLE_MAX; role++)
		tls_party_init(&clients[role], role_names[role], units[role], 3600, &authority);
	rig_init(&rig);
	rig.tls = true;
	rig.http.max_per_peer = 16;
	rig_start_vmm(&rig, "up");
	write_files();
	rig_start(&rig);
	http_connect(conn, rig.socket);
	assert_int_equal(http_ask(conn, "GET", "/v1/certificate", NULL, NULL), 404);
	assert_int_equal(http_ask(conn, "POST", "/v1/certificate", JSON,
				  "{\"name\":\"localhost\",\"alt_names\":\"127.0.0.1, ::1\"}"), 201);
	assert_non_null(strstr(conn->answer.body, "\"clients\":\"CN=authority\""));
	make_tokens();
	return 0;
}

static int tear_down(void **state)
{
	http_close(conn);
	rig_clear(&rig);
	for (int role = 0; role < _ROLE_MAX; role++)
		tls_party_clear(&clients[role]);
	tls_party_clear(&authority);
	tls_party_clear(&other_authority);
	free(conn);
	free(tls);
	return 0;
}

/* ---- requests ---- */

/* The status of one request on a connection of its own; 0: there was no answer. */
static unsigned ask(const char *method, const char *path, const char *token,
		    const struct tls_party *party, const char *headers, const char *body)
{
	char request[2048];
	unsigned status = 0;

	snprintf(request, sizeof(request),
		 "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s%sContent-Length: %zu\r\n%s\r\n%s",
		 method, path, token ? "Authorization: Bearer " : "", token ? token : "",
		 token ? "\r\n" : "", headers ? headers : "", body ? strlen(body) : 0,
		 "Connection: close\r\n", body ? body : "");
	tls_connect(tls, rig.port, NULL, party);
	tls->text[0] = '\0';
	if (!tls->handshake && tls_send(tls, request, strlen(request)))
		status = tls_read_all(tls);
	tls_close(tls);
	return status;
}

static void expect_problem(const char *code)
{
	char text[64];

	assert_non_null(strstr(tls->text, "\r\nContent-Type: application/problem+json\r\n"));
	snprintf(text, sizeof(text), "\"code\":\"%s\"", code);
	assert_non_null(strstr(tls->text, text));
}

static void test_who_gets_in(void **state)
{
	assert_int_equal(ask("GET", "/v1/vms", NULL, NULL, NULL, NULL), 401);
	expect_problem("unauthenticated");
	assert_non_null(strstr(tls->text, "\r\nWWW-Authenticate: Bearer realm=\"hvd\"\r\n"));
	/* not even whether there is such a thing */
	assert_int_equal(ask("GET", "/nowhere", NULL, NULL, NULL, NULL), 401);

	assert_int_equal(ask("GET", "/v1/vms", "hvd_wrong", NULL, NULL, NULL), 401);
	expect_problem("bad-token");
	assert_non_null(strstr(tls->text, "\r\nWWW-Authenticate: Bearer realm=\"hvd\", "
					  "error=\"invalid_token\"\r\n"));
	assert_int_equal(ask("GET", "/v1/vms", "", NULL, NULL, NULL), 401);
	assert_int_equal(ask("GET", "/v1/vms", EXPIRED, NULL, NULL, NULL), 401);
	expect_problem("bad-token");
	assert_int_equal(ask("GET", "/v1/vms", NULL, NULL, "Authorization: Basic eDp5\r\n", NULL), 401);
	expect_problem("bad-token");
	/* a wrong token is not made good by a certificate */
	assert_int_equal(ask("GET", "/v1/vms", "hvd_wrong", &clients[ROLE_ADMIN], NULL, NULL), 401);

	assert_int_equal(ask("GET", "/v1/vms", tokens[ROLE_READER], NULL, NULL, NULL), 200);
	assert_non_null(strstr(tls->text, "\"name\":\"up\""));
	assert_int_equal(ask("GET", "/v1/vms", NULL, &clients[ROLE_READER], NULL, NULL), 200);
	assert_int_equal(ask("GET", "/nowhere", tokens[ROLE_READER], NULL, NULL, NULL), 404);
}

/* An Idempotency-Key is that of the client which has chosen it: others do not get its answer. */
static void test_keys_of_clients(void **state)
{
	static const char headers[] = JSON "Idempotency-Key: \"mine\"\r\n";
	static const char body[] = "{\"name\":\"keyed\",\"mode\":\"isolated\",\"address\":\"10.99.0.1/24\"}";
	const char *token = tokens[ROLE_ADMIN];

	assert_int_equal(ask("POST", "/v1/networks", token, NULL, headers, body), 201);
	assert_int_equal(ask("POST", "/v1/networks", NULL, &clients[ROLE_ADMIN], headers, body), 409);
	assert_null(strstr(tls->text, "Idempotency-Replayed"));
	assert_int_equal(ask("POST", "/v1/networks", token, NULL, headers, body), 201);
	assert_non_null(strstr(tls->text, "Idempotency-Replayed"));
	assert_int_equal(ask("DELETE", "/v1/networks/keyed", token, NULL, NULL, NULL), 204);
}

static void test_certificates_of_clients(void **state)
{
	struct tls_party party;

	/* the same name, another key */
	tls_party_init(&party, "admin", "hvd-admin", 3600, &other_authority);
	assert_int_equal(ask("GET", "/v1/vms", NULL, &party, NULL, NULL), 0);
	assert_int_equal(ask("GET", "/v1/vms", tokens[ROLE_ADMIN], &party, NULL, NULL), 0);
	tls_party_clear(&party);
	/* signed by itself, which GnuTLS does not even send; expired */
	tls_party_init(&party, "admin", "hvd-admin", 3600, NULL);
	assert_int_equal(ask("GET", "/v1/vms", NULL, &party, NULL, NULL), 401);
	tls_party_clear(&party);
	tls_party_init(&party, "admin", "hvd-admin", -3600, &authority);
	assert_int_equal(ask("GET", "/v1/vms", NULL, &party, NULL, NULL), 0);
	tls_party_clear(&party);

	tls_party_init(&party, "nobody", NULL, 3600, &authority);
	assert_int_equal(ask("GET", "/v1/vms", NULL, &party, NULL, NULL), 403);
	expect_problem("access-denied");
	assert_non_null(strstr(tls->text, "certificate nobody has no role"));
	assert_int_equal(ask("GET", "/v1/vms", tokens[ROLE_READER], &party, NULL, NULL), 200);
	tls_party_clear(&party);
	tls_party_init(&party, "nobody", "admin", 3600, &authority);
	assert_int_equal(ask("GET", "/v1/vms", NULL, &party, NULL, NULL), 403);
	tls_party_clear(&party);

	/* pages of a browser do not act with its user's certificate */
	assert_int_equal(ask("POST", "/v1/vms/up/actions/pause", NULL, &clients[ROLE_ADMIN],
			     "Origin: https://evil.example\r\n", NULL), 403);
	assert_int_equal(ask("GET", "/v1/vms", tokens[ROLE_READER], NULL,
			     "Origin: https://good.example\r\n", NULL), 200);
}

/* ---- every operation with every role ---- */

#define VM_XML                                                                             \
	"<domain type='kvm'><name>evil</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>" \
	"<os><type arch='aarch64' machine='virt'>hvm</type><kernel>/bin/sh</kernel></os></domain>"

/* A body with which the operation would have an effect. */
static const char *body_of(const struct op *op)
{
	if (op->upload)
		return "evil";
	if (op->body_type)
		return op == &ops[OP_VM_DEFINE_XML]	? VM_XML
		       : op == &ops[OP_VOLUME_DEFINE_XML] ? "<volume><name>evil</name></volume>"
							  : "<network><name>evil</name></network>";
	if (op->args == &vm_schema && !op->args_partial)
		return "{\"name\":\"evil\",\"boot\":{\"kernel\":\"/bin/sh\"}}";
	if (op->args == &vm_schema || op->args == &network_schema)
		return op->args_partial ? "{\"description\":\"evil\"}" : "{\"name\":\"evil\"}";
	if (op == &ops[OP_DISK_ATTACH])
		return "{\"path\":\"/bin/sh\",\"read_only\":true}";
	if (op == &ops[OP_SNAPSHOT_CREATE])
		return "{\"name\":\"evil\"}";
	if (op == &ops[OP_TOKEN_CREATE])
		return "{\"name\":\"evil\",\"role\":\"admin\"}";
	if (op == &ops[OP_CERTIFICATE_CREATE])
		return "{\"name\":\"evil\"}";
	if (op == &ops[OP_VOLUME_CREATE])
		return "{\"name\":\"evil\",\"size\":\"1M\"}";
	if (op == &ops[OP_IMAGE_IMPORT])
		return "{\"name\":\"evil\",\"path\":\"/bin/sh\"}";
	return op->args ? "{}" : NULL;
}

/* Of things that there are, as far as there are any. */
static void path_of(const struct op *op, char path[static 128])
{
	static const struct {
		const char *parameter, *name;
	} names[] = {
		{ "{vm}", "up" }, { "{network}", "default" }, { "{token}", "t-reader" },
		{ "{disk}", "vda" }, { "{nic}", "net0" }, { "{operation}", "1" },
		{ "{image}", "base" }, { "{volume}", "data" }, { "{snapshot}", "before" },
	};
	const char *p = op->path;
	size_t n = 0;

	while (*p) {
		size_t i = 0;

		if (*p != '{') {
			path[n++] = *p++;
			continue;
		}
		while (strncmp(p, names[i].parameter, strlen(names[i].parameter)) != 0)
			assert_true(++i < ARRAY_SIZE(names));
		n += (size_t)sprintf(path + n, "%s", names[i].name);
		p += strlen(names[i].parameter);
	}
	path[n] = '\0';
}

static unsigned ask_op(const struct op *op, const char *token, const struct tls_party *party)
{
	char path[128];

	path_of(op, path);
	return ask(http_method_names[op->method], path, token, party,
		   op->upload	   ? ASYNC "Content-Type: application/octet-stream\r\n"
		   : op->body_type ? ASYNC "Content-Type: application/xml\r\n" : ASYNC JSON,
		   body_of(op));
}

/* Independent of the table of roles, which is what is tested. */
static bool expected(int role, enum access access)
{
	return role == ROLE_ADMIN || access == ACCESS_READ ||
	       (role == ROLE_OPERATOR && access == ACCESS_OPERATE);
}

/* All that there is, and all that has happened. */
static char *snapshot(void)
{
	static const char *const paths[] = {
		"/v1/vms", "/v1/vms/up/snapshots", "/v1/networks", "/v1/images", "/v1/volumes", "/v1/certificate",
		"/v1/operations",
		"/v1/events?type=added,changed,removed,state",
	};
	char *all = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&all, &n);

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(http_ask(conn, "GET", paths[i], NULL, NULL), 200);
		fputs(conn->answer.body, f);
	}
	fclose(f);
	return all;
}

static void test_operations_and_roles(void **state)
{
	char *before = snapshot(), *after;
	unsigned denied = 0;

	for (const struct op *op = ops; op < ops + _OP_MAX; op++)
		for (int role = 0; role < _ROLE_MAX; role++) {
			if (expected(role, op->access))
				continue;
			if (ask_op(op, tokens[role], NULL) != 403)
				fail_msg("%s by token of %s: %s", op->name, role_names[role], tls->text);
			expect_problem("access-denied");
			if (ask_op(op, NULL, &clients[role]) != 403)
				fail_msg("%s by certificate of %s: %s", op->name, role_names[role],
					 tls->text);
			if (ask_op(op, NULL, NULL) != 401 || ask_op(op, "hvd_wrong", NULL) != 401)
				fail_msg("%s by nobody: %s", op->name, tls->text);
			denied++;
		}
	assert_true(denied > _OP_MAX / 2);
	after = snapshot();
	assert_string_equal(before, after);
	free(before);
	free(after);

	/* and what is not denied is done, or fails for another reason; tokens go last */
	for (const struct op *op = ops; op < ops + _OP_MAX; op++)
		for (int role = 0; role < _ROLE_MAX; role++) {
			unsigned status;

			if (!expected(role, op->access) || op == &ops[OP_TOKEN_DELETE])
				continue;
			status = ask_op(op, role % 2 ? tokens[role] : NULL,
					role % 2 ? NULL : &clients[role]);
			if (!status || status == 401 || status == 403)
				fail_msg("%s by %s: %s", op->name, role_names[role], tls->text);
		}
	assert_int_equal(http_ask(conn, "GET", "/v1/vms/evil", NULL, NULL), 200);
	assert_int_equal(ask_op(&ops[OP_TOKEN_DELETE], tokens[ROLE_ADMIN], NULL), 204);
	assert_int_equal(ask("GET", "/v1/vms", tokens[ROLE_READER], NULL, NULL, NULL), 401);
}

/* ---- the protocol ---- */

static void test_versions(void **state)
{
	static const struct {
		const char *priorities;
		bool good;
	} versions[] = {
		{ TLS_ONLY("TLS1.3"), true },
		{ TLS_ONLY("TLS1.2"), true },
		{ TLS_ONLY("TLS1.1"), false },
		{ TLS_ONLY("TLS1.0"), false },
		/* no forward secrecy, no authenticated encryption */
		{ TLS_ONLY("TLS1.2") ":-KX-ALL:+RSA", false },
		{ TLS_ONLY("TLS1.2") ":-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		tls_connect(tls, rig.port, versions[i].priorities, NULL);
		if ((tls->handshake == 0) != versions[i].good)
			fail_msg("%s: %s", versions[i].priorities, gnutls_strerror(tls->handshake));
		tls_close(tls);
	}
}

static void test_plaintext(void **state)
{
	static const char get[] = "GET /v1/vms HTTP/1.1\r\nHost: h\r\n\r\n";

	tls_connect_plain(tls, rig.port);
	assert_true(tls_send(tls, get, sizeof(get) - 1));
	assert_int_equal(tls_read_all(tls), 0);
	assert_null(strstr(tls->text, "HTTP"));
	tls_close(tls);
	assert_int_equal(ask("GET", "/v1/vms", tokens[ROLE_READER], NULL, NULL, NULL), 200);
}

static void open_console(void)
{
	char head[512];

	snprintf(head, sizeof(head), "GET /v1/vms/up/console HTTP/1.1\r\nHost: h\r\n" UPGRADE
		 "Authorization: Bearer %s\r\n\r\n", tokens[ROLE_OPERATOR]);
	tls_connect(tls, rig.port, NULL, NULL);
	assert_true(tls_send(tls, head, strlen(head)));
	assert_true(tls_expect(tls, "HTTP/1.1 101 "));
	assert_true(tls_expect(tls, "login: "));
}

static void test_console(void **state)
{
	open_console();
	for (int i = 0; i < 100; i++) {
		assert_true(tls_send(tls, "\x82\x82\0\0\0\0hi", 8));
		assert_true(tls_expect(tls, "hi"));
	}
	assert_true(tls_send(tls, "\x88\x82\0\0\0\0\x03\xe8", 8));
	assert_true(tls_expect(tls, "\x88\x02\x03\xe8"));
	tls_read_all(tls);
	assert_int_equal(tls->end, 0);
	tls_close(tls);
	/* clients that go without a word make room for others; one that is there when hvd stops */
	for (int i = 0; i < 20; i++) {
		open_console();
		tls_close(tls);
	}
	open_console();
	rig_stop(&rig);
	tls_read_all(tls);
	tls_close(tls);
	rig_start(&rig);
	/* a reader may not, not even to watch */
	assert_int_equal(ask("GET", "/v1/vms/up/console?mode=read", tokens[ROLE_READER], NULL, NULL,
			     NULL), 403);
}

static void test_events(void **state)
{
	char head[512];

	snprintf(head, sizeof(head), "GET /v1/events HTTP/1.1\r\nHost: h\r\n"
		 "Accept: text/event-stream\r\nAuthorization: Bearer %s\r\n\r\n", tokens[ROLE_READER]);
	tls_connect(tls, rig.port, NULL, NULL);
	assert_true(tls_send(tls, head, strlen(head)));
	assert_true(tls_expect(tls, "retry: "));
	assert_int_equal(http_ask(conn, "POST", "/v1/vms/up/actions/pause", NULL, NULL), 204);
	assert_true(tls_expect(tls, "\"state\":\"paused\""));
	assert_int_equal(http_ask(conn, "POST", "/v1/vms/up/actions/resume", NULL, NULL), 204);
	assert_true(tls_expect(tls, "\"state\":\"running\""));
	tls_close(tls);

	/* who it was */
	assert_int_equal(ask("POST", "/v1/vms/up/actions/pause", tokens[ROLE_OPERATOR], NULL, NULL,
			     NULL), 204);
	assert_int_equal(ask("POST", "/v1/vms/up/actions/resume", NULL, &clients[ROLE_OPERATOR], NULL,
			     NULL), 204);
	assert_int_equal(http_ask(conn, "GET", "/v1/events?type=operation&limit=2", NULL, NULL), 200);
	assert_non_null(strstr(conn->answer.body, "\"operation\":\"vm.pause\",\"outcome\":\"succeeded\","
			       "\"by\":{\"front\":\"rest\",\"uid\":4294967295,"
			       "\"name\":\"token:t-operator\"}"));
	assert_non_null(strstr(conn->answer.body, "\"name\":\"certificate:operator\"}"));
}

/* ---- files, changes of them ---- */

static void expect_secret(const char *name)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", rig.state, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_files(void **state)
{
	static char text[65536];
	char path[160];
	size_t n;
	FILE *f;

	expect_secret("tokens.json");
	expect_secret("tls/server.pem");
	snprintf(path, sizeof(path), "%s/tokens.json", rig.state);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "t-admin"));
	for (int role = 0; role < _ROLE_MAX; role++)
		assert_null(strstr(text, tokens[role] + 4));
	/* an answer with one is not kept for a request that comes twice */
	assert_int_equal(http_ask(conn, "POST", "/v1/tokens", JSON "Idempotency-Key: \"k\"\r\n",
				  "{\"name\":\"once\"}"), 201);
	assert_int_equal(http_ask(conn, "POST", "/v1/tokens", JSON "Idempotency-Key: \"k\"\r\n",
				  "{\"name\":\"once\"}"), 409);
	assert_null(strstr(conn->answer.body, "hvd_"));
	/* nor are they told again, and keys never */
	assert_int_equal(http_ask(conn, "GET", "/v1/tokens", NULL, NULL), 200);
	assert_null(strstr(conn->answer.body, "hvd_"));
	assert_non_null(strstr(conn->answer.body, "\"name\":\"old\""));
	assert_int_equal(http_ask(conn, "GET", "/v1/certificate/pem", NULL, NULL), 200);
	assert_non_null(strstr(conn->answer.body, "BEGIN CERTIFICATE"));
	assert_null(strstr(conn->answer.body, "PRIVATE"));

	/* the next hvd has all of them */
	rig_stop(&rig);
	rig_start(&rig);
	http_close(conn);
	http_connect(conn, rig.socket);
	assert_int_equal(ask("GET", "/v1/tokens", tokens[ROLE_ADMIN], NULL, NULL, NULL), 200);
	assert_int_equal(http_ask(conn, "DELETE", "/v1/tokens/t-admin", NULL, NULL), 204);
	assert_int_equal(http_ask(conn, "DELETE", "/v1/tokens/t-admin", NULL, NULL), 404);
	assert_int_equal(ask("GET", "/v1/tokens", tokens[ROLE_ADMIN], NULL, NULL, NULL), 401);
}

static void test_bad_requests(void **state)
{
	static const struct {
		const char *path, *body;
		unsigned status;
	} requests[] = {
		{ "/v1/tokens", "{}", 422 },
		{ "/v1/tokens", "{\"name\":\"../x\"}", 422 },
		{ "/v1/tokens", "{\"name\":\"x\",\"role\":\"root\"}", 422 },
		{ "/v1/tokens", "{\"name\":\"x\",\"days\":0}", 422 },
		{ "/v1/tokens", "{\"name\":\"x\",\"days\":3661}", 422 },
		{ "/v1/tokens", "{\"name\":\"x\",\"token\":\"hvd_mine\"}", 422 },
		{ "/v1/tokens", "{\"name\":\"t-admin\"}", 409 },
		{ "/v1/certificate", "{}", 422 },
		{ "/v1/certificate", "{\"name\":\"a b\"}", 422 },
		{ "/v1/certificate", "{\"name\":\"a\",\"alt_names\":\"b,/\"}", 422 },
		{ "/v1/certificate", "{\"name\":\"a\",\"pin\":\"x\"}", 422 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (http_ask(conn, "POST", requests[i].path, JSON, requests[i].body) !=
		    requests[i].status)
			fail_msg("%s: %u %s", requests[i].body, conn->answer.status,
				 conn->answer.body);
}

/* A new certificate is for new connections; those that there are go on. */
static void test_new_certificate(void **state)
{
	struct tls_conn *old = malloc(sizeof(*old));
	char head[256], before[65], after[65];

	assert_non_null(old);
	tls_connect(old, rig.port, NULL, NULL);
	tls_fingerprint(old, before);
	assert_int_equal(http_ask(conn, "POST", "/v1/certificate", JSON, "{\"name\":\"new\"}"), 201);
	tls_connect(tls, rig.port, NULL, NULL);
	tls_fingerprint(tls, after);
	assert_string_not_equal(before, after);
	tls_close(tls);
	snprintf(head, sizeof(head), "GET /v1/host HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n"
		 "Connection: close\r\n\r\n", tokens[ROLE_READER]);
	assert_true(tls_send(old, head, strlen(head)));
	assert_int_equal(tls_read_all(old), 200);
	tls_close(old);
	free(old);
}

/* Files that cannot be read close the door, and leave everything else as it is. */
static void test_broken_files(void **state)
{
	static const char *const names[] = { "tokens.json", "tls/server.pem" };

	rig_stop(&rig);
	http_close(conn);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[160];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", rig.state, names[i]);
		f = fopen(path, "we");
		assert_non_null(f);
		fputs("{ what", f);
		fclose(f);
	}
	rig_start(&rig);
	http_connect(conn, rig.socket);
	assert_int_equal(http_ask(conn, "GET", "/v1/vms", NULL, NULL), 200);
	assert_int_equal(ask("GET", "/v1/vms", tokens[ROLE_ADMIN], NULL, NULL, NULL), 0);
	assert_int_equal(http_ask(conn, "POST", "/v1/tokens", JSON, "{\"name\":\"x\"}"), 500);
	assert_non_null(strstr(conn->answer.body, "mend or remove it"));
	assert_int_equal(http_ask(conn, "POST", "/v1/certificate", JSON, "{\"name\":\"h\"}"), 201);
	assert_int_equal(ask("GET", "/v1/vms", tokens[ROLE_ADMIN], NULL, NULL, NULL), 401);
}

/* ---- limits ---- */

static void test_idle(void **state)
{
	enum { N = 100, LIMIT = 8 };
	struct tls_conn *many = calloc(N, sizeof(*many));

	assert_non_null(many);
	rig_stop(&rig);
	rig.http.max_per_peer = LIMIT;
	rig_start(&rig);
	http_close(conn);
	http_connect(conn, rig.socket);
	for (int i = 0; i < N; i++) {
		tls_connect_plain(&many[i], rig.port);
		/* some in the middle of a handshake */
		if (i % 2)
			tls_send(&many[i], "\x16\x03\x01\x02", 4);
		if (i % 25 == 24)
			assert_int_equal(ask("GET", "/v1/host", tokens[ROLE_READER], NULL, NULL, NULL),
					 200);
	}
	/* all but the last few have been ended */
	for (int i = 0; i < N - LIMIT; i++)
		assert_int_equal(tls_read_all(&many[i]), 0);
	/* and they were in nobody's way on the other socket */
	assert_int_equal(http_ask(conn, "GET", "/v1/vms", NULL, NULL), 200);
	for (int i = 0; i < N; i++)
		tls_close(&many[i]);
	free(many);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_who_gets_in), T(test_keys_of_clients),
		T(test_certificates_of_clients), T(test_operations_and_roles),
		T(test_versions),    T(test_plaintext),		      T(test_console),
		T(test_events),	     T(test_files),		      T(test_bad_requests),
		T(test_new_certificate), T(test_broken_files),	      T(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
