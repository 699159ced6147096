/* SPDX-License-Identifier: Apache-2.0 */
/* The networks that a VM's NICs are to be put on, one after the other. */
#include <errno.h>

#include "daemon/bridge.h"
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
		network_ready(w->network, on_ready, w);
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

int vm_bridge_taps(const struct manager *manager, const struct vm_config *config,
		   const struct vm_files *files, struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_nics; i++) {
		const struct nic_config *nic = &config->nics[i];
		const struct network *network;
		char tap[16];
		int r;

		if (!nic->network || files->nics[i].tap[0] < 0)
			continue;
		r = vm_files_tap_name(files->nics[i].tap[0], tap);
		if (r < 0)
			return hvd_err(err, -r, "nics[%zu]: cannot ask for the name of its tap", i);
		network = manager_find_network(manager, nic->network);
		r = bridge_add_port(network_config(network)->bridge, tap, err);
		if (r < 0)
			return r;
	}
	return 0;
}
