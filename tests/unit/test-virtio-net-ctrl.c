/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue of the network device, the link, limits, and several pairs of queues. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/net_rig.h"

#define CTRLQ 2
#define BIT(name) (1ULL << VIRTIO_NET_F_##name)
#define FEATURES                                                                                   \
	(DRIVER_FEATURES | MRG | BIT(STATUS) | BIT(CTRL_VQ) | BIT(CTRL_RX) | BIT(CTRL_MAC_ADDR) |  \
	 BIT(GUEST_ANNOUNCE))

/* Whatever pieces the driver cuts it into. */
static const uint32_t pieces[] = { 1, 2, 3, 7, 4096 };

static uint8_t command(struct net_rig *f, uint8_t class, uint8_t number, const void *data,
		       size_t len)
{
	return net_command(f, CTRLQ, class, number, data, len, 4096);
}

static void is_refused(struct net_rig *f, uint8_t class, uint8_t number, const void *data,
		       size_t len)
{
	assert_int_equal(command(f, class, number, data, len), VIRTIO_NET_ERR);
}

static uint64_t config(struct net_rig *f, unsigned offset, unsigned len)
{
	return virtio_read_config(f->d.dev, offset, len);
}

static uint64_t link_status(struct net_rig *f)
{
	return config(f, offsetof(struct virtio_net_config, status), 2);
}

