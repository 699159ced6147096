/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/pci.h"

#include <linux/virtio_pci.h>
#include <stdatomic.h>
#include <string.h>

#include "vmm/base/macro.h"

/* The BAR: a page for each structure, so that a guest can map them apart. */
#define PAGE      0x1000U
#define COMMON_AT 0x0000U
#define ISR_AT    0x1000U
#define DEVICE_AT 0x2000U
#define NOTIFY_AT 0x3000U
#define TABLE_AT  0x4000U
#define PBA_AT    0x5000U
#define BAR_SIZE  0x8000U
#define BAR       0

_Static_assert(VIRTIO_MAX_QUEUES * VIRTIO_PCI_NOTIFY_EACH <= PAGE, "a place for every queue");
_Static_assert(VIRTIO_MAX_QUEUES < MSIX_MAX_VECTORS, "a vector for every queue");

#define ISR_QUEUE  1
#define ISR_CONFIG 2

/* §4.1.4.3, to the end of what virtio 1.2 has. */
struct common_config {
	uint32_t device_feature_select, device_feature;
	uint32_t driver_feature_select, driver_feature;
	uint16_t config_msix_vector, num_queues;
	uint8_t device_status, config_generation;
	uint16_t queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
	uint64_t queue_desc, queue_driver, queue_device;
	uint16_t queue_notify_data, queue_reset;
} __attribute__((packed));

_Static_assert(sizeof(struct common_config) == 0x3c, "as laid out in the specification");

/* An access to exactly this field, for a switch over ACCESS(). */
#define ACCESS(at, len) ((at) << 4 | (len))
#define FIELD(name)                                                                                \
	ACCESS(offsetof(struct common_config, name), sizeof(((struct common_config *)0)->name))

static struct virtio_pci *to_transport(struct pci_function *f)
{
	return container_of(f, struct virtio_pci, function);
}

/* The queue that queue_select names, or NULL. */
static struct virtqueue *selected(struct virtio_pci *t)
{
	return t->queue_sel < t->dev->n_queues ? &t->dev->queue[t->queue_sel] : NULL;
}

static void describe_queue(struct virtio_pci *t, struct common_config *c)
{
	const struct virtqueue *vq = selected(t);

	c->queue_msix_vector = VIRTIO_MSI_NO_VECTOR;
	if (!vq)
		return;
	c->queue_size = vq->size;
	c->queue_msix_vector = t->queue_vector[t->queue_sel];
	c->queue_enable = vq->ready;
	c->queue_notify_off = t->queue_sel;
	c->queue_desc = vq->desc;
	c->queue_driver = vq->avail;
	c->queue_device = vq->used;
}

static uint64_t common_read(struct virtio_pci *t, unsigned at, unsigned len)
{
	struct virtio_dev *dev = t->dev;
	struct common_config c = { 0 };
	uint64_t value = 0;

	if (at + len > sizeof(c))
		return 0;

	pthread_mutex_lock(&dev->lock);
	c.device_feature_select = t->host_features_sel;
	c.device_feature = virtio_features_half(dev->host_features, t->host_features_sel);
	c.driver_feature_select = t->guest_features_sel;
	c.driver_feature = virtio_features_half(dev->guest_features, t->guest_features_sel);
	c.config_msix_vector = t->config_vector;
	c.num_queues = (uint16_t)dev->n_queues;
	c.device_status = dev->status;
	c.config_generation = (uint8_t)dev->config_generation;
	c.queue_select = t->queue_sel;
	describe_queue(t, &c);
	pthread_mutex_unlock(&dev->lock);

	memcpy(&value, (uint8_t *)&c + at, len);
	return value;
}

static void forget(struct virtio_pci *t)
{
	t->host_features_sel = t->guest_features_sel = t->queue_sel = 0;
	t->config_vector = VIRTIO_MSI_NO_VECTOR;
	for (unsigned q = 0; q < VIRTIO_MAX_QUEUES; q++)
		t->queue_vector[q] = VIRTIO_MSI_NO_VECTOR;
	t->isr = 0;
}

static void write_status(struct virtio_pci *t, uint8_t status)
{
	virtio_set_status(t->dev, status);
	if (!status)
		forget(t);
}

/* What there is no vector for reads back as none (§4.1.5.1.2.1). */
static uint16_t checked_vector(const struct virtio_pci *t, uint64_t vector)
{
	return vector < t->msix.n ? (uint16_t)vector : VIRTIO_MSI_NO_VECTOR;
}

