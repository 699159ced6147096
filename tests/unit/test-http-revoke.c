/* SPDX-License-Identifier: Apache-2.0 */
/* Remote clients whose token or certificate is taken back: what they have open ends, others go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/http_client.h"
#include "tests/unit/rig.h"
#include "tests/unit/tls_client.h"
#include "vmm/base/macro.h"

#define JSON	"Content-Type: application/json\r\n"
#define STREAM	"Accept: text/event-stream\r\n"
#define UPGRADE                                                                                  \
	"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"             \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* What one client has open. */
enum { EVENTS, CONSOLE, IDLE, _OPEN_MAX };

struct scene {
	struct rig rig;
	struct http_conn conn; /* over the unix socket */
	struct tls_party authority, other_authority, alice, bob;
	struct tls_conn alices[_OPEN_MAX], bobs, once;
};

/* ---- set-up ---- */

static void path_of(const struct scene *s, const char *name, char path[static 160])
{
	snprintf(path, 160, "%s/%s", s->rig.state, name);
}

static void write_text(const struct scene *s, const char *name, const char *text)
{
	char path[160];
	FILE *f;

	path_of(s, name, path);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	char path[160];

	assert_non_null(s);
	tls_party_init(&s->authority, "authority", NULL, 3600, NULL);
	tls_party_init(&s->other_authority, "other", NULL, 3600, NULL);
	tls_party_init(&s->alice, "alice", "hvd-operator", 3600, &s->authority);
	tls_party_init(&s->bob, "bob", "hvd-reader", 3600, &s->authority);
	rig_init(&s->rig);
	s->rig.tls = true;
	/* what is cut is not cut for its slowness */
	s->rig.http.request_timeout = s->rig.http.idle_timeout = 600;
	rig_start_vmm(&s->rig, "up");
	path_of(s, "tls", path);
	assert_int_equal(mkdir(path, 0700), 0);
	path_of(s, "tls/clients.pem", path);
	tls_party_write(&s->authority, path);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	http_close(&s->conn);
	rig_clear(&s->rig);
	tls_party_clear(&s->authority);
	tls_party_clear(&s->other_authority);
	tls_party_clear(&s->alice);
	tls_party_clear(&s->bob);
	free(s);
	return 0;
}

static unsigned local(struct scene *s, const char *method, const char *path, const char *body)
{
	return http_ask(&s->conn, method, path, body ? JSON : NULL, body);
}

static void start(struct scene *s)
{
	rig_start(&s->rig);
	http_connect(&s->conn, s->rig.socket);
	assert_int_equal(local(s, "POST", "/v1/certificate", "{\"name\":\"localhost\"}"), 201);
}

static void make_token(struct scene *s, const char *name, const char *role, char token[static 64])
{
	char body[128];
	const char *at;

	snprintf(body, sizeof(body), "{\"name\":\"%s\",\"role\":\"%s\"}", name, role);
	assert_int_equal(local(s, "POST", "/v1/tokens", body), 201);
	at = strstr(s->conn.answer.body, "\"token\":\"");
	assert_non_null(at);
	assert_int_equal(sscanf(at + 9, "%63[^\"]", token), 1);
}

/* ---- clients ---- */

/* As the client of this token, or of the connection's certificate. False: hvd has ended it. */
static bool try_request(struct tls_conn *c, const char *request, const char *headers,
			 const char *token, const char *body)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: h\r\n%s%s%s%s\r\n%s", request, headers,
		 token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "",
		 body);
	return tls_send(c, text, strlen(text));
}

static void send_request(struct tls_conn *c, const char *request, const char *headers,
			 const char *token, const char *body)
{
	assert_true(try_request(c, request, headers, token, body));
}

static void open_stream(struct scene *s, struct tls_conn *c, const char *token,
			const struct tls_party *party)
{
	tls_connect(c, s->rig.port, NULL, party);
	send_request(c, "GET /v1/events", STREAM, token, "");
	assert_true(tls_expect(c, "HTTP/1.1 200 "));
	assert_true(tls_expect(c, "retry: "));
}

