/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GICv3 (Arm IHI 0069): group 1, affinity routing, one handler per INTID.
 *
 * gic_init() once on CPU 0; gic_init_cpu() on every CPU, which also unmasks IRQs. Handlers run on
 * the CPU that took the interrupt, between acknowledge and end of interrupt.
 */
#pragma once

#include "rt.h"

#define GIC_MAX_INTID 256
#define INTID_VTIMER 27
#define INTID_LPI 8192

typedef void (*gic_fn)(unsigned intid);

bool gic_init(void);
bool gic_init_cpu(unsigned cpu);
void gic_enable(unsigned intid, gic_fn fn, bool edge, unsigned cpu);
void gic_disable(unsigned intid, unsigned cpu);
bool gic_pending(unsigned intid, unsigned cpu);
void gic_send_sgi(unsigned intid, unsigned cpu);

/* All LPIs (its.h) come here. */
void gic_set_lpi_handler(gic_fn fn);

/* The redistributor of a CPU, after gic_init_cpu(). */
uint64_t gic_redistributor(unsigned cpu);

extern uint64_t gicd_base, gicr_base;
