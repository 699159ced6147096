/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/process.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void outcome_set(void *ctx, int r, const struct hvd_error *err)
{
	struct outcome *o = ctx;

	o->calls++;
	o->r = r;
	if (err)
		o->err = *err;
	assert_true((r < 0) == (err != NULL));
}

void process_answer(struct process *p, const struct control_message *request, int r,
		    const char *text)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_REPLY,
				       .serial = request->serial, .result = r,
				       .state = p->vmm_state, .arg = p->number,
				       .changing = p->changing };

	snprintf(msg.text, sizeof(msg.text), "%s", text);
	assert_int_equal(control_send(p->conn, &msg, NULL, 0), 0);
}

size_t process_take(struct process *p, enum control_type type, struct control_message *msg,
		    int fds[static CONTROL_MAX_FDS])
{
	size_t n = CONTROL_MAX_FDS;

	assert_int_equal(control_recv(p->conn, msg, fds, &n), 1);
	assert_int_equal(msg->type, type);
	return n;
}

void process_expect(struct process *p, enum control_type type)
{
	struct control_message msg;
	int fds[CONTROL_MAX_FDS];
	size_t n = process_take(p, type, &msg, fds);

	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	process_answer(p, &msg, 0, "");
}

void process_expect_nothing(struct process *p)
{
	struct control_message msg;
	size_t n = 0;

	assert_int_equal(control_recv(p->conn, &msg, NULL, &n), -EAGAIN);
}

void process_tell(struct process *p, enum vmm_state vmm_state, enum vmm_reason reason,
		  const char *text)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_EVENT,
				       .state = vmm_state, .reason = reason };

	snprintf(msg.text, sizeof(msg.text), "%s", text);
	assert_int_equal(control_send(p->conn, &msg, NULL, 0), 0);
}

void process_settle(struct process *p, uint32_t number)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_SETTLED,
				       .state = p->vmm_state, .arg = number };

	p->changing = false;
	p->number = number;
	assert_int_equal(control_send(p->conn, &msg, NULL, 0), 0);
}

void process_die(struct process *p)
{
	close(p->conn);
	close(p->listener);
}

static int answer_status(sd_event_source *s, void *userdata)
{
	struct process *p = userdata;
	struct control_message msg;
	size_t n = 0;

	if (p->conn < 0)
		p->conn = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK);
	if (p->conn >= 0 && control_recv(p->conn, &msg, NULL, &n) == 1) {
		assert_int_equal(msg.type, CONTROL_STATUS);
		process_answer(p, &msg, 0, "");
	}
	return 0;
}

static struct vm *adopt(struct scene *scene, const struct process *as, struct process *p)
{
	const struct manager_paths paths = { scene->state, scene->runtime, "/nonexistent",
					     scene->networkd, BUILT_XML };
	struct hvd_error err = { 0 };
	sd_event_source *defer;
	char path[256];

	scene_stop(scene);
	scene_path(scene, "run/vms/demo", path);
	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	scene_path(scene, "run/vms/demo/control", path);
	*p = *as;
	p->listener = control_listen(path);
	p->conn = -1;
	assert_true(p->listener >= 0);

	assert_int_equal(sd_event_new(&scene->event), 0);
	assert_int_equal(sd_event_add_defer(scene->event, &defer, answer_status, p), 0);
	/* Behind everything else: a deferred source that stays on is otherwise always the next. */
	assert_int_equal(sd_event_source_set_priority(defer, SD_EVENT_PRIORITY_IDLE), 0);
	assert_int_equal(sd_event_source_set_enabled(defer, SD_EVENT_ON), 0);
	assert_int_equal(manager_new(scene->event, NULL, &paths, &scene->manager, &err), 0);
	sd_event_source_disable_unref(defer);
	return manager_find_vm(scene->manager, "demo");
}

struct vm *process_adopt(struct scene *scene, struct process *p, enum vmm_state vmm_state)
{
	return process_adopt_numbered(scene, p, vmm_state, 0);
}

struct vm *process_adopt_numbered(struct scene *scene, struct process *p, enum vmm_state vmm_state,
				  uint32_t number)
{
	return adopt(scene, &(struct process){ .vmm_state = vmm_state, .number = number }, p);
}

struct vm *process_adopt_changing(struct scene *scene, struct process *p, uint32_t number)
{
	return adopt(scene, &(struct process){ .vmm_state = VMM_RUNNING, .number = number, .changing = true }, p);
}

void scene_run(struct scene *scene)
{
	while (sd_event_run(scene->event, 0) > 0)
		;
}
