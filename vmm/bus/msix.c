/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus/msix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/base/macro.h"

#define CONTROL 3 /* the word of an entry with the mask bit */

static void signal_fd(int fd)
{
	/* Fails only when the counter is full: then the message is due anyway. */
	(void)!write(fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* Forget what was signalled; true: there was something. */
static bool drain(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

int msix_init(struct msix *msix, struct pci_function *f, unsigned n, unsigned bar,
	      uint32_t table_at, uint32_t pba_at, struct pci_events *events)
{
	*msix = (struct msix){
		.events = events,
		.n = n,
		.quiet = true,
		.vectors = calloc(n, sizeof(*msix->vectors)),
	};
	pthread_mutex_init(&msix->lock, NULL);
	if (!msix->vectors)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		msix->vectors[i] = (struct msix_vector){
			.entry = { [CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT },
			.fd = -1,
			.route = PCI_NO_ROUTE,
		};
	for (unsigned i = 0; i < n; i++) {
		msix->vectors[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (msix->vectors[i].fd < 0)
			return -errno;
	}

	msix->at = pci_add_capability(f, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	pci_config_set(f, msix->at + PCI_MSIX_FLAGS, n - 1, 2);
	pci_config_allow(f, msix->at + PCI_MSIX_FLAGS,
			 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	pci_config_set(f, msix->at + PCI_MSIX_TABLE, table_at | bar, 4);
	pci_config_set(f, msix->at + PCI_MSIX_PBA, pba_at | bar, 4);
	return 0;
}

static void unbind(struct msix *msix, struct msix_vector *v)
{
	if (v->bound)
		msix->events->unbind_message(msix->events, v->fd, v->route);
	v->bound = false;
}

void msix_destroy(struct msix *msix)
{
	if (!msix->n)
		return;
	for (unsigned i = 0; msix->vectors && i < msix->n; i++) {
		struct msix_vector *v = &msix->vectors[i];

		unbind(msix, v);
		if (v->route != PCI_NO_ROUTE)
			msix->events->free_route(msix->events, v->route);
		if (v->fd >= 0)
			close(v->fd);
	}
	free(msix->vectors);
	pthread_mutex_destroy(&msix->lock);
	msix->n = 0;
}

static bool same_message(const struct msi_message *a, const struct msi_message *b)
{
	return a->address == b->address && a->data == b->data && a->requester == b->requester;
}

/* Bind or unbind as the masks want it. Under lock. */
static void update_vector(struct msix *msix, struct msix_vector *v)
{
	struct msi_message message = {
		.address = (uint64_t)v->entry[1] << 32 | v->entry[0],
		.data = v->entry[2],
		.requester = msix->requester,
	};

	if (msix->quiet || v->entry[CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT) {
		unbind(msix, v);
		return;
	}
	if (v->bound && same_message(&v->message, &message))
		return;

	/* one that cannot be bound is as if it were masked */
	if (msix->events->bind_message(msix->events, v->fd, &message, &v->route) < 0) {
		unbind(msix, v);
		return;
	}
	v->bound = true;
	v->message = message;
}

void msix_update(struct msix *msix, const struct pci_function *f)
{
	uint32_t flags = pci_config_get(f, msix->at + PCI_MSIX_FLAGS, 2);
	bool enabled = flags & PCI_MSIX_FLAGS_ENABLE, was_enabled = msix->enabled;
	bool quiet = !enabled || flags & PCI_MSIX_FLAGS_MASKALL || !pci_bus_master(f);
	uint16_t requester = pci_requester_id(f);

	pthread_mutex_lock(&msix->lock);
	if (quiet != msix->quiet || requester != msix->requester) {
		msix->quiet = quiet;
		msix->requester = requester;
		for (unsigned i = 0; i < msix->n; i++)
			update_vector(msix, &msix->vectors[i]);
	}
	msix->enabled = enabled;
	for (unsigned i = 0; was_enabled && !enabled && i < msix->n; i++)
		drain(msix->vectors[i].fd);
	pthread_mutex_unlock(&msix->lock);
}

void msix_reset(struct msix *msix, const struct pci_function *f)
{
	msix_update(msix, f);
	pthread_mutex_lock(&msix->lock);
	for (unsigned i = 0; i < msix->n; i++) {
		struct msix_vector *v = &msix->vectors[i];

		memset(v->entry, 0, sizeof(v->entry));
		v->entry[CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		update_vector(msix, v);
		drain(v->fd);
	}
	pthread_mutex_unlock(&msix->lock);
}

/* Bytes of the table behind its end, and accesses across entries, read as 0. */
static bool in_entry(const struct msix *msix, uint64_t offset, unsigned len)
{
	return offset / PCI_MSIX_ENTRY_SIZE < msix->n &&
	       offset % PCI_MSIX_ENTRY_SIZE + len <= PCI_MSIX_ENTRY_SIZE;
}

uint64_t msix_table_read(struct msix *msix, uint64_t offset, unsigned len)
{
	uint64_t value = 0;

	if (!in_entry(msix, offset, len))
		return 0;
	pthread_mutex_lock(&msix->lock);
	memcpy(&value,
	       (uint8_t *)msix->vectors[offset / PCI_MSIX_ENTRY_SIZE].entry +
		       offset % PCI_MSIX_ENTRY_SIZE,
	       len);
	pthread_mutex_unlock(&msix->lock);
	return value;
}

void msix_table_write(struct msix *msix, uint64_t offset, uint64_t value, unsigned len)
{
	struct msix_vector *v;

	/* words and double words that are aligned; what else there may be is undefined (§7.7.2) */
	if (len < 4 || offset % len || !in_entry(msix, offset, len))
		return;

	pthread_mutex_lock(&msix->lock);
	v = &msix->vectors[offset / PCI_MSIX_ENTRY_SIZE];
	memcpy((uint8_t *)v->entry + offset % PCI_MSIX_ENTRY_SIZE, &value, len);
	v->entry[0] &= ~3U;
	v->entry[CONTROL] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	update_vector(msix, v);
	pthread_mutex_unlock(&msix->lock);
}

/* Under lock, which keeps it from being bound meanwhile. */
static bool is_pending(const struct msix_vector *v)
{
	if (v->bound || !drain(v->fd))
		return false;
	signal_fd(v->fd);
	return true;
}

uint64_t msix_pba_read(struct msix *msix, uint64_t offset, unsigned len)
{
	uint64_t value = 0;

	pthread_mutex_lock(&msix->lock);
	for (unsigned bit = 0; bit < 8 * len && 8 * offset + bit < msix->n; bit++)
		if (is_pending(&msix->vectors[8 * offset + bit]))
			value |= 1ULL << bit;
	pthread_mutex_unlock(&msix->lock);
	return value;
}

void msix_notify(struct msix *msix, unsigned vector)
{
	signal_fd(msix->vectors[vector].fd);
}

int msix_fd(const struct msix *msix, unsigned vector)
{
	return msix->vectors[vector].fd;
}
