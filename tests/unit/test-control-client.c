/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/control_client.h"
#include "vmm/base/log.h"

/* The test is the process at the other end. */
struct fixture {
	sd_event *event;
	struct control_client *client;
	int peer;
	unsigned events, closed, replies;
	int last; /* result of the last reply */
	bool free_in_reply;
};

static void on_event(void *ctx, const struct control_message *msg)
{
	struct fixture *f = ctx;

	f->events++;
}

static void on_closed(void *ctx)
{
	struct fixture *f = ctx;

	f->closed++;
	f->client = control_client_free(f->client);
}

static const struct control_client_ops ops = { .event = on_event, .closed = on_closed };

static void on_reply(void *ctx, int r, const struct control_message *reply,
		     const struct hvd_error *err)
{
	struct fixture *f = ctx;

	f->replies++;
	f->last = r;
	assert_true((r < 0) == (err != NULL));
	if (f->free_in_reply)
		f->client = control_client_free(f->client);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	log_open(LOG_CRIT);
	assert_non_null(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(sd_event_new(&f->event), 0);
	assert_int_equal(control_client_new(f->event, pair[0], &ops, f, &f->client), 0);
	f->peer = pair[1];
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	control_client_free(f->client);
	sd_event_unref(f->event);
	close(f->peer);
	free(f);
	return 0;
}

static void run(struct fixture *f)
{
	while (sd_event_run(f->event, 0) > 0)
		;
}

static void request(struct fixture *f, struct control_message *got)
{
	struct hvd_error err = { 0 };
	size_t n = 0;

	assert_int_equal(control_client_request(f->client, CONTROL_PAUSE, 3, NULL, 0, on_reply, f,
						&err),
			 0);
	assert_int_equal(control_recv(f->peer, got, NULL, &n), 1);
	assert_int_equal(got->type, CONTROL_PAUSE);
	assert_int_equal(got->arg, 3);
}

static void answer(struct fixture *f, enum control_type type, uint32_t serial, int result)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = type, .serial = serial,
				       .result = result };

	assert_int_equal(control_send(f->peer, &msg, NULL, 0), 0);
}

static void test_replies_in_any_order(void **state)
{
	struct fixture *f = *state;
	struct control_message a, b;

	request(f, &a);
	request(f, &b);
	assert_int_not_equal(a.serial, b.serial);

	answer(f, CONTROL_REPLY, b.serial, -EBUSY);
	run(f);
	assert_int_equal(f->replies, 1);
	assert_int_equal(f->last, -EBUSY);
	answer(f, CONTROL_REPLY, a.serial, 0);
	answer(f, CONTROL_REPLY, a.serial, 0); /* once only */
	answer(f, CONTROL_REPLY, 4711, 0);     /* nobody asked */
	run(f);
	assert_int_equal(f->replies, 2);
	assert_int_equal(f->last, 0);
	assert_int_equal(f->closed, 0);
}

static void test_events(void **state)
{
	struct fixture *f = *state;

	answer(f, CONTROL_EVENT, 0, 0);
	answer(f, CONTROL_STATUS, 0, 0); /* a request in the wrong direction is ignored */
	run(f);
	assert_int_equal(f->events, 1);
	assert_int_equal(f->closed, 0);
}

static void test_peer_dies(void **state)
{
	struct fixture *f = *state;
	struct control_message msg;

	request(f, &msg);
	request(f, &msg);
	shutdown(f->peer, SHUT_RDWR);
	run(f);
	assert_int_equal(f->replies, 2);
	assert_int_equal(f->last, -EPIPE);
	assert_int_equal(f->closed, 1);
	assert_null(f->client);
}

static void test_peer_breaks_protocol(void **state)
{
	struct fixture *f = *state;
	struct control_message msg;

	request(f, &msg);
	assert_int_equal(write(f->peer, "nonsense", 8), 8);
	run(f);
	assert_int_equal(f->last, -EPIPE);
	assert_int_equal(f->closed, 1);
}

static void test_free_in_callback(void **state)
{
	struct fixture *f = *state;
	struct control_message msg;

	f->free_in_reply = true;
	request(f, &msg);
	answer(f, CONTROL_REPLY, msg.serial, 0);
	answer(f, CONTROL_EVENT, 0, 0);
	run(f);
	assert_int_equal(f->replies, 1);
	assert_int_equal(f->events, 0);
	assert_int_equal(f->closed, 0);
}

/* Who waits is told, also when it is hvd that ends. */
static void test_free_with_requests(void **state)
{
	struct fixture *f = *state;
	struct control_message msg;

	request(f, &msg);
	f->client = control_client_free(f->client);
	assert_int_equal(f->replies, 1);
	assert_int_equal(f->last, -ECANCELED);
	assert_int_equal(f->closed, 0);
}

static void test_peer_does_not_read(void **state)
{
	struct fixture *f = *state;
	struct hvd_error err = { 0 };
	int r = 0;

	for (int i = 0; r == 0 && i < 100000; i++)
		r = control_client_request(f->client, CONTROL_PAUSE, 0, NULL, 0, on_reply, f, &err);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(err.code, -EAGAIN);
}

static void ignore_part(void *ctx, const struct control_counters *counters, const char *id)
{
}

/* hvd was held up for longer than answers may take, and finds those of many VMs, which came in time. */
static void test_late_reader(void **state)
{
	enum { N = 16 };
	struct fixture *f = *state, others[N] = { 0 };
	struct hvd_error err = { 0 };

	for (unsigned i = 0; i < N; i++) {
		struct fixture *o = &others[i];
		struct control_message msg;
		size_t n = 0;
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
		assert_int_equal(control_client_new(f->event, pair[0], &ops, o, &o->client), 0);
		o->peer = pair[1];
		assert_int_equal(control_client_count(o->client, ignore_part, on_reply, o, &err), 0);
		assert_int_equal(control_recv(o->peer, &msg, NULL, &n), 1);
		answer(o, CONTROL_REPLY, msg.serial, 0);
	}
	usleep(CONTROL_COUNT_TIMEOUT_USEC);
	run(f);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(others[i].replies, 1);
		assert_int_equal(others[i].last, 0);
		control_client_free(others[i].client);
		close(others[i].peer);
	}
}

static void test_paths(void **state)
{
	char folder[] = "/tmp/hvd-test.XXXXXX", path[64], longer[256];
	int listener, sock;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/control", folder);
	assert_int_equal(control_connect(path), -ENOENT);
	listener = control_listen(path);
	assert_true(listener >= 0);
	sock = control_connect(path);
	assert_true(sock >= 0);
	close(sock);
	close(listener);
	assert_int_equal(control_connect(path), -ECONNREFUSED);

	/* what an earlier process left is replaced */
	listener = control_listen(path);
	assert_true(listener >= 0);
	close(listener);
	unlink(path);
	rmdir(folder);

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(control_connect(longer), -ENAMETOOLONG);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_replies_in_any_order), TEST(test_events), TEST(test_peer_dies),
		TEST(test_peer_breaks_protocol), TEST(test_free_in_callback),
		TEST(test_free_with_requests), TEST(test_peer_does_not_read), TEST(test_late_reader),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
