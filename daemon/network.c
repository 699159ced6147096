/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/bridge.h"
#include "daemon/networkd.h"
#include "daemon/store.h"
#include "vmm/base/log.h"

#define POLL_USEC 50000ULL
#define POLLS_MAX 200

#define DEFAULT_NAME "default"
#define DEFAULT_BRIDGE "hvdbr0"
#define DEFAULT_SUBNET 133 /* 192.168.N.0/24 */

struct waiter {
	struct list node;
	network_done_fn fn;
	void *ctx;
};

struct network {
	struct list node; /* in manager->networks */
	struct manager *manager;
	struct network_config config;

	struct list waiters;     /* not empty: being realised */
	sd_bus_slot *reload;
	sd_event_source *poll;
	unsigned polls;

	struct networkd_watch *watch; /* once the bridge is up */
	struct lease *leases;
	size_t n_leases;
};

DEFINE_AUTO(struct network *, network_free);

static int networks_folder(const struct manager *manager, char path[static PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/networks", manager->paths.state) >= PATH_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

static int on_definition(void *ctx, const char *name)
{
	struct manager *manager = ctx;
	AUTO(network_free) struct network *network = calloc(1, sizeof(*network));
	struct hvd_error err = { 0 };
	char folder[PATH_MAX];
	uint64_t generation;
	int r;

	if (!network)
		return -ENOMEM;
	list_init(&network->node);
	list_init(&network->waiters);
	network->manager = manager;

	r = networks_folder(manager, folder);
	if (r < 0)
		return r;
	r = store_load(folder, name, &network_schema, &network->config, &generation, &err);
	if (r < 0 || strcmp(network->config.name, name) != 0) {
		log_err("network %s is left out: %s", name,
			r < 0 ? err.msg : "the name in the file is another");
		return 0;
	}
	list_append(&manager->networks, &TAKE(network)->node);
	return 0;
}

/* An interface of the host, other than our own bridge, has an address in 192.168.N.0/24. */
static bool subnet_in_use(const struct ifaddrs *list, unsigned n)
{
	uint32_t subnet = (192u << 24) | (168u << 16) | (n << 8);

	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		uint32_t address, mask;

		if (!i->ifa_addr || !i->ifa_netmask || i->ifa_addr->sa_family != AF_INET ||
		    strcmp(i->ifa_name, DEFAULT_BRIDGE) == 0)
			continue;
		address = ntohl(((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr);
		mask = ntohl(((struct sockaddr_in *)i->ifa_netmask)->sin_addr.s_addr);
		mask &= 0xffffff00u;
		if ((address & mask) == (subnet & mask))
			return true;
	}
	return false;
}

static unsigned free_subnet(void)
{
	struct ifaddrs *list = NULL;
	unsigned n = DEFAULT_SUBNET;

	if (getifaddrs(&list) < 0)
		return n;
	while (n < 255 && subnet_in_use(list, n))
		n++;
	freeifaddrs(list);
	return n;
}

/* First start: there is no folder yet. */
static int make_default(const char *folder, struct hvd_error *err)
{
	struct network_config config;
	char address[32];
	int r;

	snprintf(address, sizeof(address), "192.168.%u.1/24", free_subnet());
	config = (struct network_config){
		.name = (char *)DEFAULT_NAME,
		.bridge = (char *)DEFAULT_BRIDGE,
		.address = address,
		.dhcp = true,
		.nat = true,
	};
	r = store_make_folder(folder, err);
	return r < 0 ? r : store_save(folder, config.name, &network_schema, &config, 1, err);
}

int network_load_all(struct manager *manager, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = networks_folder(manager, folder);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", manager->paths.state, strerror(-r));
	if (access(folder, F_OK) < 0) {
		r = make_default(folder, err);
		if (r < 0)
			return r;
	}
	r = store_each(folder, on_definition, manager);
	return r < 0 ? hvd_err(err, -r, "%s: %s", folder, strerror(-r)) : 0;
}

struct network *network_free(struct network *network)
{
	if (!network)
		return NULL;

	list_remove(&network->node);
	while (!list_empty(&network->waiters)) {
		struct waiter *waiter = list_entry(network->waiters.next, struct waiter, node);

		list_remove(&waiter->node);
		free(waiter);
	}
	sd_bus_slot_unref(network->reload);
	sd_event_source_disable_unref(network->poll);
	networkd_watch_free(network->watch);
	free(network->leases);
	schema_clear(&network_schema, &network->config);
	free(network);
	return NULL;
}

const struct network_config *network_config(const struct network *network)
{
	return &network->config;
}

struct network *network_next(const struct manager *manager, const struct network *network)
{
	const struct list *next = network ? network->node.next : manager->networks.next;

	return next == &manager->networks ? NULL : list_entry(next, struct network, node);
}

static bool has_nic_on(const struct vm_config *config, const char *network)
{
	for (size_t i = 0; i < config->n_nics; i++)
		if (config->nics[i].network && strcmp(config->nics[i].network, network) == 0)
			return true;
	return false;
}

static void on_leases(void *ctx, struct lease *leases, size_t n)
{
	struct network *network = ctx;
	struct manager *manager = network->manager;

	free(network->leases);
	network->leases = leases;
	network->n_leases = n;

	for (struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		if (has_nic_on(vm_config(vm), network->config.name))
			manager_notify(manager, MANAGER_VM_STATE, vm);
}

static void start_watch(struct network *network)
{
	int r;

	if (network->watch || !network->config.dhcp)
		return;
	r = networkd_watch(network->manager->bus, (int)if_nametoindex(network->config.bridge),
			   on_leases, network, &network->watch);
	if (r < 0)
		log_warning("network %s: addresses of guests will not be shown: %s",
			    network->config.name, strerror(-r));
}

/* The bridge is up, or it is not going to be. */
static void finish(struct network *network, int r, const struct hvd_error *err)
{
	struct list done;

	network->poll = sd_event_source_disable_unref(network->poll);
	network->reload = sd_bus_slot_unref(network->reload);
	if (r >= 0)
		start_watch(network);

	list_init(&done);
	while (!list_empty(&network->waiters)) {
		struct list *node = network->waiters.next;

		list_remove(node);
		list_append(&done, node);
	}
	while (!list_empty(&done)) {
		struct waiter *waiter = list_entry(done.next, struct waiter, node);

		list_remove(&waiter->node);
		waiter->fn(waiter->ctx, r, err);
		free(waiter);
	}
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct network *network = userdata;
	struct hvd_error err = { 0 };

	if (bridge_is_up(network->config.bridge)) {
		finish(network, 0, NULL);
	} else if (++network->polls > POLLS_MAX) {
		finish(network,
		       hvd_err(&err, ETIMEDOUT,
			       "network %s: systemd-networkd has not made bridge %s; "
			       "see networkctl status %s",
			       network->config.name, network->config.bridge, network->config.bridge),
		       &err);
	} else {
		sd_event_source_set_time_relative(source, POLL_USEC);
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	return 0;
}

static void on_reloaded(void *ctx, int r, const struct hvd_error *err)
{
	struct network *network = ctx;
	struct hvd_error own = err ? *err : (struct hvd_error){ 0 };

	network->polls = 0;
	if (r >= 0)
		r = sd_event_add_time_relative(network->manager->event, &network->poll,
					       CLOCK_MONOTONIC, 0, 0, on_poll, network);
	if (r < 0)
		finish(network, hvd_err_prefix(&own, r, "network %s", network->config.name), &own);
}

/* Returns 1 when the bridge is up already, 0 when a callback will tell. */
static int realise(struct network *network, struct hvd_error *err)
{
	int r;

	if (network->watch && bridge_is_up(network->config.bridge))
		return 1;
	if (!network->manager->bus)
		return hvd_err(err, ENOTCONN, "no system bus");

	r = networkd_write(NETWORKD_FOLDER, &network->config, err);
	if (r < 0)
		return r;
	if (r == 0 && bridge_is_up(network->config.bridge))
		return 1;
	return networkd_reload(network->manager->bus, on_reloaded, network, &network->reload, err);
}

void network_ready(struct network *network, network_done_fn fn, void *ctx)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	bool idle = list_empty(&network->waiters);
	struct hvd_error err = { 0 };
	int r = 0;

	if (!waiter) {
		fn(ctx, hvd_err(&err, ENOMEM, "out of memory"), &err);
		return;
	}
	*waiter = (struct waiter){ .fn = fn, .ctx = ctx };
	list_append(&network->waiters, &waiter->node);

	if (idle)
		r = realise(network, &err);
	if (r != 0)
		finish(network, r < 0 ? hvd_err_prefix(&err, r, "network %s", network->config.name) : 0,
		       r < 0 ? &err : NULL);
}

void network_forget(struct network *network, void *ctx)
{
	struct waiter *waiter;

	list_for_each(waiter, &network->waiters, node)
		if (waiter->ctx == ctx) {
			list_remove(&waiter->node);
			free(waiter);
		}
}

const char *network_address(const struct network *network, const uint8_t mac[static 6])
{
	for (size_t i = 0; i < network->n_leases; i++)
		if (memcmp(network->leases[i].mac, mac, 6) == 0)
			return network->leases[i].address;
	return NULL;
}
