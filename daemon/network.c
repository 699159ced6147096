/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/network.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/event.h"
#include "daemon/link.h"
#include "daemon/network_private.h"
#include "vmm/base/log.h"

#define POLL_USEC 50000ULL
#define POLLS_MAX 200

/* /run is empty after a boot. */
#define STARTED_STAMP "networks-started"

struct waiter {
	struct list node;
	network_done_fn fn;
	void *ctx;
};

int network_new(struct manager *manager, struct network **ret)
{
	struct network *network = calloc(1, sizeof(*network));

	if (!network)
		return -ENOMEM;
	list_init(&network->node);
	list_init(&network->waiters);
	network->manager = manager;
	network->generation = 1;
	*ret = network;
	return 0;
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
	network_unwatch(network);
	schema_clear(&network_schema, &network->config);
	free(network);
	return NULL;
}

const struct network_config *network_config(const struct network *network)
{
	return &network->config;
}

uint64_t network_generation(const struct network *network)
{
	return network->generation;
}

struct network *network_next(const struct manager *manager, const struct network *network)
{
	const struct list *next = network ? network->node.next : manager->networks.next;

	return next == &manager->networks ? NULL : list_entry(next, struct network, node);
}

int network_check_idle(const struct network *network, struct hvd_error *err)
{
	return list_empty(&network->waiters)
		       ? 0
		       : hvd_err(err, EBUSY, "network %s is being started or changed; try again",
				 network->config.name);
}

static void set_state(struct network *network, enum network_state state, const char *reason)
{
	snprintf(network->reason, sizeof(network->reason), "%.*s",
		 (int)sizeof(network->reason) - 1, reason ? reason : "");
	if (network->state == state)
		return;
	network->state = state;
	event_network(network, EVENT_STATE);
}

/* The bridge's mark says whose it is, should hvd lose its files or its definition. */
static void mark_bridge(const struct network *network)
{
	char alias[LINK_ALIAS_SIZE];
	struct link link;

	snprintf(alias, sizeof(alias), NETWORK_ALIAS "%s", network->config.name);
	if (link_find(network->config.bridge, &link) >= 0 && strcmp(link.alias, alias) != 0)
		link_set_alias(link.index, alias);
}

