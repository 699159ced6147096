/* SPDX-License-Identifier: Apache-2.0 */
/* What operation.c and operation_store.c share; nobody else includes this. */
#pragma once

#include "daemon/manager.h"
#include "daemon/operation.h"
#include "vmm/base/list.h"

struct operation {
	struct list node; /* in operations->list, once it is a resource */
	struct operations *operations;
	struct operation_info info;

	struct call run; /* the handler's */
	struct call *client; /* to be answered */
	sd_event_source *patience; /* how long the client waits */
	struct list waiters;
	bool in_handler, ended;
	int r;
	struct hvd_error err;
};

struct operations {
	struct manager *manager;
	char *folder;
	struct list list; /* struct operation, as they began */
	unsigned n_running, n_ended;
};

/*
 * Write operation->info, remove it. What goes wrong is logged: an operation that is not written is
 * forgotten when hvd crashes, and nothing else.
 */
void operation_save(const struct operation *operation);
void operation_unlink(const struct operation *operation);

/* Call fn with each that is in the folder, the oldest first; fn takes info over when it returns 0. */
int operation_load(struct operations *operations,
		   int (*fn)(struct operations *operations, struct operation_info *info));
