/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include "api/errors.h"
#include "vmm/base/log.h"

#define MESSAGE_VM_STATE                                                                           \
	SD_ID128_MAKE_STR(30,03,fd,f0,16,fd,4b,41,82,c7,c4,76,e4,6d,57,62)
#define MESSAGE_OPERATION                                                                          \
	SD_ID128_MAKE_STR(9c,e1,7e,3f,a3,24,48,5c,ba,bc,1f,84,56,ad,bf,cc)

/* systemd sets this when standard error goes to the journal. */
static bool have_journal(void)
{
	return getenv("JOURNAL_STREAM") != NULL;
}

static int state_priority(enum vm_state state)
{
	return state == VM_FAILED ? LOG_ERR : LOG_INFO;
}

void journal_vm_state(const struct vm *vm, const char *reason)
{
	const struct vm_config *config = vm_config(vm);
	const char *state = vm_state_names[vm_state(vm)];
	int priority = state_priority(vm_state(vm));
	char uuid[SD_ID128_UUID_STRING_MAX];
	sd_id128_t id;

	if (!log_enabled(priority))
		return;
	if (!have_journal()) {
		log_line(priority, "VM %s: %s%s%s", config->name, state, reason ? ": " : "",
			 reason ? reason : "");
		return;
	}

	memcpy(id.bytes, config->uuid, sizeof(id.bytes));
	sd_journal_send("MESSAGE=VM %s: %s%s%s", config->name, state, reason ? ": " : "",
			reason ? reason : "",
			"MESSAGE_ID=" MESSAGE_VM_STATE,
			"PRIORITY=%d", priority,
			"HVD_EVENT=state",
			"HVD_VM=%s", config->name,
			"HVD_VM_UUID=%s", sd_id128_to_uuid_string(id, uuid),
			"HVD_STATE=%s", state,
			"HVD_REASON=%s", reason ? reason : "",
			NULL);
}

/* "uid 0 pid 812 (rest)" */
static void describe_peer(const struct peer *peer, char *buf, size_t size)
{
	if (peer->pid > 0)
		snprintf(buf, size, "uid %u pid %d (%s)", (unsigned)peer->uid, (int)peer->pid,
			 peer->front);
	else
		snprintf(buf, size, "uid %u (%s)", (unsigned)peer->uid, peer->front);
}

static void describe_outcome(int r, const struct hvd_error *err, char buf[static ERROR_TEXT_SIZE])
{
	if (r < 0 && err && err->code)
		error_text(err, buf);
	else
		snprintf(buf, ERROR_TEXT_SIZE, "%s", r < 0 ? strerror(-r) : "done");
}

void journal_operation(const struct call *call, int r, const struct hvd_error *err)
{
	int priority = r < 0 ? LOG_WARNING : LOG_INFO;
	char outcome[ERROR_TEXT_SIZE], who[64];

	if (!log_enabled(priority))
		return;

	describe_outcome(r, err, outcome);
	describe_peer(&call->peer, who, sizeof(who));
	if (!have_journal()) {
		log_line(priority, "%s%s%s%s%s by %s: %s", call->op->name, call->name[0] ? " " : "",
			 call->name, call->item[0] ? " " : "", call->item, who, outcome);
		return;
	}
	sd_journal_send("MESSAGE=%s%s%s%s%s by %s: %s", call->op->name, call->name[0] ? " " : "",
			call->name, call->item[0] ? " " : "", call->item, who, outcome,
			"MESSAGE_ID=" MESSAGE_OPERATION,
			"PRIORITY=%d", priority,
			"HVD_EVENT=operation",
			"HVD_OPERATION=%s", call->op->name,
			"HVD_VM=%s", call->name,
			"HVD_ITEM=%s", call->item,
			"HVD_FRONT=%s", call->peer.front,
			"HVD_UID=%u", (unsigned)call->peer.uid,
			"HVD_PID=%d", (int)call->peer.pid,
			"HVD_ERRNO=%d", -r,
			NULL);
}
