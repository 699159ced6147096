/* SPDX-License-Identifier: Apache-2.0 */
#include "api/volume_schema.h"

#include <errno.h>
#include <string.h>

#include "api/vm_rules.h"

#define LIVE  .applies = APPLIES_LIVE
#define NEVER .applies = APPLIES_NEVER

static const char *const format_names[] = {
	[DISK_FORMAT_RAW] = "raw",
	[DISK_FORMAT_QCOW2] = "qcow2",
	NULL,
};

int rule_volume_name(const char *text, struct hvd_error *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t len = strlen(text);

	if (!len || len > VOLUME_NAME_MAX || strspn(text, letters) != len || strchr(".-", text[0]))
		return hvd_err(err, EINVAL,
			       "'%.64s' is no name: use 1 to 63 of A-Z, a-z, 0-9, '_', '.' and '-', not '.' "
			       "or '-' first", text);
	return 0;
}

static int rule_volume(const void *obj, struct hvd_error *err)
{
	const struct volume_config *volume = obj;

	if (!volume->size && !volume->image)
		return hvd_err_field(err, EINVAL, "size", "is required, unless the volume is made of an image");
	if (volume->backed && !volume->image)
		return hvd_err_field(err, EINVAL, "backed", "is given without image");
	if (volume->backed && volume->format != DISK_FORMAT_QCOW2)
		return hvd_err_field(err, EINVAL, "backed", "is for format qcow2 only: a raw volume can be a "
				     "copy of an image, not a change of it");
	return 0;
}

#define NAME                                                                                       \
	{ "name", "name", STR(struct volume_config, name), .required = true,                       \
	  .check = rule_volume_name, NEVER, .help = "Name, unique on the host" }
#define FORMAT(text)                                                                               \
	{ "format", "target/format/@type", ENUM(struct volume_config, format),                     \
	  .names = format_names, .def = "raw", NEVER, .help = text }

static const struct field image_fields[] = {
	NAME,
	{ "path", NULL, STR(struct volume_config, path), .path = true, .max = 4095, .check = rule_path, NEVER,
	  .help = "File of the host that is imported; hvd keeps a copy and forgets where it came from" },
	FORMAT("Format of the file, which is never guessed; the copy has it too"),
	{ "size", "capacity", SIZE(struct volume_config, size), .read_only = true, .max = VOLUME_SIZE_MAX,
	  .xml_divisor = 1, .unit = "bytes", .help = "Size of a disk that is made of it" },
};
const struct schema image_schema = {
	.name = "ImageSpec",
	.xml = "volume",
	.size = sizeof(struct volume_config),
	SCHEMA_FIELDS(image_fields),
};

static const struct field upload_options_fields[] = {
	{ "format", NULL, ENUM(struct upload_options, format), .names = format_names, .def = "raw",
	  .help = "Format of what is sent, which is never guessed; the image has it too" },
};
const struct schema upload_options_schema = {
	.name = "UploadOptions",
	.size = sizeof(struct upload_options),
	SCHEMA_FIELDS(upload_options_fields),
};

static const struct field volume_fields[] = {
	NAME,
	{ "size", "capacity", SIZE(struct volume_config, size), .min = 512, .max = VOLUME_SIZE_MAX,
	  .multiple = 512, .xml_divisor = 1, LIVE, .unit = "bytes",
	  .help = "Size of the disk, that of the image if not given; it can grow, and is never cut" },
	FORMAT("Format in which hvd keeps it: raw, or qcow2, which takes a storage daemon and can be backed"),
	{ "image", "hvd:image/@name", STR(struct volume_config, image), .check = rule_volume_name, NEVER,
	  .help = "Image that it begins with, as a copy" },
	{ "backed", "hvd:image/hvd:backed", BOOL(struct volume_config, backed), NEVER,
	  .help = "Copy nothing: the image stays behind the volume, which holds what is changed" },
};
const struct schema volume_schema = {
	.name = "VolumeSpec",
	.xml = "volume",
	.size = sizeof(struct volume_config),
	SCHEMA_FIELDS(volume_fields),
	.check = rule_volume,
};

static const struct field user_fields[] = {
	{ "vm", NULL, STR(struct volume_user, vm), .read_only = true,
	  .help = "Name of a VM that has the volume as a disk" },
	{ "volume", NULL, STR(struct volume_user, volume), .read_only = true,
	  .help = "Name of a volume that is backed by the image" },
};
static const struct schema user_schema = {
	.name = "VolumeUser",
	.size = sizeof(struct volume_user),
	SCHEMA_FIELDS(user_fields),
};

static const struct field volume_status_fields[] = {
	{ "path", NULL, STR(struct volume_status, path), .read_only = true, .help = "File that holds it" },
	{ "allocation", NULL, SIZE(struct volume_status, allocation), .read_only = true, .unit = "bytes",
	  .help = "Space that the file takes on the host" },
	{ "created_usec", NULL, U64(struct volume_status, created_usec), .read_only = true,
	  .omit_zero = true, .unit = "microseconds",
	  .help = "When it was made, since 1970 UTC" },
	{ "used_by", NULL, LIST(struct volume_status, used_by, n_used_by, user_schema), .read_only = true,
	  .help = "Who has it: it cannot be deleted meanwhile" },
};
const struct schema volume_status_schema = {
	.name = "VolumeStatus",
	.size = sizeof(struct volume_status),
	SCHEMA_FIELDS(volume_status_fields),
};
