/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the handlers (handlers*.c) share; nobody else includes this. */
#pragma once

#include "daemon/handlers.h"

/* handlers_access.c; vm is NULL. */
void handle_token_create(struct manager *manager, struct vm *vm, struct call *call);
void handle_token_list(struct manager *manager, struct vm *vm, struct call *call);
void handle_token_delete(struct manager *manager, struct vm *vm, struct call *call);
void handle_certificate_create(struct manager *manager, struct vm *vm, struct call *call);
void handle_certificate_get(struct manager *manager, struct vm *vm, struct call *call);
void handle_certificate_pem(struct manager *manager, struct vm *vm, struct call *call);

/* handlers_event.c */
void handle_event_list(struct manager *manager, struct vm *vm, struct call *call);

/* handlers_metrics.c */
void handle_metrics(struct manager *manager, struct vm *vm, struct call *call);
void handle_metrics_list(struct manager *manager, struct vm *vm, struct call *call);
void handle_vm_metrics(struct manager *manager, struct vm *vm, struct call *call);

/* handlers_operation.c */
void handle_operation_list(struct manager *manager, struct vm *vm, struct call *call);
void handle_operation_get(struct manager *manager, struct vm *vm, struct call *call);
void handle_operation_cancel(struct manager *manager, struct vm *vm, struct call *call);

/* Takes the answer over; NULL: out of memory. */
void call_finish_json(struct call *call, json_t *result);
void call_finish_resource(struct call *call, char *json); /* as call->json */
void call_finish_text(struct call *call, char *text);
void call_finish_no_memory(struct call *call);

/* The object as a document. */
void call_finish_xml(struct call *call, const struct schema *schema, const void *obj);

/* The answer to a document that has been taken in: resource (as call->json), and what was ignored. */
void call_finish_import(struct call *call, char *resource, const struct import_report *report);

/* handlers_network.c; vm is NULL. */
void handle_network_create(struct manager *manager, struct vm *vm, struct call *call);
void handle_network_list(struct manager *manager, struct vm *vm, struct call *call);
void handle_network_get(struct manager *manager, struct vm *vm, struct call *call);
void handle_network_patch(struct manager *manager, struct vm *vm, struct call *call);
void handle_network_delete(struct manager *manager, struct vm *vm, struct call *call);
void handle_network_start(struct manager *manager, struct vm *vm, struct call *call);
void handle_network_stop(struct manager *manager, struct vm *vm, struct call *call);
void handle_network_leases(struct manager *manager, struct vm *vm, struct call *call);
void handle_network_xml(struct manager *manager, struct vm *vm, struct call *call);
void handle_network_define_xml(struct manager *manager, struct vm *vm, struct call *call);

/* handlers_snapshot.c */
void handle_snapshot_create(struct manager *manager, struct vm *vm, struct call *call);
void handle_snapshot_list(struct manager *manager, struct vm *vm, struct call *call);
void handle_snapshot_get(struct manager *manager, struct vm *vm, struct call *call);
void handle_snapshot_xml(struct manager *manager, struct vm *vm, struct call *call);
void handle_snapshot_revert(struct manager *manager, struct vm *vm, struct call *call);
void handle_snapshot_delete(struct manager *manager, struct vm *vm, struct call *call);

/* handlers_volume.c; vm is NULL. */
void handle_image_import(struct manager *manager, struct vm *vm, struct call *call);
void handle_image_upload(struct manager *manager, struct vm *vm, struct call *call);
void handle_image_list(struct manager *manager, struct vm *vm, struct call *call);
void handle_image_get(struct manager *manager, struct vm *vm, struct call *call);
void handle_image_delete(struct manager *manager, struct vm *vm, struct call *call);
void handle_volume_create(struct manager *manager, struct vm *vm, struct call *call);
void handle_volume_list(struct manager *manager, struct vm *vm, struct call *call);
void handle_volume_get(struct manager *manager, struct vm *vm, struct call *call);
void handle_volume_patch(struct manager *manager, struct vm *vm, struct call *call);
void handle_volume_delete(struct manager *manager, struct vm *vm, struct call *call);
void handle_volume_xml(struct manager *manager, struct vm *vm, struct call *call);
void handle_volume_define_xml(struct manager *manager, struct vm *vm, struct call *call);

/* handlers_update.c; the items are those of the list that the operation names. */
void handle_vm_patch(struct manager *manager, struct vm *vm, struct call *call);
void handle_part_get(struct manager *manager, struct vm *vm, struct call *call);
void handle_part_patch(struct manager *manager, struct vm *vm, struct call *call);
void handle_item_list(struct manager *manager, struct vm *vm, struct call *call);
void handle_item_get(struct manager *manager, struct vm *vm, struct call *call);
void handle_item_attach(struct manager *manager, struct vm *vm, struct call *call);
void handle_item_patch(struct manager *manager, struct vm *vm, struct call *call);
void handle_item_detach(struct manager *manager, struct vm *vm, struct call *call);
