/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/unit/patience.h"
#include "tests/unit/virtio_driver.h"

#define RXQ	    0
#define TXQ	    1
#define CID	    7U
#define SERVED	    1234U /* a port of the host that somebody listens on */
#define PORT	    5000U /* one of the guest */
#define BUFFER	    65536U
#define RX_SIZE	    4096U

/* Data area: a receive buffer for each descriptor, then a packet to send. */
#define RX_AT(i) ((i) * RX_SIZE)
#define TX_AT	 (DRIVER_QUEUE_SIZE * RX_SIZE)

struct fixture {
	struct driver d;
	char folder[32];
	int server;   /* listens on SERVED */
	uint32_t buf_alloc, fwd_cnt; /* what the guest tells of itself */
};

struct packet {
	struct virtio_vsock_hdr hdr;
	char data[RX_SIZE + 1];
};

static struct sockaddr_un address(struct fixture *f, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", f->folder, name);
	return addr;
}

static int listen_on(struct fixture *f, const char *name)
{
	struct sockaddr_un addr = address(f, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1024), 0);
	return fd;
}

static void offer(struct fixture *f, uint16_t i)
{
	queue_desc(&f->d.queue[RXQ], i, data_ipa(RX_AT(i)), RX_SIZE, VRING_DESC_F_WRITE, 0);
	queue_avail(&f->d.queue[RXQ], i);
}

static void start(struct fixture *f)
{
	driver_start(&f->d, DRIVER_FEATURES);
	for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++)
		offer(f, i);
	driver_kick(&f->d, RXQ);
}

static int set_up(void **state)
{
	static struct fixture f;
	struct virtio_vsock_args args = { .cid = CID, .folder = f.folder };
	struct virtio_dev *dev;

	f = (struct fixture){ .folder = "/tmp/vsock-XXXXXX", .buf_alloc = BUFFER };
	assert_non_null(mkdtemp(f.folder));
	f.server = listen_on(&f, "vsock_1234");
	args.listener = listen_on(&f, "vsock");
	driver_open(&f.d);
	assert_int_equal(virtio_vsock_new(&args, f.d.mem, f.d.io, &dev, NULL), 0);
	driver_set_device(&f.d, dev);
	start(&f);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	driver_close(&f->d);
	close(f->server);
	unlink(address(f, "vsock").sun_path);
	unlink(address(f, "vsock_1234").sun_path);
	rmdir(f->folder);
	return 0;
}

/* --- the guest's side */

static void put_packet(struct fixture *f, const struct virtio_vsock_hdr *hdr, const void *data,
		       uint32_t len)
{
	struct driver_queue *q = &f->d.queue[TXQ];

	memcpy(data_ptr(&f->d, TX_AT), hdr, sizeof(*hdr));
	memcpy(data_ptr(&f->d, TX_AT + sizeof(*hdr)), data, len);
	/* in two pieces, which do not end where the header does */
	queue_desc(q, 0, data_ipa(TX_AT), 40, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(TX_AT + 40), (uint32_t)sizeof(*hdr) - 40 + len, 0, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, TXQ);
}

static struct virtio_vsock_hdr header(struct fixture *f, uint16_t op, uint32_t guest, uint32_t host)
{
	return (struct virtio_vsock_hdr){
		.src_cid = CID, .dst_cid = 2, .src_port = guest, .dst_port = host,
		.type = VIRTIO_VSOCK_TYPE_STREAM, .op = op,
		.buf_alloc = f->buf_alloc, .fwd_cnt = f->fwd_cnt,
	};
}

static void say_data(struct fixture *f, uint32_t host, const void *data, uint32_t len)
{
	struct virtio_vsock_hdr hdr = header(f, VIRTIO_VSOCK_OP_RW, PORT, host);

	hdr.len = len;
	put_packet(f, &hdr, data, len);
	driver_used(&f->d, TXQ);
}

static void say_flags(struct fixture *f, uint16_t op, uint32_t host, uint32_t flags)
{
	struct virtio_vsock_hdr hdr = header(f, op, PORT, host);

	hdr.flags = flags;
	put_packet(f, &hdr, "", 0);
	driver_used(&f->d, TXQ);
}

