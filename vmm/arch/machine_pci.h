/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI Express part of machine type hvd-1.0: host bridge, root ports, and devices on them.
 *
 * Where a device is depends on its kind and its place among those of its kind only, so that no
 * device moves when another comes or goes. Disks and NICs are behind a root port each. Bus 0:
 *
 *	00.0            host bridge
 *	01.0 … 0f.0     devices that come and go with the VM only, by kind
 *	10.0 … 11.7     root ports of the disks, in their order
 *	12.0 … 12.7     root ports of the NICs
 *	13.0 … 14.7     spare root ports
 *
 * What is attached while the VM runs goes into the port of a disk or NIC that has been detached, or
 * into a spare one.
 *
 * Main loop; for all but attaching and detaching no vCPU runs.
 */
#pragma once

#include "vmm/arch/memmap.h"
#include "vmm/base/cleanup.h"
#include "vmm/bus/pci.h"
#include "vmm/kvm/routes.h"
#include "vmm/virtio/virtio.h"

struct machine_pci;

enum machine_kind {
	MACHINE_CONSOLE,
	MACHINE_RNG,
	MACHINE_PVPANIC,
	MACHINE_BALLOON,
	MACHINE_VSOCK,
	MACHINE_DISK,
	MACHINE_NIC,
	MACHINE_SPARE,
	_MACHINE_KIND_MAX
};

struct machine_pci_args {
	struct kvm_vm *vm;
	struct kvm_routes *routes;
	const struct memmap *map;
	struct mmio_bus *bus;
	unsigned spare_ports;
	struct loop *main;
	/*
	 * How a detachment has ended, on the main loop. 0: dev is gone, a mere name by now;
	 * -ETIMEDOUT: it is there as before.
	 */
	void (*on_detached)(void *ctx, const struct virtio_dev *dev, int r);
	void *ctx;
};

/* What args points to must outlive it. -EOPNOTSUPP: KVM lacks something; -ENOSPC, -ENOMEM. */
int machine_pci_new(const struct machine_pci_args *args, struct machine_pci **ret,
		    struct hvd_error *err);

/* Frees the devices too; vCPUs have ended. */
struct machine_pci *machine_pci_free(struct machine_pci *pci);
DEFINE_AUTO(struct machine_pci *, machine_pci_free);

/* The root port, on bus 0, of the index-th disk or NIC. */
uint8_t machine_pci_port_of(enum machine_kind kind, unsigned index);

/*
 * Put dev, which becomes PCI's in either outcome, into the place of the index-th of its kind.
 * -ENOSPC: the kind has no such place, or there is no bus left for its port.
 */
int machine_pci_plug(struct machine_pci *pci, enum machine_kind kind, unsigned index,
		     struct virtio_dev *dev, struct hvd_error *err);

/* A function that is not virtio and stays the caller's, until PCI is freed, into the place of its kind. */
int machine_pci_plug_function(struct machine_pci *pci, enum machine_kind kind,
			      struct pci_function *function, struct hvd_error *err);

/*
 * Put dev, which becomes PCI's in either outcome, into an empty port and tell the guest. kind: whose
 * ports are tried before the spare ones. -ENOSPC: no port is empty.
 */
int machine_pci_attach(struct machine_pci *pci, enum machine_kind kind, struct virtio_dev *dev,
		       struct hvd_error *err);

/*
 * Take a device out of its port and free it, once the guest lets go of it: on_detached() tells.
 * After so many seconds it stays; or with 0 seconds it goes at once, whatever the guest is doing with
 * it. Returns 0; 1: it is gone already; -EBUSY: the guest has been asked.
 */
int machine_pci_detach(struct machine_pci *pci, const struct virtio_dev *dev, unsigned seconds,
		       struct hvd_error *err);
