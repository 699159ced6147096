/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of images and volumes, which hvd keeps itself: an image is a template that nothing writes to, a
 * volume is a disk of a VM. Both are one kind of object, of which each table has its part.
 */
#pragma once

#include "api/schema.h"
#include "vmm/config.h"

#define VOLUME_SIZE_MAX (1ULL << 46)
#define VOLUME_NAME_MAX 63

struct volume_config {
	char *name;
	uint64_t size; /* that a guest sees; 0 of a volume: that of its image */
	enum disk_format format; /* DISK_FORMAT_RAW or DISK_FORMAT_QCOW2 */
	/* Image: the file that is imported, which is not kept. */
	char *path;
	/* Volume: what it begins with, or NULL; backed: which stays behind it. */
	char *image;
	bool backed;
};
extern const struct schema image_schema, volume_schema;

struct upload_options {
	enum disk_format format;
};
extern const struct schema upload_options_schema;

struct volume_user {
	char *vm, *volume; /* one of them */
};

struct volume_status {
	char *path;
	uint64_t allocation;
	uint64_t created_usec; /* CLOCK_REALTIME */
	struct volume_user *used_by;
	size_t n_used_by;
};
extern const struct schema volume_status_schema;

/* Name of an image or a volume. */
int rule_volume_name(const char *text, struct hvd_error *err);
