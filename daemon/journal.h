/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hvd writes into the journal about VMs and operations, with fields to search by:
 *
 *	journalctl HVD_VM=demo              everything about a VM
 *	journalctl HVD_EVENT=state          changes of state (HVD_STATE, HVD_REASON)
 *	journalctl HVD_EVENT=operation      who changed what (HVD_OPERATION, HVD_UID, HVD_PID,
 *	                                    HVD_FRONT, HVD_ERRNO: 0 when it was done)
 *
 * and MESSAGE_ID per kind of event. When hvd was not started by systemd, the same messages go to
 * standard error as plain lines.
 */
#pragma once

#include "daemon/call.h"
#include "daemon/vm.h"

/* Log where log_line() would, or as a structured entry. Call after log_open(). */
void journal_vm_state(const struct vm *vm, const char *reason);
void journal_operation(const struct call *call, int r, const struct hvd_error *err);
