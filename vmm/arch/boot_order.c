/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/boot_order.h"

#include <stdio.h>
#include <string.h>

#include "vmm/config.h"

_Static_assert(VM_MAX_DISKS + VM_MAX_NICS <= BOOT_ORDER_MAX, "a place for every device");

void boot_order_add(struct boot_order *order, const struct boot_device *device)
{
	unsigned at = order->n;

	if (!device->order || order->n == BOOT_ORDER_MAX)
		return;
	for (; at && order->devices[at - 1].order > device->order; at--)
		order->devices[at] = order->devices[at - 1];
	order->devices[at] = *device;
	order->n++;
}

/* The unit address of a PCI device: its function only where that is not 0. */
static void put_unit(char unit[static 8], uint8_t devfn)
{
	if (devfn & 7)
		snprintf(unit, 8, "%x,%x", devfn >> 3, devfn & 7);
	else
		snprintf(unit, 8, "%x", devfn >> 3);
}

static void put_path(const struct boot_device *device, char path[static 96])
{
	char unit[8];

	put_unit(unit, device->devfn);
	if (!device->pci)
		snprintf(path, 96, "/virtio-mmio@%016llx/%s", (unsigned long long)device->base,
			 device->nic ? "ethernet-phy@0" : "disk@0,0");
	else
		snprintf(path, 96, "/pci@i0cf8/pci-bridge@%s/%s", unit,
			 device->nic ? "ethernet@0/ethernet-phy@0" : "scsi@0/disk@0,0");
}

void boot_order_write(const struct boot_order *order, struct blob *out)
{
	for (unsigned i = 0; i < order->n; i++) {
		char path[96];

		put_path(&order->devices[i], path);
		blob_put(out, path, strlen(path));
		/* firmware insists on the NUL */
		blob_put(out, i + 1 < order->n ? "\n" : "", 1);
	}
}
