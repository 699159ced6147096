/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual networks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "daemon/handlers_private.h"
#include "daemon/network.h"
#include "daemon/resource.h"
#include "daemon/xml_client.h"

/* The network that the path names, and its name in the call; NULL: the call is finished. */
static struct network *find(struct manager *manager, struct call *call)
{
	struct network *network = manager_find_network(manager, call->name);
	struct hvd_error err = { 0 };

	if (network)
		snprintf(call->name, sizeof(call->name), "%s", network_config(network)->name);
	else
		call_finish(call,
			    hvd_err(&err, ENOENT, "there is no network %s; see hvcli network list",
				    call->name),
			    &err);
	return network;
}

static void finish(struct call *call, int r, const struct hvd_error *err)
{
	call_finish(call, r, r < 0 ? err : NULL);
}

static void answer(const struct network *network, struct call *call)
{
	call->generation = network_generation(network);
	call_finish_resource(call, resource_network(network));
}

/* Takes config over. NULL: the call is finished. */
static const struct network *define(struct manager *manager, struct call *call,
				    struct network_config *config)
{
	struct hvd_error err = { 0 };
	struct network *network;
	int r;

	r = network_define(manager, config, &network, &err);
	if (r < 0) {
		schema_clear(&network_schema, config);
		finish(call, r, &err);
		return NULL;
	}
	snprintf(call->name, sizeof(call->name), "%s", network_config(network)->name);
	call->generation = network_generation(network);
	return network;
}

void handle_network_create(struct manager *manager, struct vm *vm, struct call *call)
{
	struct network_config config;
	struct hvd_error err = { 0 };
	const struct network *network;
	int r = json_to_obj(&network_schema, call->args, &config, &err);

	if (r < 0) {
		finish(call, r, &err);
		return;
	}
	network = define(manager, call, &config);
	if (network)
		answer(network, call);
}

static void on_network_read(void *ctx, int r, void *config, const struct import_report *report,
			    const struct hvd_error *err)
{
	const struct network *network;
	struct call *call = ctx;

	if (r < 0) {
		finish(call, r, err);
		return;
	}
	network = define(call->manager, call, config);
	if (network)
		call_finish_import(call, resource_network(network), report);
}

void handle_network_define_xml(struct manager *manager, struct vm *vm, struct call *call)
{
	xml_client_import(manager->xml, &network_schema, call->text ? call->text : "", on_network_read, call);
}

void handle_network_list(struct manager *manager, struct vm *vm, struct call *call)
{
	list_answer(call, &resource_network_kind, manager);
}

void handle_network_get(struct manager *manager, struct vm *vm, struct call *call)
{
	const struct network *network = find(manager, call);

	if (network)
		answer(network, call);
}

void handle_network_leases(struct manager *manager, struct vm *vm, struct call *call)
{
	const struct network *network = find(manager, call);

	struct leases leases;

	if (!network)
		return;
	if (resource_leases(network, &leases) < 0) {
		call_finish_no_memory(call);
		return;
	}
	list_answer(call, &resource_lease_kind, &leases);
	leases_clear(&leases);
}

void handle_network_xml(struct manager *manager, struct vm *vm, struct call *call)
{
	const struct network *network = find(manager, call);

	if (!network)
		return;
	call->generation = network_generation(network);
	call_finish_xml(call, &network_schema, network_config(network));
}

/* A call that waits for a network; neither goes before it is finished. */
struct wait {
	struct network *network;
	struct call *call;
};

static void on_updated(void *ctx, int r, const struct hvd_error *err)
{
	struct wait wait = *(struct wait *)ctx;

	free(ctx);
	if (r < 0)
		finish(wait.call, r, err);
	else
		answer(wait.network, wait.call);
}

static void update(struct network *network, struct call *call, struct network_config *config)
{
	struct generation_options options;
	struct wait *wait = malloc(sizeof(*wait));
	struct hvd_error err = { 0 };
	int r;

	r = wait ? call_options(call, &options, &err) : hvd_err(&err, ENOMEM, "out of memory");
	if (r < 0) {
		schema_clear(&network_schema, config);
		free(wait);
		finish(call, r, &err);
		return;
	}
	*wait = (struct wait){ .network = network, .call = call };
	network_update(network, config, options.generation, on_updated, wait);
}

void handle_network_patch(struct manager *manager, struct vm *vm, struct call *call)
{
	struct network *network = find(manager, call);
	struct network_config config = { 0 };
	struct hvd_error err = { 0 };
	int r;

	if (!network)
		return;
	r = json_merge_obj(&network_schema, network_config(network), call->args, &config, &err);
	if (r < 0)
		finish(call, r, &err);
	else
		update(network, call, &config);
}

void handle_network_delete(struct manager *manager, struct vm *vm, struct call *call)
{
	struct network *network = find(manager, call);
	struct generation_options options;
	struct hvd_error err = { 0 };
	int r;

	if (!network)
		return;
	r = call_options(call, &options, &err);
	if (r >= 0)
		r = network_undefine(network, options.generation, &err);
	finish(call, r, &err);
}

static void on_started(void *ctx, int r, const struct hvd_error *err)
{
	finish(ctx, r, err);
}

void handle_network_start(struct manager *manager, struct vm *vm, struct call *call)
{
	struct network *network = find(manager, call);

	if (network)
		network_start(network, on_started, call);
}

void handle_network_stop(struct manager *manager, struct vm *vm, struct call *call)
{
	struct network *network = find(manager, call);
	struct hvd_error err = { 0 };

	if (network)
		finish(call, network_stop(network, &err), &err);
}
