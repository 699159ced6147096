/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/arch/fdt.h"

static uint8_t fdt[64 * 1024];

static const struct memmap memmap = {
	.n_gicr_low = 3,
	.gicr_high = 0x4000000000,
	.ecam = { 0x4010000000, 256 * MIB },
	.mmio64 = { 512 * GIB, 512 * GIB },
};

static void build(const struct fdt_machine *machine)
{
	int size = fdt_build(machine, fdt, sizeof(fdt), NULL);

	assert_true(size > 0);
	assert_int_equal(fdt_check_full(fdt, (size_t)size), 0);
}

static void build_typical(void)
{
	static const uint64_t mpidr[] = { 0x80000000, 0x80000001, 0x80000100 };
	struct fdt_machine machine = {
		.map = &memmap,
		.memory = 3 * GIB,
		.mpidr = mpidr,
		.n_vcpus = 3,
		.n_virtio = 2,
		.pmu = true,
		.its = true,
		.fw_cfg = true,
		.pvpanic = true,
		.watchdog = true,
		.flash = true,
		.cmdline = "quiet",
		.initrd = 0x48000000,
		.initrd_size = 0x1234,
		.rng_seed = { 1, 2, 3 },
		.kaslr_seed = 0x1122334455667788,
	};

	build(&machine);
}

static int node(const char *path)
{
	int offset = fdt_path_offset(fdt, path);

	if (offset < 0)
		print_message("no node %s\n", path);
	assert_true(offset >= 0);
	return offset;
}

static const void *property(const char *path, const char *name, int expected_len)
{
	int len = 0;
	const void *value = fdt_getprop(fdt, node(path), name, &len);

	assert_non_null(value);
	if (expected_len >= 0)
		assert_int_equal(len, expected_len);
	return value;
}

static uint32_t cell(const char *path, const char *name, unsigned i)
{
	return fdt32_ld((const fdt32_t *)property(path, name, -1) + i);
}

static uint64_t wide(const char *path, const char *name, unsigned i)
{
	/* cells are aligned to four bytes only */
	return fdt64_ld((const void *)((const uint8_t *)property(path, name, -1) + i * sizeof(fdt64_t)));
}

static void assert_compatible(const char *path, const char *with)
{
	assert_int_equal(fdt_node_check_compatible(fdt, node(path), with), 0);
}

static void assert_interrupt(const char *path, unsigned i, uint32_t type, uint32_t number,
			     uint32_t flags)
{
	assert_int_equal(cell(path, "interrupts", 3 * i), type);
	assert_int_equal(cell(path, "interrupts", 3 * i + 1), number);
	assert_int_equal(cell(path, "interrupts", 3 * i + 2), flags);
}

static void describes_memory_and_cpus(void **state)
{
	build_typical();
	assert_int_equal(wide("/memory@40000000", "reg", 0), MEMMAP_RAM);
	assert_int_equal(wide("/memory@40000000", "reg", 1), 3 * GIB);

	assert_int_equal(cell("/cpus/cpu@0", "reg", 0), 0);
	assert_int_equal(cell("/cpus/cpu@1", "reg", 0), 1);
	assert_int_equal(cell("/cpus/cpu@100", "reg", 0), 0x100);
	assert_string_equal(property("/cpus/cpu@100", "enable-method", -1), "psci");
	assert_int_equal(fdt_path_offset(fdt, "/cpus/cpu@2"), -FDT_ERR_NOTFOUND);

	assert_compatible("/psci", "arm,psci-1.0");
	assert_compatible("/psci", "arm,psci-0.2");
	assert_string_equal(property("/psci", "method", -1), "hvc");
}

static void describes_interrupts(void **state)
{
	build_typical();
	assert_compatible("/intc@8000000", "arm,gic-v3");
	assert_int_equal(wide("/intc@8000000", "reg", 0), MEMMAP_GICD);
	assert_int_equal(wide("/intc@8000000", "reg", 2), MEMMAP_GICR);
	assert_int_equal(wide("/intc@8000000", "reg", 3), 3 * MEMMAP_GICR_EACH);
	assert_int_equal(cell("/", "interrupt-parent", 0), fdt_get_phandle(fdt, node("/intc@8000000")));
	assert_compatible("/intc@8000000/its@8080000", "arm,gic-v3-its");
	property("/intc@8000000/its@8080000", "msi-controller", 0);

	assert_compatible("/timer", "arm,armv8-timer");
	assert_interrupt("/timer", 0, 1, 13, 4);
	assert_interrupt("/timer", 1, 1, 14, 4);
	assert_interrupt("/timer", 2, 1, 11, 4);
	assert_interrupt("/timer", 3, 1, 10, 4);
	assert_compatible("/pmu", "arm,armv8-pmuv3");
	assert_interrupt("/pmu", 0, 1, 7, 4);
}

