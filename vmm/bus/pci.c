/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus/pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/macro.h"

/* What QEMU's generic host bridge says it is: guests know it, and it needs no driver. */
static const struct pci_ident host_bridge_ident = {
	.vendor = 0x1b36,
	.device = 0x0008,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class = 0x060000,
};

#define COMMAND_BITS                                                                               \
	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |         \
	 PCI_COMMAND_INTX_DISABLE)

#define MULTIFUNCTION 0x80 /* in the header type */

#define EXPRESS_SIZE 0x3c /* of the PCI Express capability with slot and root, §7.5.3 */

/* [at, at + len) has a byte of [from, to). */
static bool touches(unsigned at, unsigned len, unsigned from, unsigned to)
{
	return at < to && at + len > from;
}

static bool is_bridge(const struct pci_function *f)
{
	return f->config[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_BRIDGE;
}

static bool decodes_memory(const struct pci_function *f)
{
	return f->config[PCI_COMMAND] & PCI_COMMAND_MEMORY;
}

bool pci_bus_master(const struct pci_function *f)
{
	return f->config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

uint16_t pci_requester_id(const struct pci_function *f)
{
	uint8_t bus = f->port ? f->port->config[PCI_SECONDARY_BUS] : 0;

	return (uint16_t)(bus << 8 | f->devfn);
}

uint32_t pci_config_get(const struct pci_function *f, unsigned at, unsigned len)
{
	uint32_t value = 0;

	memcpy(&value, f->config + at, len);
	return value;
}

void pci_config_set(struct pci_function *f, unsigned at, uint32_t value, unsigned len)
{
	memcpy(f->config + at, &value, len);
}

void pci_config_allow(struct pci_function *f, unsigned at, uint32_t mask, unsigned len)
{
	memcpy(f->writable + at, &mask, len);
}

void pci_function_init(struct pci_function *f, const struct pci_ops *ops,
		       const struct pci_ident *ident)
{
	*f = (struct pci_function){ .ops = ops, .end_of_capabilities = PCI_STD_HEADER_SIZEOF };
	pci_config_set(f, PCI_VENDOR_ID, ident->vendor, 2);
	pci_config_set(f, PCI_DEVICE_ID, ident->device, 2);
	pci_config_set(f, PCI_CLASS_REVISION, ident->class << 8 | ident->revision, 4);
	pci_config_set(f, PCI_SUBSYSTEM_VENDOR_ID, ident->subsystem_vendor, 2);
	pci_config_set(f, PCI_SUBSYSTEM_ID, ident->subsystem, 2);
	pci_config_allow(f, PCI_COMMAND, COMMAND_BITS, 2);
	pci_config_allow(f, PCI_CACHE_LINE_SIZE, 0xff, 1);
	pci_config_allow(f, PCI_INTERRUPT_LINE, 0xff, 1);
	for (unsigned i = 0; i < PCI_N_BARS; i++)
		f->bar[i].base = PCI_UNMAPPED;
}

void pci_function_is_bridge(struct pci_function *f)
{
	f->config[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	/* no subsystem IDs in this header */
	pci_config_set(f, PCI_SUBSYSTEM_VENDOR_ID, 0, 4);
	pci_config_set(f, PCI_PREF_MEMORY_BASE, PCI_PREF_RANGE_TYPE_64 * 0x10001, 4);

	pci_config_allow(f, PCI_PRIMARY_BUS, 0x00ffffff, 4);
	pci_config_allow(f, PCI_MEMORY_BASE, 0xfff0fff0, 4);
	pci_config_allow(f, PCI_PREF_MEMORY_BASE, 0xfff0fff0, 4);
	pci_config_allow(f, PCI_PREF_BASE_UPPER32, UINT32_MAX, 4);
	pci_config_allow(f, PCI_PREF_LIMIT_UPPER32, UINT32_MAX, 4);
	pci_config_allow(f, PCI_BRIDGE_CONTROL,
			 PCI_BRIDGE_CTL_PARITY | PCI_BRIDGE_CTL_SERR | PCI_BRIDGE_CTL_BUS_RESET, 2);
}

void pci_add_bar(struct pci_function *f, unsigned bar, uint64_t size, bool wide, bool prefetchable)
{
	unsigned at = PCI_BASE_ADDRESS_0 + 4 * bar;

	f->bar[bar].size = size;
	f->bar[bar].wide = wide;
	pci_config_set(f, at, (wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
			      (prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0), 4);
	pci_config_allow(f, at, (uint32_t)~(size - 1), 4);
	if (wide)
		pci_config_allow(f, at + 4, (uint32_t)(~(size - 1) >> 32), 4);
}

unsigned pci_add_capability(struct pci_function *f, uint8_t id, unsigned len)
{
	unsigned at = ALIGN_UP((unsigned)f->end_of_capabilities, 4);

	f->config[at] = id;
	f->config[f->last_capability ? f->last_capability + 1 : PCI_CAPABILITY_LIST] = (uint8_t)at;
	f->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	f->last_capability = (uint8_t)at;
	f->end_of_capabilities = (uint16_t)(at + len);
	return at;
}

/* A link of one lane at 2.5 GT/s that is always up where something is plugged in (§7.5.3). */
void pci_add_express(struct pci_function *f, unsigned type, unsigned slot)
{
	unsigned at = pci_add_capability(f, PCI_CAP_ID_EXP, EXPRESS_SIZE);
	uint32_t link = PCI_EXP_LNKCAP_SLS_2_5GB | 1 << 4;

	f->express = (uint8_t)at;
	pci_config_set(f, at + PCI_EXP_FLAGS, 2 | type << 4 | (slot ? PCI_EXP_FLAGS_SLOT : 0), 2);
	pci_config_set(f, at + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER, 4);
	pci_config_allow(f, at + PCI_EXP_DEVCTL,
			 PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE |
			 PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN, 2);
	pci_config_set(f, at + PCI_EXP_LNKCAP, link, 4);
	pci_config_set(f, at + PCI_EXP_LNKSTA, link, 2);
	pci_config_allow(f, at + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES, 2);
	if (slot)
		pci_config_set(f, at + PCI_EXP_SLTCAP, slot << 19, 4);
	if (type == PCI_EXP_TYPE_ENDPOINT) {
		pci_config_set(f, at + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR, 4);
		f->writable[at + PCI_EXP_DEVCTL + 1] |= PCI_EXP_DEVCTL_BCR_FLR >> 8;
	}
}

static uint64_t bar_address(const struct pci_function *f, unsigned bar)
{
	unsigned at = PCI_BASE_ADDRESS_0 + 4 * bar;
	uint64_t address = pci_config_get(f, at, 4) & PCI_BASE_ADDRESS_MEM_MASK;

	if (f->bar[bar].wide)
		address |= (uint64_t)pci_config_get(f, at + 4, 4) << 32;
	return address;
}

static bool within(uint64_t base, uint64_t size, uint64_t window, uint64_t window_size)
{
	return base >= window && base - window < window_size &&
	       size <= window_size - (base - window);
}

/* A window of a bridge: base and limit have 1 MiB units, and limit is inclusive. */
static bool in_bridge_window(const struct pci_function *port, unsigned at, uint64_t upper_base,
			     uint64_t upper_limit, uint64_t base, uint64_t size)
{
	uint64_t low = upper_base << 32 | (pci_config_get(port, at, 2) & PCI_MEMORY_RANGE_MASK) << 16;
	uint64_t high = upper_limit << 32 |
			(pci_config_get(port, at + 2, 2) & PCI_MEMORY_RANGE_MASK) << 16 | 0xfffff;

	return low <= high && base >= low && base <= high && size - 1 <= high - base;
}

static bool forwarded(const struct pci_function *port, uint64_t base, uint64_t size)
{
	if (!decodes_memory(port))
		return false;
	return in_bridge_window(port, PCI_MEMORY_BASE, 0, 0, base, size) ||
	       in_bridge_window(port, PCI_PREF_MEMORY_BASE,
				pci_config_get(port, PCI_PREF_BASE_UPPER32, 4),
				pci_config_get(port, PCI_PREF_LIMIT_UPPER32, 4), base, size);
}

static bool reachable(const struct pci_function *f, uint64_t base, uint64_t size)
{
	const struct pci *pci = f->pci;

	if (f->port && !forwarded(f->port, base, size))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(pci->aperture); i++) {
		const struct mmio_region *region = &pci->aperture[i].region;

		if (within(base, size, region->base, region->size))
			return true;
	}
	return false;
}

static void map_function(struct pci_map *map, struct pci_function *f)
{
	for (unsigned i = 0; i < PCI_N_BARS; i++) {
		struct pci_bar *bar = &f->bar[i];
		struct pci_mapping m = { bar_address(f, i), bar->size, f, i };

		bar->next = PCI_UNMAPPED;
		if (bar->size && decodes_memory(f) && reachable(f, m.base, m.size) &&
		    pci_map_add(map, &m))
			bar->next = m.base;
	}
}

#define for_each_function(pci, f)                                                                  \
	for (unsigned i_ = 0; i_ < (pci)->n_functions && (f = (pci)->functions[i_], true); i_++)

static void announce(struct pci_function *f, bool leave)
{
	for (unsigned i = 0; i < PCI_N_BARS; i++) {
		struct pci_bar *bar = &f->bar[i];

		if (bar->base == bar->next || (leave && bar->base == PCI_UNMAPPED))
			continue;
		bar->base = leave ? PCI_UNMAPPED : bar->next;
		if (f->ops->moved && bar->size)
			f->ops->moved(f, i, bar->base);
	}
}

/* Build the table anew, let vCPUs use it, and tell those whose BARs moved. Under lock. */
static void remap(struct pci *pci)
{
	struct pci_map *old = pci->map;
	struct pci_function *f;

	pci->spare->n = 0;
	for_each_function(pci, f)
		map_function(pci->spare, f);

	pthread_rwlock_wrlock(&pci->map_lock);
	pci->map = pci->spare;
	pthread_rwlock_unlock(&pci->map_lock);
	pci->spare = old;

	/* one may go where another has been: all leave first */
	for_each_function(pci, f)
		announce(f, true);
	for_each_function(pci, f)
		announce(f, false);
}

static void reset_function(struct pci_function *f)
{
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		f->config[i] &= (uint8_t)~f->writable[i];
	remap(f->pci);
	if (f->ops->reset)
		f->ops->reset(f);
}

void pci_set_power(struct pci_function *f, bool on)
{
	if (!on && !f->off)
		reset_function(f);
	f->off = !on;
}

/* What a write does beyond changing bytes. */
static void config_effects(struct pci_function *f, unsigned at, unsigned len, bool decoded)
{
	const unsigned header_end = is_bridge(f) ? PCI_CAPABILITY_LIST : PCI_CARDBUS_CIS;
	struct pci_function *child = f->child;

	if ((decoded || decodes_memory(f)) &&
	    (touches(at, len, PCI_COMMAND, PCI_COMMAND + 1) ||
	     touches(at, len, PCI_BASE_ADDRESS_0, header_end)))
		remap(f->pci);

	if (child && touches(at, len, PCI_SECONDARY_BUS, PCI_SECONDARY_BUS + 1) &&
	    child->ops->renamed)
		child->ops->renamed(child);
	if (child && touches(at, len, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CONTROL + 1) &&
	    f->config[PCI_BRIDGE_CONTROL] & PCI_BRIDGE_CTL_BUS_RESET)
		reset_function(child);

	if (f->ops->config_written)
		f->ops->config_written(f, at, len);

	/* the bit that asks for it reads as 0: the reset clears it */
	if (f->express && pci_config_get(f, f->express + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR)
		reset_function(f);
}

static void write_config(struct pci_function *f, unsigned at, uint64_t value, unsigned len)
{
	bool decoded = decodes_memory(f), effective = false;

	for (unsigned i = at; i < at + len && i < PCI_CONFIG_SIZE; i++, value >>= 8) {
		uint8_t byte = (uint8_t)value, old = f->config[i];

		f->config[i] = (uint8_t)((old & ~f->writable[i]) | (byte & f->writable[i]));
		f->config[i] &= (uint8_t)~(byte & f->clearable[i]);
		effective |= f->writable[i] || f->clearable[i];
	}
	if (effective)
		config_effects(f, at, len, decoded);
}

static uint64_t read_config(struct pci_function *f, unsigned at, unsigned len)
{
	uint64_t value = 0;

	if (f->ops->config_read)
		f->ops->config_read(f, at, len);
	if (at < PCI_CONFIG_SIZE)
		memcpy(&value, f->config + at, MIN(len, PCI_CONFIG_SIZE - at));
	return value;
}

static bool is_on_bus(const struct pci_function *f, unsigned bus)
{
	const struct pci_function *port = f->port;

	if (!port)
		return bus == 0;
	return bus && port->config[PCI_SECONDARY_BUS] == bus &&
	       port->config[PCI_SUBORDINATE_BUS] >= bus;
}

/* The function that an ECAM offset addresses, or NULL. */
static struct pci_function *find_function(struct pci *pci, uint64_t offset)
{
	unsigned bus = (unsigned)(offset >> 20), devfn = (unsigned)(offset >> 12) & 0xff;
	struct pci_function *f;

	for_each_function(pci, f)
		if (f->devfn == devfn && !f->off && is_on_bus(f, bus))
			return f;
	return NULL;
}

static bool crosses_function(uint64_t offset, unsigned len)
{
	return offset % PCI_ECAM_FUNCTION + len > PCI_ECAM_FUNCTION;
}

static uint64_t ecam_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct pci *pci = container_of(region, struct pci, ecam);
	struct pci_function *f;
	uint64_t value = UINT64_MAX;

	if (crosses_function(offset, len))
		return value;
	pthread_mutex_lock(&pci->lock);
	f = find_function(pci, offset);
	if (f)
		value = read_config(f, (unsigned)(offset % PCI_ECAM_FUNCTION), len);
	pthread_mutex_unlock(&pci->lock);
	return value;
}

static void ecam_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct pci *pci = container_of(region, struct pci, ecam);
	struct pci_function *f;

	if (crosses_function(offset, len))
		return;
	pthread_mutex_lock(&pci->lock);
	f = find_function(pci, offset);
	if (f)
		write_config(f, (unsigned)(offset % PCI_ECAM_FUNCTION), value, len);
	pthread_mutex_unlock(&pci->lock);
}

/* A read when value is NULL. */
static uint64_t access_bar(struct pci *pci, uint64_t addr, uint64_t *value, unsigned len)
{
	uint64_t result = 0;
	const struct pci_mapping *m;

	pthread_rwlock_rdlock(&pci->map_lock);
	m = pci_map_find(pci->map, addr, len);
	if (m && value)
		m->function->ops->write(m->function, m->bar, addr - m->base, *value, len);
	else if (m)
		result = m->function->ops->read(m->function, m->bar, addr - m->base, len);
	pthread_rwlock_unlock(&pci->map_lock);
	return result;
}

static uint64_t aperture_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct pci *pci = container_of(region, struct pci_aperture, region)->pci;

	return access_bar(pci, region->base + offset, NULL, len);
}

static void aperture_write(struct mmio_region *region, uint64_t offset, uint64_t value,
			   unsigned len)
{
	struct pci *pci = container_of(region, struct pci_aperture, region)->pci;

	access_bar(pci, region->base + offset, &value, len);
}

static void init_locks(struct pci *pci)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&pci->map_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&pci->lock, NULL);
}

