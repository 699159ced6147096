/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of qemu-img(1): it reads what people hand in and what guests have written, so it runs as a transient
 * service in a sandbox as that of storage daemons (daemon/storage.h): an empty file system with the files of
 * the request and nothing else, no network, limits on memory and tasks, the least share of CPU and disks.
 * It ends with hvd's own service. An hvd without a system bus runs it as a child with the rights that it
 * has itself, bounded memory, and its end when hvd ends.
 *
 * Callers never have a format probed: each image has its -f, -F or driver.
 *
 * On the event loop. Callbacks come from it, and not after qemu_img_free().
 */
#pragma once

#include "daemon/manager.h"

#define QEMU_IMG            "/usr/bin/qemu-img"
#define QEMU_IMG_FILES_MAX  4
#define QEMU_IMG_OUTPUT_MAX (256 * 1024)

struct qemu_img;

/* A regular file or block device that is there, which the caller trusts not to be a link to another. */
struct qemu_img_file {
	const char *path;
	bool writable;
};

struct qemu_img_request {
	const char *unit;        /* of the service, without ".service": "hvd-volume-demo"; one at a time has it */
	const char *description; /* "Volume demo" */
	const char *const *args; /* what follows "qemu-img", NULL at the end; "{0}" in one is files[0], … */
	const struct qemu_img_file *files;
	size_t n_files;
	int input;              /* descriptor for reading that is "{in}", which the caller keeps; -1: none */
	const char *input_path; /* what people know it by, or NULL */
	unsigned timeout_sec;   /* 0: it takes as long as it takes */
};

struct qemu_img_ops {
	/* As -p (among args) tells; NULL: standard output is kept for done. In hundredths of a percent. */
	void (*progress)(void *ctx, unsigned done);
	/*
	 * Once, when it has ended; the caller frees img, in there if he likes. output: what it has written to
	 * standard output. r < 0: it failed, and err has the last thing that it said. -EFBIG: it has written
	 * more than QEMU_IMG_OUTPUT_MAX; -ENOSPC: there is no space left.
	 */
	void (*done)(void *ctx, int r, const char *output, const struct hvd_error *err);
};

/* request need not outlive the call; the strings of args are copied. On failure nothing is left. */
int qemu_img_start(struct manager *manager, const struct qemu_img_request *request,
		   const struct qemu_img_ops *ops, void *ctx, struct qemu_img **ret, struct hvd_error *err);

/* Of one that has not ended: kill it, which may take a moment longer. What it was writing is half done. */
struct qemu_img *qemu_img_free(struct qemu_img *img);
DEFINE_AUTO(struct qemu_img *, qemu_img_free);