static void describes_high_redistributors(void **state)
{
	static const uint64_t mpidr;
	struct memmap many = { .n_gicr_low = 123, .n_gicr_high = 5, .gicr_high = 0x4000000000 };
	struct fdt_machine machine = {
		.map = &many, .memory = MIB, .mpidr = &mpidr, .n_vcpus = 1
	};

	build(&machine);
	assert_int_equal(cell("/intc@8000000", "#redistributor-regions", 0), 2);
	assert_int_equal(wide("/intc@8000000", "reg", 3), 123 * MEMMAP_GICR_EACH);
	assert_int_equal(wide("/intc@8000000", "reg", 4), 0x4000000000);
	assert_int_equal(wide("/intc@8000000", "reg", 5), 5 * MEMMAP_GICR_EACH);
}

static void describes_devices(void **state)
{
	build_typical();
	assert_compatible("/pl011@9000000", "arm,pl011");
	assert_interrupt("/pl011@9000000", 0, 0, SPI_PL011, 4);
	assert_int_equal(cell("/pl011@9000000", "clocks", 0), fdt_get_phandle(fdt, node("/apb-pclk")));
	assert_string_equal(property("/pl011@9000000", "clock-names", 17), "uartclk");
	assert_compatible("/pl031@9010000", "arm,pl031");
	assert_interrupt("/pl031@9010000", 0, 0, SPI_PL031, 4);
	assert_compatible("/pl061@9030000", "arm,pl061");
	assert_interrupt("/pl061@9030000", 0, 0, SPI_PL061, 4);

	assert_compatible("/pvpanic@90d0000", "qemu,pvpanic-mmio");
	assert_int_equal(wide("/pvpanic@90d0000", "reg", 0), MEMMAP_PVPANIC);
	assert_compatible("/watchdog@90f0000", "arm,sbsa-gwdt");
	assert_int_equal(wide("/watchdog@90f0000", "reg", 0), MEMMAP_WATCHDOG_CONTROL);
	assert_int_equal(wide("/watchdog@90f0000", "reg", 2), MEMMAP_WATCHDOG_REFRESH);
	assert_interrupt("/watchdog@90f0000", 0, 0, SPI_WATCHDOG, 4);

	assert_int_equal(cell("/gpio-keys/poweroff", "linux,code", 0), 116);
	assert_int_equal(cell("/gpio-keys/poweroff", "gpios", 0),
			 fdt_get_phandle(fdt, node("/pl061@9030000")));
	assert_int_equal(cell("/gpio-keys/poweroff", "gpios", 1), GPIO_POWER_BUTTON);

	assert_compatible("/fw-cfg@9020000", "qemu,fw-cfg-mmio");
	assert_int_equal(wide("/fw-cfg@9020000", "reg", 0), MEMMAP_FW_CFG);
	assert_int_equal(wide("/fw-cfg@9020000", "reg", 1), 0x18);

	assert_compatible("/virtio_mmio@a000000", "virtio,mmio");
	assert_interrupt("/virtio_mmio@a000000", 0, 0, SPI_VIRTIO, 1);
	assert_int_equal(wide("/virtio_mmio@a000200", "reg", 0), MEMMAP_VIRTIO + 0x200);
	assert_interrupt("/virtio_mmio@a000200", 0, 0, SPI_VIRTIO + 1, 1);
	assert_int_equal(fdt_path_offset(fdt, "/virtio_mmio@a000400"), -FDT_ERR_NOTFOUND);
}

static void describes_pci(void **state)
{
	static const uint32_t ranges[] = {
		0x01000000, 0, 0, 0, 0x3eff0000, 0, 0x10000,
		0x02000000, 0, 0x10000000, 0, 0x10000000, 0, 0x2eff0000,
		0x03000000, 0x80, 0, 0x80, 0, 0x80, 0,
	};
	static const char path[] = "/pcie@4010000000";

	build_typical();
	assert_compatible(path, "pci-host-ecam-generic");
	assert_int_equal(wide(path, "reg", 0), 0x4010000000);
	assert_int_equal(wide(path, "reg", 1), 256 * MIB);
	assert_int_equal(cell(path, "bus-range", 0), 0);
	assert_int_equal(cell(path, "bus-range", 1), 255);
	property(path, "ranges", sizeof(ranges));
	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
		assert_int_equal(cell(path, "ranges", i), ranges[i]);
	/* the requester ID is the ITS's device ID */
	assert_int_equal(cell(path, "msi-map", 0), 0);
	assert_int_equal(cell(path, "msi-map", 1),
			 fdt_get_phandle(fdt, node("/intc@8000000/its@8080000")));
	assert_int_equal(cell(path, "msi-map", 2), 0);
	assert_int_equal(cell(path, "msi-map", 3), 0x10000);
	property(path, "dma-coherent", 0);
}

