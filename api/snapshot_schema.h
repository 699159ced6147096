/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: named points of the disks of a VM, kept within their qcow2 images. Nothing of the guest's
 * memory is in one.
 */
#pragma once

#include "api/schema.h"
#include "api/vm_schema.h"

enum snapshot_state {
	SNAPSHOT_READY,     /* all its disks have it */
	SNAPSHOT_CREATING,  /* some may have it */
	SNAPSHOT_REVERTING, /* some of the disks may have been reverted, and others not */
	SNAPSHOT_DELETING,  /* some may not have it any more */
	_SNAPSHOT_STATE_MAX
};
extern const char *const snapshot_state_names[_SNAPSHOT_STATE_MAX + 1];

struct snapshot_disk {
	char *id;
	char *path;    /* of the image */
	uint64_t size; /* bytes that the guest saw */
};

#define SNAPSHOT_NAME_MAX 63

struct snapshot {
	char *name; /* unique within the VM, and its name in the images */
	char *description; /* or NULL */
	enum snapshot_state state;
	enum vm_state vm_state; /* as it was made: VM_SHUTOFF, VM_RUNNING or VM_PAUSED */
	uint64_t created_usec;  /* CLOCK_REALTIME, whole seconds */
	uint64_t reverted_usec; /* when the disks were last reverted to it; 0: never */
	struct snapshot_disk *disks;
	size_t n_disks;
};
extern const struct schema snapshot_schema;
