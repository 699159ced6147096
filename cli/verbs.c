/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/access.h"
#include "cli/console.h"
#include "cli/edit.h"
#include "cli/events.h"
#include "cli/operation.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/text.h"
#include "cli/top.h"
#include "cli/value.h"
#include "cli/vm_state.h"
#include "vmm/base/macro.h"

struct followed {
	struct client *client;
	const char *vm;
};

/* The console's connection has ended: because the VM has stopped? */
static int goes_on(void *ctx, struct hvd_error *err)
{
	const struct followed *followed = ctx;
	AUTO(json_decref) json_t *vm = NULL;
	const char *reason;
	int r;

	r = vm_get(followed->client, followed->vm, &vm, err);
	if (r < 0)
		return r == -ENOENT ? r : -EAGAIN;
	switch (vm_resource_state(vm)) {
	case VM_SHUTOFF:
		fprintf(stderr, "VM %s has stopped\n", followed->vm);
		return 0;
	case VM_FAILED:
		reason = value_string_at(vm, "status.reason");
		return hvd_err(err, EIO, "the console was closed: VM %s has failed%s%s", followed->vm,
			       reason ? ": " : "", reason ? reason : "");
	default:
		return 1;
	}
}

/* A guest that is not told its terminal's size can live with that. */
static void tell_size(void *ctx, unsigned columns, unsigned rows)
{
	const struct followed *followed = ctx;
	AUTO(json_decref) json_t *size = json_pack("{s:i, s:i}", "columns", (int)columns, "rows", (int)rows);
	AUTO(free) char *path = NULL, *text = size ? json_dumps(size, JSON_COMPACT) : NULL;
	struct client_body body = { .text = text, .type = "application/json" };
	struct client_answer answer = { 0 };
	struct hvd_error err = { 0 };

	if (text && client_path(ops[OP_VM_RESIZE_CONSOLE].path, followed->vm, NULL, NULL, &path, &err) == 0 &&
	    client_call(followed->client, HTTP_POST, path, &body, &answer, &err) == 0)
		client_answer_clear(&answer);
}

static bool has_virtio_console(struct client *client, const char *vm)
{
	AUTO(json_decref) json_t *resource = NULL;
	struct hvd_error err = { 0 };

	return vm_get(client, vm, &resource, &err) == 0 &&
	       json_is_true(json_object_get(json_object_get(resource, "spec"), "virtio_console"));
}

static int follow_console(struct client *client, const struct invocation *inv, const char *vm,
			  struct hvd_error *err)
{
	AUTO(free) char *path = NULL, *query = NULL;
	struct followed followed = { client, vm };
	struct console_target target = {
		.target = client_target(client), .name = vm, .goes_on = goes_on, .ctx = &followed
	};
	int r;

	r = client_path(ops[OP_VM_CONSOLE].path, vm, NULL, NULL, &path, err);
	if (r < 0)
		return r;
	if (asprintf(&query, "%s%s", path, inv->options.read_only ? "?mode=read" : "") < 0) {
		query = NULL;
		return hvd_err(err, ENOMEM, "out of memory");
	}
	fflush(stdout);
	target.path = query;
	if (!inv->options.read_only && has_virtio_console(client, vm))
		target.resized = tell_size;
	return console_run(&target, err);
}

static int vm_console(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	return follow_console(client, inv, inv->operand, err);
}

/* What --wait and --console ask for, after the VM has been started. */
static int after_start(struct client *client, const struct invocation *inv, const char *vm,
		       struct hvd_error *err)
{
	int r = 0;

	if (inv->options.wait)
		r = vm_wait_for(client, vm, VM_RUNNING, inv->options.timeout, err);
	if (r == 0 && inv->options.console)
		r = follow_console(client, inv, vm, err);
	return r;
}

static int vm_start(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	int r = command_call(client, inv, err);

	return r < 0 || inv->options.no_wait ? r : after_start(client, inv, inv->operand, err);
}

/*
 * A VM that `create --start` made but that cannot start goes away again, so that the corrected
 * command line can be typed. Not when it is on its way for all that.
 */
