/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test in the place of an hvd-vmm, at the control socket of a VM "demo": hvd-vmm itself needs KVM,
 * which the lab's tests have.
 */
#pragma once

#include "daemon/control_client.h"
#include "tests/unit/scene.h"
#include "vmm/vmm.h"

struct process {
	int listener, conn;
	enum vmm_state vmm_state;
	uint32_t number; /* of the spec that it has */
	bool changing;   /* the guest is asked for what a former hvd wanted */
};

/* hvd, which has defined "demo", starts again and finds a process in this state. */
struct vm *process_adopt(struct scene *scene, struct process *p, enum vmm_state vmm_state);
struct vm *process_adopt_numbered(struct scene *scene, struct process *p, enum vmm_state vmm_state,
				  uint32_t number);
/* … while its guest has a change to agree to, which process_settle() ends. */
struct vm *process_adopt_changing(struct scene *scene, struct process *p, uint32_t number);
void process_settle(struct process *p, uint32_t number);

/*
 * Take what hvd has sent: the next request is of this type. Its descriptors (at most CONTROL_MAX_FDS)
 * become the caller's; returns how many they are.
 */
size_t process_take(struct process *p, enum control_type type, struct control_message *msg,
		    int fds[static CONTROL_MAX_FDS]);
void process_answer(struct process *p, const struct control_message *request, int r,
		    const char *text);
/* Take, and say that it is done. */
void process_expect(struct process *p, enum control_type type);
/* hvd has sent nothing more. */
void process_expect_nothing(struct process *p);
void process_tell(struct process *p, enum vmm_state vmm_state, enum vmm_reason reason,
		  const char *text);
void process_die(struct process *p);

/* Let hvd do what is to be done now. */
void scene_run(struct scene *scene);

/* A vm_done_fn, ctx: struct outcome. */
struct outcome {
	int calls, r;
	struct hvd_error err;
};
void outcome_set(void *ctx, int r, const struct hvd_error *err);