static void open_idle(struct scene *s, struct tls_conn *c, const char *token,
		      const struct tls_party *party)
{
	tls_connect(c, s->rig.port, NULL, party);
	send_request(c, "GET /v1/vms/up/vcpus", "", token, "");
	assert_true(tls_expect(c, "HTTP/1.1 200 "));
	assert_true(tls_expect(c, "\"vcpus\":"));
	assert_true(tls_expect(c, "\n"));
}

/* All that a client can have open, of alice's; and a stream of bob's. */
static void open_all(struct scene *s, const char *alice, const char *bob)
{
	const struct tls_party *alices = alice ? NULL : &s->alice, *bobs = bob ? NULL : &s->bob;

	open_stream(s, &s->alices[EVENTS], alice, alices);
	open_idle(s, &s->alices[IDLE], alice, alices);
	tls_connect(&s->alices[CONSOLE], s->rig.port, NULL, alices);
	send_request(&s->alices[CONSOLE], "GET /v1/vms/up/console", UPGRADE, alice, "");
	assert_true(tls_expect(&s->alices[CONSOLE], "HTTP/1.1 101 "));
	assert_true(tls_expect(&s->alices[CONSOLE], "login: "));
	open_stream(s, &s->bobs, bob, bobs);
}

/* hvd ends it, without an answer. */
static void expect_end(struct tls_conn *c)
{
	assert_int_equal(tls_read_all(c), 0);
	tls_close(c);
}

/* Those of alice end; bob hears of what happens. */
static void expect_cut(struct scene *s)
{
	for (int i = 0; i < _OPEN_MAX; i++)
		expect_end(&s->alices[i]);
	assert_int_equal(local(s, "POST", "/v1/vms/up/actions/pause", NULL), 204);
	assert_true(tls_expect(&s->bobs, "\"state\":\"paused\""));
	assert_int_equal(local(s, "POST", "/v1/vms/up/actions/resume", NULL), 204);
	tls_close(&s->bobs);
}

/* A request on a connection of its own. 0: it is not let in. */
static unsigned ask(struct scene *s, const char *request, const char *token,
		    const struct tls_party *party)
{
	unsigned status = 0;

	tls_connect(&s->once, s->rig.port, NULL, party);
	s->once.text[0] = '\0';
	/* with TLS 1.3 a client is through before hvd has looked at its certificate (RFC 8446 §4.4) */
	if (!s->once.handshake &&
	    try_request(&s->once, request, "Connection: close\r\n", token, ""))
		status = tls_read_all(&s->once);
	tls_close(&s->once);
	return status;
}

/* ---- tokens ---- */

static void test_deleted(void **state)
{
	struct scene *s = *state;
	char alice[64], bob[64];

	start(s);
	make_token(s, "alice", "operator", alice);
	make_token(s, "bob", "reader", bob);
	open_all(s, alice, bob);
	assert_int_equal(local(s, "DELETE", "/v1/tokens/alice", NULL), 204);
	expect_cut(s);
	assert_int_equal(ask(s, "GET /v1/vms", alice, NULL), 401);
}

/* The name does not count: a lower role is another token. */
static void test_lowered(void **state)
{
	struct scene *s = *state;
	char alice[64], bob[64], lower[64];

	start(s);
	make_token(s, "alice", "operator", alice);
	make_token(s, "bob", "reader", bob);
	open_all(s, alice, bob);
	assert_int_equal(local(s, "DELETE", "/v1/tokens/alice", NULL), 204);
	make_token(s, "alice", "reader", lower);
	expect_cut(s);
	assert_int_equal(ask(s, "GET /v1/vms", alice, NULL), 401);
	assert_int_equal(ask(s, "GET /v1/vms", lower, NULL), 200);
	assert_int_equal(ask(s, "POST /v1/vms/up/actions/pause", lower, NULL), 403);
}

