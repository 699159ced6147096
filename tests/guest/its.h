/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt translation service (Arm IHI 0069 §5, §12.19): messages of devices become LPIs of
 * CPUs. After gic_init_cpu(0).
 */
#pragma once

#include "gic.h"

#define ITS_MAX_EVENTS 32 /* of each device */
#define ITS_MAX_DEVICES 4

bool its_init(void);

/* Device (requester ID) and event give this LPI from now on. False: the ITS does not take it. */
bool its_map(unsigned device, unsigned event, unsigned lpi);

/* The rest of an event's life. All return false when the ITS does not take the command. */
bool its_unmap(unsigned device); /* with all its events */
bool its_send(unsigned device, unsigned event); /* as if the device had written its message */
bool its_clear(unsigned device, unsigned event); /* not pending any more */
bool its_discard(unsigned device, unsigned event);
bool its_enable(unsigned device, unsigned event, unsigned lpi, bool enable);

/* LPIs of a CPU that has called gic_init_cpu(): of events that are moved there. CPU 0's from the start. */
bool its_add_cpu(unsigned cpu);
bool its_move(unsigned device, unsigned event, unsigned cpu);

/* Where a message is to be written; its data is the event. */
uint64_t its_doorbell(void);
