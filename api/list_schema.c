/* SPDX-License-Identifier: Apache-2.0 */
#include "api/list.h"

static const struct field list_options_fields[] = {
	{ "limit", NULL, U32(struct list_options, limit), .min = 1, .max = 10000,
	  .help = "How many items at most; next in the answer is the cursor of the others" },
	{ "cursor", NULL, STR(struct list_options, cursor), .max = 127,
	  .help = "Go on behind the items of the answer whose next this is" },
	{ "filter", NULL, STR(struct list_options, filter), .max = 1023,
	  .help = "Only items of which this holds, such as state==running,name==web*,vcpus>=2" },
	{ "fields", NULL, STR(struct list_options, fields), .max = 1023,
	  .help = "Only these members of the items, such as name,status.state,spec.disks.path" },
};
const struct schema list_options_schema = {
	.name = "ListOptions",
	.size = sizeof(struct list_options),
	SCHEMA_FIELDS(list_options_fields),
};
