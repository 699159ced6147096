/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of networks: taken on, kept on disk, forgotten. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/network_private.h"
#include "daemon/store.h"
#include "vmm/base/log.h"

#define DEFAULT_NAME "default"

static int networks_folder(const struct manager *manager, char path[static PATH_MAX],
			   struct hvd_error *err)
{
	return snprintf(path, PATH_MAX, "%s/networks", manager->paths.state) >= PATH_MAX
		       ? hvd_err(err, ENAMETOOLONG, "%s: %s", manager->paths.state,
				 strerror(ENAMETOOLONG))
		       : 0;
}

/* In the order of names. */
static void insert(struct manager *manager, struct network *network)
{
	struct list *after = manager->networks.prev;

	while (after != &manager->networks &&
	       strcmp(list_entry(after, struct network, node)->config.name,
		      network->config.name) > 0)
		after = after->prev;
	/* Appending to a list is inserting before its head: any node may be that head. */
	list_append(after->next, &network->node);
}

static int save(const struct manager *manager, const struct network_config *config,
		uint64_t generation, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r = networks_folder(manager, folder, err);

	return r < 0 ? r
		     : store_save(manager->xml, folder, config->name, &network_schema, config, generation, err);
}

static void take_over(struct network *network, struct network_config *config)
{
	schema_clear(&network_schema, &network->config);
	network->config = *config;
	*config = (struct network_config){ 0 };
}

static int check_generation(const struct network *network, uint64_t generation,
			    struct hvd_error *err)
{
	if (generation && generation != network->generation)
		return hvd_err(err, ESTALE,
			       "network %s has been changed meanwhile: it is of generation %llu, not "
			       "%llu", network->config.name,
			       (unsigned long long)network->generation,
			       (unsigned long long)generation);
	return 0;
}

int network_define(struct manager *manager, struct network_config *config, struct network **ret,
		   struct hvd_error *err)
{
	AUTO(network_free) struct network *network = NULL;
	int r;

	r = network_complete(manager, config, NULL, err);
	if (r >= 0)
		r = network_check_others(manager, config, NULL, err);
	if (r >= 0)
		r = network_check_routes(config, err);
	if (r < 0)
		return r;
	r = network_new(manager, &network);
	if (r < 0)
		return hvd_err(err, -r, "out of memory");
	r = save(manager, config, network->generation, err);
	if (r < 0)
		return r;
	take_over(network, config);
	insert(manager, network);
	event_network(network, EVENT_ADDED);
	*ret = TAKE(network);
	return 0;
}

static int refuse_never(void *ctx, const struct field *field, const char *path)
{
	if (field->applies == APPLIES_NEVER)
		return hvd_err_field(ctx, EINVAL, path, "cannot be changed");
	return 0;
}

static bool is_active(const struct network *network)
{
	return network->config.mode != NETWORK_BRIDGE && network->state != NETWORK_INACTIVE;
}

/* What cannot be changed under those who use it. */
static int check_bridge(const struct network *network, const struct network_config *config,
			struct hvd_error *err)
{
	bool same = strcmp(config->bridge, network->config.bridge) == 0;
	bool foreign = config->mode == NETWORK_BRIDGE;
	int r;

	if (same && foreign == (network->config.mode == NETWORK_BRIDGE))
		return 0;
	r = network_check_users(network, true, err);
	if (r >= 0 && is_active(network))
		r = hvd_err(err, EBUSY, "network %s is active; stop it first: hvcli network stop %s",
			    network->config.name, network->config.name);
	return r < 0 ? hvd_err_in(err, r, same ? "mode" : "bridge") : 0;
}

/* The network's own subnet is no news to the host. */
static int check_subnets(const struct network *network, const struct network_config *config,
			 struct hvd_error *err)
{
	int r = network_check_others(network->manager, config, network, err);

	return r < 0 ? r : network_check_routes(config, err);
}

static int check_change(struct network *network, struct network_config *config, uint64_t generation,
			struct hvd_error *err)
{
	int r;