/* Addresses of the rings, whole or in halves. */
static void write_queue_address(struct virtqueue *vq, unsigned at, uint64_t value, unsigned len)
{
	uint64_t *const addresses[] = { &vq->desc, &vq->avail, &vq->used };
	unsigned first = offsetof(struct common_config, queue_desc);

	if (at < first || at >= first + sizeof(vq->desc) * ARRAY_SIZE(addresses) || len < 4 ||
	    at % len)
		return;
	memcpy((uint8_t *)addresses[(at - first) / 8] + at % 8, &value, len);
}

static void write_queue(struct virtio_pci *t, unsigned at, uint64_t value, unsigned len)
{
	struct virtqueue *vq = selected(t);

	if (!vq)
		return;
	if (ACCESS(at, len) == FIELD(queue_msix_vector)) {
		t->queue_vector[t->queue_sel] = checked_vector(t, value);
		virtio_interrupt_moved(t->dev, t->queue_sel);
		return;
	}
	/* From DRIVER_OK on the I/O loop owns the queue. */
	if (t->dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		return;

	switch (ACCESS(at, len)) {
	case FIELD(queue_size):
		/* 0 is a size that does not activate */
		vq->size = value <= VQ_MAX_SIZE ? (uint16_t)value : 0;
		break;
	case FIELD(queue_enable):
		/* the driver may not write 0 (§4.1.4.3.2) */
		vq->ready |= value == 1;
		break;
	default:
		write_queue_address(vq, at, value, len);
	}
}

static void common_write(struct virtio_pci *t, unsigned at, uint64_t value, unsigned len)
{
	pthread_mutex_lock(&t->dev->lock);
	switch (ACCESS(at, len)) {
	case FIELD(device_feature_select):
		t->host_features_sel = (uint32_t)value;
		break;
	case FIELD(driver_feature_select):
		t->guest_features_sel = (uint32_t)value;
		break;
	case FIELD(driver_feature):
		virtio_set_features_half(t->dev, t->guest_features_sel, (uint32_t)value);
		break;
	case FIELD(config_msix_vector):
		t->config_vector = checked_vector(t, value);
		break;
	case FIELD(device_status):
		write_status(t, (uint8_t)value);
		break;
	case FIELD(queue_select):
		t->queue_sel = (uint16_t)value;
		break;
	default:
		write_queue(t, at, value, len);
	}
	pthread_mutex_unlock(&t->dev->lock);
}

/* Reading acknowledges (§4.1.4.5). */
static uint64_t isr_read(struct virtio_pci *t, unsigned at, unsigned len)
{
	return at == 0 ? atomic_exchange(&t->isr, 0) : 0;
}

static uint64_t device_read(struct virtio_pci *t, unsigned at, unsigned len)
{
	return virtio_read_config(t->dev, at, len);
}

static void device_write(struct virtio_pci *t, unsigned at, uint64_t value, unsigned len)
{
	virtio_set_config(t->dev, at, value, len);
}

/* Where KVM has an ioeventfd for it, this is never reached. */
static void notify_write(struct virtio_pci *t, unsigned at, uint64_t value, unsigned len)
{
	unsigned queue = at / VIRTIO_PCI_NOTIFY_EACH;

	if (at % VIRTIO_PCI_NOTIFY_EACH == 0 && queue < t->dev->n_queues)
		virtio_rekick(t->dev, queue);
}

static uint64_t table_read(struct virtio_pci *t, unsigned at, unsigned len)
{
	return msix_table_read(&t->msix, at, len);
}

static void table_write(struct virtio_pci *t, unsigned at, uint64_t value, unsigned len)
{
	msix_table_write(&t->msix, at, value, len);
}

static uint64_t pba_read(struct virtio_pci *t, unsigned at, unsigned len)
{
	return msix_pba_read(&t->msix, at, len);
}

/* Offsets are within the page. */
static const struct {
	uint64_t (*read)(struct virtio_pci *t, unsigned at, unsigned len);
	void (*write)(struct virtio_pci *t, unsigned at, uint64_t value, unsigned len);
} pages[BAR_SIZE / PAGE] = {
	[COMMON_AT / PAGE] = { common_read, common_write },
	[ISR_AT / PAGE] = { .read = isr_read },
	[DEVICE_AT / PAGE] = { device_read, device_write },
	[NOTIFY_AT / PAGE] = { .write = notify_write },
	[TABLE_AT / PAGE] = { table_read, table_write },
	[PBA_AT / PAGE] = { .read = pba_read },
};

static uint64_t bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned len)
{
	unsigned page = (unsigned)(offset / PAGE), at = offset % PAGE;

	if (at + len > PAGE || !pages[page].read)
		return 0;
	return pages[page].read(to_transport(f), at, len);
}

