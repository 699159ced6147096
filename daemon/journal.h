/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events in the journal, with fields to search by:
 *
 *	journalctl HVD_VM=demo              everything about a VM
 *	journalctl HVD_EVENT=state          changes of state (HVD_STATE, HVD_REASON)
 *	journalctl HVD_EVENT=operation      who changed what (HVD_OPERATION, HVD_OPERATION_ID,
 *	                                    HVD_OUTCOME, HVD_CODE, HVD_UID, HVD_PID, HVD_FRONT)
 *
 * HVD_EVENT is the type of any event, HVD_SEQ its number, HVD_RESOURCE and HVD_VM_UUID what it is about;
 * MESSAGE_ID tells the types apart as well. When hvd was not started by systemd, the same messages
 * go to standard error as plain lines.
 */
#pragma once

#include "api/event.h"

/* Log where log_line() would, or as a structured entry. Call after log_open(). */
void journal_event(const struct event *event);
