/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker_counters.h"

#include <stdio.h>
#include <string.h>

#include "daemon/control.h"
#include "vmm/base/macro.h"

static const uint32_t strides[_COUNTERS_KIND_MAX] = {
	[COUNTERS_VM] = _VM_COUNTER_MAX,
	[COUNTERS_VCPU] = _VCPU_COUNTER_MAX,
	[COUNTERS_DISK] = _DISK_COUNTER_MAX,
	[COUNTERS_NIC] = _NIC_COUNTER_MAX,
};

/* Of items the first, and the vCPUs behind it, as many as fit. Returns how many. */
static size_t fill(struct control_message *msg, const struct counters *items, size_t n)
{
	struct control_counters *part = &msg->counters;
	uint32_t stride = strides[items->kind];
	size_t max = items->kind == COUNTERS_VCPU ? CONTROL_COUNTERS_MAX / stride : 1, i;

	*part = (struct control_counters){ .kind = items->kind, .first = items->index,
					   .stride = stride };
	snprintf(msg->field, sizeof(msg->field), "%s", items->id);
	for (i = 0; i < MIN(n, max) && items[i].kind == items->kind; i++)
		memcpy(&part->values[i * stride], items[i].values, stride * sizeof(uint64_t));
	part->n = (uint32_t)i;
	return i;
}

int worker_send_counters(int sock, uint32_t serial, const struct counters_list *list)
{
	for (size_t i = 0; i < list->n;) {
		struct control_message msg = { .version = CONTROL_VERSION,
					       .type = CONTROL_COUNTERS, .serial = serial };
		int r;

		i += fill(&msg, &list->items[i], list->n - i);
		r = control_send(sock, &msg, NULL, 0);
		if (r < 0)
			return r;
	}
	return 0;
}
