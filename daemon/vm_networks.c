/* SPDX-License-Identifier: Apache-2.0 */
/* The networks that a VM's NICs are to be put on, one after the other. */
#include <errno.h>

#include "daemon/vm_private.h"

static void proceed(struct vm_networks *w);

static void on_ready(void *ctx, int r, const struct hvd_error *err)
{
	struct vm_networks *w = ctx;

	w->network = NULL;
	w->nic++;
	if (r < 0)
		w->fn(w->ctx, r, err);
	else
		proceed(w);
}

static bool is_wanted(const struct vm_networks *w, const struct nic_config *nic)
{
	return nic->network && (!w->running || vm_config_find_nic(w->running, nic->id) < 0);
}

static void proceed(struct vm_networks *w)
{
	struct hvd_error err = { 0 };
	const struct nic_config *nic;

	while (w->nic < w->config->n_nics && !is_wanted(w, &w->config->nics[w->nic]))
		w->nic++;
	if (w->nic == w->config->n_nics) {
		w->fn(w->ctx, 0, NULL);
		return;
	}
	nic = &w->config->nics[w->nic];
	w->network = manager_find_network(w->manager, nic->network);
	if (w->network) {
		network_start(w->network, on_ready, w);
		return;
	}
	hvd_err_field(&err, EINVAL, "nics", "there is no network %s", nic->network);
	w->fn(w->ctx, err.code, &err);
}

void vm_networks_ready(struct vm_networks *w)
{
	w->nic = 0;
	w->network = NULL;
	proceed(w);
}

void vm_networks_forget(struct vm_networks *w)
{
	if (w->network)
		network_forget(w->network, w);
	w->network = NULL;
}
