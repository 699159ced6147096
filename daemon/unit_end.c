/* SPDX-License-Identifier: Apache-2.0 */
/* Why a unit has ended, for a person. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "api/schema.h"
#include "daemon/control.h"
#include "daemon/unit.h"

/* Exit statuses with which systemd itself says that it could not start the program. */
#define EXIT_STATUS_SYSTEMD 200

void unit_describe_end(const struct unit_info *info, char *buf, size_t size)
{
	const char *name = NULL;

	if (info->exec_code == CLD_KILLED || info->exec_code == CLD_DUMPED)
		name = sigabbrev_np(info->exec_status);
	if (strcmp(info->result, "oom-kill") == 0)
		snprintf(buf, size, "was killed, out of memory");
	else if (name)
		snprintf(buf, size, "was killed by SIG%s", name);
	else if (info->state == UNIT_FAILED && info->exec_code == CLD_EXITED)
		snprintf(buf, size, "failed with status %d", info->exec_status);
	else
		snprintf(buf, size, "was stopped");
}

static void describe_signal(int sig, bool dumped, char *buf, size_t size)
{
	const char *name = sigabbrev_np(sig);

	if (name)
		snprintf(buf, size, "hvd-vmm was killed by SIG%s%s", name,
			 dumped ? " (it dumped core)" : "");
	else
		snprintf(buf, size, "hvd-vmm was killed by signal %d", sig);
}

void unit_describe_failure(const struct unit_info *info, const struct vm_config *config, char *buf,
			   size_t size)
{
	uint64_t memory_max = config->resources.memory_max;
	char limit[24];

	if (strcmp(info->result, "oom-kill") == 0) {
		size_format(memory_max, limit);
		snprintf(buf, size, "out of memory%s%s%s", memory_max ? " (memory_max is " : "",
			 memory_max ? limit : "", memory_max ? ")" : "");
	} else if (info->exec_code == CLD_KILLED || info->exec_code == CLD_DUMPED) {
		describe_signal(info->exec_status, info->exec_code == CLD_DUMPED, buf, size);
	} else if (info->exec_code == CLD_EXITED && info->exec_status >= EXIT_STATUS_SYSTEMD) {
		snprintf(buf, size,
			 "systemd could not execute hvd-vmm (status %d); see journalctl -u hvd-vm-%s",
			 info->exec_status, config->name);
	} else if (info->exec_code == CLD_EXITED && info->exec_status == CONTROL_EXIT_PANIC) {
		snprintf(buf, size, "the guest panicked (on_crash is stop)");
	} else if (info->exec_code == CLD_EXITED && info->exec_status == CONTROL_EXIT_WATCHDOG) {
		snprintf(buf, size, "the guest did not keep its watchdog quiet (watchdog is stop)");
	} else if (info->exec_code == CLD_EXITED) {
		snprintf(buf, size, "hvd-vmm failed with status %d; see journalctl -u hvd-vm-%s",
			 info->exec_status, config->name);
	} else {
		snprintf(buf, size, "systemd: %s", info->result);
	}
}
