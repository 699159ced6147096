/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/mmio.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOW_HALF 0xffffffffULL

static uint64_t set_low(uint64_t old, uint32_t value)
{
	return (old & ~LOW_HALF) | value;
}

static uint64_t set_high(uint64_t old, uint32_t value)
{
	return (old & LOW_HALF) | (uint64_t)value << 32;
}

/* The queue that QUEUE_SEL names, or NULL. */
static struct virtqueue *selected(struct virtio_mmio *t)
{
	return t->queue_sel < t->dev->n_queues ? &t->dev->queue[t->queue_sel] : NULL;
}

static uint32_t read_register(struct virtio_mmio *t, uint64_t offset)
{
	struct virtio_dev *dev = t->dev;
	struct virtqueue *vq = selected(t);

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return VIRTIO_MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VIRTIO_MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_features_half(dev->host_features, t->host_features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return vq ? VQ_MAX_SIZE : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return vq && vq->ready;
	case VIRTIO_MMIO_STATUS:
		return dev->status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return dev->config_generation;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX; /* no shared memory region, §4.2.2 */
	default:
		return 0;
	}
}

/* The registers that describe the selected queue. */
static void write_queue_register(struct virtio_mmio *t, uint64_t offset, uint32_t value)
{
	struct virtqueue *vq = selected(t);

	/* From DRIVER_OK on the I/O loop owns the queue. */
	if (!vq || t->dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		return;

	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		/* 0 is a size that does not activate */
		vq->size = value <= VQ_MAX_SIZE ? (uint16_t)value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		vq->ready = value & 1;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		vq->desc = set_low(vq->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		vq->desc = set_high(vq->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		vq->avail = set_low(vq->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		vq->avail = set_high(vq->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		vq->used = set_low(vq->used, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		vq->used = set_high(vq->used, value);
		break;
	}
}

static void forget(struct virtio_mmio *t)
{
	t->host_features_sel = t->guest_features_sel = t->queue_sel = 0;
	t->isr = 0;
	t->served_outside = false;
}

static void write_register(struct virtio_mmio *t, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		t->host_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		t->guest_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_set_features_half(t->dev, t->guest_features_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		t->queue_sel = value;
		break;
	case VIRTIO_MMIO_STATUS:
		/* one byte of status; a write whose byte is 0 resets */
		virtio_set_status(t->dev, (uint8_t)value);
		if (!(uint8_t)value)
			forget(t);
		break;
	default:
		write_queue_register(t, offset, value);
	}
}

static uint64_t mmio_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct virtio_mmio *t = container_of(region, struct virtio_mmio, region);
	uint32_t value;

	if (offset >= VIRTIO_MMIO_CONFIG)
		return virtio_read_config(t->dev, offset - VIRTIO_MMIO_CONFIG, len);
	if (len != 4)
		return 0;

	/* Read and acknowledged for every interrupt: no lock. */
	if (offset == VIRTIO_MMIO_INTERRUPT_STATUS)
		return t->isr | (t->served_outside ? VIRTIO_MMIO_INT_VRING : 0);

	pthread_mutex_lock(&t->dev->lock);
	value = read_register(t, offset);
	pthread_mutex_unlock(&t->dev->lock);
	return value;
}

static void mmio_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct virtio_mmio *t = container_of(region, struct virtio_mmio, region);

	if (offset >= VIRTIO_MMIO_CONFIG) {
		virtio_set_config(t->dev, offset - VIRTIO_MMIO_CONFIG, value, len);
		return;
	}
	if (len != 4)
		return;

	if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
		atomic_fetch_and(&t->isr, ~(uint32_t)value);
		return;
	}

	/* Where KVM has an ioeventfd for it, this is never reached. */
	if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
		if ((uint32_t)value < t->dev->n_queues)
			virtio_rekick(t->dev, (unsigned)value);
		return;
	}

	pthread_mutex_lock(&t->dev->lock);
	write_register(t, offset, (uint32_t)value);
	pthread_mutex_unlock(&t->dev->lock);
}

/*
 * A bit that is still set has raised an interrupt whose acknowledgement is yet to come, and the
 * driver looks at the rings after that: a second interrupt would only cost it two more exits.
 */
static void interrupt(struct virtio_mmio *t, uint32_t bit)
{
	/* the write fails only when the counter is full: then the interrupt is due anyway */
	if (!(atomic_fetch_or(&t->isr, bit) & bit))
		(void)!write(t->irq_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static void queue_used(struct virtio_transport *transport, unsigned queue)
{
	interrupt(container_of(transport, struct virtio_mmio, transport), VIRTIO_MMIO_INT_VRING);
}

static int queue_eventfd(struct virtio_transport *transport, unsigned queue)
{
	struct virtio_mmio *t = container_of(transport, struct virtio_mmio, transport);

	t->served_outside = true;
	return t->irq_fd;
}

static void config_changed(struct virtio_transport *transport)
{
	interrupt(container_of(transport, struct virtio_mmio, transport), VIRTIO_MMIO_INT_CONFIG);
}

int virtio_mmio_init(struct virtio_mmio *t, struct virtio_dev *dev, uint64_t base)
{
	int irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), r = -errno;

	if (irq_fd < 0) {
		virtio_dev_free(dev);
		return r;
	}

	*t = (struct virtio_mmio){
		.region = {
			.name = dev->ops->name,
			.base = base,
			.size = VIRTIO_MMIO_SIZE,
			.read = mmio_read,
			.write = mmio_write,
		},
		.dev = dev,
		.transport = { queue_used, queue_eventfd, config_changed },
		.irq_fd = irq_fd,
	};
	dev->transport = &t->transport;
	return 0;
}

void virtio_mmio_destroy(struct virtio_mmio *t)
{
	if (!t->dev)
		return;
	virtio_dev_free(t->dev);
	close(t->irq_fd);
	t->dev = NULL;
}
