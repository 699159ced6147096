/* SPDX-License-Identifier: Apache-2.0 */
/* The block device on vhost-user with the real qemu-storage-daemon: what hvd relies on in it. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <linux/virtio_blk.h>

#include "tests/unit/virtio_driver.h"
#include "vmm/block/vhost_user.h"

#define DAEMON   "/usr/bin/qemu-storage-daemon"
#define REQUESTS 5 /* that a queue holds */

static struct {
	struct driver d;
	char folder[64], image[96];
	pid_t daemon;
	_Atomic bool lost;
} t;

static void on_lost(void *ctx, struct virtio_dev *dev)
{
	t.lost = true;
}

static int listen_on(struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/vhost", t.folder);
	unlink(addr->sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* As hvd starts it: the listening socket is its standard output. limits: "" or those of a throttle group. */
static int start_daemon(const char *limits)
{
	char file[200], throttle[100];
	struct sockaddr_un addr;
	int listener = listen_on(&addr), sock;

	snprintf(file, sizeof(file),
		 "{\"driver\":\"qcow2\",\"node-name\":\"a\",\"backing\":null,"
		 "\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}}", t.image);
	snprintf(throttle, sizeof(throttle),
		 "{\"qom-type\":\"throttle-group\",\"id\":\"t\",\"limits\":{%s}}", limits);
	t.daemon = fork();
	if (t.daemon == 0) {
		dup2(listener, STDOUT_FILENO);
		execl(DAEMON, DAEMON, "--object", throttle, "--blockdev", file, "--blockdev",
		      "{\"driver\":\"throttle\",\"node-name\":\"b\",\"throttle-group\":\"t\",\"file\":\"a\"}",
		      "--export", "{\"type\":\"vhost-user-blk\",\"id\":\"e\",\"node-name\":\"b\","
		      "\"writable\":true,\"num-queues\":2,\"addr\":{\"type\":\"fd\",\"str\":\"1\"}}", NULL);
		_exit(1);
	}
	close(listener);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return sock;
}

static void end_daemon(int sig)
{
	kill(t.daemon, sig);
	assert_int_equal(waitpid(t.daemon, NULL, 0), t.daemon);
}

static void set_up(const char *limits)
{
	struct virtio_vhost_user_blk_args args = { .assume_inflight = true, .name = "disk",
						   .n_queues = 2, .lost = on_lost };
	struct virtio_dev *dev;
	struct hvd_error err = { 0 };
	char command[200];

	snprintf(t.folder, sizeof(t.folder), "/tmp/hvd-test-XXXXXX");
	assert_non_null(mkdtemp(t.folder));
	snprintf(t.image, sizeof(t.image), "%s/image", t.folder);
	snprintf(command, sizeof(command), "qemu-img create -q -f qcow2 %s 64M", t.image);
	assert_int_equal(system(command), 0);

	driver_open(&t.d);
	args.main = t.d.io;
	guest_mem_free(t.d.mem);
	assert_int_equal(guest_mem_new_shared(DRIVER_RAM_BASE, DRIVER_RAM_SIZE, &t.d.mem), 0);
	t.lost = false;
	args.sock = start_daemon(limits);
	if (virtio_vhost_user_blk_new(&args, t.d.mem, t.d.io, &dev, &err) < 0)
		fail_msg("%s", err.msg);
	driver_set_device(&t.d, dev);
	driver_start(&t.d, t.d.dev->host_features);
}

static void tear_down(void)
{
	char command[200];

	driver_close(&t.d);
	end_daemon(SIGTERM);
	snprintf(command, sizeof(command), "qemu-img check -q %s && rm -r %s", t.image, t.folder);
	assert_int_equal(system(command), 0);
}

static uint64_t place(unsigned i)
{
	return i * 0x2000;
}

static uint8_t *data(unsigned i)
{
	return (uint8_t *)data_ptr(&t.d, place(i) + 4096);
}

static void offer(unsigned i, uint32_t type, uint64_t sector)
{
	struct driver_queue *q = &t.d.queue[0];
	uint16_t first = (uint16_t)(3 * i), in = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;

	*(struct virtio_blk_outhdr *)data_ptr(&t.d, place(i)) =
		(struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*(uint8_t *)data_ptr(&t.d, place(i) + 256) = 0xff;
	queue_desc(q, first, data_ipa(place(i)), 16, VRING_DESC_F_NEXT, first + 1);
	queue_desc(q, first + 1, data_ipa(place(i) + 4096), 4096, VRING_DESC_F_NEXT | in, first + 2);
	queue_desc(q, first + 2, data_ipa(place(i) + 256), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, first);
}

static void finish(unsigned n)
{
	driver_wait_used(&t.d, 0, n);
	t.d.queue[0].last_used = (uint16_t)(t.d.queue[0].last_used + n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(*(uint8_t *)data_ptr(&t.d, place(i) + 256), VIRTIO_BLK_S_OK);
}

static void batch(uint32_t type)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		offer(i, type, 8 * i);
	driver_kick(&t.d, 0);
}

static void fill(uint8_t first)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		memset(data(i), first + (int)i, 4096);
}

static void expect(uint8_t first)
{
	fill(0);
	batch(VIRTIO_BLK_T_IN);
	finish(REQUESTS);
	for (unsigned i = 0; i < REQUESTS; i++) {
		assert_int_equal(data(i)[0], first + i);
		assert_int_equal(data(i)[4095], first + i);
	}
}

static void reads_and_writes(void **state)
{
	set_up("");
	assert_int_equal(virtio_read_config(t.d.dev, 0, 8), (64 << 20) / 512);
	assert_true(t.d.dev->host_features & 1ULL << VIRTIO_BLK_F_FLUSH);
	assert_true(t.d.dev->host_features & 1ULL << VIRTIO_BLK_F_DISCARD);
	fill(1);
	batch(VIRTIO_BLK_T_OUT);
	finish(REQUESTS);
	expect(1);
	virtio_quiesce(t.d.dev);
	virtio_resume(t.d.dev);
	expect(1);
	driver_start(&t.d, t.d.dev->host_features);
	expect(1);
	tear_down();
}

/* With a limit of two requests a second, most are in flight when it is paused. */
static void a_pause_waits_for_requests(void **state)
{
	set_up("\"iops-total\":2");
	fill(1);
	batch(VIRTIO_BLK_T_OUT);
	virtio_quiesce(t.d.dev);
	assert_int_equal(t.d.queue[0].used->idx, REQUESTS);
	virtio_resume(t.d.dev);
	finish(REQUESTS);
	assert_false(t.lost);
	tear_down();
}

/*
 * Killed with requests in flight: its successor does them, each once. Without a write cache, for what
 * qcow2 has in its cache of metadata goes with the daemon.
 */
static void killed_at_work(void **state)
{
	set_up("\"bps-total\":8"); /* the second waits for minutes */
	virtio_set_config(t.d.dev, offsetof(struct virtio_blk_config, wce), 0, 1);
	fill(1);
	batch(VIRTIO_BLK_T_OUT);
	driver_wait_used(&t.d, 0, 1);
	end_daemon(SIGKILL);
	while (!t.lost)
		poll(NULL, 0, 1);
	assert_true(t.d.queue[0].used->idx < REQUESTS);
	assert_int_equal(virtio_vhost_user_blk_reconnect(t.d.dev, start_daemon(""), NULL), 0);
	finish(REQUESTS);
	assert_int_equal(t.d.queue[0].used->idx, REQUESTS);
	expect(1);
	assert_false(t.d.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes),
		cmocka_unit_test(a_pause_waits_for_requests),
		cmocka_unit_test(killed_at_work),
	};

	if (access(DAEMON, X_OK) < 0 || system("qemu-img --version >/dev/null 2>&1") != 0) {
		puts(DAEMON " or qemu-img is not installed");
		return 77;
	}
	return DRIVER_RUN(tests);
}
