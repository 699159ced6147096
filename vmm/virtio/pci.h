/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over PCI, modern interface only (virtio 1.2 §4.1): one function with a 64-bit BAR for the
 * structures and for MSI-X, a page each.
 *
 * The driver reads any part of the common configuration and writes whole fields; 64-bit fields also
 * in halves. Queue fields are the driver's until DRIVER_OK and ignored from then on until a reset,
 * but for the vectors, which the driver may change at any time.
 *
 * Interrupts are MSI-X or none: there is no interrupt pin. A driver without MSI-X polls. As long as
 * the function is no bus master its queues rest.
 */
#pragma once

#include "vmm/bus/msix.h"
#include "vmm/virtio/virtio.h"

#define VIRTIO_PCI_VENDOR_ID       0x1af4
#define VIRTIO_PCI_DEVICE_ID_FIRST 0x1040 /* + virtio's ID of the type */
#define VIRTIO_PCI_NOTIFY_EACH     4 /* each queue's place in the notification structure */

struct virtio_pci {
	struct pci_function function;
	struct virtio_transport transport;
	struct virtio_dev *dev;
	struct pci_events *events;
	struct msix msix;
	unsigned window; /* the capability VIRTIO_PCI_CAP_PCI_CFG */
	/* Under pci->lock. */
	uint64_t base; /* where the BAR is, for the queues' ioeventfds */
	bool master;   /* the queues are let go */

	_Atomic uint32_t isr; /* used without MSI-X only */
	_Atomic uint16_t config_vector, queue_vector[VIRTIO_MAX_QUEUES];
	/* As written by the driver, checked when used; under dev->lock. */
	uint32_t host_features_sel, guest_features_sel;
	uint16_t queue_sel;
};

/*
 * Make the function for dev, which becomes the transport's in either outcome; pci_plug() or
 * pci_plug_behind() it then. behind_port: it is an endpoint of PCI Express. -ENOMEM, -EMFILE.
 */
int virtio_pci_init(struct virtio_pci *t, struct virtio_dev *dev, bool behind_port,
		    struct pci_events *events);

/* Unplug the function, free the device. No-op on a zeroed struct. */
void virtio_pci_destroy(struct virtio_pci *t);
