/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware of a VM: an image that runs from its first flash bank, and a store in the second, where the
 * firmware keeps its variables (boot entries, keys). Images and stores are plain files as QEMU's pflash
 * has them; what QEMU's `virt` boots with, boots here.
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"
#include "vmm/config.h"

/*
 * Put paths where config has a word ("auto") for the image that this host's distribution ships or, beside
 * an image that is known, no template for the store. -ENOENT: this host has no such image, err says which
 * package to install; -EINVAL: there is a kernel too; -ENOMEM.
 */
int firmware_find(struct boot_config *config, struct hvd_error *err);

/* What is in the way of a file of this size; with err set, or 0. */
int firmware_check_image(uint64_t size, struct hvd_error *err);
int firmware_check_store(uint64_t size, struct hvd_error *err);

/*
 * Open image (read-only) and store (locked, so that it has one user). A store that is not there is made
 * first, whole or not at all: a copy of config->nvram_template or, without one, blank, which firmware
 * formats. Without config->nvram it is an unnamed one that ends with its descriptor. On failure nothing
 * stays open and err names the field. -EBUSY: another VM has the store; -EFBIG, -EINVAL: a size that no
 * flash has; -errno.
 */
int firmware_open(const struct boot_config *config, int *image, int *store, struct hvd_error *err);
