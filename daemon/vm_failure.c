/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a VM has failed, kept over a restart of hvd: RUNTIME/failed/NAME holds the reason for as long as
 * the VM is in that state. It is a remark, not state that anything depends on: what goes wrong here
 * is logged and nothing more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store.h"
#include "daemon/vm_private.h"
#include "vmm/base/log.h"

/* file NULL: the folder */
static int failure_path(const struct vm *vm, const char *file, char path[static PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/failed%s%s", vm->manager->paths.runtime,
			 file ? "/" : "", file ? file : "");

	return n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static void failed(const struct vm *vm, const char *what, int r)
{
	log_warning("VM %s: the reason of its failure is not %s: %s", vm->config.name, what,
		    strerror(-r));
}

void vm_failure_keep(const struct vm *vm)
{
	const char *reason = vm->reason ? vm->reason : "";
	size_t len = strlen(reason);
	AUTO(close) int fd = -1;
	char path[PATH_MAX];
	int r;

	r = failure_path(vm, NULL, path);
	if (r >= 0)
		r = store_make_folder(path, NULL);
	if (r >= 0)
		r = failure_path(vm, vm->config.name, path);
	if (r >= 0) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		r = fd < 0 || write(fd, reason, len) != (ssize_t)len ? -errno : 0;
	}
	if (r < 0)
		failed(vm, "kept", r);
}

void vm_failure_forget(const struct vm *vm)
{
	char path[PATH_MAX];

	if (failure_path(vm, vm->config.name, path) >= 0 && unlink(path) < 0 && errno != ENOENT)
		failed(vm, "forgotten", -errno);
}

void vm_failure_recall(struct vm *vm)
{
	AUTO(close) int fd = -1;
	char path[PATH_MAX], reason[VM_REASON_MAX];
	ssize_t n;

	if (failure_path(vm, vm->config.name, path) < 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	n = read(fd, reason, sizeof(reason) - 1);
	reason[n > 0 ? n : 0] = '\0';
	vm_set_text(&vm->reason, reason);
	vm->state = VM_FAILED;
}
