/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/link.h"
#include "vmm/base/log.h"

struct waiter {
	struct list node;
	metrics_done_fn done;
	void *ctx;
};

struct round {
	struct metrics *metrics;
	bool all; /* VMs */
	struct list waiters;
	struct vm **vms; /* only while it is being started */
	struct vm_metrics *measured;
	size_t n;
	size_t pending;
};

struct metrics {
	struct manager *manager;
	struct round *running; /* of all VMs */
	struct list waiting;   /* for the next one */
};

int metrics_new(struct manager *manager, struct metrics **ret)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return -ENOMEM;
	metrics->manager = manager;
	list_init(&metrics->waiting);
	*ret = metrics;
	return 0;
}

struct metrics *metrics_free(struct metrics *metrics)
{
	free(metrics);
	return NULL;
}

/* Tells all of them, and frees them. */
static void tell(struct list *waiters, int r, const struct vm_metrics *vms, size_t n)
{
	while (!list_empty(waiters)) {
		struct waiter *waiter = list_entry(waiters->next, struct waiter, node);

		list_remove(&waiter->node);
		waiter->done(waiter->ctx, r, vms, n);
		free(waiter);
	}
}

static void round_free(struct round *round)
{
	for (size_t i = 0; i < round->n; i++)
		schema_clear(&vm_metrics_schema, &round->measured[i]);
	free(round->measured);
	free(round->vms);
	free(round);
}

static void run_round(struct metrics *metrics, struct vm *vm, struct list *waiters);

static void round_ended(struct round *round, int r)
{
	struct metrics *metrics = round->metrics;
	struct list waiting;

	tell(&round->waiters, r, round->measured, r < 0 ? 0 : round->n);
	if (round->all) {
		list_init(&waiting);
		list_splice(&waiting, &metrics->waiting);
		metrics->running = NULL;
		if (metrics->manager->stopping)
			tell(&waiting, -EAGAIN, NULL, 0);
		else if (!list_empty(&waiting))
			run_round(metrics, NULL, &waiting);
	}
	round_free(round);
}

static void on_measured(void *ctx)
{
	struct round *round = ctx;

	if (--round->pending == 0)
		round_ended(round, 0);
}

static int on_link(void *ctx, const struct link *link)
{
	struct round *round = ctx;

	for (size_t i = 0; i < round->n; i++)
		vm_measure_link(round->vms[i], &round->measured[i], link);
	return 0;
}

static bool has_nics(const struct round *round)
{
	for (size_t i = 0; i < round->n; i++)
		if (round->measured[i].n_nics)
			return true;
	return false;
}

static int choose_vms(struct round *round, struct vm *vm)
{
	size_t n = 0;

	for (const struct vm *v = vm_next(round->metrics->manager, NULL); v && !vm;
	     v = vm_next(round->metrics->manager, v))
		n++;
	n = vm ? 1 : n;
	round->vms = calloc(n + 1, sizeof(*round->vms));
	round->measured = calloc(n + 1, sizeof(*round->measured));
	if (!round->vms || !round->measured)
		return -ENOMEM;
	round->n = n;
	for (size_t i = 0; i < n; i++)
		round->vms[i] = vm ? vm : vm_next(round->metrics->manager, i ? round->vms[i - 1] : NULL);
	return 0;
}

static int measure(struct round *round)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < round->n; i++) {
		round->pending++;
		r = vm_measure(round->vms[i], &round->measured[i], on_measured, round);
		if (r < 0)
			round->pending--;
	}
	return r;
}

/* Takes the waiters over; vm NULL: all. */
static void run_round(struct metrics *metrics, struct vm *vm, struct list *waiters)
{
	struct round *round = calloc(1, sizeof(*round));
	int r;

	if (!round) {
		tell(waiters, -ENOMEM, NULL, 0);
		return;
	}
	round->metrics = metrics;
	round->all = !vm;
	round->pending = 1; /* this function */
	list_init(&round->waiters);
	list_splice(&round->waiters, waiters);
	if (round->all)
		metrics->running = round;

	r = choose_vms(round, vm);
	if (r >= 0)
		r = measure(round);
	/* before any answer, so that the NICs' part is there when drops are added */
	if (r >= 0 && has_nics(round) && link_each(on_link, round) < 0)
		log_debug("interfaces of the host cannot be listed");
	free(round->vms);
	round->vms = NULL;
	if (r < 0)
		tell(&round->waiters, r, NULL, 0);
	on_measured(round);
}

void metrics_measure(struct metrics *metrics, struct vm *vm, metrics_done_fn done, void *ctx)
{
	struct waiter *waiter = malloc(sizeof(*waiter));
	struct list waiters;

	if (!waiter) {
		done(ctx, -ENOMEM, NULL, 0);
		return;
	}
	*waiter = (struct waiter){ .done = done, .ctx = ctx };
	if (!vm && metrics->running) {
		list_append(&metrics->waiting, &waiter->node);
		return;
	}
	list_init(&waiters);
	list_append(&waiters, &waiter->node);
	run_round(metrics, vm, &waiters);
}
