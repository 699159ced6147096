/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that each kind of thread of hvd-vmm may make: a seccomp allow-list, entered by the
 * thread itself and inherited by those that it starts. Anything else ends the process.
 *
 * The lists allow by number only, never by argument: the kernel then answers from a bitmap and
 * runs no filter, so that KVM_RUN costs the same with the sandbox as without it.
 */
#pragma once

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"
#include "vmm/vmm.h"

struct sandbox;

/* Make the filters; they are plain memory afterwards. 0, -ENOMEM, -EMFILE. */
int sandbox_new(struct sandbox **ret, struct hvd_error *err);
struct sandbox *sandbox_free(struct sandbox *sandbox);
DEFINE_AUTO(struct sandbox *, sandbox_free);

/*
 * From now on the calling thread may do what its kind needs and nothing else. The main thread enters
 * before the VM is built. Allocates nothing. 0, or -EINVAL where the kernel has no seccomp filters.
 */
int sandbox_enter(const struct sandbox *sandbox, enum vmm_thread kind);
