/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of a storage daemon, by which it is found again. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/storage.h"
#include "daemon/vm_private.h"
#include "vmm/base/macro.h"

static const char *const names[] = { [STORAGE_SOCKET_QMP] = "qmp", [STORAGE_SOCKET_DISK] = "disk" };

/* In the VM's folder, which may have too long a name for an address: by a descriptor of it. */
static int socket_address(int folder, const char *disk, enum storage_socket which, struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s.%s", folder, disk,
			names[which]) >= (int)sizeof(addr->sun_path) ? -ENAMETOOLONG : 0;
}

static int open_folder(const struct manager *manager, const char *vm)
{
	char path[PATH_MAX];
	int r = vm_runtime_path(manager, vm, NULL, path), fd;

	if (r < 0)
		return r;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int new_socket(const struct manager *manager, const char *vm, const char *disk,
		      enum storage_socket which, bool listener)
{
	AUTO(close) int folder = open_folder(manager, vm);
	AUTO(close) int fd = -1;
	struct sockaddr_un addr;
	int r;

	if (folder < 0)
		return folder;
	r = socket_address(folder, disk, which, &addr);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!listener)
		return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : TAKE_FD(fd);

	if (unlink(addr.sun_path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(addr.sun_path, 0600) < 0 || listen(fd, 1) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int storage_socket_listen(const struct manager *manager, const char *vm, const char *disk,
			  enum storage_socket which)
{
	return new_socket(manager, vm, disk, which, true);
}

int storage_socket_connect(const struct manager *manager, const char *vm, const char *disk,
			   enum storage_socket which)
{
	return new_socket(manager, vm, disk, which, false);
}

void storage_sockets_remove(const struct manager *manager, const char *vm, const char *disk)
{
	char file[VM_ID_MAX + 16], path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(file, sizeof(file), "%s.%s", disk, names[i]);
		if (vm_runtime_path(manager, vm, file, path) >= 0)
			unlink(path);
	}
}