static void bar_write(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t value,
		      unsigned len)
{
	unsigned page = (unsigned)(offset / PAGE), at = offset % PAGE;

	if (at + len <= PAGE && pages[page].write)
		pages[page].write(to_transport(f), at, value, len);
}

/* One that the kernel does not take is served by notify_write(). */
static void bar_moved(struct pci_function *f, unsigned bar, uint64_t base)
{
	struct virtio_pci *t = to_transport(f);

	for (unsigned q = 0; q < t->dev->n_queues; q++) {
		uint64_t at = NOTIFY_AT + q * VIRTIO_PCI_NOTIFY_EACH;

		if (base == PCI_UNMAPPED)
			t->events->unbind_write(t->events, t->dev->kick_fd[q], t->base + at);
		else
			t->events->bind_write(t->events, t->dev->kick_fd[q], base + at);
	}
	t->base = base;
}

/* The BAR access that the window in config space asks for (§4.1.4.9); false: a senseless one. */
static bool window_access(const struct virtio_pci *t, uint64_t *offset, unsigned *len)
{
	const struct pci_function *f = &t->function;

	*offset = pci_config_get(f, t->window + VIRTIO_PCI_CAP_OFFSET, 4);
	*len = pci_config_get(f, t->window + VIRTIO_PCI_CAP_LENGTH, 4);
	return f->config[t->window + VIRTIO_PCI_CAP_BAR] == BAR &&
	       (*len == 1 || *len == 2 || *len == 4) && *offset % *len == 0 &&
	       *offset < BAR_SIZE;
}

#define WINDOW_DATA sizeof(struct virtio_pci_cap)

static bool touches_window(const struct virtio_pci *t, unsigned at, unsigned len)
{
	unsigned data = t->window + WINDOW_DATA;

	return at < data + 4 && at + len > data;
}

static void config_read(struct pci_function *f, unsigned at, unsigned len)
{
	struct virtio_pci *t = to_transport(f);
	uint64_t offset;
	unsigned n;

	if (touches_window(t, at, len) && window_access(t, &offset, &n))
		pci_config_set(f, t->window + WINDOW_DATA, (uint32_t)bar_read(f, BAR, offset, n), 4);
}

/* A function that is no bus master accesses no memory: neither rings nor buffers, nor messages. */
static void follow_bus_master(struct virtio_pci *t)
{
	bool master = pci_bus_master(&t->function);

	if (master == t->master)
		return;
	t->master = master;
	if (master)
		virtio_resume(t->dev);
	else
		virtio_quiesce(t->dev);
}

static void config_written(struct pci_function *f, unsigned at, unsigned len)
{
	struct virtio_pci *t = to_transport(f);
	uint64_t offset;
	unsigned n;

	msix_update(&t->msix, f);
	follow_bus_master(t);
	if (touches_window(t, at, len) && window_access(t, &offset, &n))
		bar_write(f, BAR, offset, pci_config_get(f, t->window + WINDOW_DATA, n), n);
}

static void renamed(struct pci_function *f)
{
	msix_update(&to_transport(f)->msix, f);
}

static void reset(struct pci_function *f)
{
	struct virtio_pci *t = to_transport(f);

	pthread_mutex_lock(&t->dev->lock);
	write_status(t, 0);
	pthread_mutex_unlock(&t->dev->lock);
	follow_bus_master(t);
	msix_reset(&t->msix, f);
}

static const struct pci_ops virtio_pci_ops = {
	.read = bar_read,
	.write = bar_write,
	.moved = bar_moved,
	.config_read = config_read,
	.config_written = config_written,
	.renamed = renamed,
	.reset = reset,
};

static void interrupt(struct virtio_pci *t, uint16_t vector, uint32_t isr)
{
	if (!t->msix.enabled)
		atomic_fetch_or(&t->isr, isr);
	else if (vector != VIRTIO_MSI_NO_VECTOR)
		msix_notify(&t->msix, vector);
}

static void queue_used(struct virtio_transport *transport, unsigned queue)
{
	struct virtio_pci *t = container_of(transport, struct virtio_pci, transport);

	interrupt(t, t->queue_vector[queue], ISR_QUEUE);
}

/* Without MSI-X it only counts, and there is no bit for it in the ISR: such a driver polls. */
static int queue_eventfd(struct virtio_transport *transport, unsigned queue)
{
	struct virtio_pci *t = container_of(transport, struct virtio_pci, transport);
	uint16_t vector = t->queue_vector[queue];

	return vector == VIRTIO_MSI_NO_VECTOR ? -1 : msix_fd(&t->msix, vector);
}

