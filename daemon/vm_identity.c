/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM, its disks and its NICs are known by, where the definition does not say it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/vm_private.h"

#define FIRST_CID 3U /* the others are the host's */

static bool is_zero(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return true;
}

static int fill_random(void *bytes, size_t n)
{
	return getrandom(bytes, n, 0) == (ssize_t)n ? 0 : -EIO;
}

/* RFC 9562, version 4. */
static int choose_uuid(uint8_t uuid[static 16])
{
	int r = fill_random(uuid, 16);

	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	return r;
}

/* The prefix that KVM guests have by custom: locally administered, unicast. */
static int choose_mac(uint8_t mac[static 6])
{
	mac[0] = 0x52;
	mac[1] = 0x54;
	mac[2] = 0x00;
	return fill_random(mac + 3, 3);
}

/* "vda", "vdb", …, and for more than anyone has, "vdaa", … */
static void disk_id(unsigned i, char id[static VM_ID_MAX + 1])
{
	if (i < 26)
		sprintf(id, "vd%c", 'a' + i);
	else
		sprintf(id, "vd%c%c", 'a' + i / 26 - 1, 'a' + i % 26);
}

static void nic_id(unsigned i, char id[static VM_ID_MAX + 1])
{
	sprintf(id, "net%u", i);
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static int set_id(char **id, const char *text)
{
	*id = strdup(text);
	return *id ? 0 : -ENOMEM;
}

static bool same_image(const struct disk_config *a, const struct disk_config *b)
{
	if (disk_is_rbd(a))
		return schema_equal(&ceph_schema, &a->ceph, &b->ceph);
	if (!disk_is_nbd(a))
		return same_text(a->path, b->path) || same_text(a->volume, b->volume);
	return disk_is_nbd(b) && schema_equal(&nbd_schema, &a->nbd, &b->nbd);
}

/* What stands in a list without an id is what vm has of the same image. */
static int keep_disk_ids(struct vm_config *config, const struct vm_config *old)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < config->n_disks; i++)
		for (size_t j = 0; !config->disks[i].id && r >= 0 && j < old->n_disks; j++)
			if (same_image(&config->disks[i], &old->disks[j]) &&
			    vm_config_find_disk(config, old->disks[j].id) < 0)
				r = set_id(&config->disks[i].id, old->disks[j].id);
	return r;
}

/* … or of the same MAC address or, of what has none either, in the same place. */
static bool same_nic(const struct nic_config *a, const struct nic_config *b)
{
	if (!is_zero(a->mac, sizeof(a->mac)))
		return memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
	return same_text(a->network, b->network) || same_text(a->tap, b->tap) ||
	       same_text(a->bridge, b->bridge) || same_text(a->interface, b->interface);
}

static int keep_nic_ids(struct vm_config *config, const struct vm_config *old)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < config->n_nics; i++)
		for (size_t j = 0; !config->nics[i].id && r >= 0 && j < old->n_nics; j++)
			if (same_nic(&config->nics[i], &old->nics[j]) &&
			    vm_config_find_nic(config, old->nics[j].id) < 0)
				r = set_id(&config->nics[i].id, old->nics[j].id);
	return r;
}

/* A process may have what the definition has no more. */
static int choose_disk_id(const struct vm_config *config, const struct vm *vm, char **ret)
{
	char id[VM_ID_MAX + 1];
	unsigned i = 0;

	do
		disk_id(i++, id);
	while (vm_config_find_disk(config, id) >= 0 ||
	       (vm && vm_config_find_disk(&vm->running, id) >= 0));
	return set_id(ret, id);
}

static int choose_nic_id(const struct vm_config *config, const struct vm *vm, char **ret)
{
	char id[VM_ID_MAX + 1];
	unsigned i = 0;

	do
		nic_id(i++, id);
	while (vm_config_find_nic(config, id) >= 0 ||
	       (vm && vm_config_find_nic(&vm->running, id) >= 0));
	return set_id(ret, id);
}

static int complete_ids(struct vm_config *config, const struct vm *vm)
{
	int r = 0;

	if (vm) {
		r = keep_disk_ids(config, &vm->config);
		if (r >= 0)
			r = keep_nic_ids(config, &vm->config);
	}
	for (size_t i = 0; r >= 0 && i < config->n_disks; i++)
		if (!config->disks[i].id)
			r = choose_disk_id(config, vm, &config->disks[i].id);
	for (size_t i = 0; r >= 0 && i < config->n_nics; i++)
		if (!config->nics[i].id)
			r = choose_nic_id(config, vm, &config->nics[i].id);
	return r;
}

static int complete_macs(struct vm_config *config, const struct vm *vm)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < config->n_nics; i++) {
		struct nic_config *nic = &config->nics[i];
		int at = vm ? vm_config_find_nic(&vm->config, nic->id) : -1;

		if (!is_zero(nic->mac, sizeof(nic->mac)))
			continue;
		if (at >= 0)
			memcpy(nic->mac, vm->config.nics[at].mac, sizeof(nic->mac));
		else
			r = choose_mac(nic->mac);
	}
	return r;
}

/* The first that no VM has. */
static int choose_cid(const struct manager *manager, uint32_t *ret)
{
	AUTO(free) bool *taken = NULL;
	size_t n = 1, i = 0;

	for (const struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		n++;
	taken = calloc(n, sizeof(*taken));
	if (!taken)
		return -ENOMEM;
	for (const struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		if (vm->config.vsock_cid >= FIRST_CID && vm->config.vsock_cid - FIRST_CID < n)
			taken[vm->config.vsock_cid - FIRST_CID] = true;
	while (taken[i]) /* one is left: there are more places than VMs */
		i++;
	*ret = (uint32_t)(FIRST_CID + i);
	return 0;
}

static int complete_cid(const struct manager *manager, struct vm_config *config, const struct vm *vm)
{
	if (!config->vsock || config->vsock_cid)
		return 0;
	if (vm && vm->config.vsock_cid) {
		config->vsock_cid = vm->config.vsock_cid;
		return 0;
	}
	return choose_cid(manager, &config->vsock_cid);
}

int vm_complete(const struct manager *manager, struct vm_config *config, const struct vm *vm,
		struct hvd_error *err)
{
	int r = 0;

	if (is_zero(config->uuid, sizeof(config->uuid))) {
		if (vm)
			memcpy(config->uuid, vm->config.uuid, sizeof(config->uuid));
		else
			r = choose_uuid(config->uuid);
	}
	if (r >= 0)
		r = complete_ids(config, vm);
	if (r >= 0)
		r = complete_macs(config, vm);
	if (r >= 0)
		r = complete_cid(manager, config, vm);
	vm_volumes_complete(manager, config);
	for (size_t i = 0; i < config->n_disks; i++)
		config->shared_memory |= disk_needs_storage(&config->disks[i]);
	return r < 0 ? hvd_err(err, -r, "cannot choose an identity: %s", strerror(-r)) : 0;
}