/* Requests that are not done yet: one in the middle of its body, one that waits for the VM. */
static void test_requests(void **state)
{
	struct scene *s = *state;
	struct tls_conn *body = &s->alices[0], *waits = &s->alices[1];
	char alice[64];

	start(s);
	make_token(s, "alice", "admin", alice);
	tls_connect(body, s->rig.port, NULL, NULL);
	send_request(body, "POST /v1/vms", JSON "Content-Length: 100\r\n", alice, "{\"name\":");
	s->rig.vmm_hold = true;
	tls_connect(waits, s->rig.port, NULL, NULL);
	send_request(waits, "POST /v1/vms/up/actions/pause", "Content-Length: 0\r\n", alice, "");
	while (!s->rig.vmm_held)
		usleep(1000);
	assert_int_equal(local(s, "DELETE", "/v1/tokens/alice", NULL), 204);
	expect_end(body);
	expect_end(waits);
	assert_int_equal(local(s, "GET", "/v1/vms?fields=name", NULL), 200);
	assert_string_equal(s->conn.answer.body, "{\"items\":[{\"name\":\"up\"}]}\n");
}

/* Who takes back the token that it uses is told so, and has no other request. */
static void test_own(void **state)
{
	struct scene *s = *state;
	char alice[64];

	start(s);
	make_token(s, "alice", "admin", alice);
	open_idle(s, &s->once, alice, NULL);
	send_request(&s->once, "DELETE /v1/tokens/alice", "", alice, "");
	assert_true(tls_expect(&s->once, "HTTP/1.1 204 "));
	expect_end(&s->once);
	assert_int_equal(ask(s, "GET /v1/vms", alice, NULL), 401);
}

static void test_expiry(void **state)
{
	struct scene *s = *state;
	bool opened = false;
	char text[512];

	/* on a slow machine it is over before the stream is there: then it gets more time */
	for (long seconds = 2; !opened; seconds *= 2) {
		assert_true(seconds < 100);
		/* of "hvd_short" */
		snprintf(text, sizeof(text),
			 "{\"tokens\":[{\"name\":\"short\",\"role\":\"reader\",\"created_usec\":1,"
			 "\"expires_usec\":%ld000000,\"sha256\":\"8250266795b4122fe94152dad225ac60"
			 "aa0b88ec42be6d1c56d7dcc2270b1ed1\"}]}", time(NULL) + seconds);
		write_text(s, "tokens.json", text);
		start(s);
		tls_connect(&s->once, s->rig.port, NULL, NULL);
		send_request(&s->once, "GET /v1/events", STREAM "Connection: close\r\n", "hvd_short", "");
		opened = tls_expect(&s->once, "retry: ");
		if (opened) {
			expect_end(&s->once);
		} else {
			tls_close(&s->once);
			rig_stop(&s->rig);
			http_close(&s->conn);
		}
	}
	assert_int_equal(ask(s, "GET /v1/vms", "hvd_short", NULL), 401);
}

/* ---- certificates ---- */

static void list_revoked(struct scene *s, const struct tls_party *signer, const struct tls_party *party,
		   long seconds)
{
	char path[160];

	path_of(s, "tls/clients.crl", path);
	tls_party_revoke(signer, party, seconds, path);
}

/* As systemctl reload does, with a new certificate besides. */
static unsigned reload(struct scene *s)
{
	return local(s, "POST", "/v1/certificate", "{\"name\":\"localhost\"}");
}

