/* SPDX-License-Identifier: Apache-2.0 */
/* hvcli's client when hvd ends before it answers. The server is a thread that hangs up as often as it is told. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/client.h"
#include "cli/target.h"

struct server {
	char folder[32], path[64];
	int listener;
	unsigned hang_ups; /* connections that get no answer */
	char requests[3][1024];
	unsigned n;
	pthread_t thread;
};

/* Up to the end of the head: there are no bodies. */
static void read_request(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size - 1 && !strstr(buf, "\r\n\r\n")) {
		ssize_t n = recv(fd, buf + len, size - 1 - len, 0);

		if (n <= 0)
			break;
		len += (size_t)n;
		buf[len] = '\0';
	}
}

static void *serve(void *arg)
{
	static const char answer[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
	struct server *server = arg;
	int fd;

	while (server->n < 3 && (fd = accept(server->listener, NULL, NULL)) >= 0) {
		read_request(fd, server->requests[server->n], sizeof(server->requests[0]));
		if (server->n++ >= server->hang_ups)
			send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static int set_up(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(server->folder, "/tmp/hvd-test.XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->path, sizeof(server->path), "%s/sock", server->folder);
	strcpy(addr.sun_path, server->path);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(server->listener, 4), 0);
	*state = server;
	return 0;
}

static void start(struct server *server, unsigned hang_ups)
{
	server->hang_ups = hang_ups;
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
}

static int tear_down(void **state)
{
	struct server *server = *state;

	close(server->listener);
	unlink(server->path);
	assert_int_equal(rmdir(server->folder), 0);
	free(server);
	return 0;
}

static int call(const struct server *server, enum http_method method, struct hvd_error *err)
{
	const struct target target = { .socket = server->path };
	AUTO(client_free) struct client *client = NULL;

	assert_int_equal(client_new(&target, &client, err), 0);
	return client_call(client, method, "/v1/vms/demo/actions/reset", NULL, NULL, err);
}

static void test_asks_again(void **state)
{
	struct server *server = *state;
	struct hvd_error err = { 0 };
	const char *key;

	start(server, 1);
	assert_int_equal(call(server, HTTP_POST, &err), 0);
	stop(server);
	assert_int_equal(err.code, 0);
	assert_int_equal(server->n, 2);
	key = strstr(server->requests[0], "Idempotency-Key: ");
	assert_non_null(key);
	assert_string_equal(server->requests[0], server->requests[1]);
}

static void test_reads_again(void **state)
{
	struct server *server = *state;

	start(server, 1);
	assert_int_equal(call(server, HTTP_GET, NULL), 0);
	stop(server);
	assert_int_equal(server->n, 2);
	assert_null(strstr(server->requests[0], "Idempotency-Key"));
}

/* Each request has a key of its own. */
static void test_keys_differ(void **state)
{
	struct server *server = *state;

	start(server, 0);
	assert_int_equal(call(server, HTTP_DELETE, NULL), 0);
	assert_int_equal(call(server, HTTP_DELETE, NULL), 0);
	stop(server);
	assert_int_equal(server->n, 2);
	assert_string_not_equal(server->requests[0], server->requests[1]);
}

static void test_gives_up(void **state)
{
	struct server *server = *state;
	struct hvd_error err = { 0 };

	start(server, 3);
	assert_int_equal(call(server, HTTP_POST, &err), -EIO);
	stop(server);
	assert_int_equal(server->n, 2);
	assert_int_equal(err.code, -EIO);
	assert_non_null(strstr(err.msg, "talking to hvd"));

	/* nobody is there: that is said at once */
	unlink(server->path);
	assert_int_equal(call(server, HTTP_POST, &err), -ENOTCONN);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_asks_again),
		T(test_reads_again),
		T(test_keys_differ),
		T(test_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