static int add_aperture(struct pci *pci, unsigned i, const struct pci_range *range,
			struct mmio_bus *bus, struct hvd_error *err)
{
	struct pci_aperture *a = &pci->aperture[i];

	*a = (struct pci_aperture){
		.region = {
			.name = i ? "64-bit PCI window" : "32-bit PCI window",
			.base = range->base,
			.size = range->size,
			.read = aperture_read,
			.write = aperture_write,
		},
		.pci = pci,
	};
	return range->size ? mmio_bus_add(bus, &a->region, err) : 0;
}

int pci_init(struct pci *pci, const struct pci_places *places, struct mmio_bus *bus,
	     struct hvd_error *err)
{
	static const struct pci_ops no_ops;
	int r;

	*pci = (struct pci){
		.ecam = {
			.name = "PCI ECAM",
			.base = places->ecam.base,
			.size = places->ecam.size,
			.read = ecam_read,
			.write = ecam_write,
		},
		.map = calloc(1, sizeof(*pci->map)),
		.spare = calloc(1, sizeof(*pci->spare)),
	};
	init_locks(pci);
	if (!pci->map || !pci->spare)
		return hvd_err(err, ENOMEM, "PCI: %s", strerror(ENOMEM));

	r = mmio_bus_add(bus, &pci->ecam, err);
	if (r < 0)
		return r;
	r = add_aperture(pci, 0, &places->mmio32, bus, err);
	if (r < 0)
		return r;
	r = add_aperture(pci, 1, &places->mmio64, bus, err);
	if (r < 0)
		return r;

