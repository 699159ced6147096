/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "vmm/hw/fw_cfg.h"
#include "vmm/hw/pl011.h"
#include "vmm/hw/pl031.h"
#include "vmm/hw/pl061.h"
#include "vmm/hw/sbsa_gwdt.h"

enum { PHANDLE_GIC = 1, PHANDLE_ITS, PHANDLE_CLOCK, PHANDLE_GPIO };

/* Interrupt specifiers (bindings: arm,gic-v3). */
enum { GIC_SPI, GIC_PPI };
enum { IRQ_EDGE_RISING = 1, IRQ_LEVEL_HIGH = 4 };

#define KEY_POWER      116 /* linux/input-event-codes.h */
#define UART_CLOCK_HZ  24000000
#define MPIDR_AFFINITY 0x00ffffffULL /* Aff2 … Aff0; KVM uses no Aff3 */

/*
 * libfdt's sequential writer, with the first error kept: the tree is written straight down and
 * checked once.
 */
struct writer {
	void *fdt;
	int error;
};

static void keep(struct writer *w, int error)
{
	if (!w->error)
		w->error = error;
}

static void begin(struct writer *w, const char *name)
{
	keep(w, fdt_begin_node(w->fdt, name));
}

static void begin_at(struct writer *w, const char *name, uint64_t address)
{
	char full[40];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)address);
	begin(w, full);
}

static void end(struct writer *w)
{
	keep(w, fdt_end_node(w->fdt));
}

static void put(struct writer *w, const char *name, const void *data, size_t len)
{
	keep(w, fdt_property(w->fdt, name, data, (int)len));
}

static void put_flag(struct writer *w, const char *name)
{
	put(w, name, NULL, 0);
}

static void put_string(struct writer *w, const char *name, const char *text)
{
	put(w, name, text, strlen(text) + 1);
}

static void put_u32(struct writer *w, const char *name, uint32_t value)
{
	keep(w, fdt_property_u32(w->fdt, name, value));
}

static void put_u64(struct writer *w, const char *name, uint64_t value)
{
	keep(w, fdt_property_u64(w->fdt, name, value));
}

/* Cells, and reg properties: pairs of 64-bit base and size. */
#define put_cells(w, name, ...)                                                                    \
	put_cells_array(w, name, (const uint32_t[]){ __VA_ARGS__ },                                \
			sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))
#define put_reg(w, ...)                                                                            \
	put_reg_array(w, (const uint64_t[]){ __VA_ARGS__ },                                        \
		      sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static void put_cells_array(struct writer *w, const char *name, const uint32_t *cells, size_t n)
{
	fdt32_t be[24];

	for (size_t i = 0; i < n; i++)
		be[i] = cpu_to_fdt32(cells[i]);
	put(w, name, be, n * sizeof(be[0]));
}

static void put_reg_array(struct writer *w, const uint64_t *values, size_t n)
{
	fdt64_t be[8];

	for (size_t i = 0; i < n; i++)
		be[i] = cpu_to_fdt64(values[i]);
	put(w, "reg", be, n * sizeof(be[0]));
}

static void write_psci(struct writer *w)
{
	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	begin(w, "psci");
	put(w, "compatible", compatible, sizeof(compatible));
	put_string(w, "method", "hvc");
	end(w);
}

static void write_cpus(struct writer *w, const struct fdt_machine *m)
{
	begin(w, "cpus");
	put_u32(w, "#address-cells", 1);
	put_u32(w, "#size-cells", 0);
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		uint32_t affinity = (uint32_t)(m->mpidr[i] & MPIDR_AFFINITY);

		begin_at(w, "cpu", affinity);
		put_string(w, "device_type", "cpu");
		put_string(w, "compatible", "arm,armv8");
		put_string(w, "enable-method", "psci");
		put_u32(w, "reg", affinity);
		end(w);
	}
	end(w);
}

static void write_memory(struct writer *w, const struct fdt_machine *m)
{
	begin_at(w, "memory", MEMMAP_RAM);
	put_string(w, "device_type", "memory");
	put_reg(w, MEMMAP_RAM, m->memory);
	end(w);
}

