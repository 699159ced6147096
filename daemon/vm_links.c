/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the NICs of a VM are in the host's network: taps as ports of bridges, and macvtaps.
 *
 * A tap goes with its last descriptor. A macvtap does not, so hvd removes it: when the process has ended,
 * when the NIC is detached, and when hvd starts and finds one of a VM that does not run. Which VM and
 * which NIC it is of says its alias.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/link.h"
#include "daemon/vm_private.h"
#include "vmm/base/log.h"

#define ALIAS_PREFIX  "hvd:vm/"
#define MACVTAP_NAMES "hvdm" /* of the names of macvtaps, daemon/link_macvtap.c */

static void alias_of(const struct vm *vm, const struct nic_config *nic,
		     char alias[static LINK_ALIAS_SIZE])
{
	snprintf(alias, LINK_ALIAS_SIZE, ALIAS_PREFIX "%s/%s", vm->config.name, nic->id);
}

/* A guest that may choose its address is not held to one. */
static bool is_filtered(const struct nic_config *nic)
{
	return nic->mac_filter && !nic->trust_guest_mac && !nic->tap;
}

static int make_link(const struct vm *vm, const struct nic_config *nic, unsigned *ret,
		     struct hvd_error *err)
{
	char alias[LINK_ALIAS_SIZE];
	const struct link_macvtap macvtap = { .parent = nic->interface, .mode = nic->mode,
					      .mac = nic->mac, .filter = is_filtered(nic),
					      .alias = alias };
	struct link link;
	int r;

	alias_of(vm, nic, alias);
	r = link_make_macvtap(&macvtap, &link, err);
	if (r < 0)
		return hvd_err_in(err, r, "interface");
	*ret = (unsigned)link.index;
	return 0;
}

int vm_make_links(struct vm *vm, const struct vm_config *config, const struct vm_config *running,
		  struct vm_macvtaps *ret, struct hvd_error *err)
{
	struct vm_macvtaps made = { 0 };

	for (size_t i = 0; i < config->n_nics; i++) {
		const struct nic_config *nic = &config->nics[i];
		int r;

		if (!nic->interface || (running && vm_config_find_nic(running, nic->id) >= 0))
			continue;
		vm->has_links = true;
		r = make_link(vm, nic, &made.index[i], err);
		if (r < 0)
			return hvd_err_in(err, r, "nics[%zu]", i);
	}
	*ret = made;
	return 0;
}

/* The bridge that a NIC is to be on; NULL: on none. */
static const char *bridge_of(const struct vm *vm, const struct nic_config *nic, uint32_t *mtu)
{
	const struct network *network;

	*mtu = 0;
	if (!nic->network)
		return nic->bridge;
	network = manager_find_network(vm->manager, nic->network);
	if (!nic->mtu) /* else it has been set */
		*mtu = network_config(network)->mtu;
	return network_config(network)->bridge;
}

static int connect_tap(const struct vm *vm, const struct nic_config *nic, int tap,
		       struct hvd_error *err)
{
	struct link_port port = { .mac = is_filtered(nic) ? nic->mac : NULL,
				  .isolated = nic->isolated };
	const char *bridge = bridge_of(vm, nic, &port.mtu);
	char name[IFNAMSIZ], alias[LINK_ALIAS_SIZE];
	int r;

	if (!bridge)
		return 0;
	alias_of(vm, nic, alias);
	port.alias = alias;
	r = vm_files_tap_name(tap, name);
	if (r < 0)
		return hvd_err(err, -r, "cannot ask for the name of its tap");
	return link_add_port(bridge, name, &port, err);
}

int vm_connect_taps(const struct vm *vm, const struct vm_config *config,
		    const struct vm_files *files, struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_nics; i++) {
		int r = files->nics[i].tap[0] < 0 ? 0
					   : connect_tap(vm, &config->nics[i], files->nics[i].tap[0], err);

		if (r < 0)
			return hvd_err_in(err, r, "nics[%zu]", i);
	}
	return 0;
}