	pci_function_init(&pci->host_bridge, &no_ops, &host_bridge_ident);
	return pci_plug(pci, &pci->host_bridge, PCI_DEVFN(0, 0), err);
}

void pci_destroy(struct pci *pci)
{
	if (!pci->ecam.name)
		return;
	pthread_rwlock_destroy(&pci->map_lock);
	pthread_mutex_destroy(&pci->lock);
	free(pci->map);
	free(pci->spare);
	*pci = (struct pci){ 0 };
}

/* The order of functions: by devfn on bus 0, then what is behind. */
static unsigned rank(const struct pci_function *f)
{
	return f->port ? f->port->devfn * 2U + 1 : f->devfn * 2U;
}

/* A guest looks for more than function 0 where that has the flag. */
static void flag_multifunction(struct pci *pci, const struct pci_function *added)
{
	struct pci_function *f;
	unsigned n = 0;

	for_each_function(pci, f)
		n += !f->port && f->devfn >> 3 == added->devfn >> 3;
	for_each_function(pci, f)
		if (n > 1 && !f->port && f->devfn >> 3 == added->devfn >> 3)
			f->config[PCI_HEADER_TYPE] |= MULTIFUNCTION;
}

static int insert(struct pci *pci, struct pci_function *f, struct hvd_error *err)
{
	unsigned at = 0;

	while (at < pci->n_functions && rank(pci->functions[at]) < rank(f))
		at++;
	if (at < pci->n_functions && rank(pci->functions[at]) == rank(f))
		return hvd_err(err, EEXIST, "there is a PCI device %s%02x.%x already",
			       f->port ? "behind " : "", rank(f) >> 4, rank(f) >> 1 & 7);
	if (pci->n_functions == PCI_MAX_FUNCTIONS)
		return hvd_err(err, ENOSPC, "more than %d PCI devices", PCI_MAX_FUNCTIONS);

	memmove(&pci->functions[at + 1], &pci->functions[at],
		(pci->n_functions - at) * sizeof(pci->functions[0]));
	pci->functions[at] = f;
	pci->n_functions++;
	f->pci = pci;
	return 0;
}