static void config_changed(struct virtio_transport *transport)
{
	struct virtio_pci *t = container_of(transport, struct virtio_pci, transport);

	interrupt(t, t->config_vector, ISR_CONFIG);
}

static unsigned add_structure(struct pci_function *f, uint8_t type, uint32_t offset, uint32_t size,
			      unsigned len)
{
	unsigned at = pci_add_capability(f, PCI_CAP_ID_VNDR, len);

	f->config[at + VIRTIO_PCI_CAP_LEN] = (uint8_t)len;
	f->config[at + VIRTIO_PCI_CAP_CFG_TYPE] = type;
	f->config[at + VIRTIO_PCI_CAP_BAR] = BAR;
	pci_config_set(f, at + VIRTIO_PCI_CAP_OFFSET, offset, 4);
	pci_config_set(f, at + VIRTIO_PCI_CAP_LENGTH, size, 4);
	return at;
}

static void add_structures(struct virtio_pci *t)
{
	struct pci_function *f = &t->function;
	const unsigned len = sizeof(struct virtio_pci_cap);
	uint32_t device_size = (uint32_t)t->dev->ops->config_size;
	unsigned at;

	add_structure(f, VIRTIO_PCI_CAP_COMMON_CFG, COMMON_AT, sizeof(struct common_config), len);
	add_structure(f, VIRTIO_PCI_CAP_ISR_CFG, ISR_AT, 1, len);
	if (device_size)
		add_structure(f, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE_AT, device_size, len);
	at = add_structure(f, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY_AT,
			   t->dev->n_queues * VIRTIO_PCI_NOTIFY_EACH,
			   sizeof(struct virtio_pci_notify_cap));
	pci_config_set(f, at + VIRTIO_PCI_NOTIFY_CAP_MULT, VIRTIO_PCI_NOTIFY_EACH, 4);

	t->window = add_structure(f, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, sizeof(struct virtio_pci_cfg_cap));
	pci_config_allow(f, t->window + VIRTIO_PCI_CAP_BAR, 0xff, 1);
	pci_config_allow(f, t->window + VIRTIO_PCI_CAP_OFFSET, UINT32_MAX, 4);
	pci_config_allow(f, t->window + VIRTIO_PCI_CAP_LENGTH, UINT32_MAX, 4);
	pci_config_allow(f, t->window + WINDOW_DATA, UINT32_MAX, 4);
}

/* By virtio's ID; as other implementations have them, so that guests sort devices alike. */
static uint32_t class_of(uint16_t id)
{
	static const struct {
		uint16_t id;
		uint32_t class;
	} classes[] = {
		{ VIRTIO_ID_NET, 0x020000 },
		{ VIRTIO_ID_BLOCK, 0x010000 },
		{ VIRTIO_ID_CONSOLE, 0x078000 },
		{ VIRTIO_ID_VSOCK, 0x078000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (classes[i].id == id)
			return classes[i].class;
	return 0x00ff00;
}

int virtio_pci_init(struct virtio_pci *t, struct virtio_dev *dev, bool behind_port,
		    struct pci_events *events)
{
	const struct pci_ident ident = {
		.vendor = VIRTIO_PCI_VENDOR_ID,
		.device = (uint16_t)(VIRTIO_PCI_DEVICE_ID_FIRST + dev->ops->id),
		.subsystem_vendor = VIRTIO_PCI_VENDOR_ID,
		.subsystem = 0x1100,
		.revision = 1,
		.class = class_of(dev->ops->id),
	};
	int r;

	*t = (struct virtio_pci){
		.transport = { queue_used, queue_eventfd, config_changed },
		.dev = dev,
		.events = events,
		.base = PCI_UNMAPPED,
	};
	forget(t);
	pci_function_init(&t->function, &virtio_pci_ops, &ident);
	pci_add_bar(&t->function, BAR, BAR_SIZE, true, true);
	r = msix_init(&t->msix, &t->function, dev->n_queues + 1, BAR, TABLE_AT, PBA_AT, events);
	if (r < 0) {
		virtio_pci_destroy(t);
		return r;
	}
	add_structures(t);
	if (behind_port)
		pci_add_express(&t->function, PCI_EXP_TYPE_ENDPOINT, 0);
	dev->transport = &t->transport;
	virtio_quiesce(dev);
	return 0;
}

void virtio_pci_destroy(struct virtio_pci *t)
{
	if (!t->dev)
		return;
	pci_unplug(&t->function);
	virtio_dev_free(t->dev);
	msix_destroy(&t->msix);
	t->dev = NULL;
}
