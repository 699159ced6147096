/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device on a real tap, in a network namespace of the test's own. The host's side of the
 * tap is a packet socket: what is sent on it comes in, and what the device sends is seen on it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/patience.h"
#include "tests/unit/virtio_driver.h"
#include "vmm/net/tap.h"

#define RXQ 0
#define TXQ 1
#define PAIRS 2
#define CTRLQ (2 * PAIRS)
#define BIT(name) (1ULL << VIRTIO_NET_F_##name)
#define FEATURES                                                                                   \
	(DRIVER_FEATURES | BIT(MRG_RXBUF) | BIT(STATUS) | BIT(CTRL_VQ) | BIT(CTRL_RX) |            \
	 BIT(CTRL_MAC_ADDR) | BIT(MQ))
#define BUFFER_STEP 0x1000U
#define ETHERTYPE   0x88b5 /* for experiments */

struct tap_rig {
	struct driver d;
	char name[IFNAMSIZ];
	int tap; /* the device's first, still good as a number */
	int packet;
	int control; /* for interface ioctls */
};

static const uint8_t own[6] = { 2, 0, 0, 0, 0, 1 }, other[6] = { 2, 0, 0, 0, 0, 9 };
static const uint8_t group[6] = { 1, 0, 0x5e, 1, 2, 3 };

static int open_tap(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags) };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void set_up_or_down(struct tap_rig *t, bool up)
{
	struct ifreq ifr = { .ifr_flags = up ? IFF_UP : 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", t->name);
	assert_int_equal(ioctl(t->control, SIOCSIFFLAGS, &ifr), 0);
}

static int open_packet(const char *name)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETHERTYPE)), one = 1;

	assert_true(sock >= 0);
	assert_int_equal(setsockopt(sock, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return sock;
}

static int set_up(void **state)
{
	static struct tap_rig t;
	int taps[PAIRS];
	struct virtio_net_args args = { .name = "test", .n_pairs = PAIRS, .taps = taps };
	struct virtio_dev *dev;

	driver_open(&t.d);
	snprintf(t.name, sizeof(t.name), "tap0");
	for (int i = 0; i < PAIRS; i++)
		taps[i] = open_tap(t.name, IFF_VNET_HDR | IFF_MULTI_QUEUE);
	t.tap = taps[0];
	t.control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	set_up_or_down(&t, true);
	t.packet = open_packet(t.name);
	memcpy(args.mac, own, sizeof(own));
	assert_int_equal(virtio_net_new(&args, t.d.mem, t.d.io, &dev, NULL), 0);
	driver_set_device(&t.d, dev);
	*state = &t;
	return 0;
}

static int tear_down(void **state)
{
	struct tap_rig *t = *state;

	driver_close(&t->d);
	close(t->packet);
	close(t->control);
	return 0;
}

/* The kernel itself is to send nothing. */
static void silence(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	assert_int_equal(write(fd, "1", 1), 1);
	close(fd);
}

static uint64_t link_status(struct tap_rig *t)
{
	return virtio_read_config(t->d.dev, offsetof(struct virtio_net_config, status), 2);
}

/* A frame to that address, with a number in it. */
static void host_sends(struct tap_rig *t, const uint8_t to[static 6], uint8_t number)
{
	uint8_t frame[60] = { 0 };

	memcpy(frame, to, 6);
	frame[6] = 2;
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
	frame[14] = number;
	assert_int_equal(send(t->packet, frame, sizeof(frame), 0), sizeof(frame));
}

static void offer(struct tap_rig *t, unsigned queue, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		queue_desc(&t->d.queue[queue], i, data_ipa(queue * 0x20000U + i * BUFFER_STEP),
			   2048, VRING_DESC_F_WRITE, 0);
		queue_avail(&t->d.queue[queue], i);
	}
	driver_kick(&t->d, queue);
}

/* The number in the next frame that comes in on the queue. */
static uint8_t next_number(struct tap_rig *t, unsigned queue)
{
	struct vring_used_elem used = driver_used(&t->d, queue);

	assert_int_equal(used.len, TAP_HEADER + 60);
	return *(uint8_t *)data_ptr(&t->d, queue * 0x20000U + used.id * BUFFER_STEP + TAP_HEADER + 14);
}

