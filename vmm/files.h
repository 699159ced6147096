/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that a VM uses, opened.
 *
 * hvd-vmm is unprivileged and sees no file system: whoever starts it opens everything, in this
 * one place, and passes descriptors. vm_files_open() is used by hvd (which sends the result over
 * a socket) and by `hvd-vmm --config` (which keeps it).
 *
 * Disks are locked (F_OFD_SETLK; shared when read-only) so that no two VMs write the same image;
 * the lock lives as long as the open file description, wherever it is passed. A block device that is
 * to be written is also opened exclusively (O_EXCL), so that it is neither mounted nor in a volume
 * group. Disks of other formats are sockets to storage daemons, which are not opened here: -1 until
 * the caller has put them in.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/config.h"
#include "vmm/nic_files.h"

#define VM_MAX_FILES (6 + VM_MAX_DISKS + VM_MAX_NICS * VM_MAX_NIC_QUEUES * 2)

/*
 * In hvd-vmm's file system: where the sockets vsock_PORT are that the guest can connect to. hvd binds
 * a folder of the VM there.
 */
#define VM_VSOCK_FOLDER "/vsock"

/* -1 where there is none. */
struct vm_files {
	int kvm; /* /dev/kvm */
	int kernel, initrd;
	int firmware, nvram; /* image and variable store (vmm/firmware.h): both or none */
	int vsock; /* a listening unix stream socket, of whoever starts the VM: not opened here */
	int disks[VM_MAX_DISKS];
	struct nic_files nics[VM_MAX_NICS];
};

#define VM_FILES_INIT vm_files_none()
struct vm_files vm_files_none(void);

/* Interface indexes of the macvtaps for NICs that have an interface; 0: none. */
struct vm_macvtaps {
	unsigned index[VM_MAX_NICS];
};

/*
 * Open what config names and running, what the VM has already, does not (NULL: it has nothing yet).
 * Disks and NICs are told apart by their ids; what has changed of one does not open it again. NICs
 * as nic_files_open() does, on macvtaps that the caller has made (NULL: it has none); vm_files_tap_name()
 * tells the name of a tap. On failure nothing stays open and err names the field and the path. -ENOENT, -EACCES, -EBUSY (disk in use by another VM), -EISDIR, -EMFILE, …
 */
int vm_files_open(const struct vm_config *config, const struct vm_config *running,
		  const struct vm_macvtaps *macvtaps, struct vm_files *ret,
		  struct hvd_error *err);
void vm_files_close(struct vm_files *files);

/* Interface name of an open tap descriptor. Returns 0 or -errno. */
int vm_files_tap_name(int tap, char name[static 16]);

/*
 * Flatten what vm_files_open() opens of config into the order in which it is sent to hvd-vmm, and
 * back. pack returns the count; unpack takes ownership of the n descriptors in either outcome
 * (-EBADMSG: n does not fit).
 */
size_t vm_files_pack(const struct vm_files *files, const struct vm_config *config,
		     const struct vm_config *running, int fds[static VM_MAX_FILES]);
int vm_files_unpack(const struct vm_config *config, const struct vm_config *running,
		    const int *fds, size_t n, struct vm_files *ret);

/*
 * files, those of running, become those of config: what stays finds its new place, what is new
 * moves over from added, what config has no more is closed.
 */
void vm_files_update(struct vm_files *files, const struct vm_config *running,
		     const struct vm_config *config, struct vm_files *added);
