/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/io_fault.h"

#include <string.h>

static void deliver(struct loop_work *work)
{
	struct io_fault *fault = container_of(work, struct io_fault, work);
	struct hvd_error err;

	pthread_mutex_lock(&fault->lock);
	err = fault->err;
	fault->err.code = 0;
	pthread_mutex_unlock(&fault->lock);

	if (err.code)
		fault->fn(fault->ctx, &err);
}

void io_fault_init(struct io_fault *fault, struct loop *main,
		   void (*fn)(void *ctx, const struct hvd_error *err), void *ctx)
{
	*fault = (struct io_fault){ .main = main, .work.fn = deliver, .fn = fn, .ctx = ctx };
	pthread_mutex_init(&fault->lock, NULL);
}

void io_fault_destroy(struct io_fault *fault)
{
	if (!fault->main)
		return;
	loop_cancel(fault->main, &fault->work);
	pthread_mutex_destroy(&fault->lock);
}

void io_fault_report(struct io_fault *fault, const char *disk, int error)
{
	pthread_mutex_lock(&fault->lock);
	if (!fault->err.code) {
		fault->err.field[0] = '\0';
		hvd_err(&fault->err, -error, "disk %s: %s", disk, strerror(-error));
	}
	pthread_mutex_unlock(&fault->lock);
	loop_post(fault->main, &fault->work);
}