static void write_timer(struct writer *w)
{
	begin(w, "timer");
	put_string(w, "compatible", "arm,armv8-timer");
	put_cells(w, "interrupts", GIC_PPI, PPI_TIMER_SECURE, IRQ_LEVEL_HIGH, GIC_PPI,
		  PPI_TIMER_PHYS, IRQ_LEVEL_HIGH, GIC_PPI, PPI_TIMER_VIRT, IRQ_LEVEL_HIGH, GIC_PPI,
		  PPI_TIMER_HYP, IRQ_LEVEL_HIGH);
	put_flag(w, "always-on");
	end(w);
}

static void write_pmu(struct writer *w)
{
	begin(w, "pmu");
	put_string(w, "compatible", "arm,armv8-pmuv3");
	put_cells(w, "interrupts", GIC_PPI, PPI_PMU, IRQ_LEVEL_HIGH);
	end(w);
}

static void write_its(struct writer *w)
{
	begin_at(w, "its", MEMMAP_ITS);
	put_string(w, "compatible", "arm,gic-v3-its");
	put_flag(w, "msi-controller");
	put_u32(w, "#msi-cells", 1);
	put_reg(w, MEMMAP_ITS, MEMMAP_ITS_SIZE);
	put_u32(w, "phandle", PHANDLE_ITS);
	end(w);
}

static void put_redistributors(struct writer *w, const struct memmap *map)
{
	const uint64_t low = map->n_gicr_low * MEMMAP_GICR_EACH;
	const uint64_t high = map->n_gicr_high * MEMMAP_GICR_EACH;

	put_u32(w, "#redistributor-regions", high ? 2 : 1);
	if (high)
		put_reg(w, MEMMAP_GICD, MEMMAP_GICD_SIZE, MEMMAP_GICR, low, map->gicr_high, high);
	else
		put_reg(w, MEMMAP_GICD, MEMMAP_GICD_SIZE, MEMMAP_GICR, low);
}

static void write_gic(struct writer *w, const struct fdt_machine *m)
{
	begin_at(w, "intc", MEMMAP_GICD);
	put_string(w, "compatible", "arm,gic-v3");
	put_flag(w, "interrupt-controller");
	put_u32(w, "#interrupt-cells", 3);
	put_u32(w, "#address-cells", 2);
	put_u32(w, "#size-cells", 2);
	put_flag(w, "ranges");
	put_redistributors(w, m->map);
	put_cells(w, "interrupts", GIC_PPI, PPI_GIC_MAINTENANCE, IRQ_LEVEL_HIGH);
	put_u32(w, "phandle", PHANDLE_GIC);
	if (m->its)
		write_its(w);
	end(w);
}

static void write_clock(struct writer *w)
{
	begin(w, "apb-pclk");
	put_string(w, "compatible", "fixed-clock");
	put_u32(w, "#clock-cells", 0);
	put_u32(w, "clock-frequency", UART_CLOCK_HZ);
	put_string(w, "clock-output-names", "clk24mhz");
	put_u32(w, "phandle", PHANDLE_CLOCK);
	end(w);
}

/*
 * What all PrimeCells have. The identification stands in the tree too, which spares the guest an
 * exit for each of eight registers.
 */
static void put_primecell(struct writer *w, const char *compatible, size_t len, uint64_t base,
			  uint32_t spi, uint32_t periphid)
{
	put(w, "compatible", compatible, len);
	put_u32(w, "arm,primecell-periphid", periphid);
	put_reg(w, base, MEMMAP_PERIPH_SIZE);
	put_cells(w, "interrupts", GIC_SPI, spi, IRQ_LEVEL_HIGH);
}

static void write_pl011(struct writer *w)
{
	static const char compatible[] = "arm,pl011\0arm,primecell";
	static const char clocks[] = "uartclk\0apb_pclk";

	begin_at(w, "pl011", MEMMAP_PL011);
	put_primecell(w, compatible, sizeof(compatible), MEMMAP_PL011, SPI_PL011, PL011_PERIPHID);
	put_cells(w, "clocks", PHANDLE_CLOCK, PHANDLE_CLOCK);
	put(w, "clock-names", clocks, sizeof(clocks));
	end(w);
}

static void write_pl031(struct writer *w)
{
	static const char compatible[] = "arm,pl031\0arm,primecell";

	begin_at(w, "pl031", MEMMAP_PL031);
	put_primecell(w, compatible, sizeof(compatible), MEMMAP_PL031, SPI_PL031, PL031_PERIPHID);
	put_cells(w, "clocks", PHANDLE_CLOCK);
	put_string(w, "clock-names", "apb_pclk");
	end(w);
}

