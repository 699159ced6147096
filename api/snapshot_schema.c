/* SPDX-License-Identifier: Apache-2.0 */
#include "api/snapshot_schema.h"

#include <errno.h>
#include <string.h>

#include "api/vm_rules.h"

#define USEC_PER_SEC 1000000

const char *const snapshot_state_names[_SNAPSHOT_STATE_MAX + 1] = {
	[SNAPSHOT_READY] = "ready",
	[SNAPSHOT_CREATING] = "creating",
	[SNAPSHOT_REVERTING] = "reverting",
	[SNAPSHOT_DELETING] = "deleting",
};

/* qemu-img takes a number for the id of a snapshot, which is not its name. */
static int check_name(const char *text, struct hvd_error *err)
{
	size_t len = strlen(text);

	if (!len || len > SNAPSHOT_NAME_MAX || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") != len ||
	    text[0] == '-')
		return hvd_err(err, EINVAL,
			       "'%.64s' is no name: use 1 to 63 of a-z, 0-9 and '-', not '-' first", text);
	if (strspn(text, "0123456789") == len)
		return hvd_err(err, EINVAL, "must not be a number: '%.64s' may be the id of another snapshot "
			       "in an image", text);
	return 0;
}

static const struct field disk_fields[] = {
	{ "id", "@name", STR(struct snapshot_disk, id), .required = true, .check = rule_id,
	  .max = VM_ID_MAX, .help = "Id of the disk" },
	{ "path", "source/@file", STR(struct snapshot_disk, path), .read_only = true,
	  .help = "Its image, in which the snapshot is" },
	{ "size", "hvd:size", SIZE(struct snapshot_disk, size), .read_only = true, .unit = "bytes",
	  .help = "Size that the guest saw" },
};
static const struct schema snapshot_disk_schema = {
	.name = "SnapshotDisk",
	.xml = "disk[@snapshot=internal]",
	.size = sizeof(struct snapshot_disk),
	SCHEMA_FIELDS(disk_fields),
	.key = "id",
};

static const struct field snapshot_fields[] = {
	{ "name", "name", STR(struct snapshot, name), .required = true, .check = check_name,
	  .help = "Name, unique within the VM; the snapshot has it in the images too" },
	{ "description", "description", STR(struct snapshot, description), .max = 1023,
	  .check = rule_line, .help = "What it is for" },
	{ "state", "hvd:state", ENUM(struct snapshot, state), .names = snapshot_state_names,
	  .def = "ready", .read_only = true,
	  .help = "ready, or what has ended before it was done: reverting (revert again), creating or "
		  "deleting (delete it)" },
	{ "vm_state", "state", ENUM(struct snapshot, vm_state), .names = vm_state_names,
	  .def = "shutoff", .read_only = true, .help = "State of the VM when it was made" },
	{ "created_usec", "creationTime", U64(struct snapshot, created_usec), .multiple = USEC_PER_SEC,
	  .xml_divisor = USEC_PER_SEC, .read_only = true, .unit = "microseconds", .help = "When it was made, since 1970 UTC" },
	{ "reverted_usec", "hvd:reverted", U64(struct snapshot, reverted_usec), .omit_zero = true,
	  .read_only = true, .unit = "microseconds",
	  .help = "When the disks were last reverted to it, since 1970 UTC" },
	{ "disks", "disks", LIST(struct snapshot, disks, n_disks, snapshot_disk_schema),
	  .max = VM_MAX_DISKS,
	  .help = "Disks that it is of; all that the guest can write to if none is given" },
};
const struct schema snapshot_schema = {
	.name = "Snapshot",
	.xml = "domainsnapshot",
	.size = sizeof(struct snapshot),
	SCHEMA_FIELDS(snapshot_fields),
	.key = "name",
};
