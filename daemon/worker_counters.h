/* SPDX-License-Identifier: Apache-2.0 */
/* What hvd-vmm has counted, as messages of the control protocol. */
#pragma once

#include "vmm/counters.h"

/* CONTROL_COUNTERS for all of list. 0 or as control_send(). */
int worker_send_counters(int sock, uint32_t serial, const struct counters_list *list);