static void take_out(struct pci *pci, struct pci_function *f)
{
	unsigned at = 0;

	while (pci->functions[at] != f)
		at++;
	pci->n_functions--;
	memmove(&pci->functions[at], &pci->functions[at + 1],
		(pci->n_functions - at) * sizeof(pci->functions[0]));
	f->pci = NULL;
}

int pci_plug(struct pci *pci, struct pci_function *f, uint8_t devfn, struct hvd_error *err)
{
	int r;

	f->devfn = devfn;
	pthread_mutex_lock(&pci->lock);
	r = insert(pci, f, err);
	if (r == 0)
		flag_multifunction(pci, f);
	pthread_mutex_unlock(&pci->lock);
	return r;
}

int pci_plug_behind(struct pci_function *port, struct pci_function *f, struct hvd_error *err)
{
	struct pci *pci = port->pci;
	int r;

	f->devfn = PCI_DEVFN(0, 0);
	f->port = port;
	pthread_mutex_lock(&pci->lock);
	r = insert(pci, f, err);
	if (r == 0)
		port->child = f;
	pthread_mutex_unlock(&pci->lock);
	return r;
}

void pci_unplug(struct pci_function *f)
{
	struct pci *pci = f->pci;

	if (!pci)
		return;
	pthread_mutex_lock(&pci->lock);
	/* its BARs leave, and what is bound to their places */
	f->config[PCI_COMMAND] = 0;
	remap(pci);
	if (f->port)
		f->port->child = NULL;
	take_out(pci, f);
	pthread_mutex_unlock(&pci->lock);
}