/* The bridge is up, or it is not going to be. */
static void finish(struct network *network, int r, const struct hvd_error *err)
{
	struct list done;

	network->poll = sd_event_source_disable_unref(network->poll);
	network->reload = sd_bus_slot_unref(network->reload);
	if (r >= 0 && network->config.mode != NETWORK_BRIDGE) {
		mark_bridge(network);
		network_watch(network);
	}
	set_state(network, r < 0 ? NETWORK_FAILED : NETWORK_ACTIVE, r < 0 ? err->msg : NULL);

	list_init(&done);
	list_splice(&done, &network->waiters);
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

	if (link_is_bridge_up(network->config.bridge)) {
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

/* What is there of this name must be hvd's, and nobody else may have the subnet. */
static int check_free(const struct network *network, struct hvd_error *err)
{
	const struct network_config *config = &network->config;
	struct link link;

	if (link_find(config->bridge, &link) >= 0 &&
	    strncmp(link.alias, NETWORK_ALIAS, strlen(NETWORK_ALIAS)) != 0)
		return hvd_err_field(err, EEXIST, "bridge",
				     "the host has an interface %s already that is not hvd's: choose "
				     "another name, or use it in mode bridge", config->bridge);
	return network_check_routes(config, err);
}

/* Returns 1 when the bridge is up already, 0 when a callback will tell. */
static int realise(struct network *network, struct hvd_error *err)
{
	const struct network_config *config = &network->config;
	struct manager *manager = network->manager;
	int r = 0;

	if (config->mode == NETWORK_BRIDGE)
		return link_is_bridge_up(config->bridge)
			       ? 1
			       : hvd_err_field(err, ENODEV, "bridge",
					       "the host has no bridge %s, or it is not up",
					       config->bridge);
	if (!manager->bus)
		return hvd_err(err, ENOTCONN, "no system bus");
	if (!networkd_has(manager->paths.networkd, config->name))
		r = check_free(network, err);
	if (r < 0)
		return r;
	r = networkd_write(manager->paths.networkd, config, err);
	if (r < 0)
		return r;
	if (r == 0 && link_is_bridge_up(config->bridge))
		return 1;
	return networkd_reload(manager->bus, on_reloaded, network, &network->reload, err);
}

void network_start(struct network *network, network_done_fn fn, void *ctx)
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

	if (idle && network->state != NETWORK_ACTIVE)
		set_state(network, NETWORK_STARTING, NULL);
	if (idle)
		r = realise(network, &err);
	if (r != 0)
		finish(network, r < 0 ? hvd_err_prefix(&err, r, "network %s", network->config.name) : 0,
		       r < 0 ? &err : NULL);
}

void network_apply(struct network *network, network_done_fn fn, void *ctx)
{
	network_unwatch(network);
	network_start(network, fn, ctx);
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

static int delete_bridge(const char *name)
{
	struct link link;

	if (link_find(name, &link) < 0 || strcmp(link.kind, "bridge") != 0)
		return 0;
	return link_delete(link.index);
}

static bool is_subnet(const char *cidr, const char *subnet)
{
	char own[NETWORKD_SUBNET_SIZE];

	if (!cidr)
		return false;
	networkd_subnet(cidr, own);
	return strcmp(own, subnet) == 0;
}

/* Is it one of an isolated network that has a bridge, or one that networkd has not made? */
static bool is_rule_to_keep(void *ctx, const struct link_rule *rule)
{
	struct manager *manager = ctx;

	if (rule->protocol != RTPROT_STATIC)
		return true;
	for (struct network *n = network_next(manager, NULL); n; n = network_next(manager, n)) {
		const struct network_config *config = &n->config;

		if (config->mode != NETWORK_ISOLATED || !networkd_has(manager->paths.networkd, config->name))
			continue;
		if (strcmp(rule->from, config->bridge) == 0 || is_subnet(config->address, rule->to) ||
		    is_subnet(config->address6, rule->to))
			return true;
	}
	return false;
}

/* networkd leaves the rules of a network behind when its bridge goes. */
static void prune_rules(struct manager *manager)
{
	int r = link_prune_rules(NETWORKD_RULE_FROM_HOST, NETWORKD_RULE_FROM_ANY, is_rule_to_keep, manager);

	if (r < 0)
		log_warning("rules of networks that are gone: %s", strerror(-r));
}

int network_take_down(struct network *network, struct hvd_error *err)
{
	const struct network_config *config = &network->config;
	int r;

	network_unwatch(network);
	set_state(network, NETWORK_INACTIVE, NULL);
	if (config->mode == NETWORK_BRIDGE ||
	    !networkd_has(network->manager->paths.networkd, config->name))
		return 0;
	r = networkd_remove(network->manager->paths.networkd, config->name, err);
	if (r < 0)
		return r;
	networkd_forget(network->manager->bus);
	r = delete_bridge(config->bridge);
	prune_rules(network->manager);
	return r < 0 ? hvd_err(err, -r, "network %s: cannot remove bridge %s: %s", config->name,
			       config->bridge, strerror(-r))
		     : 0;
}

int network_stop(struct network *network, struct hvd_error *err)
{
	int r;

	if (network->config.mode == NETWORK_BRIDGE)
		return hvd_err(err, EINVAL, "network %s is a bridge of the host, which hvd neither "
			       "makes nor removes", network->config.name);
	r = network_check_idle(network, err);
	if (r >= 0)
		r = network_check_users(network, true, err);
	return r < 0 ? r : network_take_down(network, err);
}

/* --- after a start of hvd */

static const struct network *active_network(const struct manager *manager, const char *name)
{
	const struct network *network = manager_find_network(manager, name);

	if (!network || network->config.mode == NETWORK_BRIDGE ||
	    strcmp(network->config.name, name) != 0)
		return NULL;
	return network;
}

static int remove_stale_file(void *ctx, const char *name)
{
	struct manager *manager = ctx;
	struct hvd_error err = { 0 };

	if (!active_network(manager, name) &&
	    networkd_remove(manager->paths.networkd, name, &err) < 0)
		log_warning("%s", err.msg);
	return 0;
}

static int remove_stale_bridge(void *ctx, const struct link *link)
{
	struct manager *manager = ctx;
	const struct network *network;
	const char *name = link->alias + strlen(NETWORK_ALIAS);

	if (strcmp(link->kind, "bridge") != 0 ||
	    strncmp(link->alias, NETWORK_ALIAS, strlen(NETWORK_ALIAS)) != 0)
		return 0;
	network = active_network(manager, name);
	if (network && networkd_has(manager->paths.networkd, name) &&
	    strcmp(network->config.bridge, link->name) == 0)
		return 0;
	log_info("bridge %s of network %s is left over and is removed", link->name, name);
	link_delete(link->index);
	return 0;
}

static bool is_first_start(const struct manager *manager)
{
	char stamp[PATH_MAX];
	AUTO(close) int fd = -1;

	if (snprintf(stamp, sizeof(stamp), "%s/" STARTED_STAMP, manager->paths.runtime) >=
	    (int)sizeof(stamp))
		return false;
	fd = open(stamp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd >= 0;
}

static void on_started(void *ctx, int r, const struct hvd_error *err)
{
	/* The state tells. */
}

void network_start_all(struct manager *manager)
{
	bool first = is_first_start(manager);

	networkd_each(manager->paths.networkd, remove_stale_file, manager);
	link_each(remove_stale_bridge, manager);
	prune_rules(manager);
	for (struct network *n = network_next(manager, NULL); n; n = network_next(manager, n))
		if ((first && n->config.autostart) || n->config.mode == NETWORK_BRIDGE ||
		    networkd_has(manager->paths.networkd, n->config.name))
			network_start(n, on_started, NULL);
}