static void send_frame(struct tap_rig *t, unsigned queue, uint8_t number)
{
	uint8_t *frame = data_ptr(&t->d, 0x1f0000);

	memset(frame, 0, TAP_HEADER + 60);
	memset(frame + TAP_HEADER, 0xff, 6);
	frame[TAP_HEADER + 6] = 2;
	frame[TAP_HEADER + 12] = ETHERTYPE >> 8;
	frame[TAP_HEADER + 13] = ETHERTYPE & 0xff;
	frame[TAP_HEADER + 14] = number;
	queue_desc(&t->d.queue[queue], 0, data_ipa(0x1f0000), TAP_HEADER + 60, 0, 0);
	queue_avail(&t->d.queue[queue], 0);
	driver_kick(&t->d, queue);
	driver_used(&t->d, queue);
}

static void host_receives(struct tap_rig *t, uint8_t number)
{
	struct pollfd p = { .fd = t->packet, .events = POLLIN };
	uint8_t frame[2048];

	ssize_t len;

	/* that the interface was down is said once */
	do {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		len = recv(t->packet, frame, sizeof(frame), 0);
	} while (len < 0 && errno == ENETDOWN);
	assert_int_equal(len, 60);
	assert_int_equal(frame[14], number);
}

static uint8_t command(struct tap_rig *t, uint8_t class, uint8_t number, const void *data,
		       uint32_t len)
{
	struct driver_queue *q = &t->d.queue[CTRLQ];
	uint8_t *buf = data_ptr(&t->d, 0x1e0000);

	buf[0] = class;
	buf[1] = number;
	memcpy(buf + 2, data, len);
	queue_desc(q, 0, data_ipa(0x1e0000), 2 + len, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(0x1e1000), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&t->d, CTRLQ);
	driver_used(&t->d, CTRLQ);
	return buf[0x1000];
}

static void features_and_header(void **state)
{
	struct tap_rig *t = *state;
	uint64_t features = t->d.dev->host_features;
	int size = 0;

	assert_true(features & BIT(HOST_TSO4));
	assert_true(features & BIT(GUEST_TSO6));
	assert_true(features & BIT(CTRL_GUEST_OFFLOADS));
	assert_true(features & BIT(MQ));
	assert_int_equal(ioctl(t->tap, TUNGETVNETHDRSZ, &size), 0);
	assert_int_equal(size, TAP_HEADER);
	assert_true(fcntl(t->tap, F_GETFL) & O_NONBLOCK);
}

static void a_tap_without_header(void **state)
{
	struct tap_rig *t = *state;
	int tap = open_tap("tap1", 0);
	struct virtio_net_args args = { .n_pairs = 1, .taps = &tap };
	struct hvd_error err = { 0 };
	struct virtio_dev *dev;

	assert_int_equal(virtio_net_new(&args, t->d.mem, t->d.io, &dev, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "IFF_VNET_HDR"));
	assert_int_equal(fcntl(tap, F_GETFD), -1);
}

static void frames_both_ways(void **state)
{
	struct tap_rig *t = *state;

	driver_start(&t->d, FEATURES);
	offer(t, RXQ, 8);
	host_sends(t, own, 1);
	host_sends(t, group, 2);
	assert_int_equal(next_number(t, RXQ), 1);
	assert_int_equal(next_number(t, RXQ), 2);
	send_frame(t, TXQ, 3);
	host_receives(t, 3);
}

/* Without more pairs than one every frame is on the first; with two it may be on either. */
static void queues_are_attached_as_the_driver_says(void **state)
{
	struct tap_rig *t = *state;
	uint16_t n;

	driver_start(&t->d, FEATURES);
	offer(t, RXQ, 16);
	offer(t, 2, 16);
	for (uint8_t i = 0; i < 10; i++)
		host_sends(t, own, i);
	for (uint8_t i = 0; i < 10; i++)
		assert_int_equal(next_number(t, RXQ), i);

	n = 2;
	assert_int_equal(command(t, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n, 2),
			 VIRTIO_NET_OK);
	send_frame(t, 3, 70);
	host_receives(t, 70);
	n = 1;
	assert_int_equal(command(t, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n, 2),
			 VIRTIO_NET_OK);
	host_sends(t, own, 80);
	assert_int_equal(next_number(t, RXQ), 80);
	assert_int_equal(t->d.queue[2].used->idx, 0);
}

