/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/handlers_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "api/openapi.h"
#include "daemon/operation.h"
#include "daemon/resource.h"
#include "daemon/xml_client.h"
#include "vmm/base/log.h"

void call_finish_no_memory(struct call *call)
{
	struct hvd_error err = { 0 };

	call_finish(call, hvd_err(&err, ENOMEM, "out of memory"), &err);
}

void call_finish_json(struct call *call, json_t *result)
{
	call->result = result;
	if (result)
		call_finish(call, 0, NULL);
	else
		call_finish_no_memory(call);
}

void call_finish_resource(struct call *call, char *json)
{
	call->json = json;
	if (json)
		call_finish(call, 0, NULL);
	else
		call_finish_no_memory(call);
}

/* The VM as it is now. */
static void finish_vm(struct call *call, const struct vm *vm)
{
	call->generation = vm_generation(vm);
	call_finish_resource(call, resource_vm(vm));
}

void call_finish_text(struct call *call, char *text)
{
	call->document = text;
	if (text)
		call_finish(call, 0, NULL);
	else
		call_finish_no_memory(call);
}

void call_finish_xml(struct call *call, const struct schema *schema, const void *obj)
{
	struct hvd_error err = { 0 };
	char *text = NULL;
	int r = xml_client_write(call->manager->xml, schema, obj, &text, &err);

	if (r < 0)
		call_finish(call, r, &err);
	else
		call_finish_text(call, text);
}

void call_finish_import(struct call *call, char *resource, const struct import_report *report)
{
	for (size_t i = 0; i < report->n_ignored; i++) {
		const struct import_remark *remark = &report->ignored[i];

		log_info("%s %s: line %s: %s ignored: %s", call->op->name, call->name,
			 remark->lines, remark->element, remark->why);
	}
	call_finish_resource(call, resource_and(resource, &import_report_schema, report));
}

/* The vm_done_fn of operations without a result. */
static void on_done(void *ctx, int r, const struct hvd_error *err)
{
	call_finish(ctx, r, err);
}

/* Takes config over. NULL: the call is finished. */
static struct vm *define(struct manager *manager, struct call *call, struct vm_config *config)
{
	struct hvd_error err = { 0 };
	struct vm *vm;
	int r;

	r = vm_define(manager, config, &vm, &err);
	if (r < 0) {
		schema_clear(&vm_schema, config);
		call_finish(call, r, &err);
		return NULL;
	}
	strcpy(call->name, vm_config(vm)->name);
	memcpy(call->vm_uuid, vm_config(vm)->uuid, sizeof(call->vm_uuid));
	call->generation = vm_generation(vm);
	return vm;
}

static void vm_create(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	struct vm_config config;
	int r;

	r = json_to_obj(&vm_schema, call->args, &config, &err);
	if (r < 0) {
		call_finish(call, r, &err);
		return;
	}
	vm = define(manager, call, &config);
	if (vm)
		finish_vm(call, vm);
}

static void on_vm_read(void *ctx, int r, void *config, const struct import_report *report,
		       const struct hvd_error *err)
{
	struct call *call = ctx;
	struct vm *vm;

	if (r < 0) {
		call_finish(call, r, err);
		return;
	}
	vm = define(call->manager, call, config);
	if (vm)
		call_finish_import(call, resource_vm(vm), report);
}

static void vm_define_xml(struct manager *manager, struct vm *vm, struct call *call)
{
	xml_client_import(manager->xml, &vm_schema, call->text ? call->text : "", on_vm_read, call);
}

static void vm_list(struct manager *manager, struct vm *vm, struct call *call)
{
	list_answer(call, &resource_vm_kind, manager);
}

static void vm_get(struct manager *manager, struct vm *vm, struct call *call)
{
	finish_vm(call, vm);
}

static void vm_delete(struct manager *manager, struct vm *vm, struct call *call)
{
	struct delete_options options;
	struct hvd_error err = { 0 };
	int r;

	r = call_options(call, &options, &err);
	if (r >= 0)
		r = vm_undefine(vm, &options, &err);
	call_finish(call, r, r < 0 ? &err : NULL);
}

static void on_progress(void *ctx, unsigned done, unsigned total)
{
	operation_progress(ctx, done, total, "steps");
}

static void on_start_cancelled(void *ctx, int r, const struct hvd_error *err)
{
	/* the call of the start tells */
}

static void cancel_start(struct call *call)
{
	vm_stop(manager_find_vm(call->manager, call->name), on_start_cancelled, NULL);
}

static void start(struct manager *manager, struct vm *vm, struct call *call)
{
	call->cancel = cancel_start;
	vm_start(vm, on_progress, on_done, call);
}

static void shut_down(struct manager *manager, struct vm *vm, struct call *call)
{
	vm_shutdown(vm, on_done, call);
}

static void stop(struct manager *manager, struct vm *vm, struct call *call)
{
	vm_stop(vm, on_done, call);
}

static void pause_vm(struct manager *manager, struct vm *vm, struct call *call)
{
	vm_pause(vm, on_done, call);
}

static void resume(struct manager *manager, struct vm *vm, struct call *call)
{
	vm_resume(vm, on_done, call);
}

static void reboot(struct manager *manager, struct vm *vm, struct call *call)
{
	vm_reboot(vm, on_done, call);
}

static void reset(struct manager *manager, struct vm *vm, struct call *call)
{
	vm_reset(vm, on_done, call);
}

static void vm_xml(struct manager *manager, struct vm *vm, struct call *call)
{
	call->generation = vm_generation(vm);
	call_finish_xml(call, &vm_schema, vm_config(vm));
}

