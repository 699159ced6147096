/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of a VM's disks and NICs for people: what tells them apart. The rest is in -o wide and in show. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

int snapshot_table(const json_t *items, FILE *f, unsigned width, bool colour);
int disk_table(const json_t *items, FILE *f, unsigned width, bool colour);
int nic_table(const json_t *items, FILE *f, unsigned width, bool colour);
