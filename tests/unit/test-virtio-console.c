/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/patience.h"
#include "tests/unit/virtio_driver.h"
#include "vmm/base/thread.h"

#define RXQ 0
#define TXQ 1

struct fixture {
	struct driver d;
	struct loop *main;
	pthread_t main_thread;
	struct console *console;
	int client; /* the test's end of a client that may type */
	int uart;   /* pipe: what the other device got */
	int uart_in;
};

static size_t uart_input(void *ctx, const uint8_t *data, size_t len)
{
	struct fixture *f = ctx;

	return write(f->uart_in, data, len) > 0 ? len : 0;
}

static void *run_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

struct attach {
	struct fixture *f;
	int fd;
};

static void attach_on_main(void *arg)
{
	struct attach *a = arg;

	console_set_input(a->f->console, uart_input, a->f);
	assert_int_equal(console_attach(a->f->console, a->fd, true, NULL), 0);
}

static int set_up(void **state)
{
	static struct fixture f;
	struct attach attach = { .f = &f };
	struct virtio_dev *dev;
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	f.uart = pair[0];
	f.uart_in = pair[1];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	f.client = pair[1];
	attach.fd = pair[0];

	assert_int_equal(loop_new(&f.main), 0);
	assert_int_equal(console_new(f.main, &f.console), 0);
	attach_on_main(&attach);
	assert_int_equal(thread_start(&f.main_thread, "main", run_main, f.main), 0);

	driver_open(&f.d);
	assert_int_equal(virtio_console_new(f.console, f.d.mem, f.d.io, &dev, NULL), 0);
	driver_set_device(&f.d, dev);
	*state = &f;
	return 0;
}

static void free_on_main(void *arg)
{
	struct fixture *f = arg;

	/* as the machine does: devices are freed on the main loop's thread */
	driver_close(&f->d);
	loop_quit(f->main);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	loop_call(f->main, free_on_main, f);
	pthread_join(f->main_thread, NULL);
	console_free(f->console);
	loop_free(f->main);
	close(f->client);
	close(f->uart);
	close(f->uart_in);
	return 0;
}

/* Wait for exactly this text on a descriptor. */
static void expect(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char got[8192] = "";
	size_t len = 0;

	while (len < strlen(text)) {
		ssize_t n;

		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		n = read(fd, got + len, strlen(text) - len);
		assert_true(n > 0);
		len += (size_t)n;
	}
	assert_string_equal(got, text);
}

static void print(struct fixture *f, const char *text)
{
	struct driver_queue *q = &f->d.queue[TXQ];

	memcpy(data_ptr(&f->d, 0), text, strlen(text));
	queue_desc(q, 0, data_ipa(0), (uint32_t)strlen(text), 0, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, TXQ);
	driver_used(&f->d, TXQ);
}

static void type(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->client, text, strlen(text)), strlen(text));
}

static void offer(struct fixture *f, uint16_t i, uint32_t len)
{
	queue_desc(&f->d.queue[RXQ], i, data_ipa(4096 * (i + 1U)), len, VRING_DESC_F_WRITE, 0);
	queue_avail(&f->d.queue[RXQ], i);
	driver_kick(&f->d, RXQ);
}

static void expect_typed(struct fixture *f, const char *text)
{
	while (*text) {
		struct vring_used_elem used = driver_used(&f->d, RXQ);

		assert_true(used.len <= strlen(text));
		assert_memory_equal(data_ptr(&f->d, 4096 * (used.id + 1)), text, used.len);
		text += used.len;
	}
}

static void test_output(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	print(f, "Debian GNU/Linux\r\n");
	expect(f->client, "Debian GNU/Linux\r\n");
}

/* Input is the UART's until the guest talks on this device, and again after a reset. */
static void test_input_follows_the_guest(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	offer(f, 0, 64);
	type(f, "one");
	expect(f->uart, "one");

	print(f, "login: ");
	expect(f->client, "login: ");
	type(f, "two");
	expect_typed(f, "two");

	driver_reset(&f->d);
	type(f, "three");
	expect(f->uart, "three");
}

