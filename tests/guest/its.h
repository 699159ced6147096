/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt translation service (Arm IHI 0069 §5, §12.19): messages of devices become LPIs of
 * CPU 0. After gic_init_cpu(0).
 */
#pragma once

#include "gic.h"

#define ITS_MAX_EVENTS 32 /* of each device */
#define ITS_MAX_DEVICES 4

bool its_init(void);

/* Device (requester ID) and event give this LPI from now on. False: the ITS does not take it. */
bool its_map(unsigned device, unsigned event, unsigned lpi);

/* Where a message is to be written; its data is the event. */
uint64_t its_doorbell(void);
