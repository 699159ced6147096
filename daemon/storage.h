/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storage daemon: the qemu-storage-daemon that serves one disk of a VM whose format is not raw, as a
 * transient service hvd-vm-NAME.disk-ID.service beside the VM's own, in the VM's slice.
 *
 *	sockets made -> unit asked for -> the daemon opens the image -> it greets on QMP
 *	-> what the image says of itself is checked -> size -> ready
 *
 * It gets two listening sockets, which are in the VM's runtime folder as well: QMP as its standard input,
 * vhost-user as its standard output. So a later hvd finds both again. What it writes to standard error
 * is the reason when it fails, and goes to the journal.
 *
 * Formats are never probed. A backing file is opened only where the configuration names one; an image
 * that says it has one is refused without. Whatever else an image names, the daemon sees nothing
 * but the files of its disk.
 *
 * On the event loop. Callbacks come from it, and not after storage_free().
 */
#pragma once

#include <jansson.h>

#include "daemon/manager.h"
#include "daemon/qmp.h"

#define STORAGE_DAEMON "/usr/bin/qemu-storage-daemon"

struct storage;

typedef void (*storage_done_fn)(void *ctx, int r, const struct hvd_error *err);

struct storage_ops {
	/* Once: it serves the disk, or it does not (r < 0) and is to be freed. */
	void (*ready)(void *ctx, struct storage *storage, int r, const struct hvd_error *err);
	/* Once, after ready with 0: it has ended; why, for a person. */
	void (*ended)(void *ctx, struct storage *storage, const char *why);
};

/*
 * Start one for a disk of config, whose service runs. config and disk need not outlive the call. On
 * failure nothing is left.
 */
int storage_start(struct manager *manager, const struct vm_config *config,
		  const struct disk_config *disk, const struct storage_ops *ops, void *ctx,
		  struct storage **ret, struct hvd_error *err);

/* Find the one again that an earlier hvd has started: ready as if it were new. */
int storage_adopt(struct manager *manager, const struct vm_config *config,
		  const struct disk_config *disk, const struct storage_ops *ops, void *ctx,
		  struct storage **ret, struct hvd_error *err);

/* Forget it; the daemon stays. */
struct storage *storage_free(struct storage *storage);
DEFINE_AUTO(struct storage *, storage_free);

const char *storage_disk(const struct storage *storage); /* its id */
bool storage_is_ready(const struct storage *storage);

/* A socket for hvd-vmm to speak vhost-user on, or -errno. The daemon serves one at a time. */
int storage_connect(const struct storage *storage);

/* Make it what disk now says: size and limits. */
int storage_update(struct storage *storage, const struct disk_config *disk, storage_done_fn fn, void *ctx,
		   struct hvd_error *err);

/*
 * Execute a QMP command, one at a time; fn as qmp_execute() has it, but that it is called from storage_free()
 * with -ENOTCONN when the daemon has not answered. arguments (or NULL) are taken over in either outcome.
 * -EAGAIN: it cannot be asked just now.
 */
int storage_command(struct storage *storage, const char *command, json_t *arguments, qmp_reply_fn fn,
		    void *ctx, struct hvd_error *err);
/* fn is not called any more. */
void storage_forget_command(struct storage *storage);

/* Of what query-named-block-nodes answers: the node of this name, or NULL. */
json_t *storage_find_node(json_t *nodes, const char *name);

/* Have the daemon of a disk end, if there is one; that takes a moment. */
void storage_end(struct manager *manager, const char *vm, const char *disk);

/* storage_socket.c: its sockets, in the VM's runtime folder as DISK.qmp and DISK.disk. A descriptor, or -errno. */
enum storage_socket { STORAGE_SOCKET_QMP, STORAGE_SOCKET_DISK };
int storage_socket_listen(const struct manager *manager, const char *vm, const char *disk,
			  enum storage_socket which);
int storage_socket_connect(const struct manager *manager, const char *vm, const char *disk,
			   enum storage_socket which);
void storage_sockets_remove(const struct manager *manager, const char *vm, const char *disk);

/* storage_args.c: the command line; storage_args_free() frees it. NULL: out of memory. */
char **storage_args(const struct disk_config *disk, uint32_t vcpus);
char **storage_args_free(char **argv);
DEFINE_AUTO(char **, storage_args_free);

/* Where the daemon finds its files. */
#define STORAGE_IMAGE   "/disk"
#define STORAGE_BACKING "/backing"
#define STORAGE_SECRET  "/secret"
#define STORAGE_NBD     "/nbd"
#define STORAGE_KEY     "/key"

/* Names of its objects in QMP. */
#define STORAGE_NODE         "disk"
#define STORAGE_IMAGE_NODE   "image"
#define STORAGE_BACKING_NODE "backing"
#define STORAGE_LIMITS       "limits"

/* The limits as properties of a throttle group. NULL: out of memory. */
json_t *storage_limits(const struct disk_limits_config *limits);

/*
 * What the daemon has written before it failed, for a person: the last line, without the command line in
 * it, and with the paths of the host.
 */
void storage_explain(const char *output, const struct disk_config *disk, char *buf, size_t size);
