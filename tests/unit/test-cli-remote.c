/* SPDX-License-Identifier: Apache-2.0 */
/* hvcli's way to a remote hvd, which is the real one: who is believed, and what works then. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "api/access.h"
#include "cli/client.h"
#include "cli/value.h"
#include "cli/websocket.h"
#include "tests/unit/patience.h"
#include "tests/unit/rig.h"
#include "tests/unit/tls_client.h"
#include "vmm/base/macro.h"


static struct rig rig;
static struct tls_party authority, operator_party;
static char url[64], ca_path[96], cert_path[96], pin[80], *token;

/* ---- set-up, over the unix socket ---- */

static json_t *local(enum http_method method, const char *path, const char *text)
{
	const struct target target = { .socket = rig.socket };
	AUTO(client_free) struct client *client = NULL;
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	const struct client_body body = { .type = "application/json", .text = text };
	struct hvd_error err = { 0 };

	assert_int_equal(client_new(&target, &client, &err), 0);
	if (client_call(client, method, path, text ? &body : NULL, &answer, &err) < 0)
		fail_msg("%s: %s", path, err.msg);
	if (!answer.json)
		return json_string(answer.text);
	return json_incref(answer.json);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* Certificate and key of a client in one file. */
static void write_client(const struct tls_party *party, const char *path)
{
	gnutls_datum_t key;
	FILE *f;

	tls_party_write(party, path);
	f = fopen(path, "ae");
	assert_non_null(f);
	assert_int_equal(gnutls_x509_privkey_export2(party->key, GNUTLS_X509_FMT_PEM, &key), 0);
	assert_int_equal(fwrite(key.data, 1, key.size, f), key.size);
	gnutls_free(key.data);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	char folder[160];
	json_t *answer;

	tls_party_init(&authority, "authority", NULL, 3600, NULL);
	tls_party_init(&operator_party, "alice", "hvd-operator", 3600, &authority);
	rig_init(&rig);
	rig.tls = true;
	rig_start_vmm(&rig, "up");
	snprintf(folder, sizeof(folder), "%s/tls", rig.state);
	assert_int_equal(mkdir(folder, 0700), 0);
	strcat(folder, "/clients.pem");
	tls_party_write(&authority, folder);
	snprintf(cert_path, sizeof(cert_path), "%s/alice.pem", rig.dir);
	write_client(&operator_party, cert_path);
	rig_start(&rig);

	snprintf(url, sizeof(url), "https://127.0.0.1:%u", rig.port);
	answer = local(HTTP_POST, "/v1/certificate", "{\"name\":\"127.0.0.1\"}");
	snprintf(pin, sizeof(pin), "%s", value_string_at(answer, "pin"));
	json_decref(answer);
	answer = local(HTTP_GET, "/v1/certificate/pem", NULL);
	snprintf(ca_path, sizeof(ca_path), "%s/ca.pem", rig.dir);
	write_file(ca_path, json_string_value(answer));
	json_decref(answer);
	answer = local(HTTP_POST, "/v1/tokens", "{\"name\":\"t\",\"role\":\"operator\"}");
	token = strdup(value_string_at(answer, "token"));
	json_decref(answer);
	return 0;
}

static int tear_down(void **state)
{
	rig_clear(&rig);
	tls_party_clear(&operator_party);
	tls_party_clear(&authority);
	free(token);
	return 0;
}

/* ---- who is believed ---- */

static int get_vms(const struct target *target, struct hvd_error *err)
{
	AUTO(client_free) struct client *client = NULL;
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	int r;

	*err = (struct hvd_error){ 0 };
	r = client_new(target, &client, err);
	return r < 0 ? r : client_call(client, HTTP_GET, "/v1/vms", NULL, &answer, err);
}

static void expect_refusal(const struct target *target, int code, const char *text)
{
	struct websocket *ws = NULL;
	struct hvd_error err;

	if (get_vms(target, &err) != -code || !strstr(err.msg, text))
		fail_msg("%s: %d %s", text, err.code, err.msg);
	/* the console takes the same way */
	err = (struct hvd_error){ 0 };
	if (websocket_open(target, "/v1/vms/up/console", NULL, NULL, &ws, &err) != -code ||
	    !strstr(err.msg, text))
		fail_msg("console, %s: %d %s", text, err.code, err.msg);
	assert_null(ws);
}

static void test_who_is_believed(void **state)
{
	struct target target = { .host = url, .token = token };
	char other_url[64], other_ca[96];
	struct hvd_error err;

	/* nothing to know it by; by another authority; under another name; by another key */
	expect_refusal(&target, EACCES, "--cacert takes what");
	snprintf(other_ca, sizeof(other_ca), "%s/other.pem", rig.dir);
	tls_party_write(&authority, other_ca);
	target.cacert = other_ca;
	expect_refusal(&target, EACCES, "not to be trusted");
	target.cacert = ca_path;
	assert_int_equal(get_vms(&target, &err), 0);
	snprintf(other_url, sizeof(other_url), "https://localhost:%u", rig.port);
	target.host = other_url;
	expect_refusal(&target, EACCES, "not to be trusted under this name");
	target.pin = pin;
	expect_refusal(&target, EACCES, "not to be trusted under this name");
	target.cacert = NULL;
	assert_int_equal(get_vms(&target, &err), 0);
	target.pin = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	expect_refusal(&target, EACCES, "another key than that of --pin");
	target.host = url;
	target.cacert = ca_path;
	expect_refusal(&target, EACCES, "another key than that of --pin");
}

static void test_who_asks(void **state)
{
	struct target target = { .host = url, .cacert = ca_path };
	char nowhere[] = "https://127.0.0.1:1";
	struct hvd_error err;

	expect_refusal(&target, ENOKEY, "send a token");
	target.token = (char[]){ "hvd_wrong" };
	expect_refusal(&target, EKEYREJECTED, "not known");
	target.token = NULL;
	target.cert = cert_path;
	assert_int_equal(get_vms(&target, &err), 0);
	target.host = nowhere;
	expect_refusal(&target, ENOTCONN, "cannot reach hvd at https://127.0.0.1:1: Connection refused");
}

/* ---- what works ---- */

static int keep(void *ctx, const uint8_t *data, size_t len)
{
	char *text = ctx;

	assert_true(strlen(text) + len < 4096);
	strncat(text, (const char *)data, len);
	return 0;
}

static void expect_console(struct websocket *ws, const char *text, const char *wanted)
{
	struct hvd_error err = { 0 };

	while (!strstr(text, wanted)) {
		struct pollfd pfd = { websocket_fd(ws), websocket_events(ws), 0 };

		assert_int_equal(poll(&pfd, 1, PATIENCE_MS), 1);
		if (websocket_handle(ws, pfd.revents, &err) != 1)
			fail_msg("the console ended: %s", err.msg);
	}
}

static void follow_console(const struct target *target)
{
	AUTO(websocket_close) struct websocket *ws = NULL;
	static char text[4096];
	struct hvd_error err = { 0 };

	text[0] = '\0';
	if (websocket_open(target, "/v1/vms/up/console", keep, text, &ws, &err) < 0)
		fail_msg("%s", err.msg);
	expect_console(ws, text, "login: ");
	/* more than a TLS record at once, all of which comes back */
	for (int i = 0; i < 100; i++) {
		char line[32];

		snprintf(line, sizeof(line), "<line %d>", i);
		assert_int_equal(websocket_send(ws, (uint8_t *)line, strlen(line), &err), 0);
		if (i % 10 == 9)
			expect_console(ws, text, line);
	}
}

static void test_console(void **state)
{
	struct target target = { .host = url, .cacert = ca_path, .token = token };

	follow_console(&target);
	target.token = NULL;
	target.cert = cert_path;
	follow_console(&target);
}

/* A file of this machine becomes an image of the other; by an operator it does not. */
static void test_upload(void **state)
{
	static char data[300000];
	json_t *made = local(HTTP_POST, "/v1/tokens", "{\"name\":\"a\",\"role\":\"admin\"}");
	struct target target = { .host = url, .cacert = ca_path, .token = strdup(value_string_at(made, "token")) };
	struct client_body body = { .type = "application/octet-stream", .file = tmpfile() };
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	AUTO(client_free) struct client *client = NULL, *other = NULL;
	struct hvd_error err = { 0 };
	json_t *image;

	if (access("/usr/bin/qemu-img", X_OK) < 0)
		skip();
	assert_non_null(body.file);
	memset(data, 'x', sizeof(data));
	assert_int_equal(fwrite(data, 1, sizeof(data), body.file), sizeof(data));
	assert_int_equal(client_new(&target, &client, &err), 0);
	if (client_call(client, HTTP_PUT, "/v1/images/sent/content", &body, &answer, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(answer.status, 201);
	image = local(HTTP_GET, "/v1/images/sent", NULL);
	assert_int_equal(json_integer_value(value_at(image, "spec.size")), (sizeof(data) + 511) / 512 * 512);
	json_decref(image);

	free(target.token);
	target.token = token;
	assert_int_equal(client_new(&target, &other, &err), 0);
	assert_int_equal(client_call(other, HTTP_PUT, "/v1/images/more/content", &body, NULL, &err), -EACCES);
	fclose(body.file);
	json_decref(made);
}

static int on_line(void *ctx, const char *line, size_t len)
{
	struct client *client = ctx;
	struct hvd_error err;

	/* the stream is open: something happens */
	if (strncmp(line, "retry:", 6) == 0)
		return client_call(client, HTTP_POST, "/v1/vms/up/actions/pause", NULL, NULL, &err);
	return strstr(line, "\"state\":\"paused\"") ? -ECANCELED : 0;
}

static void test_events(void **state)
{
	struct target target = { .host = url, .cacert = ca_path, .token = token };
	AUTO(client_free) struct client *client = NULL, *other = NULL;
	struct hvd_error err = { 0 };

	assert_int_equal(client_new(&target, &client, &err), 0);
	assert_int_equal(client_new(&target, &other, &err), 0);
	assert_int_equal(client_follow(client, "/v1/events", on_line, other, &err), -ECANCELED);
	assert_int_equal(client_call(other, HTTP_POST, "/v1/vms/up/actions/resume", NULL, NULL, &err), 0);
	/* an operator does not define VMs */
	assert_int_equal(client_call(other, HTTP_DELETE, "/v1/vms/up", NULL, NULL, &err), -EACCES);
	assert_non_null(strstr(err.msg, "token:t is operator, and vm.delete takes admin"));
}

static int delete_token(void *ctx, const char *line, size_t len)
{
	if (strncmp(line, "retry:", 6) == 0)
		json_decref(local(HTTP_DELETE, "/v1/tokens/short", NULL));
	return 0;
}

static void test_events_of_deleted_token(void **state)
{
	json_t *answer = local(HTTP_POST, "/v1/tokens", "{\"name\":\"short\",\"role\":\"reader\"}");
	struct target target = { .host = url, .cacert = ca_path,
				 .token = (char *)value_string_at(answer, "token") };
	AUTO(client_free) struct client *client = NULL;
	struct hvd_error err = { 0 };

	assert_int_equal(client_new(&target, &client, &err), 0);
	assert_int_equal(client_follow(client, "/v1/events", delete_token, NULL, &err), -EIO);
	assert_non_null(strstr(err.msg, "the token or certificate is good no more"));
	json_decref(answer);
}

/* ---- the command line ---- */

static int init(const char *host, const char *token_file, const char *pin_text, struct target *target,
		struct hvd_error *err)
{
	struct options options = { .socket = "/s", .host = host, .token_file = token_file,
				   .pin = pin_text };

	*err = (struct hvd_error){ 0 };
	return target_init(target, &options, err);
}

static void test_options(void **state)
{
	static const char *const bad[] = {
		"vmhost", "http://vmhost:8443", "https://", "https://vmhost/v1", "https://a@b",
		"https://vmhost:8443?x", "https://a b", "HTTPS://vmhost",
	};
	struct target target;
	struct hvd_error err;
	char path[96];

	unsetenv("HVD_TOKEN");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (init(bad[i], NULL, NULL, &target, &err) != -EINVAL || !strstr(err.msg, "--host"))
			fail_msg("%s: %s", bad[i], err.msg);
		target_clear(&target);
	}
	assert_int_equal(init("", NULL, NULL, &target, &err), 0);
	assert_string_equal(target_name(&target), "/s");
	target_clear(&target);
	assert_int_equal(init("https://vmhost:8443/", NULL, NULL, &target, &err), 0);
	assert_string_equal(target_name(&target), "https://vmhost:8443");
	assert_string_equal(target_authority(&target), "vmhost:8443");
	assert_null(target.token);
	target_clear(&target);
	assert_int_equal(init("https://vmhost", NULL, "md5", &target, &err), -EINVAL);
	target_clear(&target);

	setenv("HVD_TOKEN", "hvd_environment", 1);
	assert_int_equal(init("https://vmhost", NULL, NULL, &target, &err), 0);
	assert_string_equal(target.token, "hvd_environment");
	target_clear(&target);
	snprintf(path, sizeof(path), "%s/token", rig.dir);
	write_file(path, "hvd_file\n");
	assert_int_equal(init("https://vmhost", path, NULL, &target, &err), 0);
	assert_string_equal(target.token, "hvd_file");
	target_clear(&target);
	write_file(path, "two words\n");
	assert_int_equal(init("https://vmhost", path, NULL, &target, &err), -EINVAL);
	target_clear(&target);
	write_file(path, "\n");
	assert_int_equal(init("https://vmhost", path, NULL, &target, &err), -EINVAL);
	target_clear(&target);
	assert_int_equal(init("https://vmhost", "/nowhere", NULL, &target, &err), -ENOENT);
	target_clear(&target);
	unsetenv("HVD_TOKEN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_believed), cmocka_unit_test(test_who_asks),
		cmocka_unit_test(test_console),		cmocka_unit_test(test_events),
		cmocka_unit_test(test_options),		cmocka_unit_test(test_upload),
		cmocka_unit_test(test_events_of_deleted_token),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
