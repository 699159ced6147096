/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a network beside its definition: state, leases, users. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/link.h"
#include "daemon/network_private.h"
#include "vmm/base/log.h"

#define NAMED_USERS_MAX 8 /* in an error */

static const struct nic_config *nic_on(const struct vm_config *config, const char *network)
{
	for (size_t i = 0; i < config->n_nics; i++)
		if (config->nics[i].network && strcmp(config->nics[i].network, network) == 0)
			return &config->nics[i];
	return NULL;
}

/* --- leases */

static void on_leases(void *ctx, struct lease *leases, size_t n)
{
	struct network *network = ctx;
	struct manager *manager = network->manager;

	free(network->leases);
	network->leases = leases;
	network->n_leases = n;
	manager_notify_network(manager, EVENT_STATE, network);
	for (struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		if (nic_on(vm_config(vm), network->config.name))
			manager_notify(manager, MANAGER_VM_STATE, vm);
}

void network_watch(struct network *network)
{
	int r;

	if (network->watch || !network->config.dhcp || !network->manager->bus)
		return;
	r = networkd_watch(network->manager->bus, (int)if_nametoindex(network->config.bridge),
			   on_leases, network, &network->watch);
	if (r < 0)
		log_warning("network %s: addresses of guests will not be shown: %s",
			    network->config.name, strerror(-r));
}

void network_unwatch(struct network *network)
{
	network->watch = networkd_watch_free(network->watch);
	free(network->leases);
	network->leases = NULL;
	network->n_leases = 0;
}

const char *network_address(const struct network *network, const uint8_t mac[static 6])
{
	for (size_t i = 0; i < network->n_leases; i++)
		if (memcmp(network->leases[i].mac, mac, 6) == 0)
			return network->leases[i].address;
	return NULL;
}

static uint64_t usec_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void find_owner(const struct network *network, struct network_lease *lease)
{
	for (const struct vm *vm = vm_next(network->manager, NULL); vm;
	     vm = vm_next(network->manager, vm)) {
		const struct vm_config *config = vm_config(vm);

		for (size_t i = 0; i < config->n_nics; i++) {
			const struct nic_config *nic = &config->nics[i];

			if (!nic->network || strcmp(nic->network, network->config.name) != 0 ||
			    memcmp(nic->mac, lease->mac, sizeof(lease->mac)) != 0)
				continue;
			lease->vm = config->name;
			lease->nic = nic->id;
			return;
		}
	}
}

int network_each_lease(const struct network *network,
		       int (*fn)(void *ctx, const struct network_lease *lease), void *ctx)
{
	uint64_t boot = usec_of(CLOCK_REALTIME) - usec_of(CLOCK_BOOTTIME);
	int r = 0;

	for (size_t i = 0; i < network->n_leases && r >= 0; i++) {
		struct lease *given = &network->leases[i];
		struct network_lease lease = { .address = given->address,
					       .expires_usec = boot + given->expires_usec };

		memcpy(lease.mac, given->mac, sizeof(lease.mac));
		find_owner(network, &lease);
		r = fn(ctx, &lease);
	}
	return r;
}

/* --- users */

int network_check_users(const struct network *network, bool running, struct hvd_error *err)
{
	char names[256] = "";
	const char *name = network->config.name;
	unsigned n = 0;
	size_t used = 0;

	for (const struct vm *vm = vm_next(network->manager, NULL); vm;
	     vm = vm_next(network->manager, vm)) {
		if (!nic_on(vm_running(vm), name) &&
		    (running || !nic_on(vm_config(vm), name)))
			continue;
		if (n < NAMED_USERS_MAX && used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
						 n ? ", " : "", vm_config(vm)->name);
		n++;
	}
	if (!n)
		return 0;
	return hvd_err(err, EBUSY, "network %s is %s by VM%s %s%s", name,
		       running ? "in use" : "had", n > 1 ? "s" : "", names,
		       n > NAMED_USERS_MAX ? " and others" : "");
}

static int add_users(const struct network *network, struct network_status *status)
{
	for (const struct vm *vm = vm_next(network->manager, NULL); vm;
	     vm = vm_next(network->manager, vm)) {
		struct network_user *more;

		if (!nic_on(vm_config(vm), network->config.name) &&
		    !nic_on(vm_running(vm), network->config.name))
			continue;
		more = realloc(status->vms, (status->n_vms + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		status->vms = more;
		more[status->n_vms].vm = strdup(vm_config(vm)->name);
		if (!more[status->n_vms++].vm)
			return -ENOMEM;
	}
	return 0;
}

static enum network_state state_of(const struct network *network)
{
	if (network->config.mode != NETWORK_BRIDGE)
		return network->state;
	return link_is_bridge_up(network->config.bridge) ? NETWORK_ACTIVE : NETWORK_INACTIVE;
}

int network_get_status(const struct network *network, struct network_status *ret)
{
	struct network_status status = {
		.state = state_of(network),
		.generation = network->generation,
		.leases = (uint32_t)network->n_leases,
	};
	bool ok = true;

	if (network->reason[0] && status.state != NETWORK_ACTIVE)
		ok = (status.reason = strdup(network->reason)) != NULL;
	if (!ok || add_users(network, &status) < 0) {
		schema_clear(&network_status_schema, &status);
		return -ENOMEM;
	}
	*ret = status;
	return 0;
}