static void test_revoked(void **state)
{
	struct scene *s = *state;
	struct tls_conn *fresh = calloc(1, sizeof(*fresh));
	char token[64];

	assert_non_null(fresh);
	start(s);
	make_token(s, "other", "reader", token);
	open_all(s, NULL, NULL);
	tls_connect(fresh, s->rig.port, NULL, &s->alice);
	assert_int_equal(fresh->handshake, 0);
	list_revoked(s, &s->authority, &s->alice, 3600);
	assert_int_equal(reload(s), 201);
	expect_cut(s);
	assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->alice), 0);
	assert_int_equal(ask(s, "GET /v1/vms", token, &s->alice), 0);
	assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->bob), 200);
	assert_int_equal(ask(s, "GET /v1/vms", token, NULL), 200);

	/* a connection from before that asks now for the first time, and again */
	for (int i = 0; i < 2; i++) {
		send_request(fresh, "GET /v1/vms", "", NULL, "");
		assert_true(tls_expect(fresh, "HTTP/1.1 403 "));
		assert_true(tls_expect(fresh, "certificate is not taken any more"));
	}
	tls_close(fresh);
	free(fresh);

	/* the next hvd reads it as well */
	rig_stop(&s->rig);
	rig_start(&s->rig);
	assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->alice), 0);
	assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->bob), 200);
}

/* The authority goes: none of its certificates is taken, of those that are connected neither. */
static void test_no_authority(void **state)
{
	struct scene *s = *state;
	char bob[64], path[160];

	start(s);
	make_token(s, "bob", "reader", bob);
	open_all(s, NULL, bob);
	path_of(s, "tls/clients.pem", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(reload(s), 201);
	expect_cut(s);
	assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->bob), 401);
	assert_int_equal(ask(s, "GET /v1/vms", bob, NULL), 200);
}

/* While the list is too old no certificate is taken; tokens are. */
static void test_old_list(void **state)
{
	struct scene *s = *state;
	char token[64];

	start(s);
	make_token(s, "other", "reader", token);
	list_revoked(s, &s->authority, &s->alice, -3600);
	assert_int_equal(reload(s), 201);
	assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->alice), 0);
	assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->bob), 403);
	assert_non_null(strstr(s->once.text, "clients.crl) is too old"));
	assert_int_equal(ask(s, "GET /v1/vms", token, NULL), 200);
	assert_int_equal(ask(s, "GET /v1/vms", token, &s->bob), 200);
}

static void expect_list_named(struct scene *s)
{
	if (!strstr(s->conn.answer.body, "/tls/clients.crl: ") ||
	    !strstr(s->conn.answer.body, "mend or remove it, then systemctl reload hvd"))
		fail_msg("%s", s->conn.answer.body);
}

/* A list that cannot be read closes the door, and one that says nothing of these clients too. */
static void test_bad_lists(void **state)
{
	static const char *const texts[] = {
		"", "{ what", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", NULL,
	};
	struct scene *s = *state;
	char path[160], token[64];

	start(s);
	make_token(s, "other", "reader", token);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		/* what was read before stays */
		list_revoked(s, &s->authority, &s->alice, 3600);
		assert_int_equal(reload(s), 201);
		if (texts[i])
			write_text(s, "tls/clients.crl", texts[i]);
		else
			list_revoked(s, &s->other_authority, &s->bob, 3600);
		assert_int_equal(reload(s), 500);
		expect_list_named(s);
		assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->alice), 0);
		assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->bob), 200);

		/* at a start there is nothing before */
		rig_stop(&s->rig);
		http_close(&s->conn);
		rig_start(&s->rig);
		http_connect(&s->conn, s->rig.socket);
		assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->bob), 0);
		assert_int_equal(ask(s, "GET /v1/vms", token, NULL), 0);
		assert_int_equal(local(s, "GET", "/v1/certificate", NULL), 500);
		expect_list_named(s);
		assert_int_equal(local(s, "GET", "/v1/vms", NULL), 200);
	}
	path_of(s, "tls/clients.crl", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(reload(s), 201);
	assert_int_equal(ask(s, "GET /v1/vms", NULL, &s->alice), 200);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_deleted), T(test_lowered),      T(test_requests), T(test_own), T(test_expiry),
		T(test_revoked), T(test_no_authority), T(test_old_list), T(test_bad_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
