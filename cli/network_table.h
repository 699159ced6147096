/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual networks as people want to read them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* NAME STATE MODE BRIDGE ADDRESS DHCP LEASES; wide adds more. items: an array of resources. */
int network_table(const json_t *items, bool wide, FILE *f, unsigned width, bool colour);
