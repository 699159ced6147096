/* SPDX-License-Identifier: Apache-2.0 */
/* Platform devices: the PL011, the PL031, the PL061 with the power button, and flash. */
#include <errno.h>
#include <string.h>

#include "vmm/arch/machine_private.h"

static void set_irq(struct irq_line *line, bool level)
{
	struct machine_irq *irq = container_of(line, struct machine_irq, line);

	/* cannot fail for an SPI that exists */
	kvm_vm_irq_line(irq->vm_fd, irq->spi, level);
}

struct machine_irq machine_irq(struct machine *m, uint32_t spi)
{
	return (struct machine_irq){ { set_irq }, m->vm.fd, spi };
}

static int set_window(struct flash_window *window, const void *array)
{
	struct machine_flash *f = container_of(window, struct machine_flash, window);

	return kvm_vm_set_read_only(f->vm, f->slot, f->flash.region.base, FLASH_SIZE, array);
}

static int create_flash(struct machine *m, struct machine_flash *f, enum machine_slot slot,
			uint64_t base, int fd, struct hvd_error *err)
{
	const bool vars = slot == MACHINE_SLOT_FLASH_VARS;
	int r;

	f->window.set = set_window;
	f->vm = &m->vm;
	f->slot = slot;
	r = flash_init(&f->flash, vars ? "flash 1" : "flash 0", base, fd, vars, &f->window);
	if (r < 0)
		return hvd_err_field(err, -r, vars ? "boot.nvram" : "boot.firmware",
				     "cannot be mapped as flash: %s", strerror(-r));
	return mmio_bus_add(&m->bus, &f->flash.region, err);
}

static int create_firmware(struct machine *m, struct hvd_error *err)
{
	static const struct kvm_cap caps[] = { KVM_CAP_NAME(KVM_CAP_READONLY_MEM) };
	const struct vm_files *files = m->args.files;
	int r;

	_Static_assert(FLASH_SIZE == MEMMAP_FLASH_EACH, "size of a bank");
	if (files->firmware < 0)
		return 0;
	r = kvm_require(m->vm.dev, caps, ARRAY_SIZE(caps), err);
	if (r == 0)
		r = create_flash(m, &m->code, MACHINE_SLOT_FLASH_CODE, MEMMAP_FLASH_CODE,
				 files->firmware, err);
	if (r == 0)
		r = create_flash(m, &m->vars, MACHINE_SLOT_FLASH_VARS, MEMMAP_FLASH_VARS,
				 files->nvram, err);
	return r;
}

int machine_hw_create(struct machine *m, struct hvd_error *err)
{
	int r;

	r = create_firmware(m, err);
	if (r < 0)
		return r;

	m->uart_irq = machine_irq(m, SPI_PL011);
	pl011_init(&m->uart, MEMMAP_PL011, &m->uart_irq.line, m->args.console);
	r = mmio_bus_add(&m->bus, &m->uart.region, err);
	if (r < 0)
		return r;

	m->rtc_irq = machine_irq(m, SPI_PL031);
	r = pl031_init(&m->rtc, MEMMAP_PL031, &m->rtc_irq.line, m->args.main);
	if (r < 0)
		return hvd_err(err, -r, "real-time clock: %s", strerror(-r));
	r = mmio_bus_add(&m->bus, &m->rtc.region, err);
	if (r < 0)
		return r;

	m->gpio_irq = machine_irq(m, SPI_PL061);
	pl061_init(&m->gpio, MEMMAP_PL061, &m->gpio_irq.line);
	m->button_irq = machine_irq(m, SPI_POWER_BUTTON);
	r = power_button_init(&m->button, &m->gpio, GPIO_POWER_BUTTON, &m->button_irq.line,
			      m->args.main);
	if (r < 0)
		return hvd_err(err, -r, "power button: %s", strerror(-r));
	return mmio_bus_add(&m->bus, &m->gpio.region, err);
}

void machine_hw_destroy(struct machine *m)
{
	power_button_destroy(&m->button);
	pl031_destroy(&m->rtc);
	pl061_destroy(&m->gpio);
	pl011_destroy(&m->uart);
	flash_destroy(&m->code.flash);
	flash_destroy(&m->vars.flash);
}

void machine_press_power_button(struct machine *m)
{
	power_button_press(&m->button);
}
