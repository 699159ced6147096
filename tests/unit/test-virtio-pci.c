/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>

#include "tests/unit/virtio_driver.h"

#define BDF PCI_DEVFN(1, 0)

#define FULL                                                                                       \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |      \
	 VIRTIO_CONFIG_S_DRIVER_OK)

/* The common configuration (virtio 1.2 §4.1.4.3). */
enum {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_MSIX_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	DEVICE_STATUS = 0x14,
	CONFIG_GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_MSIX_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
	QUEUE_RESET = 0x3a,
	COMMON_SIZE = 0x3c,
};

static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

/* A network device: it has a config space, and three queues, one of which is served by the driver. */
static int set_up(void **state)
{
	static struct driver d;
	struct virtio_net_args args = { .n_pairs = 1 };
	struct virtio_dev *dev;
	int pair[2];

	driver_use_pci(true);
	driver_open(&d);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	close(pair[1]);
	args.taps = &pair[0];
	memcpy(args.mac, mac, sizeof(mac));
	assert_int_equal(virtio_net_new(&args, d.mem, d.io, &dev, NULL), 0);
	driver_set_device(&d, dev);
	*state = &d;
	return 0;
}

static int tear_down(void **state)
{
	driver_close(*state);
	return 0;
}

/* Where a structure is, found by its capability; its length. */
static uint64_t structure(struct driver *d, unsigned type, uint32_t *ret_len)
{
	for (unsigned i = 0;; i++) {
		unsigned at = rig_capability(&d->rig, BDF, PCI_CAP_ID_VNDR, i);

		assert_int_not_equal(at, 0);
		if (rig_read(&d->rig, BDF, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) != type)
			continue;
		assert_int_equal(rig_read(&d->rig, BDF, at + VIRTIO_PCI_CAP_BAR, 1), 0);
		if (ret_len)
			*ret_len = rig_read(&d->rig, BDF, at + VIRTIO_PCI_CAP_LENGTH, 4);
		return DRIVER_BAR + rig_read(&d->rig, BDF, at + VIRTIO_PCI_CAP_OFFSET, 4);
	}
}

static uint64_t get(struct driver *d, unsigned field, unsigned len)
{
	return rig_load(&d->rig, structure(d, VIRTIO_PCI_CAP_COMMON_CFG, NULL) + field, len);
}

static void put(struct driver *d, unsigned field, uint64_t value, unsigned len)
{
	rig_store(&d->rig, structure(d, VIRTIO_PCI_CAP_COMMON_CFG, NULL) + field, value, len);
}

static uint64_t notify_at(struct driver *d, unsigned queue)
{
	return structure(d, VIRTIO_PCI_CAP_NOTIFY_CFG, NULL) + queue * VIRTIO_PCI_NOTIFY_EACH;
}