static int undo_create(struct client *client, const char *name, int r, struct hvd_error *err)
{
	AUTO(json_decref) json_t *vm = NULL;
	struct hvd_error cause;
	bool gone = false;

	if (vm_get(client, name, &vm, NULL) == 0) {
		enum vm_state state = vm_resource_state(vm);

		gone = (state == VM_SHUTOFF || state == VM_FAILED) &&
		       vm_action(client, OP_VM_DELETE, name, NULL) == 0;
	}
	if (!err)
		return r;
	cause = *err;
	return hvd_err_field(err, -r, cause.field, "%.300s; the VM %s", cause.msg,
			     gone ? "was not kept" : "stays defined");
}

static int vm_create(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	const char *name;
	int r;

	r = command_request(client, inv, &answer, err);
	if (r < 0)
		return r;
	name = value_string_at(answer.json, "name");
	if (name && (inv->options.start || inv->options.console)) {
		r = vm_action(client, OP_VM_START, name, err);
		if (r < 0)
			return undo_create(client, name, r, err);
	}
	r = output_answer(inv, &answer, err);
	return r < 0 || !name ? r : after_start(client, inv, name, err);
}

/* shutdown and stop */
static int vm_end(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	unsigned seconds = inv->options.timeout;
	int r = command_call(client, inv, err);

	if (r < 0 || !inv->options.wait || inv->options.no_wait)
		return r;
	r = vm_wait_for(client, inv->operand, VM_SHUTOFF, seconds, err);
	if (r == -ETIMEDOUT)
		return hvd_err(err, ETIMEDOUT,
			       "VM %s has not stopped after %u s; hvcli vm stop cuts its power",
			       inv->operand, seconds);
	return r;
}

static int vm_wait(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	unsigned state = 0;

	while (strcmp(vm_state_names[state], inv->options.until))
		state++;
	return vm_wait_for(client, inv->operand, (enum vm_state)state, inv->options.timeout, err);
}

/* What of the VM's settings waits for its next start. */
static int tell_pending(struct client *client, const char *name, struct hvd_error *err)
{
	AUTO(json_decref) json_t *vm = NULL;
	const json_t *pending;
	size_t index;
	json_t *item;
	int r;

	r = vm_get(client, name, &vm, err);
	if (r < 0)
		return r;
	pending = value_at(vm, "status.pending");
	json_array_foreach(pending, index, item) {
		const char *field = value_string_at(item, "field");
		AUTO(free) char *clean = field ? text_clean(field) : NULL;

		printf("%s%s", index ? ", " : "At its next start: ", clean ? clean : "?");
	}
	if (json_array_size(pending))
		putchar('\n');
	return 0;
}

/* Whatever changes a VM that may run. */
static int change(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	int r = command_call(client, inv, err);

	if (r < 0 || inv->options.format != OUTPUT_TABLE || inv->options.no_wait ||
	    json_is_true(json_object_get(inv->query, "dry_run")))
		return r;
	return tell_pending(client, inv->operand, err);
}

/* A path is one of this machine; where hvd is another's, the file is sent to it. */
static int image_import(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	const char *path = value_string_at(inv->body, "path"), *format = value_string_at(inv->body, "format");
	AUTO(json_decref) json_t *query = json_pack("{s:s*}", "format", format);
	int r;

	if (!client_target(client)->host || !path || !inv->operand)
		return command_call(client, inv, err);
	if (!query)
		return hvd_err(err, ENOMEM, "out of memory");
	r = command_upload(client, inv->operand, path, query, inv->options.no_wait, &answer, err);
	return r < 0 ? r : output_answer(inv, &answer, err);
}

