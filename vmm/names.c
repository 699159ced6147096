/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vmm.h"

const char *const vmm_state_names[_VMM_STATE_MAX] = {
	[VMM_CREATED] = "created",
	[VMM_RUNNING] = "running",
	[VMM_PAUSED] = "paused",
	[VMM_STOPPED] = "stopped",
};

const char *const vmm_reason_names[_VMM_REASON_MAX] = {
	[VMM_REASON_NONE] = "none",
	[VMM_REASON_GUEST_SHUTDOWN] = "guest-shutdown",
	[VMM_REASON_GUEST_REBOOT] = "guest-reboot",
	[VMM_REASON_HOST_STOP] = "host-stop",
	[VMM_REASON_ERROR] = "error",
	[VMM_REASON_IO_ERROR] = "io-error",
	[VMM_REASON_PANIC] = "panic",
	[VMM_REASON_WATCHDOG] = "watchdog",
};