static void test_input_in_small_buffers(void **state)
{
	struct fixture *f = *state;
	char text[3001] = "";

	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 26);
	driver_start(&f->d, DRIVER_FEATURES);
	print(f, "x");
	expect(f->client, "x");

	/* more than FIFO and console keep: none of it is lost while the guest has no buffers */
	type(f, text);
	for (unsigned at = 0; at < sizeof(text) - 1;) {
		struct vring_used_elem used;

		offer(f, 3, 100);
		used = driver_used(&f->d, RXQ);
		assert_true(used.len > 0 && used.len <= 100);
		assert_memory_equal(data_ptr(&f->d, 4096 * 4), text + at, used.len);
		at += used.len;
	}
}

static void test_input_waits_while_paused(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	print(f, "x");
	expect(f->client, "x");
	offer(f, 0, 64);
	virtio_quiesce(f->d.dev);
	type(f, "hello");
	assert_int_equal(f->d.queue[RXQ].used->idx, 0);
	virtio_resume(f->d.dev);
	offer(f, 1, 64);
	offer(f, 2, 64);
	expect_typed(f, "hello");
}

static void test_broken_ring(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	queue_avail(&f->d.queue[TXQ], 0xffff);
	driver_kick(&f->d, TXQ);
	driver_wait_broken(&f->d);
	driver_start(&f->d, DRIVER_FEATURES);
	print(f, "again");
	expect(f->client, "again");
}

static void nothing(void *arg)
{
}

/* Resumed with one broken ring, the device does not wait for the other, which has a buffer. */
static void test_broken_ring_beside_a_sound_one(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	print(f, "x");
	expect(f->client, "x");
	virtio_quiesce(f->d.dev);
	type(f, "hello");
	for (int i = 0; i < 2; i++)
		loop_call(f->main, nothing, NULL); /* it has been read */
	queue_avail(&f->d.queue[RXQ], 0xffff);
	queue_avail(&f->d.queue[TXQ], 0);
	virtio_resume(f->d.dev);
	driver_wait_broken(&f->d);
	driver_start(&f->d, DRIVER_FEATURES);
	print(f, "again");
	expect(f->client, "again");
}

/* A writable buffer on the transmit queue says nothing, and is given back. */
static void test_output_buffer_to_write(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	queue_desc(&f->d.queue[TXQ], 0, data_ipa(0), 100, VRING_DESC_F_WRITE, 0);
	queue_avail(&f->d.queue[TXQ], 0);
	driver_kick(&f->d, TXQ);
	assert_int_equal(driver_used(&f->d, TXQ).len, 0);
	print(f, "ok");
	expect(f->client, "ok");
}

static void resize_on_main(void *arg)
{
	struct fixture *f = arg;

	console_set_size(f->console, (struct console_size){ 132, 43 });
	assert_int_equal(virtio_update(f->d.dev, NULL, NULL), 0);
}

static void test_size(void **state)
{
	struct fixture *f = *state;

	assert_true(f->d.dev->host_features & 1ULL << VIRTIO_CONSOLE_F_SIZE);
	driver_start(&f->d, DRIVER_FEATURES | 1ULL << VIRTIO_CONSOLE_F_SIZE);
	assert_int_equal(virtio_read_config(f->d.dev, 0, 4), 0);
	loop_call(f->main, resize_on_main, f);
	driver_wait_interrupt(&f->d, VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(virtio_read_config(f->d.dev, offsetof(struct virtio_console_config, cols), 2), 132);
	assert_int_equal(virtio_read_config(f->d.dev, offsetof(struct virtio_console_config, rows), 2), 43);
	/* the next driver is told too */
	driver_start(&f->d, DRIVER_FEATURES | 1ULL << VIRTIO_CONSOLE_F_SIZE);
	driver_wait_interrupt(&f->d, VIRTIO_MMIO_INT_CONFIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_output),
		TEST(test_size),
		TEST(test_input_follows_the_guest),
		TEST(test_input_in_small_buffers),
		TEST(test_input_waits_while_paused),
		TEST(test_broken_ring),
		TEST(test_broken_ring_beside_a_sound_one),
		TEST(test_output_buffer_to_write),
	};

	return DRIVER_RUN(tests);
}