	r = network_check_idle(network, err);
	if (r >= 0)
		r = check_generation(network, generation, err);
	if (r >= 0)
		r = network_complete(network->manager, config, &network->config, err);
	if (r >= 0)
		r = schema_diff(&network_schema, &network->config, config, refuse_never, err);
	if (r >= 0)
		r = check_bridge(network, config, err);
	return r < 0 ? r : check_subnets(network, config, err);
}

void network_update(struct network *network, struct network_config *config, uint64_t generation,
		    network_done_fn fn, void *ctx)
{
	struct hvd_error err = { 0 };
	int r;

	r = check_change(network, config, generation, &err);
	if (r >= 0 && !schema_equal(&network_schema, &network->config, config)) {
		r = save(network->manager, config, network->generation + 1, &err);
		if (r >= 0) {
			network->generation++;
			take_over(network, config);
			event_network(network, EVENT_CHANGED);
		}
	}
	schema_clear(&network_schema, config);
	if (r >= 0 && is_active(network))
		network_apply(network, fn, ctx);
	else
		fn(ctx, r, r < 0 ? &err : NULL);
}

int network_undefine(struct network *network, uint64_t generation, struct hvd_error *err)
{
	struct manager *manager = network->manager;
	char folder[PATH_MAX];
	int r;

	r = network_check_idle(network, err);
	if (r >= 0)
		r = check_generation(network, generation, err);
	if (r >= 0)
		r = network_check_users(network, false, err);
	if (r >= 0)
		r = networks_folder(manager, folder, err);
	if (r >= 0)
		r = store_remove(folder, network->config.name, err);
	if (r < 0)
		return r;
	/* What stays of it, a start of hvd removes. */
	if (network_take_down(network, err) < 0)
		log_warning("%s", err->msg);
	event_network(network, EVENT_REMOVED);
	network_free(network);
	return 0;
}

static int load(struct manager *manager, const char *folder, const char *name, struct network **ret,
		struct hvd_error *err)
{
	AUTO(network_free) struct network *network = NULL;
	int r;

	r = network_new(manager, &network);
	if (r < 0)
		return hvd_err(err, -r, "out of memory");
	r = store_load(manager->xml, folder, name, &network_schema, &network->config,
		       &network->generation, err);
	if (r < 0)
		return r;
	if (strcmp(network->config.name, name) != 0)
		return hvd_err(err, EINVAL, "%s/%s.xml: the name in it is %s, not %s", folder, name,
			       network->config.name, name);
	r = network_complete(manager, &network->config, NULL, err);
	if (r >= 0)
		r = network_check_others(manager, &network->config, NULL, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "%s/%s.xml", folder, name);
	*ret = TAKE(network);
	return 0;
}

static int on_definition(void *ctx, const char *name)
{
	struct manager *manager = ctx;
	struct hvd_error err = { 0 };
	struct network *network = NULL;
	char folder[PATH_MAX];
	int r;

	r = networks_folder(manager, folder, &err);
	if (r >= 0)
		r = load(manager, folder, name, &network, &err);
	if (r < 0)
		log_err("network %s is left out: %s", name, err.msg);
	else
		insert(manager, network);
	return 0;
}

/* First start: there is no folder yet. */
static int make_default(struct manager *manager, const char *folder, struct hvd_error *err)
{
	struct network_config config;
	int r;

	r = store_make_folder(folder, err);
	if (r < 0)
		return r;
	if (schema_init(&network_schema, &config) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	config.name = strdup(DEFAULT_NAME);
	r = config.name ? network_complete(manager, &config, NULL, err)
			: hvd_err(err, ENOMEM, "out of memory");
	if (r >= 0)
		r = save(manager, &config, 1, err);
	schema_clear(&network_schema, &config);
	return r;
}

int network_load_all(struct manager *manager, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = networks_folder(manager, folder, err);
	if (r < 0)
		return r;
	if (access(folder, F_OK) < 0) {
		r = make_default(manager, folder, err);
		if (r < 0)
			return r;
	}
	r = store_each(folder, on_definition, manager);
	return r < 0 ? hvd_err(err, -r, "%s: %s", folder, strerror(-r)) : 0;
}