static void receive_modes(void **state)
{
	struct net_rig *f = *state;
	uint8_t on = 1;

	driver_start(&f->d, FEATURES);
	for (uint8_t number = 0; number < 8; number++) {
		bool known = number == VIRTIO_NET_CTRL_RX_PROMISC ||
			     number == VIRTIO_NET_CTRL_RX_ALLMULTI;

		assert_int_equal(command(f, VIRTIO_NET_CTRL_RX, number, &on, 1),
				 known ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
		is_refused(f, VIRTIO_NET_CTRL_RX, number, "", 0);
		is_refused(f, VIRTIO_NET_CTRL_RX, number, "\1\1", 2);
	}
}

static void unknown_commands_are_refused(void **state)
{
	struct net_rig *f = *state;

	driver_start(&f->d, FEATURES);
	for (unsigned class = 0; class < 256; class += 5)
		is_refused(f, (uint8_t)class, 0xfe, "12345678", 8);
	/* those of features that are not negotiated */
	driver_start(&f->d, DRIVER_FEATURES | BIT(CTRL_VQ));
	is_refused(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\1", 1);
	is_refused(f, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\1", 2);
	is_refused(f, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0);
}

/* The table of n addresses as the driver writes it, with a count that may be a lie. */
static size_t table(uint8_t *buf, uint32_t count, unsigned n)
{
	memcpy(buf, &count, 4);
	for (unsigned i = 0; i < n; i++)
		memcpy(buf + 4 + 6 * i, (uint8_t[]){ 2, 1, 1, 1, 1, (uint8_t)i }, 6);
	return 4 + 6 * n;
}

static void mac_tables(void **state)
{
	static const unsigned counts[] = { 0, 1, 7, 62, 63, 64, 500 };
	struct net_rig *f = *state;
	uint8_t buf[8192];

	driver_start(&f->d, FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(counts); j++) {
			size_t len = table(buf, counts[i], counts[i]);

			len += table(buf + len, counts[j], counts[j]);
			assert_int_equal(command(f, VIRTIO_NET_CTRL_MAC,
						 VIRTIO_NET_CTRL_MAC_TABLE_SET, buf, len),
					 VIRTIO_NET_OK);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		size_t len = table(buf, 0, 0);

		len += table(buf + len, 1, 1);
		if (len / pieces[i] < DRIVER_QUEUE_SIZE - 2)
			assert_int_equal(net_command(f, CTRLQ, VIRTIO_NET_CTRL_MAC,
						     VIRTIO_NET_CTRL_MAC_TABLE_SET, buf, len,
						     pieces[i]),
					 VIRTIO_NET_OK);
	}
}

/* A count that would overflow a product, one more than there is, a table cut short, or too long. */
static void lengths_of_mac_tables_cve_2024_7730(void **state)
{
	static const uint32_t lies[] = { 2, 3, 0x2aaaaaab, 0x55555556, 0x80000000, UINT32_MAX };
	struct net_rig *f = *state;
	uint8_t buf[256];
	size_t len;

	driver_start(&f->d, FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		len = table(buf, lies[i], 1);
		is_refused(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, buf, len);
		len = table(buf, 0, 0);
		len += table(buf + len, lies[i], 1);
		is_refused(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, buf, len);
	}
	len = table(buf, 1, 1);
	len += table(buf + len, 1, 1);
	for (size_t cut = 0; cut < len; cut++)
		is_refused(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, buf, cut);
	is_refused(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, buf, len + 1);
}

static void mac_address_is_the_hosts(void **state)
{
	static const uint8_t own[6] = { 2, 0, 0, 0, 0, 1 }, other[7] = { 2, 9, 9, 9, 9, 9, 9 };
	struct net_rig *f = *state;

	driver_start(&f->d, FEATURES);
	is_refused(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other, 6);
	assert_int_equal(config(f, 5, 1), 1);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, own, 6),
			 VIRTIO_NET_OK);

	f->args.trust_mac = true;
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
		assert_int_equal(net_command(f, CTRLQ, VIRTIO_NET_CTRL_MAC,
					     VIRTIO_NET_CTRL_MAC_ADDR_SET, other, 6, pieces[i]),
				 VIRTIO_NET_OK);
	assert_int_equal(config(f, 5, 1), 9);
	is_refused(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\1\2\3\4\5\6", 6);
	is_refused(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\0\0\0\0\0\0", 6);
	is_refused(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other, 5);
	is_refused(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other, 7);
	/* the next driver finds the old one */
	driver_reset(&f->d);
	assert_int_equal(config(f, 5, 1), 1);
}

static void a_command_without_its_parts_breaks_the_device(void **state)
{
	struct net_rig *f = *state;
	struct driver_queue *q = &f->d.queue[CTRLQ];

	/* no acknowledgement */
	driver_start(&f->d, FEATURES);
	queue_desc(q, 0, data_ipa(0), 3, 0, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, CTRLQ);
	driver_wait_broken(&f->d);
	/* half a header */
	driver_start(&f->d, FEATURES);
	queue_desc(q, 0, data_ipa(0), 1, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(8), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, CTRLQ);
	driver_wait_broken(&f->d);
	/* nothing to read */
	driver_start(&f->d, FEATURES);
	queue_desc(q, 0, data_ipa(0), 64, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, CTRLQ);
	driver_wait_broken(&f->d);
}

/* What comes in while the link is down is gone, and what is sent goes nowhere. */
static void link_down_and_up(void **state)
{
	struct net_rig *f = *state;
	uint8_t one;

	driver_start(&f->d, FEATURES);
	net_offer(f, 0, 4, 2000);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);

	f->args.link_down = true;
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	driver_wait_interrupt(&f->d, VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(link_status(f), 0);
	net_settle(f);
	net_arrive(f, 100, 1);
	net_send(f, 8, 100);
	assert_int_equal(driver_used(&f->d, TXQ).id, 8);
	net_settle(f);
	assert_int_equal(f->d.queue[RXQ].used->idx, 0);
	assert_int_equal(recv(f->peer, &one, 1, MSG_DONTWAIT), -1);

	f->args.link_down = false;
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	driver_wait_interrupt(&f->d, VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	net_settle(f);
	net_arrive(f, 200, 2);
	net_expect_frame(f, 200, 2, 1);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0),
			 VIRTIO_NET_OK);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
	net_frame(net_buffer(f, 9), 64, 3);
	net_send(f, 9, 64);
	net_expect_sent(f, net_buffer(f, 9), 64);
}

static void a_link_that_is_down_from_the_start(void **state)
{
	static struct net_rig f;
	void *self = &f;
	const struct virtio_net_args args = { .n_pairs = 1, .link_down = true };

	net_rig_open(&f, &args);
	assert_int_equal(link_status(&f), 0);
	driver_start(&f.d, FEATURES);
	net_offer(&f, 0, 4, 2000);
	net_arrive(&f, 100, 1);
	net_settle(&f);
	assert_int_equal(f.d.queue[RXQ].used->idx, 0);
	/* a reset does not bring it up */
	driver_start(&f.d, FEATURES & ~BIT(GUEST_ANNOUNCE));
	assert_int_equal(link_status(&f), 0);
	f.args.link_down = false;
	assert_int_equal(virtio_update(f.d.dev, &f.args, NULL), 0);
	assert_int_equal(link_status(&f), VIRTIO_NET_S_LINK_UP);
	net_settle(&f);
	net_offer(&f, 0, 4, 2000);
	net_arrive(&f, 300, 2);
	net_expect_frame(&f, 300, 2, 1);
	net_rig_tear_down(&self);
}

static void the_link_changes_while_it_rests(void **state)
{
	struct net_rig *f = *state;

	driver_start(&f->d, FEATURES);
	net_offer(f, 0, 4, 2000);
	virtio_quiesce(f->d.dev);
	f->args.link_down = true;
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	virtio_resume(f->d.dev);
	assert_int_equal(link_status(f), 0);
	net_arrive(f, 100, 1);
	net_settle(f);
	assert_int_equal(f->d.queue[RXQ].used->idx, 0);
	f->args.link_down = false;
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	net_settle(f);
	net_arrive(f, 120, 2);
	net_expect_frame(f, 120, 2, 1);
}

/* … and no MAC address where there is none: the driver chooses. */
static void mtu_is_told(void **state)
{
	static struct net_rig f;
	void *self = &f;
	const struct virtio_net_args args = { .n_pairs = 1, .mtu = 9000 };

	net_rig_open(&f, &args);
	assert_false(f.d.dev->host_features & BIT(MAC));
	assert_true(f.d.dev->host_features & BIT(MTU));
	assert_int_equal(config(&f, offsetof(struct virtio_net_config, mtu), 2), 9000);
	net_rig_tear_down(&self);
	assert_false(((struct net_rig *)*state)->d.dev->host_features & BIT(MTU));
	assert_true(((struct net_rig *)*state)->d.dev->host_features & BIT(MAC));
}

/* The first one takes all of the burst and more, the others wait until the limit is gone. */
static void sending_is_limited(void **state)
{
	struct net_rig *f = *state;

	f->args.tx_frames = (struct rate_limit){ 1, 2 };
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	f->args.tx_bytes = (struct rate_limit){ 1, 1000 };
	f->args.tx_frames = (struct rate_limit){ 0, 0 };
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	driver_start(&f->d, FEATURES);
	for (uint16_t i = 0; i < 4; i++)
		net_send(f, i, 5000);
	driver_wait_used(&f->d, TXQ, 1);
	net_settle(f);
	assert_int_equal(f->d.queue[TXQ].used->idx, 1);

	/* also across a pause */
	virtio_quiesce(f->d.dev);
	assert_int_equal(f->d.dev->queue[TXQ].last_avail, 1);
	virtio_resume(f->d.dev);
	net_settle(f);
	assert_int_equal(f->d.queue[TXQ].used->idx, 1);

	f->args.tx_bytes = (struct rate_limit){ 0, 0 };
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	driver_wait_used(&f->d, TXQ, 4);
}

static void receiving_is_limited(void **state)
{
	struct net_rig *f = *state;

	f->args.rx_frames = (struct rate_limit){ 1, 2 };
	f->args.rx_bytes = (struct rate_limit){ GIB, GIB };
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	driver_start(&f->d, FEATURES);
	net_offer(f, 0, 8, 2000);
	for (uint8_t i = 0; i < 5; i++)
		net_arrive(f, 100 + i, i);
	net_expect_frame(f, 100, 0, 1);
	net_expect_frame(f, 101, 1, 1);

	f->args.rx_frames = (struct rate_limit){ 0, 0 };
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	for (uint8_t i = 2; i < 5; i++)
		net_expect_frame(f, 100 + i, i, 1);
}

static void frame_on(struct net_rig *f, unsigned pair, uint8_t seed)
{
	f->peer = f->peers[pair];
	net_arrive(f, 90, seed);
	f->peer = f->peers[0];
}

static void pairs_receive_and_send_each_for_itself(void **state)
{
	static struct net_rig f;
	void *self = &f;
	const struct virtio_net_args args = { .n_pairs = 3, .mac = { 2, 0, 0, 0, 0, 1 } };
	uint16_t n = 3;

	net_rig_open(&f, &args);
	assert_true(f.d.dev->host_features & BIT(MQ));
	assert_int_equal(config(&f, offsetof(struct virtio_net_config, max_virtqueue_pairs), 2), 3);
	driver_start(&f.d, FEATURES | BIT(MQ));
	assert_int_equal(net_command(&f, 6, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n,
				     2, 4096),
			 VIRTIO_NET_OK);
	for (unsigned pair = 0; pair < 3; pair++) {
		uint16_t i = (uint16_t)(2 * pair);

		net_offer_on(&f, 2 * pair, i, 2, 2000);
		frame_on(&f, pair, (uint8_t)pair);
		assert_int_equal(driver_used(&f.d, 2 * pair).len, 90);
		assert_int_equal(net_buffer(&f, i)[89], (uint8_t)(89 * 3 + pair));

		net_frame(net_buffer(&f, 10), 70, (uint8_t)(100 + pair));
		queue_desc(&f.d.queue[2 * pair + 1], 0, data_ipa(10 * 0x20000), 70, 0, 0);
		queue_avail(&f.d.queue[2 * pair + 1], 0);
		driver_kick(&f.d, 2 * pair + 1);
		driver_used(&f.d, 2 * pair + 1);
		f.peer = f.peers[pair];
		net_expect_sent(&f, net_buffer(&f, 10), 70);
		f.peer = f.peers[0];
	}
	net_rig_tear_down(&self);
}

/* Two pairs on two loops; the control queue is on the first, and changes reach both. */
static void pairs_run_on_several_loops(void **state)
{
	static struct net_rig f;
	void *self = &f;
	const struct virtio_net_args args = { .n_pairs = 2 };
	pthread_t thread;
	uint16_t n = 2;

	driver_start_loop(&f.second, &thread);
	net_rig_open(&f, &args);
	assert_ptr_equal(f.d.dev->queue_io[1], f.d.io);
	assert_ptr_equal(f.d.dev->queue_io[2], f.second);
	assert_ptr_equal(f.d.dev->queue_io[3], f.second);
	assert_ptr_equal(f.d.dev->queue_io[4], f.d.io);
	for (int round = 0; round < 10; round++) {
		driver_start(&f.d, FEATURES | BIT(MQ));
		assert_int_equal(net_command(&f, 4, VIRTIO_NET_CTRL_MQ,
					     VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n, 2, 9),
				 VIRTIO_NET_OK);
		for (unsigned pair = 0; pair < 2; pair++) {
			net_offer_on(&f, 2 * pair, 0, 2, 2000);
			frame_on(&f, pair, (uint8_t)pair);
			assert_int_equal(driver_used(&f.d, 2 * pair).len, 90);
		}
		f.args.link_down = !f.args.link_down;
		assert_int_equal(virtio_update(f.d.dev, &f.args, NULL), 0);
		f.args.link_down = !f.args.link_down;
		assert_int_equal(virtio_update(f.d.dev, &f.args, NULL), 0);
		virtio_quiesce(f.d.dev);
		virtio_resume(f.d.dev);
	}
	net_rig_tear_down(&self);
	driver_stop_loop(f.second, thread);
	f.second = NULL;
}

/* What other queues still have is of no interest, or a loop over one of them would never end. */
static void a_broken_device_asks_for_no_more(void **state)
{
	struct net_rig *f = *state;

	driver_start(&f->d, FEATURES);
	queue_desc(&f->d.queue[TXQ], 0, data_ipa(0), 64, 0, 0);
	queue_avail(&f->d.queue[TXQ], 0);
	virtio_broken(f->d.dev, "test");
	assert_true(vq_enable_kick(&f->d.dev->queue[TXQ]));
	assert_false(virtio_enable_kick(f->d.dev, TXQ));
	driver_kick(&f->d, TXQ);
	net_settle(f);
	assert_int_equal(f->d.queue[TXQ].used->idx, 0);
}

static void numbers_of_pairs(void **state)
{
	static const uint16_t bad[] = { 0, 3, 4, 255, 0x8000, 0xffff };
	static struct net_rig f;
	void *self = &f;
	const struct virtio_net_args args = { .n_pairs = 2 };
	uint16_t n = 1;

	net_rig_open(&f, &args);
	driver_start(&f.d, FEATURES | BIT(MQ));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(net_command(&f, 4, VIRTIO_NET_CTRL_MQ,
					     VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &bad[i], 2, 1),
				 VIRTIO_NET_ERR);
	assert_int_equal(net_command(&f, 4, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n,
				     2, 1),
			 VIRTIO_NET_OK);
	assert_int_equal(net_command(&f, 4, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n,
				     1, 1),
			 VIRTIO_NET_ERR);
	net_rig_tear_down(&self);
}

/* A driver without VIRTIO_NET_F_MQ has its control queue behind the first pair (§5.1.2). */
static void control_queue_moves_without_mq(void **state)
{
	static struct net_rig f;
	void *self = &f;
	const struct virtio_net_args args = { .n_pairs = 2, .mac = { 2, 0, 0, 0, 0, 1 } };

	net_rig_open(&f, &args);
	driver_start(&f.d, FEATURES);
	assert_int_equal(net_command(&f, 2, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "", 1, 9),
			 VIRTIO_NET_OK);
	/* the queues behind it are nobody's */
	for (unsigned q = 3; q < 5; q++) {
		queue_desc(&f.d.queue[q], 0, data_ipa(0), 100, 0, 0);
		queue_avail(&f.d.queue[q], 0);
		driver_kick(&f.d, q);
	}
	net_settle(&f);
	assert_int_equal(f.d.queue[3].used->idx, 0);
	assert_int_equal(f.d.queue[4].used->idx, 0);
	net_offer(&f, 0, 1, 2000);
	net_arrive(&f, 80, 4);
	net_expect_frame(&f, 80, 4, 1);
	net_rig_tear_down(&self);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_rig_set_up, net_rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(receive_modes),
		TEST(unknown_commands_are_refused),
		TEST(mac_tables),
		TEST(lengths_of_mac_tables_cve_2024_7730),
		TEST(mac_address_is_the_hosts),
		TEST(a_command_without_its_parts_breaks_the_device),
		TEST(link_down_and_up),
		TEST(a_link_that_is_down_from_the_start),
		TEST(the_link_changes_while_it_rests),
		TEST(mtu_is_told),
		TEST(sending_is_limited),
		TEST(receiving_is_limited),
		TEST(pairs_receive_and_send_each_for_itself),
		TEST(pairs_run_on_several_loops),
		TEST(a_broken_device_asks_for_no_more),
		TEST(numbers_of_pairs),
		TEST(control_queue_moves_without_mq),
	};

	return DRIVER_RUN(tests);
}
