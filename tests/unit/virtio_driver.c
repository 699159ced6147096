/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/virtio_driver.h"

#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/patience.h"

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

void driver_start_loop(struct loop **ret, pthread_t *thread)
{
	struct started started = { .work.fn = on_started };

	assert_int_equal(loop_new(ret), 0);
	/* while the loop does not run, calls to it run on the caller's thread */
	sem_init(&started.sem, 0, 0);
	loop_post(*ret, &started.work);
	assert_int_equal(pthread_create(thread, NULL, run_io, *ret), 0);
	sem_wait(&started.sem);
	sem_destroy(&started.sem);
}

void driver_stop_loop(struct loop *loop, pthread_t thread)
{
	loop_quit(loop);
	pthread_join(thread, NULL);
	loop_free(loop);
}

void driver_open(struct driver *d)
{
	memset(d, 0, sizeof(*d));
	assert_int_equal(guest_mem_new(DRIVER_RAM_BASE, DRIVER_RAM_SIZE, &d->mem), 0);
	driver_start_loop(&d->io, &d->io_thread);
}

static bool use_pci;

void driver_use_pci(bool over_pci)
{
	use_pci = over_pci;
}

static void plug_into_pci(struct driver *d)
{
	struct pci_function *f = &d->pci.function;

	pci_rig_open(&d->rig);
	assert_int_equal(virtio_pci_init(&d->pci, d->dev, false, &d->rig.events), 0);
	assert_int_equal(pci_plug(&d->rig.pci, f, PCI_DEVFN(1, 0), NULL), 0);
	rig_write(&d->rig, PCI_DEVFN(1, 0), PCI_BASE_ADDRESS_0, DRIVER_BAR, 4);
	rig_write(&d->rig, PCI_DEVFN(1, 0), PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	/* vectors stay masked: the driver takes what is pending from their eventfds */
	rig_write(&d->rig, PCI_DEVFN(1, 0), d->pci.msix.at + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE,
		  2);
}

void driver_set_device(struct driver *d, struct virtio_dev *dev)
{
	d->dev = dev;
	d->over_pci = use_pci;
	if (d->over_pci)
		plug_into_pci(d);
	else
		assert_int_equal(virtio_mmio_init(&d->mmio, dev, 0x0a000000), 0);
}

void driver_close(struct driver *d)
{
	virtio_mmio_destroy(&d->mmio);
	virtio_pci_destroy(&d->pci);
	if (d->over_pci)
		pci_rig_close(&d->rig);
	driver_stop_loop(d->io, d->io_thread);
	guest_mem_free(d->mem);
}

/* Where registers of virtio-mmio are in PCI's common configuration (virtio 1.2 §4.1.4.3). */
static const struct {
	unsigned mmio, at, len;
} places[] = {
	{ VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0x00, 4 }, { VIRTIO_MMIO_DEVICE_FEATURES, 0x04, 4 },
	{ VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0x08, 4 }, { VIRTIO_MMIO_DRIVER_FEATURES, 0x0c, 4 },
	{ VIRTIO_MMIO_STATUS, 0x14, 1 },              { VIRTIO_MMIO_CONFIG_GENERATION, 0x15, 1 },
	{ VIRTIO_MMIO_QUEUE_SEL, 0x16, 2 },           { VIRTIO_MMIO_QUEUE_NUM, 0x18, 2 },
	{ VIRTIO_MMIO_QUEUE_NUM_MAX, 0x18, 2 },       { VIRTIO_MMIO_QUEUE_READY, 0x1c, 2 },
	{ VIRTIO_MMIO_QUEUE_DESC_LOW, 0x20, 4 },      { VIRTIO_MMIO_QUEUE_DESC_HIGH, 0x24, 4 },
	{ VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x28, 4 },     { VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0x2c, 4 },
	{ VIRTIO_MMIO_QUEUE_USED_LOW, 0x30, 4 },      { VIRTIO_MMIO_QUEUE_USED_HIGH, 0x34, 4 },
};

static uint64_t place_of(unsigned reg, unsigned *len)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (places[i].mmio == reg) {
			*len = places[i].len;
			return DRIVER_BAR + places[i].at;
		}
	}
	fail_msg("no such register over PCI: 0x%x", reg);
	return 0;
}

uint32_t driver_read(struct driver *d, unsigned reg)
{
	uint64_t at;
	unsigned len;

	if (!d->over_pci)
		return (uint32_t)d->mmio.region.read(&d->mmio.region, reg, 4);
	at = place_of(reg, &len);
	return (uint32_t)rig_load(&d->rig, at, len);
}

void driver_write(struct driver *d, unsigned reg, uint32_t value)
{
	uint64_t at;
	unsigned len;

	if (!d->over_pci) {
		d->mmio.region.write(&d->mmio.region, reg, value, 4);
		return;
	}
	if (reg == VIRTIO_MMIO_QUEUE_NOTIFY) {
		rig_store(&d->rig, DRIVER_BAR + 0x3000 + value * VIRTIO_PCI_NOTIFY_EACH, value, 2);
		return;
	}
	at = place_of(reg, &len);
	rig_store(&d->rig, at, value, len);
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
	if (d->over_pci)
		rig_store(&d->rig, DRIVER_BAR + 0x10, 0, 2); /* config_msix_vector */
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
	if (d->over_pci)
		rig_store(&d->rig, DRIVER_BAR + 0x1a, i + 1, 2); /* queue_msix_vector */
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

/* What an interrupt handler does: returns VIRTIO_MMIO_INT_*. */
static uint32_t handle_interrupt_mmio(struct driver *d)
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

/* Vector 0 is for config changes, 1 + q for queue q. */
static uint32_t handle_interrupt_pci(struct driver *d)
{
	struct pollfd p[1 + VIRTIO_MAX_QUEUES];
	nfds_t n = 1 + d->dev->n_queues;
	uint32_t isr = 0;
	uint64_t count;

	for (nfds_t i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = msix_fd(&d->pci.msix, (unsigned)i), .events = POLLIN };
	assert_true(poll(p, n, PATIENCE_MS) > 0);
	for (nfds_t i = 0; i < n; i++) {
		if (!p[i].revents)
			continue;
		assert_int_equal(read(p[i].fd, &count, sizeof(count)), sizeof(count));
		isr |= i ? VIRTIO_MMIO_INT_VRING : VIRTIO_MMIO_INT_CONFIG;
	}
	return isr;
}

static uint32_t handle_interrupt(struct driver *d)
{
	return d->over_pci ? handle_interrupt_pci(d) : handle_interrupt_mmio(d);
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

void driver_wait_interrupt(struct driver *d, uint32_t kind)
{
	while (!(handle_interrupt(d) & kind))
		;
}

void driver_wait_broken(struct driver *d)
{
	driver_wait_interrupt(d, VIRTIO_MMIO_INT_CONFIG);
	assert_true(driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}