static void console(struct manager *manager, struct vm *vm, struct call *call)
{
	struct console_options options;
	struct hvd_error err = { 0 };
	int r = call_options(call, &options, &err);

	if (r < 0)
		call_finish(call, r, &err);
	else
		vm_console(vm, options.mode == CONSOLE_WRITE, &call->stream, on_done, call);
}

static void resize_console(struct manager *manager, struct vm *vm, struct call *call)
{
	struct console_geometry size;
	struct hvd_error err = { 0 };
	int r = json_to_obj(&console_geometry_schema, call->args, &size, &err);

	if (r < 0)
		call_finish(call, r, &err);
	else
		vm_resize_console(vm, &size, on_done, call);
}

static void host_get(struct manager *manager, struct vm *vm, struct call *call)
{
	call_finish_json(call, resource_host(manager));
}

static void openapi(struct manager *manager, struct vm *vm, struct call *call)
{
	AUTO(json_decref) json_t *document = openapi_document();

	call_finish_text(call, document ? json_dumps(document, JSON_INDENT(2)) : NULL);
}

const handler_fn handlers[_OP_MAX] = {
	[OP_VM_CREATE] = vm_create,
	[OP_VM_LIST] = vm_list,
	[OP_VM_GET] = vm_get,
	[OP_VM_PATCH] = handle_vm_patch,
	[OP_VM_DELETE] = vm_delete,
	[OP_VM_START] = start,
	[OP_VM_SHUTDOWN] = shut_down,
	[OP_VM_STOP] = stop,
	[OP_VM_PAUSE] = pause_vm,
	[OP_VM_RESUME] = resume,
	[OP_VM_REBOOT] = reboot,
	[OP_VM_RESET] = reset,
	[OP_VM_XML] = vm_xml,
	[OP_VM_DEFINE_XML] = vm_define_xml,
	[OP_VM_CONSOLE] = console,
	[OP_VM_RESIZE_CONSOLE] = resize_console,
	[OP_VM_METRICS] = handle_vm_metrics,
	[OP_DISK_LIST] = handle_item_list,
	[OP_DISK_GET] = handle_item_get,
	[OP_DISK_ATTACH] = handle_item_attach,
	[OP_DISK_PATCH] = handle_item_patch,
	[OP_DISK_DETACH] = handle_item_detach,
	[OP_NIC_LIST] = handle_item_list,
	[OP_NIC_GET] = handle_item_get,
	[OP_NIC_ATTACH] = handle_item_attach,
	[OP_NIC_PATCH] = handle_item_patch,
	[OP_NIC_DETACH] = handle_item_detach,
	[OP_SNAPSHOT_CREATE] = handle_snapshot_create,
	[OP_SNAPSHOT_LIST] = handle_snapshot_list,
	[OP_SNAPSHOT_GET] = handle_snapshot_get,
	[OP_SNAPSHOT_XML] = handle_snapshot_xml,
	[OP_SNAPSHOT_REVERT] = handle_snapshot_revert,
	[OP_SNAPSHOT_DELETE] = handle_snapshot_delete,
	[OP_VCPUS_GET] = handle_part_get,
	[OP_VCPUS_PATCH] = handle_part_patch,
	[OP_MEMORY_GET] = handle_part_get,
	[OP_MEMORY_PATCH] = handle_part_patch,
	[OP_RESOURCES_GET] = handle_part_get,
	[OP_RESOURCES_PATCH] = handle_part_patch,
	[OP_NETWORK_CREATE] = handle_network_create,
	[OP_NETWORK_LIST] = handle_network_list,
	[OP_NETWORK_GET] = handle_network_get,
	[OP_NETWORK_PATCH] = handle_network_patch,
	[OP_NETWORK_DELETE] = handle_network_delete,
	[OP_NETWORK_START] = handle_network_start,
	[OP_NETWORK_STOP] = handle_network_stop,
	[OP_NETWORK_LEASES] = handle_network_leases,
	[OP_NETWORK_XML] = handle_network_xml,
	[OP_NETWORK_DEFINE_XML] = handle_network_define_xml,
	[OP_IMAGE_IMPORT] = handle_image_import,
	[OP_IMAGE_UPLOAD] = handle_image_upload,
	[OP_IMAGE_LIST] = handle_image_list,
	[OP_IMAGE_GET] = handle_image_get,
	[OP_IMAGE_DELETE] = handle_image_delete,
	[OP_VOLUME_CREATE] = handle_volume_create,
	[OP_VOLUME_LIST] = handle_volume_list,
	[OP_VOLUME_GET] = handle_volume_get,
	[OP_VOLUME_PATCH] = handle_volume_patch,
	[OP_VOLUME_DELETE] = handle_volume_delete,
	[OP_VOLUME_XML] = handle_volume_xml,
	[OP_VOLUME_DEFINE_XML] = handle_volume_define_xml,
	[OP_OPERATION_LIST] = handle_operation_list,
	[OP_OPERATION_GET] = handle_operation_get,
	[OP_OPERATION_CANCEL] = handle_operation_cancel,
	[OP_EVENT_LIST] = handle_event_list,
	[OP_TOKEN_CREATE] = handle_token_create,
	[OP_TOKEN_LIST] = handle_token_list,
	[OP_TOKEN_DELETE] = handle_token_delete,
	[OP_CERTIFICATE_CREATE] = handle_certificate_create,
	[OP_CERTIFICATE_GET] = handle_certificate_get,
	[OP_CERTIFICATE_PEM] = handle_certificate_pem,
	[OP_HOST_GET] = host_get,
	[OP_METRICS] = handle_metrics,
	[OP_METRICS_LIST] = handle_metrics_list,
	[OP_OPENAPI] = openapi,
};
