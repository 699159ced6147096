/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a VM's sockets: a folder RUNTIME/vsock/NAME with the socket `vsock`, at which hvd-vmm
 * takes connections to the guest, and those that programs of the host put there for the guest to
 * connect to, vsock_PORT. It outlives the VM's process, so that who listens there need not
 * listen anew each time, and goes with the definition.
 *
 * root and the group of hvd's own socket get into the folder. So does hvd-vmm, which sees this
 * folder and nothing above it: who listens lets it in by the mode of the socket.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/vm_private.h"
#include "vmm/base/log.h"

#define LISTEN_BACKLOG 64

int vm_vsock_path(const struct manager_paths *paths, const char *name, const char *file,
		  char path[static PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/vsock%s%s%s%s", paths->runtime, name ? "/" : "",
			 name ? name : "", file ? "/" : "", file ? file : "");

	return n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* For root and the group; others as mode says. */
static int give_to_group(const char *path, mode_t mode)
{
	const struct group *group = getgrnam(HVD_GROUP);

	if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
		return -errno;
	return chmod(path, mode) < 0 ? -errno : 0;
}

static int make_folder(const char *path, mode_t mode)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return give_to_group(path, mode);
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	AUTO(close) int fd = -1;
	int r;

	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path) >=
	    sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	r = give_to_group(path, 0660);
	if (r < 0)
		return r;
	return listen(fd, LISTEN_BACKLOG) < 0 ? -errno : TAKE_FD(fd);
}

int vm_vsock_listen(const struct vm *vm, struct hvd_error *err)
{
	const struct manager_paths *paths = &vm->manager->paths;
	const char *name = vm->config.name;
	char path[PATH_MAX];
	int r;

	/* nobody else gets past the first; hvd-vmm begins at the second */
	r = vm_vsock_path(paths, NULL, NULL, path);
	if (r >= 0)
		r = make_folder(path, 0710);
	if (r >= 0)
		r = vm_vsock_path(paths, name, NULL, path);
	if (r >= 0)
		r = make_folder(path, 0711);
	if (r >= 0)
		r = vm_vsock_path(paths, name, "vsock", path);
	if (r >= 0)
		r = listen_at(path);
	return r < 0 ? hvd_err_field(err, -r, "vsock", "%s: %s", path, strerror(-r)) : r;
}

void vm_vsock_close(const struct vm *vm)
{
	char path[PATH_MAX];

	if (vm_vsock_path(&vm->manager->paths, vm->config.name, "vsock", path) >= 0)
		unlink(path);
}

void vm_vsock_forget(const struct vm *vm)
{
	char path[PATH_MAX];

	vm_vsock_close(vm);
	if (vm_vsock_path(&vm->manager->paths, vm->config.name, NULL, path) < 0)
		return;
	if (rmdir(path) < 0 && errno != ENOENT)
		log_notice("%s stays: %s", path,
			   errno == ENOTEMPTY ? "programs have sockets there" : strerror(errno));
}
