/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_text.h"
#include "daemon/handlers_private.h"
#include "daemon/metrics.h"

static void finish_failed(struct call *call, int r)
{
	struct hvd_error err = { 0 };

	hvd_err(&err, -r, r == -EAGAIN ? "hvd is stopping" : "out of memory");
	call_finish(call, r, &err);
}

/* Heap; NULL: out of memory. */
static char *write_text(const struct manager *manager, const struct vm_metrics *vms, size_t n)
{
	struct host_metrics host = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f = NULL;
	int r = metrics_host(manager, &host);

	if (r >= 0)
		f = open_memstream(&text, &size);
	if (f)
		r = metrics_write(f, &host, vms, n);
	if (f && fclose(f) != 0)
		r = -ENOMEM;
	schema_clear(&host_metrics_schema, &host);
	if (r < 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void on_all(void *ctx, int r, const struct vm_metrics *vms, size_t n)
{
	struct call *call = ctx;

	if (r < 0)
		finish_failed(call, r);
	else
		call_finish_text(call, write_text(call->manager, vms, n));
}

void handle_metrics(struct manager *manager, struct vm *vm, struct call *call)
{
	metrics_measure(manager->metrics, NULL, on_all, call);
}

static void on_list(void *ctx, int r, const struct vm_metrics *vms, size_t n)
{
	struct call *call = ctx;
	struct json_text text = { 0 };

	if (r < 0) {
		finish_failed(call, r);
		return;
	}
	json_text_raw(&text, "{\"items\":[", 10);
	for (size_t i = 0; i < n; i++) {
		if (i)
			json_text_raw(&text, ",", 1);
		json_text_obj(&text, &vm_metrics_schema, &vms[i], NULL);
	}
	json_text_raw(&text, "]}\n", 3);
	call_finish_resource(call, json_text_take(&text));
}

void handle_metrics_list(struct manager *manager, struct vm *vm, struct call *call)
{
	metrics_measure(manager->metrics, NULL, on_list, call);
}

static void on_vm(void *ctx, int r, const struct vm_metrics *vms, size_t n)
{
	struct call *call = ctx;
	struct json_text text = { 0 };

	if (r < 0) {
		finish_failed(call, r);
		return;
	}
	json_text_obj(&text, &vm_metrics_schema, &vms[0], NULL);
	json_text_raw(&text, "\n", 1);
	call_finish_resource(call, json_text_take(&text));
}

void handle_vm_metrics(struct manager *manager, struct vm *vm, struct call *call)
{
	metrics_measure(manager->metrics, vm, on_vm, call);
}