static void say(struct fixture *f, uint16_t op, uint32_t host)
{
	say_flags(f, op, host, 0);
}

/* The next packet of the device, whose buffer it gets back. */
static struct packet hear(struct fixture *f)
{
	struct vring_used_elem used = driver_used(&f->d, RXQ);
	const char *p = data_ptr(&f->d, RX_AT(used.id));
	struct packet packet = { 0 };

	memcpy(&packet.hdr, p, sizeof(packet.hdr));
	assert_int_equal(used.len, sizeof(packet.hdr) + packet.hdr.len);
	memcpy(packet.data, p + sizeof(packet.hdr), packet.hdr.len);
	assert_int_equal(packet.hdr.src_cid, 2);
	assert_int_equal(packet.hdr.dst_cid, CID);
	assert_int_equal(packet.hdr.type, VIRTIO_VSOCK_TYPE_STREAM);
	offer(f, (uint16_t)used.id);
	driver_kick(&f->d, RXQ);
	return packet;
}

static struct packet hear_op(struct fixture *f, uint16_t op)
{
	struct packet packet = hear(f);

	assert_int_equal(packet.hdr.op, op);
	return packet;
}

static void nothing(void *arg)
{
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		loop_call(f->d.io, nothing, NULL);
}

static void hear_nothing(struct fixture *f)
{
	settle(f);
	assert_int_equal(f->d.queue[RXQ].used->idx, f->d.queue[RXQ].last_used);
}

/* --- the host's side */