static void identity(void **state)
{
	struct driver *d = *state;
	uint32_t len;
	unsigned at;

	assert_int_equal(rig_read(&d->rig, BDF, PCI_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(rig_read(&d->rig, BDF, PCI_DEVICE_ID, 2), 0x1040 + VIRTIO_ID_NET);
	assert_int_equal(rig_read(&d->rig, BDF, PCI_CLASS_REVISION, 4), 0x02000001);
	assert_true(rig_read(&d->rig, BDF, PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(rig_read(&d->rig, BDF, PCI_INTERRUPT_PIN, 1), 0);

	structure(d, VIRTIO_PCI_CAP_COMMON_CFG, &len);
	assert_true(len >= sizeof(struct virtio_pci_common_cfg));
	structure(d, VIRTIO_PCI_CAP_ISR_CFG, &len);
	assert_int_equal(len, 1);
	structure(d, VIRTIO_PCI_CAP_DEVICE_CFG, &len);
	assert_int_equal(len, d->dev->ops->config_size);
	structure(d, VIRTIO_PCI_CAP_NOTIFY_CFG, &len);
	assert_int_equal(len, 3 * VIRTIO_PCI_NOTIFY_EACH);
	for (unsigned i = 0; i < 5; i++) {
		at = rig_capability(&d->rig, BDF, PCI_CAP_ID_VNDR, i);
		assert_true(rig_read(&d->rig, BDF, at + VIRTIO_PCI_CAP_LEN, 1) >= 16);
	}
	assert_int_equal(rig_capability(&d->rig, BDF, PCI_CAP_ID_VNDR, 5), 0);
	/* a vector for each queue and one for the configuration */
	at = rig_capability(&d->rig, BDF, PCI_CAP_ID_MSIX, 0);
	assert_int_equal(rig_read(&d->rig, BDF, at + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE, 3);
}

static void after_reset(void **state)
{
	struct driver *d = *state;

	assert_int_equal(get(d, NUM_QUEUES, 2), 3);
	assert_int_equal(get(d, DEVICE_STATUS, 1), 0);
	assert_int_equal(get(d, CONFIG_MSIX_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
	for (unsigned q = 0; q < 3; q++) {
		put(d, QUEUE_SELECT, q, 2);
		assert_int_equal(get(d, QUEUE_SIZE, 2), VQ_MAX_SIZE);
		assert_int_equal(get(d, QUEUE_MSIX_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
		assert_int_equal(get(d, QUEUE_ENABLE, 2), 0);
		assert_int_equal(get(d, QUEUE_NOTIFY_OFF, 2), q);
		assert_int_equal(get(d, QUEUE_DESC, 8), 0);
	}
}

static void features(void **state)
{
	struct driver *d = *state;

	put(d, DEVICE_FEATURE_SELECT, 0, 4);
	assert_true(get(d, DEVICE_FEATURE, 4) & 1U << VIRTIO_NET_F_MAC);
	put(d, DEVICE_FEATURE_SELECT, 1, 4);
	assert_int_equal(get(d, DEVICE_FEATURE, 4), 1U << (VIRTIO_F_VERSION_1 - 32));
	put(d, DEVICE_FEATURE_SELECT, 2, 4);
	assert_int_equal(get(d, DEVICE_FEATURE, 4), 0);
	assert_int_equal(get(d, DEVICE_FEATURE_SELECT, 4), 2);

	put(d, DRIVER_FEATURE_SELECT, 2, 4);
	put(d, DRIVER_FEATURE, UINT32_MAX, 4);
	assert_int_equal(get(d, DRIVER_FEATURE, 4), 0);
	put(d, DRIVER_FEATURE_SELECT, 1, 4);
	put(d, DRIVER_FEATURE, 0x12345678, 4);
	assert_int_equal(get(d, DRIVER_FEATURE, 4), 0x12345678);
	assert_int_equal(d->dev->guest_features, 0x1234567800000000);

	driver_negotiate(d, DRIVER_FEATURES);
	assert_true(get(d, DEVICE_STATUS, 1) & VIRTIO_CONFIG_S_FEATURES_OK);
	put(d, DRIVER_FEATURE_SELECT, 0, 4);
	put(d, DRIVER_FEATURE, 0, 4);
	assert_int_equal(d->dev->guest_features, DRIVER_FEATURES);
}

static void queue_fields(void **state)
{
	struct driver *d = *state;
	struct virtqueue *vq = &d->dev->queue[1];

	put(d, QUEUE_SELECT, 1, 2);
	put(d, QUEUE_SIZE, 64, 2);
	put(d, QUEUE_DESC, 0x1111222233334444, 8);
	put(d, QUEUE_DRIVER, 0x55556666, 4);
	put(d, QUEUE_DRIVER + 4, 0x77778888, 4);
	put(d, QUEUE_DEVICE, 0x9999aaaa, 4);
	assert_int_equal(vq->size, 64);
	assert_int_equal(vq->desc, 0x1111222233334444);
	assert_int_equal(vq->avail, 0x7777888855556666);
	assert_int_equal(vq->used, 0x9999aaaa);
	assert_int_equal(get(d, QUEUE_DESC, 8), 0x1111222233334444);
	assert_int_equal(get(d, QUEUE_DRIVER + 4, 4), 0x77778888);
	assert_int_equal(get(d, QUEUE_SIZE, 2), 64);

	put(d, QUEUE_ENABLE, 2, 2);
	assert_int_equal(get(d, QUEUE_ENABLE, 2), 0);
	put(d, QUEUE_ENABLE, 1, 2);
	assert_int_equal(get(d, QUEUE_ENABLE, 2), 1);
	put(d, QUEUE_ENABLE, 0, 2);
	assert_int_equal(get(d, QUEUE_ENABLE, 2), 1);
	assert_false(d->dev->queue[0].ready);

	/* larger than there is: does not activate */
	put(d, QUEUE_SIZE, VQ_MAX_SIZE * 2, 2);
	assert_int_equal(get(d, QUEUE_SIZE, 2), 0);
	/* no reset of single queues is offered */
	put(d, QUEUE_RESET, 1, 2);
	assert_int_equal(get(d, QUEUE_RESET, 2), 0);
}

static void no_such_queue(void **state)
{
	static const uint16_t bad[] = { 3, 4, VIRTIO_MAX_QUEUES, 255, 0x8000, 0xffff };
	struct driver *d = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(d, QUEUE_SELECT, bad[i], 2);
		assert_int_equal(get(d, QUEUE_SIZE, 2), 0);
		assert_int_equal(get(d, QUEUE_MSIX_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
		put(d, QUEUE_MSIX_VECTOR, 0, 2);
		put(d, QUEUE_SIZE, 16, 2);
		put(d, QUEUE_DESC, UINT64_MAX, 8);
		put(d, QUEUE_ENABLE, 1, 2);
		assert_int_equal(get(d, QUEUE_MSIX_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
		assert_int_equal(get(d, QUEUE_ENABLE, 2), 0);
	}
	/* behind the last queue's place for notifications */
	rig_store(&d->rig, notify_at(d, 3), 3, 2);
	rig_store(&d->rig, notify_at(d, 1023), 2, 2);
	for (unsigned q = 0; q < VIRTIO_MAX_QUEUES; q++)
		assert_false(d->dev->queue[q].ready);
}

static void queue_written_after_activation_cve_2026_5747(void **state)
{
	struct driver *d = *state;

	driver_start(d, DRIVER_FEATURES);
	for (unsigned q = 0; q < 2; q++) {
		struct virtqueue before = d->dev->queue[q];

		put(d, QUEUE_SELECT, q, 2);
		put(d, QUEUE_SIZE, 256, 2);
		put(d, QUEUE_DESC, 0x4000, 8);
		put(d, QUEUE_DRIVER, 0x4000, 4);
		put(d, QUEUE_DEVICE + 4, 0x4000, 4);
		put(d, QUEUE_ENABLE, 0, 2);
		assert_int_equal(d->dev->queue[q].size, before.size);
		assert_int_equal(d->dev->queue[q].desc, before.desc);
		assert_int_equal(d->dev->queue[q].avail, before.avail);
		assert_int_equal(d->dev->queue[q].used, before.used);
		assert_int_equal(get(d, QUEUE_ENABLE, 2), 1);
	}
}

static void writes_are_whole_fields(void **state)
{
	struct driver *d = *state;

	put(d, DEVICE_STATUS, 1, 2);
	put(d, DEVICE_STATUS, 1, 4);
	assert_int_equal(get(d, DEVICE_STATUS, 1), 0);
	put(d, QUEUE_SELECT, 1, 1);
	put(d, QUEUE_SELECT, 1, 4);
	assert_int_equal(get(d, QUEUE_SELECT, 2), 0);
	put(d, QUEUE_DESC, 0xffff, 2);
	put(d, QUEUE_DESC + 2, UINT32_MAX, 4);
	put(d, QUEUE_DESC + 4, UINT64_MAX, 8);
	assert_int_equal(get(d, QUEUE_DESC, 8), 0);
	/* the device's own */
	put(d, NUM_QUEUES, 9, 2);
	put(d, QUEUE_NOTIFY_OFF, 9, 2);
	put(d, DEVICE_FEATURE, 0, 4);
	assert_int_equal(get(d, NUM_QUEUES, 2), 3);
	assert_int_equal(get(d, QUEUE_NOTIFY_OFF, 2), 0);

	/* reads of any part */
	assert_int_equal(get(d, NUM_QUEUES, 2), 3);
	assert_int_equal(get(d, NUM_QUEUES + 1, 1), 0);
	assert_int_equal(get(d, QUEUE_SIZE + 1, 1), VQ_MAX_SIZE >> 8);
	assert_int_equal(get(d, COMMON_SIZE - 4, 4), 0);
	assert_int_equal(get(d, COMMON_SIZE - 2, 4), 0);
	assert_int_equal(get(d, COMMON_SIZE, 1), 0);
	assert_int_equal(get(d, 0xffc, 8), 0);
}

static void vectors(void **state)
{
	struct driver *d = *state;

	put(d, CONFIG_MSIX_VECTOR, 3, 2);
	assert_int_equal(get(d, CONFIG_MSIX_VECTOR, 2), 3);
	put(d, CONFIG_MSIX_VECTOR, 4, 2);
	assert_int_equal(get(d, CONFIG_MSIX_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
	put(d, QUEUE_SELECT, 1, 2);
	put(d, QUEUE_MSIX_VECTOR, 1, 2);
	assert_int_equal(get(d, QUEUE_MSIX_VECTOR, 2), 1);
	put(d, QUEUE_MSIX_VECTOR, 0x8000, 2);
	assert_int_equal(get(d, QUEUE_MSIX_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);

	driver_start(d, DRIVER_FEATURES);
	put(d, QUEUE_SELECT, 0, 2);
	assert_int_equal(get(d, QUEUE_MSIX_VECTOR, 2), 1);
	put(d, QUEUE_MSIX_VECTOR, 0, 2);
	assert_int_equal(get(d, QUEUE_MSIX_VECTOR, 2), 0);
	driver_reset(d);
	put(d, QUEUE_SELECT, 0, 2);
	assert_int_equal(get(d, QUEUE_MSIX_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(get(d, CONFIG_MSIX_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
}

static uint64_t counted(struct driver *d, unsigned vector)
{
	uint64_t count = 0;

	return read(msix_fd(&d->pci.msix, vector), &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static uint32_t isr(struct driver *d)
{
	return (uint32_t)rig_load(&d->rig, structure(d, VIRTIO_PCI_CAP_ISR_CFG, NULL), 1);
}

/* Each change is a message: nothing is held back until somebody acknowledges. */
static void messages(void **state)
{
	struct driver *d = *state;
	uint8_t generation = (uint8_t)get(d, CONFIG_GENERATION, 1);

	virtio_notify_config(d->dev);
	assert_int_equal(counted(d, 0), 0);
	put(d, CONFIG_MSIX_VECTOR, 1, 2);
	virtio_notify_config(d->dev);
	virtio_notify_config(d->dev);
	assert_int_equal(counted(d, 1), 2);
	assert_int_equal(counted(d, 0), 0);
	assert_int_equal(isr(d), 0);
	assert_int_equal(get(d, CONFIG_GENERATION, 1), (uint8_t)(generation + 3));
}

static void without_msix_a_driver_polls(void **state)
{
	struct driver *d = *state;

	put(d, CONFIG_MSIX_VECTOR, 1, 2);
	rig_write(&d->rig, BDF, d->pci.msix.at + PCI_MSIX_FLAGS, 0, 2);
	virtio_notify_config(d->dev);
	assert_int_equal(counted(d, 1), 0);
	assert_int_equal(isr(d), 2);
	assert_int_equal(isr(d), 0);
	d->dev->transport->queue_used(d->dev->transport, 0);
	virtio_notify_config(d->dev);
	assert_int_equal(isr(d), 3);
	virtio_notify_config(d->dev);
	driver_reset(d);
	assert_int_equal(isr(d), 0);
}

static void notifications_follow_the_bar(void **state)
{
	struct driver *d = *state;
	uint64_t at = notify_at(d, 1);

	assert_int_equal(rig_write_at(&d->rig, at), d->dev->kick_fd[1]);
	assert_int_equal(rig_write_at(&d->rig, at - 4), d->dev->kick_fd[0]);
	assert_int_equal(d->rig.n_writes, 3);

	rig_write(&d->rig, BDF, PCI_BASE_ADDRESS_0, DRIVER_BAR + 0x100000, 4);
	assert_int_equal(rig_write_at(&d->rig, at), -1);
	assert_int_equal(rig_write_at(&d->rig, at + 0x100000), d->dev->kick_fd[1]);
	assert_int_equal(d->rig.n_writes, 3);
	rig_write(&d->rig, BDF, PCI_COMMAND, 0, 2);
	assert_int_equal(d->rig.n_writes, 0);

	/* one that the kernel will not have: the write comes here */
	d->rig.refuse = true;
	rig_write(&d->rig, BDF, PCI_BASE_ADDRESS_0, DRIVER_BAR, 4);
	rig_write(&d->rig, BDF, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(d->rig.n_writes, 0);
	rig_store(&d->rig, at, 1, 4);
	assert_int_equal(poll(&(struct pollfd){ d->dev->kick_fd[1], POLLIN, 0 }, 1, 0), 1);
	assert_int_equal(poll(&(struct pollfd){ d->dev->kick_fd[0], POLLIN, 0 }, 1, 0), 0);
	rig_store(&d->rig, at - 3, 1, 1);
	assert_int_equal(poll(&(struct pollfd){ d->dev->kick_fd[0], POLLIN, 0 }, 1, 0), 0);
}

static void device_config(void **state)
{
	struct driver *d = *state;
	uint64_t at = structure(d, VIRTIO_PCI_CAP_DEVICE_CFG, NULL);

	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(rig_load(&d->rig, at + i, 1), mac[i]);
	assert_int_equal(rig_load(&d->rig, at, 4), 0x01005452);
	assert_int_equal(rig_load(&d->rig, at + 6, 2), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(rig_load(&d->rig, at + d->dev->ops->config_size, 1), 0);
	assert_int_equal(rig_load(&d->rig, at + d->dev->ops->config_size - 1, 2), 0);
	rig_store(&d->rig, at, 0xff, 1);
	assert_int_equal(rig_load(&d->rig, at, 1), mac[0]);
}

/* §4.1.4.9: all of the BAR through config space, with the BAR itself turned off. */
static void window(struct driver *d, uint32_t offset, uint32_t len)
{
	unsigned at = d->pci.window;

	rig_write(&d->rig, BDF, at + VIRTIO_PCI_CAP_BAR, 0, 1);
	rig_write(&d->rig, BDF, at + VIRTIO_PCI_CAP_OFFSET, offset, 4);
	rig_write(&d->rig, BDF, at + VIRTIO_PCI_CAP_LENGTH, len, 4);
}

static void config_access_window(void **state)
{
	struct driver *d = *state;
	unsigned data = d->pci.window + sizeof(struct virtio_pci_cap);
	unsigned table = rig_read(&d->rig, BDF, d->pci.msix.at + PCI_MSIX_TABLE, 4);

	rig_write(&d->rig, BDF, PCI_COMMAND, 0, 2);
	window(d, NUM_QUEUES, 2);
	assert_int_equal(rig_read(&d->rig, BDF, data, 2), 3);
	window(d, DEVICE_STATUS, 1);
	rig_write(&d->rig, BDF, data, VIRTIO_CONFIG_S_ACKNOWLEDGE, 1);
	assert_int_equal(rig_read(&d->rig, BDF, data, 1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(d->dev->status, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	window(d, 0x2000, 4);
	assert_int_equal(rig_read(&d->rig, BDF, data, 4), 0x01005452);
	window(d, table + 8, 4);
	rig_write(&d->rig, BDF, data, 0x1234, 4);
	assert_int_equal(rig_read(&d->rig, BDF, data, 4), 0x1234);
	window(d, (uint32_t)notify_at(d, 0) - DRIVER_BAR, 2);
	rig_write(&d->rig, BDF, data, 0, 2);
	assert_int_equal(poll(&(struct pollfd){ d->dev->kick_fd[0], POLLIN, 0 }, 1, 0), 1);
}

static void senseless_windows(void **state)
{
	static const struct {
		uint32_t offset, len;
	} bad[] = {
		{ DEVICE_STATUS, 0 }, { DEVICE_STATUS, 3 }, { DEVICE_STATUS, 8 },
		{ DEVICE_STATUS, UINT32_MAX }, { 0x8000, 1 }, { 0x7fff, 2 }, { UINT32_MAX, 1 },
		{ 0xfffffffc, 4 }, { 2, 4 },
	};
	struct driver *d = *state;
	unsigned data = d->pci.window + sizeof(struct virtio_pci_cap);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		window(d, bad[i].offset, bad[i].len);
		rig_write(&d->rig, BDF, data, UINT32_MAX, 4);
		rig_read(&d->rig, BDF, data, 4);
		assert_int_equal(d->dev->status, 0);
	}
	/* no such BAR */
	for (unsigned bar = 1; bar < 256; bar++) {
		window(d, DEVICE_STATUS, 1);
		rig_write(&d->rig, BDF, d->pci.window + VIRTIO_PCI_CAP_BAR, bar, 1);
		rig_write(&d->rig, BDF, data, 1, 1);
		assert_int_equal(d->dev->status, 0);
	}
}

/* Frames for the guest that come while its device may not write to memory. */
static void without_bus_master_memory_is_left_alone(void **state)
{
	struct driver *d = *state;
	struct driver_queue *q = &d->queue[1];

	/* started without it, as firmware may hand a device over */
	rig_write(&d->rig, BDF, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	driver_start(d, DRIVER_FEATURES);
	assert_int_equal(d->dev->status, FULL);
	queue_desc(q, 0, data_ipa(0), 64, 0, 0);
	queue_avail(q, 0);
	driver_kick(d, 1);
	virtio_quiesce(d->dev); /* returns when all that came before has been looked at */
	assert_int_equal(q->used->idx, 0);
	virtio_resume(d->dev);
	rig_write(&d->rig, BDF, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	assert_int_equal(driver_used(d, 1).id, 0);

	/* taken away and given back; a pause of the VM in the middle gives nothing back */
	rig_write(&d->rig, BDF, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	queue_avail(q, 0);
	driver_kick(d, 1);
	virtio_quiesce(d->dev);
	virtio_resume(d->dev);
	assert_int_equal(q->used->idx, 1);
	virtio_quiesce(d->dev);
	rig_write(&d->rig, BDF, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	assert_int_equal(q->used->idx, 1);
	virtio_resume(d->dev);
	assert_int_equal(driver_used(d, 1).id, 0);
}

static void reset_of_the_function(void **state)
{
	struct driver *d = *state;

	driver_start(d, DRIVER_FEATURES);
	assert_int_equal(d->dev->status, FULL);
	virtio_pci_destroy(&d->pci);
	assert_int_equal(d->rig.n_writes, 0);

	/* behind a port, which can reset it */
	tear_down(state);
	set_up(state);
	driver_start(d, DRIVER_FEATURES);
	d->pci.function.ops->reset(&d->pci.function);
	assert_int_equal(d->dev->status, 0);
	assert_false(d->dev->active);
	assert_false(d->dev->queue[0].ready);
}

/* Every byte of the BAR in every state and with every width: only what is said to change changes. */
static void walk(struct driver *d)
{
	for (unsigned len = 1; len <= 8; len *= 2) {
		for (unsigned at = 0; at + len <= 0x8000; at += at % 0x1000 < 0x80 ? 1 : 0x3f) {
			rig_load(&d->rig, DRIVER_BAR + at, len);
			if (at != DEVICE_STATUS)
				rig_store(&d->rig, DRIVER_BAR + at, UINT64_MAX, len);
		}
	}
}

static void register_walk(void **state)
{
	static const uint8_t steps[] = {
		VIRTIO_CONFIG_S_ACKNOWLEDGE,
		VIRTIO_CONFIG_S_DRIVER,
		VIRTIO_CONFIG_S_FEATURES_OK,
		VIRTIO_CONFIG_S_DRIVER_OK,
	};
	struct driver *d = *state;
	uint8_t expected = 0;

	walk(d);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i] == VIRTIO_CONFIG_S_FEATURES_OK) {
			/* the walk has asked for every feature there is */
			put(d, DEVICE_STATUS, expected | steps[i], 1);
			assert_int_equal(get(d, DEVICE_STATUS, 1), expected);
			driver_negotiate(d, DRIVER_FEATURES);
		}
		expected |= steps[i];
		if (steps[i] == VIRTIO_CONFIG_S_DRIVER_OK)
			for (unsigned q = 0; q < 2; q++)
				driver_set_up_queue(d, q, DRIVER_QUEUE_SIZE);
		put(d, DEVICE_STATUS, expected, 1);
		assert_int_equal(get(d, DEVICE_STATUS, 1), expected);
		walk(d);
		assert_int_equal(get(d, DEVICE_STATUS, 1), expected);
	}
	driver_reset(d);
	walk(d);
	assert_int_equal(get(d, DEVICE_STATUS, 1), 0);
}

static void *reset_often(void *arg)
{
	for (int i = 0; i < 200; i++)
		driver_start(arg, DRIVER_FEATURES);
	return NULL;
}

/* vCPUs that fight over one device, its BAR and its config space: no crash, no deadlock. */
static void two_vcpus(void **state)
{
	struct driver *d = *state;
	pthread_t other;

	assert_int_equal(pthread_create(&other, NULL, reset_often, d), 0);
	for (int i = 0; i < 50; i++) {
		window(d, DEVICE_STATUS, 1);
		rig_read(&d->rig, BDF, d->pci.window + sizeof(struct virtio_pci_cap), 4);
		rig_load(&d->rig, notify_at(d, 0), 2);
		driver_kick(d, (unsigned)i % 2);
		for (unsigned at = 0; at < COMMON_SIZE; at++)
			if (at != DEVICE_STATUS)
				get(d, at, 1);
	}
	pthread_join(other, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(identity),
		TEST(after_reset),
		TEST(features),
		TEST(queue_fields),
		TEST(no_such_queue),
		TEST(queue_written_after_activation_cve_2026_5747),
		TEST(writes_are_whole_fields),
		TEST(vectors),
		TEST(messages),
		TEST(without_msix_a_driver_polls),
		TEST(notifications_follow_the_bar),
		TEST(device_config),
		TEST(config_access_window),
		TEST(senseless_windows),
		TEST(without_bus_master_memory_is_left_alone),
		TEST(reset_of_the_function),
		TEST(register_walk),
		TEST(two_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