const struct verb verbs[] = {
	{ "vm create", vm_create, .done = "created",
	  .example = "hvcli vm create demo --kernel vmlinuz --initrd initrd.gz --memory 512M \\\n"
		     "      --vcpus 2 --disk root.img --nic network=default --start --console" },
	{ "vm set", change, .done = "changed",
	  .example = "hvcli vm set demo --cpu-quota 50 --memory-max 1G" },
	{ "vm delete", .done = "deleted" },
	{ "vm start", vm_start, .done = "started" },
	{ "vm shutdown", vm_end, .done = "asked to shut down" },
	{ "vm stop", vm_end, .done = "stopped" },
	{ "vm pause", .done = "paused" },
	{ "vm resume", .done = "resumed" },
	{ "vm reboot", .done = "asked to reboot" },
	{ "vm reset", .done = "reset" },
	{ "vm define", .done = "defined", .example = "virsh dumpxml demo | hvcli vm define -" },
	{ .name = "vm console", .run = vm_console },
	{ "vm edit", vm_edit, .done = "changed",
	  .help = "Change the settings of a VM in $VISUAL, $EDITOR or vi" },
	{ "vm top", top_run, .example = "hvcli vm top --sort disk --interval 5" },
	{ "disk attach", change, .thing = "Disk", .done = "attached to",
	  .example = "hvcli disk attach demo /srv/data.img --cache none" },
	{ "disk set", change, .thing = "Disk", .done = "changed in" },
	{ "disk detach", change, .thing = "Disk", .done = "detached from" },
	{ "nic attach", change, .thing = "NIC", .done = "attached to",
	  .example = "hvcli nic attach demo default" },
	{ "nic set", change, .thing = "NIC", .done = "changed in" },
	{ "nic detach", change, .thing = "NIC", .done = "detached from" },
	{ "snapshot create", .thing = "Snapshot", .done = "made of",
	  .example = "hvcli snapshot create demo before-upgrade --description 'Debian 12'" },
	{ "snapshot revert", .thing = "Snapshot", .done = "is back on the disks of" },
	{ "snapshot delete", .thing = "Snapshot", .done = "deleted from" },
	{ "vcpus set", change, .done = "changed", .example = "hvcli vcpus set demo --vcpus 4" },
	{ "memory set", change, .done = "changed",
	  .example = "hvcli memory set demo --memory-target 384M" },
	{ "resources set", change, .done = "changed",
	  .example = "hvcli resources set demo --cpu-quota 50" },
	{ "network create", .thing = "Network", .done = "created",
	  .example = "hvcli network create lab --mode isolated --address 10.9.0.1/24 \\\n"
		     "      --static-lease address=10.9.0.7,mac=52:54:00:12:34:56" },
	{ "network set", .thing = "Network", .done = "changed",
	  .example = "hvcli network set lab --dhcp-start 10.9.0.100 --dhcp-end 10.9.0.199" },
	{ "network delete", .thing = "Network", .done = "deleted" },
	{ "network start", .thing = "Network", .done = "started" },
	{ "network stop", .thing = "Network", .done = "stopped" },
	{ "network define", .thing = "Network", .done = "defined",
	  .example = "virsh net-dumpxml lab | hvcli network define -" },
	{ "image import", image_import, .thing = "Image", .done = "imported", .setting = "path",
	  .example = "hvcli image import debian-12 debian-12-arm64.qcow2 --format qcow2" },
	{ "image upload", .thing = "Image", .done = "uploaded",
	  .example = "zcat debian-12.raw.gz | hvcli image upload debian-12 -" },
	{ "image delete", .thing = "Image", .done = "deleted" },
	{ "volume create", .thing = "Volume", .done = "created",
	  .example = "hvcli volume create root --image debian-12 --size 20G" },
	{ "volume set", .thing = "Volume", .done = "changed", .example = "hvcli volume set root --size 40G" },
	{ "volume delete", .thing = "Volume", .done = "deleted" },
	{ "volume define", .thing = "Volume", .done = "defined",
	  .example = "virsh vol-dumpxml data default | hvcli volume define -" },
	{ .name = "operation list", .run = operation_list },
	{ "operation wait", operation_wait, .help = "Wait until an operation has ended",
	  .example = "hvcli operation wait 6f0c5f1d2a3b --timeout 600" },
	{ .name = "operation cancel", .run = operation_cancel },
	{ "token create", token_create_run, .thing = "Token",
	  .example = "hvcli token create ci --role operator --days 30 >ci.token" },
	{ "token delete", .thing = "Token", .done = "deleted" },
	{ "certificate create", certificate_create_run, .thing = "Certificate",
	  .example = "hvcli certificate create vmhost.example.org --alt-names 192.0.2.7" },
	{ "events", events_run, .example = "hvcli events --follow --vm demo" },
	{ "vm wait", vm_wait, .help = "Wait until a VM is in a state",
	  .example = "hvcli vm wait demo --for shutoff --timeout 60" },
};
const size_t n_verbs = ARRAY_SIZE(verbs);