static void write_pl061(struct writer *w)
{
	static const char compatible[] = "arm,pl061\0arm,primecell";

	begin_at(w, "pl061", MEMMAP_PL061);
	put_primecell(w, compatible, sizeof(compatible), MEMMAP_PL061, SPI_PL061, PL061_PERIPHID);
	put_cells(w, "clocks", PHANDLE_CLOCK);
	put_string(w, "clock-names", "apb_pclk");
	put_flag(w, "gpio-controller");
	put_u32(w, "#gpio-cells", 2);
	put_u32(w, "phandle", PHANDLE_GPIO);
	end(w);
}

static void write_power_button(struct writer *w)
{
	begin(w, "gpio-keys");
	put_string(w, "compatible", "gpio-keys");
	begin(w, "poweroff");
	put_string(w, "label", "Power button");
	put_u32(w, "linux,code", KEY_POWER);
	put_cells(w, "gpios", PHANDLE_GPIO, GPIO_POWER_BUTTON, 0);
	end(w);
	end(w);
}

static void write_fw_cfg(struct writer *w)
{
	begin_at(w, "fw-cfg", MEMMAP_FW_CFG);
	put_string(w, "compatible", "qemu,fw-cfg-mmio");
	put_flag(w, "dma-coherent");
	put_reg(w, MEMMAP_FW_CFG, FW_CFG_SIZE);
	end(w);
}

static void write_pvpanic(struct writer *w)
{
	begin_at(w, "pvpanic", MEMMAP_PVPANIC);
	put_string(w, "compatible", "qemu,pvpanic-mmio");
	put_reg(w, MEMMAP_PVPANIC, MEMMAP_PERIPH_SIZE);
	end(w);
}

/* Bindings: arm,sbsa-gwdt. The control frame is the first. */
static void write_watchdog(struct writer *w)
{
	begin_at(w, "watchdog", MEMMAP_WATCHDOG_CONTROL);
	put_string(w, "compatible", "arm,sbsa-gwdt");
	put_reg(w, MEMMAP_WATCHDOG_CONTROL, SBSA_GWDT_FRAME_SIZE, MEMMAP_WATCHDOG_REFRESH,
		SBSA_GWDT_FRAME_SIZE);
	put_cells(w, "interrupts", GIC_SPI, SPI_WATCHDOG, IRQ_LEVEL_HIGH);
	end(w);
}

/* Both banks in one node, of two 16-bit chips each (bindings: mtd/cfi-flash). */
static void write_flash(struct writer *w)
{
	begin_at(w, "flash", MEMMAP_FLASH_CODE);
	put_string(w, "compatible", "cfi-flash");
	put_reg(w, MEMMAP_FLASH_CODE, MEMMAP_FLASH_EACH, MEMMAP_FLASH_VARS, MEMMAP_FLASH_EACH);
	put_u32(w, "bank-width", 4);
	end(w);
}

static void write_virtio(struct writer *w, unsigned i)
{
	uint64_t base = MEMMAP_VIRTIO + i * MEMMAP_VIRTIO_EACH;

	begin_at(w, "virtio_mmio", base);
	put_string(w, "compatible", "virtio,mmio");
	put_flag(w, "dma-coherent");
	put_reg(w, base, MEMMAP_VIRTIO_EACH);
	put_cells(w, "interrupts", GIC_SPI, SPI_VIRTIO + i, IRQ_EDGE_RISING);
	end(w);
}

/* Spaces of a PCI address (IEEE 1275 PCI bus binding). */
enum { PCI_SPACE_IO = 1, PCI_SPACE_MEM32, PCI_SPACE_MEM64 };

#define PCI_RANGE_CELLS 7

/* One entry of `ranges`: guest addresses are PCI addresses, but for I/O ports, which begin at 0. */
static void add_pci_range(uint32_t *cells, unsigned *n, uint32_t space, uint64_t pci, uint64_t base,
			  uint64_t size)
{
	const uint32_t range[PCI_RANGE_CELLS] = {
		space << 24,
		(uint32_t)(pci >> 32),
		(uint32_t)pci,
		(uint32_t)(base >> 32),
		(uint32_t)base,
		(uint32_t)(size >> 32),
		(uint32_t)size,
	};

	memcpy(cells + *n, range, sizeof(range));
	*n += PCI_RANGE_CELLS;
}