static int accept_one(struct fixture *f)
{
	struct pollfd p = { .fd = f->server, .events = POLLIN };
	int fd;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	fd = accept4(f->server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int connect_to_guest(struct fixture *f, const char *greeting)
{
	struct sockaddr_un addr = address(f, "vsock");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(write(fd, greeting, strlen(greeting)), strlen(greeting));
	return fd;
}

static void read_all(int fd, void *buf, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (size_t done = 0; done < len;) {
		ssize_t n;

		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		n = read(fd, (char *)buf + done, len - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
}

static void expect(int fd, const char *text)
{
	char buf[256] = "";

	read_all(fd, buf, strlen(text));
	assert_string_equal(buf, text);
}

static void expect_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_true(read(fd, &byte, 1) <= 0);
}

static void tell(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* A connection that the guest has begun; the host's end of it. */
static int open_conn(struct fixture *f)
{
	struct packet packet;
	int fd;

	say(f, VIRTIO_VSOCK_OP_REQUEST, SERVED);
	packet = hear_op(f, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(packet.hdr.src_port, SERVED);
	assert_int_equal(packet.hdr.dst_port, PORT);
	assert_int_equal(packet.hdr.buf_alloc, BUFFER);
	assert_int_equal(packet.hdr.fwd_cnt, 0);
	fd = accept_one(f);
	return fd;
}

/* --- */

static void test_guest_connects(void **state)
{
	struct fixture *f = *state;
	struct packet packet;
	int fd = open_conn(f);

	say_data(f, SERVED, "hello", 5);
	expect(fd, "hello");
	tell(fd, "world");
	packet = hear_op(f, VIRTIO_VSOCK_OP_RW);
	assert_string_equal(packet.data, "world");
	assert_int_equal(packet.hdr.fwd_cnt, 5);

	say_flags(f, VIRTIO_VSOCK_OP_SHUTDOWN, SERVED, 3);
	expect_end(fd);
	hear_op(f, VIRTIO_VSOCK_OP_RST);
	close(fd);
	hear_nothing(f);
	/* the same ports once more */
	close(open_conn(f));
}

static void test_nobody_listens(void **state)
{
	struct fixture *f = *state;
	struct packet packet;

	say(f, VIRTIO_VSOCK_OP_REQUEST, 99);
	packet = hear_op(f, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(packet.hdr.src_port, 99);
	assert_int_equal(packet.hdr.dst_port, PORT);
}

static uint32_t answer_request(struct fixture *f, uint32_t port)
{
	struct packet packet = hear_op(f, VIRTIO_VSOCK_OP_REQUEST);

	assert_int_equal(packet.hdr.dst_port, port);
	say(f, VIRTIO_VSOCK_OP_RESPONSE, packet.hdr.src_port);
	return packet.hdr.src_port;
}

static void test_host_connects(void **state)
{
	struct fixture *f = *state;
	/* what is said too early comes all the same */
	int fd = connect_to_guest(f, "CONNECT 5000\nearly");
	uint32_t host = answer_request(f, PORT);
	char ok[32];

	snprintf(ok, sizeof(ok), "OK %u\n", host);
	expect(fd, ok);
	assert_string_equal(hear_op(f, VIRTIO_VSOCK_OP_RW).data, "early");
	say_data(f, host, "answer", 6);
	expect(fd, "answer");

	/* half closed, then altogether */
	shutdown(fd, SHUT_WR);
	assert_int_equal(hear_op(f, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags,
			 VIRTIO_VSOCK_SHUTDOWN_SEND);
	say_data(f, host, "still", 5);
	expect(fd, "still");
	close(fd);
	assert_int_equal(hear_op(f, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, 3);
	say(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, host);
	hear_nothing(f);
	say(f, VIRTIO_VSOCK_OP_RST, host);
	say(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, host);
	hear_op(f, VIRTIO_VSOCK_OP_RST);
}

static void test_guest_refuses(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to_guest(f, "CONNECT 5000\n");
	struct packet packet = hear_op(f, VIRTIO_VSOCK_OP_REQUEST);

	say(f, VIRTIO_VSOCK_OP_RST, packet.hdr.src_port);
	expect_end(fd);
	close(fd);

	/* the program has gone before the guest answers */
	fd = connect_to_guest(f, "CONNECT 5000\n");
	packet = hear_op(f, VIRTIO_VSOCK_OP_REQUEST);
	close(fd);
	settle(f);
	say(f, VIRTIO_VSOCK_OP_RESPONSE, packet.hdr.src_port);
	hear_op(f, VIRTIO_VSOCK_OP_RST);
}

static void test_greetings(void **state)
{
	static const char *const bad[] = {
		"\n", "CONNECT\n", "CONNECT \n", "connect 5\n", "CONNECT 5 \n", "CONNECT -1\n",
		"CONNECT 4294967296\n", "CONNECT 0x10\n",
		"CONNECT 00000000000000000000000000000000000000005\n",
	};
	struct fixture *f = *state;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = connect_to_guest(f, bad[i]);
		expect_end(fd);
		close(fd);
	}
	/* in pieces */
	fd = connect_to_guest(f, "CONN");
	settle(f);
	tell(fd, "ECT 4294967295");
	settle(f);
	tell(fd, "\n");
	answer_request(f, UINT32_MAX);
	close(fd);
}

/* The guest gets no more than it has room for, whatever its counters have come to. */
static void test_credit_of_the_guest(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->buf_alloc = 4;
	fd = open_conn(f);
	tell(fd, "abcdefghijkl");
	assert_string_equal(hear_op(f, VIRTIO_VSOCK_OP_RW).data, "abcd");
	hear_op(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	hear_nothing(f);
	f->fwd_cnt = 3;
	say(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, SERVED);
	assert_string_equal(hear_op(f, VIRTIO_VSOCK_OP_RW).data, "efg");
	hear_op(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST);

	/* it claims to have read what it was never sent */
	f->fwd_cnt = 100;
	say(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, SERVED);
	f->buf_alloc = UINT32_MAX;
	say(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, SERVED);
	assert_string_equal(hear_op(f, VIRTIO_VSOCK_OP_RW).data, "hijkl");
	f->buf_alloc = 0;
	say(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, SERVED);
	tell(fd, "x");
	hear_op(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	hear_nothing(f);
	close(fd);
}

static void pattern(char *buf, uint32_t at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		buf[i] = (char)((at + i) * 7 + (at + i) / 251);
}

/* More than the socket and the connection keep, to a reader that comes late. */
static void test_credit_of_the_host(void **state)
{
	struct fixture *f = *state;
	char buf[RX_SIZE], want[RX_SIZE];
	uint32_t sent = 0, read = 0, known = 0;
	int fd = open_conn(f), small = 8192;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	while (read < 1000000) {
		/* all that may be sent, as the device has told */
		while (sent - known < BUFFER && sent < 1000000) {
			uint32_t len = MIN(3001U, BUFFER - (sent - known));

			pattern(buf, sent, len);
			say_data(f, SERVED, buf, len);
			sent += len;
			settle(f);
			while (f->d.queue[RXQ].used->idx != f->d.queue[RXQ].last_used)
				known = hear_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE).hdr.fwd_cnt;
		}
		read_all(fd, buf, MIN(sizeof(buf), sent - read));
		pattern(want, read, MIN(sizeof(buf), sent - read));
		assert_memory_equal(buf, want, MIN(sizeof(buf), sent - read));
		read += MIN((uint32_t)sizeof(buf), sent - read);
		settle(f);
		while (f->d.queue[RXQ].used->idx != f->d.queue[RXQ].last_used)
			known = hear_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE).hdr.fwd_cnt;
	}
	close(fd);
}

/* Sends until the device keeps something back. Returns how much was sent. */
static uint32_t fill_up(struct fixture *f)
{
	char buf[4000];
	uint32_t sent = 0, known = 0;

	while (sent - known + sizeof(buf) <= BUFFER) {
		pattern(buf, sent, sizeof(buf));
		say_data(f, SERVED, buf, sizeof(buf));
		sent += (uint32_t)sizeof(buf);
		settle(f);
		while (f->d.queue[RXQ].used->idx != f->d.queue[RXQ].last_used)
			known = hear_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE).hdr.fwd_cnt;
	}
	return sent;
}

/* A guest that sends more than it may (CVE-2016-5403, CVE-2020-27174) loses the connection. */
static void test_bounded_buffer_cve_2016_5403(void **state)
{
	struct fixture *f = *state;
	char buf[4000] = "";
	int fd = open_conn(f);
	bool reset = false;

	fill_up(f);
	for (unsigned i = 0; i < 2 * BUFFER / sizeof(buf) && !reset; i++) {
		say_data(f, SERVED, buf, sizeof(buf));
		settle(f);
		if (f->d.queue[RXQ].used->idx != f->d.queue[RXQ].last_used)
			reset = hear(f).hdr.op == VIRTIO_VSOCK_OP_RST;
	}
	assert_true(reset);
	close(fd);
}

/* What the guest has sent before a good end arrives, though the guest has forgotten it. */
static void test_end_before_all_is_read(void **state)
{
	struct fixture *f = *state;
	int fd = open_conn(f);
	uint32_t sent = fill_up(f);
	char buf[4000], want[4000];

	say_flags(f, VIRTIO_VSOCK_OP_SHUTDOWN, SERVED, 3);
	hear_nothing(f);
	say(f, VIRTIO_VSOCK_OP_RST, SERVED);
	for (uint32_t read = 0; read < sent; read += (uint32_t)sizeof(buf)) {
		read_all(fd, buf, sizeof(buf));
		pattern(want, read, sizeof(want));
		assert_memory_equal(buf, want, sizeof(buf));
	}
	expect_end(fd);
	close(fd);
	hear_nothing(f);
}

static void test_reader_goes_away(void **state)
{
	struct fixture *f = *state;
	int fd = open_conn(f);

	fill_up(f);
	close(fd);
	assert_int_equal(hear_op(f, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags &
				 VIRTIO_VSOCK_SHUTDOWN_RCV, VIRTIO_VSOCK_SHUTDOWN_RCV);
}

static void test_half_closed_by_the_guest(void **state)
{
	struct fixture *f = *state;
	int fd = open_conn(f);

	say_data(f, SERVED, "all", 3);
	say_flags(f, VIRTIO_VSOCK_OP_SHUTDOWN, SERVED, VIRTIO_VSOCK_SHUTDOWN_SEND);
	expect(fd, "all");
	expect_end(fd);
	tell(fd, "answer");
	assert_string_equal(hear_op(f, VIRTIO_VSOCK_OP_RW).data, "answer");
	/* it has said that it sends no more */
	say_data(f, SERVED, "x", 1);
	hear_op(f, VIRTIO_VSOCK_OP_RST);
	close(fd);
}

/* What does not fit a connection, or is for nobody. */
static void test_odd_packets(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr hdr;
	int fd;

	/* nobody's, and dropped */
	hdr = header(f, VIRTIO_VSOCK_OP_REQUEST, PORT, SERVED);
	hdr.src_cid = CID + 1;
	put_packet(f, &hdr, "", 0);
	hdr.src_cid = CID;
	hdr.dst_cid = 3;
	put_packet(f, &hdr, "", 0);
	hdr.dst_cid = 2;
	hdr.len = 1;
	put_packet(f, &hdr, "", 0);
	hdr.len = UINT32_MAX;
	put_packet(f, &hdr, "", 0);
	say(f, VIRTIO_VSOCK_OP_RST, 1);
	queue_desc(&f->d.queue[TXQ], 0, data_ipa(TX_AT), 43, 0, 0);
	queue_avail(&f->d.queue[TXQ], 0);
	driver_kick(&f->d, TXQ);
	hear_nothing(f);

	/* refused */
	hdr = header(f, VIRTIO_VSOCK_OP_REQUEST, PORT, SERVED);
	hdr.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	put_packet(f, &hdr, "", 0);
	hear_op(f, VIRTIO_VSOCK_OP_RST);
	for (uint16_t op = 0; op < 10; op++) {
		if (op == VIRTIO_VSOCK_OP_REQUEST || op == VIRTIO_VSOCK_OP_RST)
			continue;
		say(f, op, SERVED);
		hear_op(f, VIRTIO_VSOCK_OP_RST);
	}
	/* a connection that is there, and what makes no sense for it */
	for (uint16_t op = 0; op < 10; op++) {
		if (op >= VIRTIO_VSOCK_OP_RST && op <= VIRTIO_VSOCK_OP_CREDIT_REQUEST)
			continue;
		fd = open_conn(f);
		say(f, op, SERVED);
		hear_op(f, VIRTIO_VSOCK_OP_RST);
		expect_end(fd);
		close(fd);
	}
	assert_false(driver_read(&f->d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Answers wait for buffers, and when there are too many of them, so does the guest. */
static void test_flood_without_room_for_answers(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *tx = &f->d.queue[TXQ];
	struct virtio_vsock_hdr hdr = header(f, VIRTIO_VSOCK_OP_RW, PORT, 1);
	unsigned answers = 0;

	driver_start(&f->d, DRIVER_FEATURES);
	memcpy(data_ptr(&f->d, TX_AT), &hdr, sizeof(hdr));
	for (uint16_t round = 0; round < 4; round++) {
		for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++) {
			if (tx->avail->idx - tx->used->idx == DRIVER_QUEUE_SIZE)
				continue;
			queue_desc(tx, i, data_ipa(TX_AT), sizeof(hdr), 0, 0);
			queue_avail(tx, i);
		}
		driver_kick(&f->d, TXQ);
		settle(f);
	}
	assert_int_equal(tx->used->idx, 32);
	assert_int_equal(tx->avail->idx, 48);
	for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++)
		offer(f, i);
	driver_kick(&f->d, RXQ);
	for (; answers < 48; answers++)
		hear_op(f, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(tx->used->idx, 48);
	hear_nothing(f);
}

static void test_small_receive_buffer(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	queue_desc(&f->d.queue[RXQ], 0, data_ipa(0), 44, VRING_DESC_F_WRITE, 0);
	queue_avail(&f->d.queue[RXQ], 0);
	driver_kick(&f->d, RXQ);
	put_packet(f, &(struct virtio_vsock_hdr){ .src_cid = CID, .dst_cid = 2 }, "", 0);
	driver_wait_broken(&f->d);
	start(f);
	close(open_conn(f));
}

static void test_reset_with_connections(void **state)
{
	struct fixture *f = *state;
	int first = open_conn(f), second = connect_to_guest(f, "CONNECT 1\n");
	int third = connect_to_guest(f, "CONN"), fd;

	hear_op(f, VIRTIO_VSOCK_OP_REQUEST);
	driver_reset(&f->d);
	expect_end(first);
	expect_end(second);
	expect_end(third);
	close(first);
	close(second);
	close(third);

	/* who comes while there is no driver waits for one */
	fd = connect_to_guest(f, "CONNECT 5000\n");
	settle(f);
	start(f);
	answer_request(f, PORT);
	close(fd);
}

static void test_pause_with_connections(void **state)
{
	struct fixture *f = *state;
	int fd = open_conn(f), other;

	virtio_quiesce(f->d.dev);
	tell(fd, "while it slept");
	other = connect_to_guest(f, "CONNECT 5000\n");
	hear_nothing(f);
	virtio_resume(f->d.dev);
	for (int i = 0; i < 2; i++) {
		struct packet packet = hear(f);

		if (packet.hdr.op == VIRTIO_VSOCK_OP_RW)
			assert_string_equal(packet.data, "while it slept");
		else
			assert_int_equal(packet.hdr.op, VIRTIO_VSOCK_OP_REQUEST);
	}
	close(fd);
	close(other);
}

/* As many as there may be; one that ends makes room for the next. */
static void test_many_connections(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit = { 4096, 4096 };
	static int fds[600];
	unsigned n = 0;

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		skip();
	for (; n < 512; n++) {
		fds[n] = connect_to_guest(f, "CONNECT 5000\n");
		hear_op(f, VIRTIO_VSOCK_OP_REQUEST);
	}
	for (; n < 515; n++)
		fds[n] = connect_to_guest(f, "CONNECT 6000\n");
	hear_nothing(f);
	say(f, VIRTIO_VSOCK_OP_REQUEST, SERVED);
	hear_op(f, VIRTIO_VSOCK_OP_RST);
	for (unsigned i = 0; i < 3; i++) {
		close(fds[i]);
		assert_int_equal(hear_op(f, VIRTIO_VSOCK_OP_REQUEST).hdr.dst_port, 6000);
	}
	for (unsigned i = 3; i < n; i++)
		close(fds[i]);
}

static void test_broken_ring(void **state)
{
	struct fixture *f = *state;
	int fd = open_conn(f);

	queue_avail(&f->d.queue[TXQ], 0xffff);
	driver_kick(&f->d, TXQ);
	driver_wait_broken(&f->d);
	tell(fd, "x");
	start(f);
	expect_end(fd);
	close(fd);
	close(open_conn(f));
}

static void test_nobody_outside(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_args args = { .cid = 3, .listener = -1 };
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;

	assert_int_equal(virtio_vsock_new(&args, f->d.mem, f->d.io, &dev, NULL), 0);
	assert_int_equal(virtio_read_config(dev, 0, 8), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_guest_connects),
		TEST(test_nobody_listens),
		TEST(test_host_connects),
		TEST(test_guest_refuses),
		TEST(test_greetings),
		TEST(test_credit_of_the_guest),
		TEST(test_credit_of_the_host),
		TEST(test_bounded_buffer_cve_2016_5403),
		TEST(test_end_before_all_is_read),
		TEST(test_reader_goes_away),
		TEST(test_half_closed_by_the_guest),
		TEST(test_odd_packets),
		TEST(test_flood_without_room_for_answers),
		TEST(test_small_receive_buffer),
		TEST(test_reset_with_connections),
		TEST(test_pause_with_connections),
		TEST(test_many_connections),
		TEST(test_broken_ring),
		TEST(test_nobody_outside),
	};

	signal(SIGPIPE, SIG_IGN); /* as in hvd-vmm */
	return DRIVER_RUN(tests);
}
