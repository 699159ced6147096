/* SPDX-License-Identifier: Apache-2.0 */
/* Platform devices: the PL011, the PL031, and the PL061 with the power button. */
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

int machine_hw_create(struct machine *m, struct hvd_error *err)
{
	int r;

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
}

void machine_press_power_button(struct machine *m)
{
	power_button_press(&m->button);
}
