/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device whose queues are served outside of the process: what it is given to be kicked by and to
 * interrupt with. The test is the one outside.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/virtio_pci.h>

#include "tests/unit/virtio_driver.h"

#define QUEUE_SELECT      0x16 /* registers of PCI's common configuration */
#define QUEUE_MSIX_VECTOR 0x1a

struct outside {
	struct virtio_dev dev;
	int interrupt[2]; /* eventfds, as last heard */
	unsigned moves;
};

static struct outside *of(struct virtio_dev *dev)
{
	return container_of(dev, struct outside, dev);
}

static void ask(struct virtio_dev *dev, unsigned queue)
{
	of(dev)->interrupt[queue] = dev->transport->queue_eventfd(dev->transport, queue);
}

static int outside_activate(struct virtio_dev *dev)
{
	return 0;
}

static int outside_start_queue(struct virtio_dev *dev, unsigned queue)
{
	ask(dev, queue);
	return 0;
}

static void outside_moved(struct virtio_dev *dev, unsigned queue)
{
	of(dev)->moves++;
	ask(dev, queue);
}

static void outside_reset(struct virtio_dev *dev)
{
	of(dev)->interrupt[0] = of(dev)->interrupt[1] = -1;
}

static void outside_destroy(struct virtio_dev *dev)
{
	free(of(dev));
}

static const struct virtio_ops outside_ops = {
	.name = "outside",
	.id = VIRTIO_ID_RNG,
	.activate = outside_activate,
	.start_queue = outside_start_queue,
	.interrupt_moved = outside_moved,
	.reset = outside_reset,
	.destroy = outside_destroy,
};

static int set_up(void **state)
{
	static struct driver d;
	struct outside *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	driver_open(&d);
	assert_int_equal(virtio_dev_init(&o->dev, &outside_ops, 2, d.mem, d.io), 0);
	outside_reset(&o->dev);
	driver_set_device(&d, &o->dev);
	*state = &d;
	return 0;
}

static int tear_down(void **state)
{
	driver_close(*state);
	return 0;
}

static bool counts(int fd)
{
	return poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0) == 1;
}

static void signal_fd(int fd)
{
	assert_int_equal(write(fd, &(uint64_t){ 1 }, sizeof(uint64_t)), sizeof(uint64_t));
}

/* The device's loop has nothing left to do. */
static void nothing(void *arg)
{
}

static void kicks_are_left_alone(void **state)
{
	struct driver *d = *state;
	uint64_t count;

	driver_start(d, DRIVER_FEATURES);
	for (int i = 0; i < 3; i++)
		driver_kick(d, 1);
	loop_call(d->io, nothing, NULL);
	assert_int_equal(read(d->dev->kick_fd[1], &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 3);
	assert_false(counts(d->dev->kick_fd[0]));

	/* nor are those lost that come while it rests */
	virtio_quiesce(d->dev);
	driver_kick(d, 0);
	virtio_resume(d->dev);
	assert_true(counts(d->dev->kick_fd[0]));
}

static void an_interrupt_reaches_the_driver(void **state)
{
	struct driver *d = *state;

	driver_start(d, DRIVER_FEATURES);
	for (unsigned q = 0; q < 2; q++) {
		struct driver_queue *queue = &d->queue[q];

		queue_desc(queue, 0, data_ipa(0), 16, VRING_DESC_F_WRITE, 0);
		for (int i = 0; i < 3; i++) {
			queue_avail(queue, 0);
			queue->used->ring[queue->used->idx % queue->size].len = 7;
			__atomic_store_n(&queue->used->idx, (uint16_t)(queue->used->idx + 1),
					 __ATOMIC_RELEASE);
			signal_fd(of(d->dev)->interrupt[q]);
			driver_wait_interrupt(d, VIRTIO_MMIO_INT_VRING);
			assert_int_equal(driver_used(d, q).len, 7);
		}
	}
	virtio_notify_config(d->dev);
	driver_wait_interrupt(d, VIRTIO_MMIO_INT_CONFIG);
}

static void nothing_is_left_of_it_after_a_reset(void **state)
{
	struct driver *d = *state;

	driver_start(d, DRIVER_FEATURES);
	driver_reset(d);
	assert_int_equal(of(d->dev)->interrupt[0], -1);
	if (!d->over_pci)
		assert_int_equal(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void set_vector(struct driver *d, uint16_t queue, uint16_t vector)
{
	rig_store(&d->rig, DRIVER_BAR + QUEUE_SELECT, queue, 2);
	rig_store(&d->rig, DRIVER_BAR + QUEUE_MSIX_VECTOR, vector, 2);
}

static void a_vector_moves(void **state)
{
	struct driver *d = *state;
	struct outside *o = of(d->dev);

	if (!d->over_pci)
		return;
	driver_start(d, DRIVER_FEATURES);
	assert_int_equal(o->moves, 0);
	assert_int_equal(o->interrupt[0], msix_fd(&d->pci.msix, 1));
	assert_int_equal(o->interrupt[1], msix_fd(&d->pci.msix, 2));

	set_vector(d, 1, 0);
	assert_int_equal(o->moves, 1);
	assert_int_equal(o->interrupt[1], msix_fd(&d->pci.msix, 0));
	set_vector(d, 1, VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(o->interrupt[1], -1);
	virtio_quiesce(d->dev);
	set_vector(d, 1, 2);
	assert_int_equal(o->interrupt[1], msix_fd(&d->pci.msix, 2));
	virtio_resume(d->dev);
	assert_int_equal(o->moves, 3);

	/* before the device is active, nobody asks */
	driver_negotiate(d, DRIVER_FEATURES);
	driver_set_up_queue(d, 1, DRIVER_QUEUE_SIZE);
	assert_int_equal(o->moves, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kicks_are_left_alone),
		TEST(an_interrupt_reaches_the_driver),
		TEST(nothing_is_left_of_it_after_a_reset),
		TEST(a_vector_moves),
	};

	return DRIVER_RUN(tests);
}
