/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vm_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/operation.h"
#include "cli/terminal.h"
#include "cli/value.h"

#define POLL_MS 250

int vm_action(struct client *client, enum op_id id, const char *vm, struct hvd_error *err)
{
	AUTO(free) char *path = NULL;
	int r;

	r = client_path(ops[id].path, vm, NULL, NULL, &path, err);
	if (r < 0)
		return r;
	return operation_call(client, &ops[id], path, NULL, false, NULL, err);
}

int vm_get(struct client *client, const char *vm, json_t **ret, struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	AUTO(free) char *path = NULL;
	int r;

	r = client_path(ops[OP_VM_GET].path, vm, NULL, NULL, &path, err);
	if (r == 0)
		r = client_call(client, HTTP_GET, path, NULL, &answer, err);
	if (r < 0)
		return r;
	if (!json_is_object(answer.json))
		return hvd_err(err, EIO, "the server's answer is no VM");
	*ret = TAKE(answer.json);
	return 0;
}

enum vm_state vm_resource_state(const json_t *vm)
{
	const char *state = value_string_at(vm, "status.state");

	for (unsigned i = 0; state && i < _VM_STATE_MAX; i++)
		if (!strcmp(state, vm_state_names[i]))
			return (enum vm_state)i;
	return _VM_STATE_MAX;
}

/* 1: it is in the wanted state, 0: not yet. */
static int check_state(struct client *client, const char *vm, enum vm_state wanted,
		       enum vm_state *state, struct hvd_error *err)
{
	AUTO(json_decref) json_t *resource = NULL;
	const char *reason;
	int r;

	r = vm_get(client, vm, &resource, err);
	if (r < 0)
		return r;
	*state = vm_resource_state(resource);
	if (*state == wanted)
		return 1;
	if (*state != VM_FAILED)
		return 0;
	reason = value_string_at(resource, "status.reason");
	return hvd_err(err, EIO, "VM %s has failed%s%s", vm, reason ? ": " : "",
		       reason ? reason : "");
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void show_waiting(const char *vm, enum vm_state wanted, enum vm_state state, uint64_t ms)
{
	char line[256];

	snprintf(line, sizeof(line), "Waiting for VM %s to be %s (is %s), %u s", vm,
		 vm_state_names[wanted], state < _VM_STATE_MAX ? vm_state_names[state] : "?",
		 (unsigned)(ms / 1000));
	terminal_show_line(line);
}

int vm_wait_for(struct client *client, const char *vm, enum vm_state wanted, unsigned seconds,
		struct hvd_error *err)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	enum vm_state state = _VM_STATE_MAX;
	uint64_t start = now_ms(), passed = 0;
	int r;

	while ((r = check_state(client, vm, wanted, &state, err)) == 0) {
		if (passed >= seconds * 1000ULL)
			break;
		show_waiting(vm, wanted, state, passed);
		nanosleep(&pause, NULL);
		passed = now_ms() - start;
	}
	if (passed)
		terminal_clear_line();
	if (r == 0)
		return hvd_err(err, ETIMEDOUT, "VM %s is still %s after %u s", vm,
			       state < _VM_STATE_MAX ? vm_state_names[state] : "not there",
			       seconds);
	return r < 0 ? r : 0;
}