/* "hvd:vm/NAME/NIC" -> NAME in name, and NIC; NULL: no alias of this kind. */
static const char *split_alias(const char *alias, char name[static LINK_ALIAS_SIZE])
{
	size_t len;

	if (strncmp(alias, ALIAS_PREFIX, strlen(ALIAS_PREFIX)) != 0)
		return NULL;
	alias += strlen(ALIAS_PREFIX);
	len = strcspn(alias, "/");
	if (!alias[len])
		return NULL;
	snprintf(name, LINK_ALIAS_SIZE, "%.*s", (int)len, alias);
	return alias + len + 1;
}

const char *vm_nic_of_link(const struct vm *vm, const struct link *link)
{
	char name[LINK_ALIAS_SIZE];
	const char *nic = split_alias(link->alias, name);

	if (nic)
		return strcmp(name, vm->config.name) == 0 ? nic : NULL;
	/* one that somebody else has made */
	for (size_t i = 0; i < vm->running.n_nics; i++)
		if (vm->running.nics[i].tap && strcmp(vm->running.nics[i].tap, link->name) == 0)
			return vm->running.nics[i].id;
	return NULL;
}

static bool process_has(const struct vm *vm, const char *nic)
{
	int at = vm_config_find_nic(&vm->running, nic);

	return at >= 0 && vm->running.nics[at].interface;
}

static int prune_link(void *ctx, const struct link *link)
{
	const struct vm *vm = ctx;
	char name[LINK_ALIAS_SIZE];
	const char *nic = split_alias(link->alias, name);
	int r = 0;

	if (strcmp(link->kind, "macvtap") != 0 || !nic || strcmp(name, vm->config.name) != 0)
		return 0;
	if (!process_has(vm, nic))
		r = link_delete(link->index);
	if (r < 0)
		log_warning("VM %s: cannot remove macvtap %s: %s", name, link->name, strerror(-r));
	return 0;
}

void vm_prune_links(struct vm *vm)
{
	if (!vm->has_links)
		return;
	link_each(prune_link, vm);
	vm->has_links = false;
	for (size_t i = 0; i < vm->running.n_nics; i++)
		vm->has_links = vm->has_links || vm->running.nics[i].interface;
}

struct refilter {
	const struct vm *vm;
	const struct nic_config *nic;
};

static int refilter_link(void *ctx, const struct link *link)
{
	const struct refilter *refilter = ctx;
	const struct nic_config *nic = refilter->nic;
	char alias[LINK_ALIAS_SIZE];
	int r;

	alias_of(refilter->vm, nic, alias);
	if (strcmp(link->alias, alias) != 0)
		return 0;
	r = link_unfilter(link->index);
	if (r >= 0 && is_filtered(nic))
		r = link_filter_source(link->index, nic->interface ? LINK_EGRESS : LINK_INGRESS,
				       nic->mac);
	if (r < 0)
		log_err("VM %s: %s of %s: cannot change what it may send: %s",
			refilter->vm->config.name, link->name, nic->id, strerror(-r));
	return 0;
}

void vm_refilter_links(const struct vm *vm, const struct vm_config *config)
{
	for (size_t i = 0; i < config->n_nics; i++) {
		struct refilter refilter = { vm, &config->nics[i] };
		int at = vm_config_find_nic(&vm->running, config->nics[i].id);

		if (at >= 0 && is_filtered(&config->nics[i]) != is_filtered(&vm->running.nics[at]))
			link_each(refilter_link, &refilter);
	}
}

/* One without an alias has been made by an hvd that died right then. */
static int remove_stale_link(void *ctx, const struct link *link)
{
	const struct manager *manager = ctx;
	char name[LINK_ALIAS_SIZE];
	const char *nic = split_alias(link->alias, name);
	struct vm *vm = nic ? manager_find_vm(manager, name) : NULL;

	if (strcmp(link->kind, "macvtap") != 0 ||
	    (!nic && strncmp(link->name, MACVTAP_NAMES, strlen(MACVTAP_NAMES)) != 0) ||
	    (vm && process_has(vm, nic)))
		return 0;
	log_info("macvtap %s is left over and is removed", link->name);
	link_delete(link->index);
	return 0;
}

void vm_remove_stale_links(struct manager *manager)
{
	link_each(remove_stale_link, manager);
}