/* Both banks in one node, as drivers for QEMU's flash look for them. */
static void describes_flash(void **state)
{
	build_typical();
	assert_compatible("/flash@0", "cfi-flash");
	property("/flash@0", "reg", 4 * sizeof(uint64_t));
	assert_int_equal(wide("/flash@0", "reg", 0), 0);
	assert_int_equal(wide("/flash@0", "reg", 1), 64 * MIB);
	assert_int_equal(wide("/flash@0", "reg", 2), 64 * MIB);
	assert_int_equal(wide("/flash@0", "reg", 3), 64 * MIB);
	assert_int_equal(cell("/flash@0", "bank-width", 0), 4);
}

static void describes_a_small_pci(void **state)
{
	static const uint64_t mpidr;
	struct memmap small = { .n_gicr_low = 1, .ecam = { 0x3f000000, 16 * MIB } };
	struct fdt_machine machine = {
		.map = &small, .memory = MIB, .mpidr = &mpidr, .n_vcpus = 1, .its = true,
	};

	build(&machine);
	assert_int_equal(cell("/pcie@3f000000", "bus-range", 1), 15);
	property("/pcie@3f000000", "ranges", 2 * 7 * sizeof(uint32_t));
}

static void tells_how_to_boot(void **state)
{
	build_typical();
	assert_string_equal(property("/chosen", "bootargs", -1), "quiet");
	assert_int_equal(wide("/chosen", "linux,initrd-start", 0), 0x48000000);
	assert_int_equal(wide("/chosen", "linux,initrd-end", 0), 0x48001234);
	assert_int_equal(wide("/chosen", "kaslr-seed", 0), 0x1122334455667788);
	assert_memory_equal(property("/chosen", "rng-seed", 64), "\1\2\3", 4);
	node(property("/chosen", "stdout-path", -1));
}

static void leaves_out_what_is_not_there(void **state)
{
	static const uint64_t mpidr;
	struct memmap plain = { .n_gicr_low = 1 };
	struct fdt_machine machine = { .map = &plain, .memory = MIB, .mpidr = &mpidr, .n_vcpus = 1 };

	build(&machine);
	assert_int_equal(fdt_path_offset(fdt, "/pmu"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/flash@0"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/intc@8000000/its@8080000"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/virtio_mmio@a000000"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/fw-cfg@9020000"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/pcie@4010000000"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/pvpanic@90d0000"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/watchdog@90f0000"), -FDT_ERR_NOTFOUND);
	assert_null(fdt_getprop(fdt, node("/chosen"), "bootargs", NULL));
	assert_null(fdt_getprop(fdt, node("/chosen"), "linux,initrd-start", NULL));
}

/* Unit addresses and phandles that stand twice are errors that only a guest would find. */
static void names_are_unique(void **state)
{
	static const uint64_t mpidr;
	struct fdt_machine machine = {
		.map = &memmap, .memory = MIB, .mpidr = &mpidr, .n_vcpus = 1, .n_virtio = MEMMAP_MAX_VIRTIO, .its = true,
	};
	char names[64][40];
	uint32_t phandles[64];
	unsigned n = 0, n_phandles = 0;
	int offset, depth = 0;

	build(&machine);
	for (offset = fdt_next_node(fdt, 0, &depth); offset >= 0;
	     offset = fdt_next_node(fdt, offset, &depth)) {
		uint32_t phandle = fdt_get_phandle(fdt, offset);

		assert_true(n < 64);
		snprintf(names[n], sizeof(names[n]), "%s", fdt_get_name(fdt, offset, NULL));
		for (unsigned i = 0; i < n; i++)
			assert_string_not_equal(names[i], names[n]);
		n++;

		for (unsigned i = 0; phandle && i < n_phandles; i++)
			assert_int_not_equal(phandles[i], phandle);
		if (phandle)
			phandles[n_phandles++] = phandle;
	}
	assert_true(n > MEMMAP_MAX_VIRTIO);
	assert_int_equal(n_phandles, 4);
}

static void says_when_there_is_no_room(void **state)
{
	static const uint64_t mpidr;
	struct fdt_machine machine = { .map = &memmap, .memory = MIB, .mpidr = &mpidr, .n_vcpus = 1 };
	struct hvd_error err = { 0 };

	for (size_t size = 0; size < 2000; size += 7)
		assert_int_equal(fdt_build(&machine, fdt, size, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "device tree"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes_memory_and_cpus),
		cmocka_unit_test(describes_interrupts),
		cmocka_unit_test(describes_high_redistributors),
		cmocka_unit_test(describes_devices),
		cmocka_unit_test(describes_pci),
		cmocka_unit_test(describes_a_small_pci),
		cmocka_unit_test(describes_flash),
		cmocka_unit_test(tells_how_to_boot),
		cmocka_unit_test(leaves_out_what_is_not_there),
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test(says_when_there_is_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
