/* SPDX-License-Identifier: Apache-2.0 */
/* The façade on hosts that are not arm64: the daemon and the tests build there, VMs do not run. */
#include "vmm/vmm.h"

#include <errno.h>
#include <sys/utsname.h>

static int unsupported(struct hvd_error *err)
{
	struct utsname host = { .machine = "unknown" };

	uname(&host);
	return hvd_err(err, EOPNOTSUPP, "hvd runs VMs on arm64 hosts only; this host is %s",
		       host.machine);
}

int vmm_create(const struct vm_config *config, struct vm_files *files, struct loop *main,
	       const struct vmm_hooks *hooks, void *ctx, struct vmm **ret, struct hvd_error *err)
{
	vm_files_close(files);
	return unsupported(err);
}

struct vmm *vmm_free(struct vmm *vmm)
{
	return NULL;
}

int vmm_start(struct vmm *vmm, struct hvd_error *err)
{
	return unsupported(err);
}

int vmm_pause(struct vmm *vmm, struct hvd_error *err)
{
	return unsupported(err);
}

int vmm_resume(struct vmm *vmm, struct hvd_error *err)
{
	return unsupported(err);
}

int vmm_reset(struct vmm *vmm, struct hvd_error *err)
{
	return unsupported(err);
}

int vmm_resize_console(struct vmm *vmm, struct console_size size, struct hvd_error *err)
{
	return unsupported(err);
}

int vmm_power_button(struct vmm *vmm, struct hvd_error *err)
{
	return unsupported(err);
}

int vmm_update(struct vmm *vmm, const struct vm_config *config, struct vm_files *files,
	       struct hvd_error *err)
{
	vm_files_close(files);
	return unsupported(err);
}

void vmm_stop(struct vmm *vmm)
{
}

int vmm_reconnect_disk(struct vmm *vmm, const char *id, int sock, struct hvd_error *err)
{
	close(sock);
	return unsupported(err);
}

bool vmm_disk_is_lost(const struct vmm *vmm, const char *id)
{
	return false;
}

int vmm_count(const struct vmm *vmm, struct counters_list *ret)
{
	return -EOPNOTSUPP;
}

enum vmm_state vmm_state(const struct vmm *vmm)
{
	return VMM_STOPPED;
}

struct console *vmm_console(struct vmm *vmm)
{
	return NULL;
}

int vmm_probe(int kvm, struct vmm_host *ret, struct hvd_error *err)
{
	return unsupported(err);
}
