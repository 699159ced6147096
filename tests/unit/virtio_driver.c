/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/virtio_driver.h"

#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Far more than anything here takes: reached only when something never comes. */
#define PATIENCE_MS 20000

static void *run_io(void *arg)
{
	loop_run(arg);
	return NULL;
}

struct started {
	struct loop_work work;
	sem_t sem;
};

static void on_started(struct loop_work *work)
{
	sem_post(&container_of(work, struct started, work)->sem);
}

void driver_open(struct driver *d)
{
	struct started started = { .work.fn = on_started };

	memset(d, 0, sizeof(*d));
	assert_int_equal(guest_mem_new(DRIVER_RAM_BASE, DRIVER_RAM_SIZE, &d->mem), 0);
	assert_int_equal(loop_new(&d->io), 0);

	/* while the loop does not run, calls to it run on the caller's thread */
	sem_init(&started.sem, 0, 0);
	loop_post(d->io, &started.work);
	assert_int_equal(pthread_create(&d->io_thread, NULL, run_io, d->io), 0);
	sem_wait(&started.sem);
	sem_destroy(&started.sem);
}

void driver_set_device(struct driver *d, struct virtio_dev *dev)
{
	d->dev = dev;
	assert_int_equal(virtio_mmio_init(&d->mmio, dev, 0x0a000000), 0);
}

void driver_close(struct driver *d)
{
	virtio_dev_free(d->dev);
	virtio_mmio_destroy(&d->mmio);
	loop_quit(d->io);
	pthread_join(d->io_thread, NULL);
	loop_free(d->io);
	guest_mem_free(d->mem);
}

uint32_t driver_read(struct driver *d, unsigned reg)
{
	return (uint32_t)d->mmio.region.read(&d->mmio.region, reg, 4);
}

void driver_write(struct driver *d, unsigned reg, uint32_t value)
{
	d->mmio.region.write(&d->mmio.region, reg, value, 4);
}

void driver_write64(struct driver *d, unsigned reg_low, uint64_t value)
{
	driver_write(d, reg_low, (uint32_t)value);
	driver_write(d, reg_low + 4, (uint32_t)(value >> 32));
}

static void add_status(struct driver *d, uint32_t bit)
{
	driver_write(d, VIRTIO_MMIO_STATUS, driver_read(d, VIRTIO_MMIO_STATUS) | bit);
}

void driver_negotiate(struct driver *d, uint64_t features)
{
	driver_reset(d);
	add_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(d, VIRTIO_CONFIG_S_DRIVER);
	for (uint32_t half = 0; half < 2; half++) {
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * half)));
	}
	add_status(d, VIRTIO_CONFIG_S_FEATURES_OK);
}

void driver_set_up_queue(struct driver *d, unsigned i, uint16_t size)
{
	struct driver_queue *q = &d->queue[i];

	driver_queue_init(q, d->mem, i, size);
	driver_write(d, VIRTIO_MMIO_QUEUE_SEL, i);
	driver_write(d, VIRTIO_MMIO_QUEUE_NUM, size);
	driver_write64(d, VIRTIO_MMIO_QUEUE_DESC_LOW, q->desc_ipa);
	driver_write64(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, q->avail_ipa);
	driver_write64(d, VIRTIO_MMIO_QUEUE_USED_LOW, q->used_ipa);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

void driver_start(struct driver *d, uint64_t features)
{
	driver_negotiate(d, features);
	for (unsigned i = 0; i < d->dev->n_queues; i++)
		driver_set_up_queue(d, i, DRIVER_QUEUE_SIZE);
	add_status(d, VIRTIO_CONFIG_S_DRIVER_OK);
}

void driver_reset(struct driver *d)
{
	driver_write(d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_STATUS), 0);
}

void driver_queue_init(struct driver_queue *q, const struct guest_mem *mem, unsigned index,
		       uint16_t size)
{
	uint64_t base = DRIVER_RAM_BASE + index * 0x10000;
	void *all = guest_mem_ptr(mem, base, 0x10000);

	memset(all, 0, 0x10000);
	*q = (struct driver_queue){
		.size = size,
		.desc_ipa = base,
		.avail_ipa = base + 0x4000,
		.used_ipa = base + 0x8000,
		.desc = all,
		.avail = (void *)((char *)all + 0x4000),
		.used = (void *)((char *)all + 0x8000),
	};
}

uint64_t data_ipa(uint64_t offset)
{
	return DRIVER_DATA + offset;
}

void *data_ptr(struct driver *d, uint64_t offset)
{
	return guest_mem_ptr(d->mem, data_ipa(offset), 1);
}

void queue_desc(struct driver_queue *q, uint16_t i, uint64_t ipa, uint32_t len, uint16_t flags,
		uint16_t next)
{
	q->desc[i] = (struct vring_desc){ .addr = ipa, .len = len, .flags = flags, .next = next };
}

void queue_avail(struct driver_queue *q, uint16_t head)
{
	__atomic_store_n(&q->avail->ring[q->avail->idx % q->size], head, __ATOMIC_RELAXED);
	__atomic_store_n(&q->avail->idx, (uint16_t)(q->avail->idx + 1), __ATOMIC_RELEASE);
}

void driver_kick(struct driver *d, unsigned q)
{
	driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

/* What an interrupt handler does. */
static uint32_t handle_interrupt(struct driver *d)
{
	struct pollfd p = { .fd = d->mmio.irq_fd, .events = POLLIN };
	uint64_t count;
	uint32_t isr;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(read(d->mmio.irq_fd, &count, sizeof(count)), sizeof(count));
	isr = driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS);
	driver_write(d, VIRTIO_MMIO_INTERRUPT_ACK, isr);
	return isr;
}

static uint16_t used_index(struct driver_queue *q)
{
	return __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
}

void driver_wait_used(struct driver *d, unsigned i, unsigned n)
{
	struct driver_queue *q = &d->queue[i];

	for (;;) {
		uint16_t seen = used_index(q);

		/* ask to be told of the next one, then look once more (§2.7.7) */
		__atomic_store_n(&q->avail->ring[q->size], seen, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if ((uint16_t)(used_index(q) - q->last_used) >= n)
			return;
		if (used_index(q) == seen)
			handle_interrupt(d);
	}
}

struct vring_used_elem driver_used(struct driver *d, unsigned i)
{
	struct driver_queue *q = &d->queue[i];

	driver_wait_used(d, i, 1);
	return q->used->ring[q->last_used++ % q->size];
}

void driver_wait_broken(struct driver *d)
{
	while (!(handle_interrupt(d) & VIRTIO_MMIO_INT_CONFIG))
		;
	assert_true(driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}
