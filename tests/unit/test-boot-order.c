/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/arch/boot_order.h"

static void assert_file(const struct boot_order *order, const char *want)
{
	struct blob file = { 0 };

	boot_order_write(order, &file);
	assert_int_equal(file.error, 0);
	assert_int_equal(file.len, strlen(want) + 1);
	assert_string_equal((char *)file.data, want);
	blob_clear(&file);
}

static void devices_are_sorted(void **state)
{
	static const struct boot_device devices[] = {
		{ .order = 3, .pci = true, .devfn = 0x10 << 3 },
		{ .order = 1, .nic = true, .pci = true, .devfn = 0x12 << 3 | 7 },
		{ .order = 0, .pci = true, .devfn = 0x11 << 3 },
		{ .order = 2, .pci = true, .devfn = 0x10 << 3 | 1 },
	};
	struct boot_order order = { 0 };

	for (unsigned i = 0; i < 4; i++)
		boot_order_add(&order, &devices[i]);
	assert_file(&order, "/pci@i0cf8/pci-bridge@12,7/ethernet@0/ethernet-phy@0\n"
			    "/pci@i0cf8/pci-bridge@10,1/scsi@0/disk@0,0\n"
			    "/pci@i0cf8/pci-bridge@10/scsi@0/disk@0,0");
}

static void virtio_mmio_is_named_by_its_address(void **state)
{
	struct boot_order order = { 0 };

	boot_order_add(&order, &(struct boot_device){ .order = 9, .base = 0x0a000200 });
	boot_order_add(&order, &(struct boot_device){ .order = 5, .nic = true, .base = 0x0a000000 });
	assert_file(&order, "/virtio-mmio@000000000a000000/ethernet-phy@0\n"
			    "/virtio-mmio@000000000a000200/disk@0,0");
}

static void without_devices_there_is_no_file(void **state)
{
	struct boot_order order = { 0 };
	struct blob file = { 0 };

	boot_order_add(&order, &(struct boot_device){ .pci = true });
	boot_order_write(&order, &file);
	assert_int_equal(file.len, 0);
}

static void there_are_not_too_many(void **state)
{
	struct boot_order order = { 0 };

	for (uint32_t i = 2 * BOOT_ORDER_MAX; i; i--)
		boot_order_add(&order, &(struct boot_device){ .order = i, .pci = true });
	assert_int_equal(order.n, BOOT_ORDER_MAX);
	for (unsigned i = 1; i < order.n; i++)
		assert_true(order.devices[i - 1].order < order.devices[i].order);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_are_sorted),
		cmocka_unit_test(virtio_mmio_is_named_by_its_address),
		cmocka_unit_test(without_devices_there_is_no_file),
		cmocka_unit_test(there_are_not_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