/* Nothing is at the I/O ports, but there is firmware that will not have a bridge without them. */
static void put_pci_ranges(struct writer *w, const struct memmap *map)
{
	uint32_t cells[3 * PCI_RANGE_CELLS];
	unsigned n = 0;

	add_pci_range(cells, &n, PCI_SPACE_IO, 0, MEMMAP_PCI_PIO, MEMMAP_PCI_PIO_SIZE);
	add_pci_range(cells, &n, PCI_SPACE_MEM32, MEMMAP_PCI_MMIO32, MEMMAP_PCI_MMIO32,
		      MEMMAP_PCI_MMIO32_SIZE);
	if (map->mmio64.size)
		add_pci_range(cells, &n, PCI_SPACE_MEM64, map->mmio64.base, map->mmio64.base,
			      map->mmio64.size);
	put_cells_array(w, "ranges", cells, n);
}

static void write_pci(struct writer *w, const struct memmap *map)
{
	uint32_t last_bus = (uint32_t)(map->ecam.size / MEMMAP_PCI_BUS_SIZE) - 1;

	begin_at(w, "pcie", map->ecam.base);
	put_string(w, "compatible", "pci-host-ecam-generic");
	put_string(w, "device_type", "pci");
	put_u32(w, "#address-cells", 3);
	put_u32(w, "#size-cells", 2);
	put_u32(w, "linux,pci-domain", 0);
	put_flag(w, "dma-coherent");
	put_reg(w, map->ecam.base, map->ecam.size);
	put_cells(w, "bus-range", 0, last_bus);
	put_pci_ranges(w, map);
	put_cells(w, "msi-map", 0, PHANDLE_ITS, 0, 0x10000);
	end(w);
}

static void write_chosen(struct writer *w, const struct fdt_machine *m)
{
	char path[32];

	snprintf(path, sizeof(path), "/pl011@%llx", MEMMAP_PL011);

	begin(w, "chosen");
	put_string(w, "stdout-path", path);
	if (m->cmdline)
		put_string(w, "bootargs", m->cmdline);
	if (m->initrd_size) {
		put_u64(w, "linux,initrd-start", m->initrd);
		put_u64(w, "linux,initrd-end", m->initrd + m->initrd_size);
	}
	put_u64(w, "kaslr-seed", m->kaslr_seed);
	put(w, "rng-seed", m->rng_seed, sizeof(m->rng_seed));
	end(w);
}

static void write_root(struct writer *w, const struct fdt_machine *m)
{
	begin(w, "");
	put_string(w, "compatible", "linux,dummy-virt");
	put_string(w, "model", "hvd,hvd-1.0");
	put_u32(w, "#address-cells", 2);
	put_u32(w, "#size-cells", 2);
	put_u32(w, "interrupt-parent", PHANDLE_GIC);
	put_flag(w, "dma-coherent");

	write_chosen(w, m);
	write_memory(w, m);
	write_cpus(w, m);
	write_psci(w);
	write_timer(w);
	if (m->pmu)
		write_pmu(w);
	write_gic(w, m);
	write_clock(w);
	write_pl011(w);
	write_pl031(w);
	write_pl061(w);
	write_power_button(w);
	if (m->fw_cfg)
		write_fw_cfg(w);
	if (m->pvpanic)
		write_pvpanic(w);
	if (m->watchdog)
		write_watchdog(w);
	if (m->flash)
		write_flash(w);
	for (unsigned i = 0; i < m->n_virtio; i++)
		write_virtio(w, i);
	if (m->map->ecam.size)
		write_pci(w, m->map);
	end(w);
}

int fdt_build(const struct fdt_machine *machine, void *buf, size_t size, struct hvd_error *err)
{
	struct writer w = { .fdt = buf };

	keep(&w, fdt_create(buf, (int)size));
	keep(&w, fdt_finish_reservemap(buf));
	write_root(&w, machine);
	keep(&w, fdt_finish(buf));
	if (w.error)
		return hvd_err(err, ENOSPC, "the device tree does not fit into %zu bytes (%s)", size,
			       fdt_strerror(w.error));
	return (int)fdt_totalsize(buf);
}