static void the_tap_filters(void **state)
{
	struct tap_rig *t = *state;
	uint8_t tables[8] = { 0 }, with_group[14] = { 0 };

	driver_start(&t->d, FEATURES);
	offer(t, RXQ, 16);
	/* everything until the driver says so */
	host_sends(t, other, 1);
	assert_int_equal(next_number(t, RXQ), 1);

	assert_int_equal(command(t, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, tables, 8),
			 VIRTIO_NET_OK);
	assert_int_equal(command(t, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "", 1),
			 VIRTIO_NET_OK);
	host_sends(t, other, 2);
	host_sends(t, group, 3);
	host_sends(t, own, 4);
	assert_int_equal(next_number(t, RXQ), 4);

	with_group[4] = 1;
	memcpy(with_group + 8, group, 6);
	assert_int_equal(command(t, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, with_group,
				 14),
			 VIRTIO_NET_OK);
	host_sends(t, other, 5);
	host_sends(t, group, 6);
	assert_int_equal(next_number(t, RXQ), 6);
	host_sends(t, (uint8_t[6]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 7);
	assert_int_equal(next_number(t, RXQ), 7);

	assert_int_equal(command(t, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\1", 1),
			 VIRTIO_NET_OK);
	host_sends(t, other, 8);
	assert_int_equal(next_number(t, RXQ), 8);

	/* the next driver finds no filter */
	command(t, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "", 1);
	driver_start(&t->d, FEATURES);
	offer(t, RXQ, 16);
	host_sends(t, other, 9);
	assert_int_equal(next_number(t, RXQ), 9);
}

/* Whoever waited for something else may have had the interrupt. */
static void wait_link_status(struct tap_rig *t, uint64_t status)
{
	for (int i = 0; link_status(t) != status; i++) {
		assert_true(i < PATIENCE_MS);
		usleep(1000);
	}
}

static void an_interface_that_is_down(void **state)
{
	struct tap_rig *t = *state;

	driver_start(&t->d, FEATURES);
	offer(t, RXQ, 8);
	set_up_or_down(t, false);
	send_frame(t, TXQ, 1);
	wait_link_status(t, 0);
	send_frame(t, TXQ, 2);

	set_up_or_down(t, true);
	wait_link_status(t, VIRTIO_NET_S_LINK_UP);
	send_frame(t, TXQ, 3);
	host_receives(t, 3);
	host_sends(t, own, 4);
	assert_int_equal(next_number(t, RXQ), 4);
}

static void delete_interface(const char *name)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} request = {
		.head = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_DELLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.info.ifi_index = (int)if_nametoindex(name),
	};
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char answer[512];

	assert_int_equal(send(sock, &request, sizeof(request), 0), sizeof(request));
	assert_true(recv(sock, answer, sizeof(answer), 0) > 0);
	close(sock);
}

/* As a cable that is pulled for ever; the driver goes on, also after a reset. */
static void an_interface_that_is_deleted(void **state)
{
	struct tap_rig *t = *state;

	driver_start(&t->d, FEATURES);
	offer(t, RXQ, 8);
	host_sends(t, own, 1);
	assert_int_equal(next_number(t, RXQ), 1);
	delete_interface(t->name);
	driver_wait_interrupt(&t->d, VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(link_status(t), 0);
	send_frame(t, TXQ, 2);
	assert_int_equal(driver_read(&t->d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);

	driver_start(&t->d, FEATURES);
	assert_int_equal(link_status(t), 0);
	send_frame(t, TXQ, 3);
}

/* Frames that were on their way are nobody's after a reset, and the next driver gets its own. */
static void reset_with_frames_in_flight(void **state)
{
	struct tap_rig *t = *state;

	for (uint8_t round = 0; round < 20; round++) {
		driver_start(&t->d, FEATURES);
		offer(t, RXQ, 16);
		for (uint8_t i = 0; i < 8; i++)
			host_sends(t, own, i);
		send_frame(t, TXQ, round);
		driver_reset(&t->d);
		host_receives(t, round);
	}
	driver_start(&t->d, FEATURES);
	offer(t, RXQ, 16);
	host_sends(t, own, 99);
	while (next_number(t, RXQ) != 99)
		offer(t, RXQ, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(features_and_header),
		TEST(a_tap_without_header),
		TEST(frames_both_ways),
		TEST(queues_are_attached_as_the_driver_says),
		TEST(the_tap_filters),
		TEST(an_interface_that_is_down),
		TEST(an_interface_that_is_deleted),
		TEST(reset_with_frames_in_flight),
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "no network namespace or no /dev/net/tun\n");
		return 77;
	}
	silence();
	return DRIVER_RUN(tests);
}
