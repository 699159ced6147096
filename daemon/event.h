/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes an event (api/event.h): each of these functions puts one into the manager's log and into
 * the journal. A VM's life can be read from either afterwards.
 */
#pragma once

#include "api/operation.h"
#include "daemon/call.h"
#include "daemon/manager.h"

/* hvd runs. */
void event_started(struct manager *manager);

/* EVENT_ADDED, EVENT_CHANGED, EVENT_REMOVED or EVENT_STATE of a VM, as it is now. */
void event_vm(struct vm *vm, enum event_type type);

/* The same of a network. */
struct network;
void event_network(struct network *network, enum event_type type);

/* EVENT_ADDED, EVENT_CHANGED or EVENT_REMOVED of an image or volume. */
struct pool_item;
void event_volume(struct pool_item *item, enum event_type type);

/* Whoever returns r has succeeded, been cancelled (-ECANCELED), or failed. */
enum event_outcome outcome_of(int r);

/* Of an operation that a former hvd has left. */
void event_operation(struct manager *manager, const struct operation_info *info);

/* A call has become an operation. */
void event_call_begun(const struct call *call);

/* What became of a call. */
void event_call(const struct call *call, int r, const struct hvd_error *err);
