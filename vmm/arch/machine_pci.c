/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/machine_pci.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "vmm/base/log.h"
#include "vmm/bus/pci_port.h"
#include "vmm/config.h"
#include "vmm/virtio/pci.h"

#define MAX_PORTS  (VM_MAX_DISKS + VM_MAX_NICS + VM_MAX_HOTPLUG_PORTS)
#define MAX_DIRECT 15
#define LOG_BURST  3

/*
 * Places on bus 0, eight ports to a device number; and physical slot numbers of ports, after which
 * guests name NICs. Part of the machine type: nothing here changes.
 */
static const struct {
	uint8_t device;
	uint8_t n;
	uint8_t slot; /* of the first port; 0: directly on bus 0 */
} places[_MACHINE_KIND_MAX] = {
	[MACHINE_CONSOLE] = { 0x01, 1, 0 },
	[MACHINE_RNG] = { 0x02, 1, 0 },
	[MACHINE_PVPANIC] = { 0x0f, 1, 0 },
	[MACHINE_BALLOON] = { 0x03, 1, 0 },
	[MACHINE_VSOCK] = { 0x04, 1, 0 },
	[MACHINE_DISK] = { 0x10, VM_MAX_DISKS, 33 },
	[MACHINE_NIC] = { 0x12, VM_MAX_NICS, 1 },
	[MACHINE_SPARE] = { 0x13, VM_MAX_HOTPLUG_PORTS, 97 },
};

_Static_assert(VM_MAX_DISKS <= 16 && VM_MAX_NICS <= 8 && VM_MAX_HOTPLUG_PORTS <= 16,
	       "places are for this many");

struct machine_port {
	struct pci_port port;
	enum machine_kind kind;
	struct virtio_pci device; /* in its slot; zeroed: nothing */
	struct machine_pci *pci;
	struct loop_work released;
	struct loop_source patience; /* timerfd while the guest is asked to let go; fd -1 else */
};

struct machine_pci {
	struct pci_events events;
	struct machine_pci_args args;
	struct log_limit log_limit; /* for messages that KVM does not take; under log_lock */
	pthread_mutex_t log_lock;

	struct pci pci;
	unsigned n_buses;
	struct machine_port *ports[MAX_PORTS];
	unsigned n_ports;
	struct virtio_pci *direct[MAX_DIRECT];
	unsigned n_direct;
};

static struct machine_pci *of_events(struct pci_events *events)
{
	return container_of(events, struct machine_pci, events);
}

/* A guest may provoke it. */
static void warn(struct machine_pci *m, const char *what, int r)
{
	bool allowed;

	pthread_mutex_lock(&m->log_lock);
	allowed = log_allowed(&m->log_limit, LOG_BURST);
	pthread_mutex_unlock(&m->log_lock);
	if (allowed)
		log_warning("PCI: %s: %s", what, strerror(-r));
}

static int bind_message(struct pci_events *events, int fd, const struct msi_message *message,
			int *route)
{
	struct machine_pci *m = of_events(events);
	int r = kvm_routes_bind_msi(m->args.routes, fd, message->address, message->data,
				    message->requester, route);

	if (r < 0)
		warn(m, "KVM does not take an interrupt", r);
	return r;
}

static void unbind_message(struct pci_events *events, int fd, int route)
{
	kvm_routes_unbind_msi(of_events(events)->args.routes, fd, route);
}

static void free_route(struct pci_events *events, int route)
{
	kvm_routes_free_msi(of_events(events)->args.routes, route);
}

static int bind_write(struct pci_events *events, int fd, uint64_t ipa)
{
	struct machine_pci *m = of_events(events);
	int r = kvm_vm_bind_write(m->args.vm, fd, ipa);

	if (r < 0)
		warn(m, "KVM does not take an ioeventfd", r);
	return r;
}

static void unbind_write(struct pci_events *events, int fd, uint64_t ipa)
{
	kvm_vm_unbind_write(of_events(events)->args.vm, fd, ipa);
}

static void stop_waiting(struct machine_port *p)
{
	loop_remove(&p->patience);
	if (p->patience.fd >= 0)
		close(p->patience.fd);
	p->patience.fd = -1;
	loop_cancel(p->pci->args.main, &p->released);
}

static void take_out(struct machine_port *p)
{
	stop_waiting(p);
	pci_port_remove(&p->port);
	virtio_pci_destroy(&p->device);
}

/* The guest has let go. */
static void on_released(struct loop_work *work)
{
	struct machine_port *p = container_of(work, struct machine_port, released);
	const struct virtio_dev *dev = p->device.dev;

	take_out(p);
	p->pci->args.on_detached(p->pci->args.ctx, dev, 0);
}

/* The guest has not. */
static void on_timeout(struct loop_source *src, uint32_t events)
{
	struct machine_port *p = container_of(src, struct machine_port, patience);

	stop_waiting(p);
	pci_port_cancel_eject(&p->port);
	p->pci->args.on_detached(p->pci->args.ctx, p->device.dev, -ETIMEDOUT);
}

/* On a vCPU thread. */
static void port_released(struct pci_port *port)
{
	struct machine_port *p = container_of(port, struct machine_port, port);

	loop_post(p->pci->args.main, &p->released);
}

uint8_t machine_pci_port_of(enum machine_kind kind, unsigned index)
{
	return PCI_DEVFN(places[kind].device + index / 8, index % 8);
}

static int add_port(struct machine_pci *m, enum machine_kind kind, unsigned index,
		    struct machine_port **ret, struct hvd_error *err)
{
	uint8_t devfn = machine_pci_port_of(kind, index);
	struct machine_port *p;
	int r;

	if (index >= places[kind].n || m->n_ports == MAX_PORTS)
		return hvd_err(err, ENOSPC, "there is no PCI place for one more");
	/* a bus for each port, beside bus 0 */
	if (m->n_ports + 1 >= m->n_buses)
		return hvd_err(err, ENOSPC,
			       "this host's guest address space has room for %u disks, NICs and "
			       "hotplug_ports in all", m->n_buses - 1);
	p = calloc(1, sizeof(*p));
	if (!p)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	p->pci = m;
	p->kind = kind;
	p->released.fn = on_released;
	p->patience = (struct loop_source){ .fd = -1, .fn = on_timeout };
	m->ports[m->n_ports++] = p;
	r = pci_port_init(&p->port, &m->pci, devfn, places[kind].slot + index, &m->events,
			  port_released, err);
	if (r < 0)
		return r;
	if (ret)
		*ret = p;
	return 0;
}

static int make(struct machine_pci *m, const struct machine_pci_args *args, struct hvd_error *err)
{
	const struct pci_places windows = {
		.ecam = { args->map->ecam.base, args->map->ecam.size },
		.mmio32 = { MEMMAP_PCI_MMIO32, MEMMAP_PCI_MMIO32_SIZE },
		.mmio64 = { args->map->mmio64.base, args->map->mmio64.size },
	};
	static const struct kvm_cap caps[] = {
		KVM_CAP_NAME(KVM_CAP_IRQ_ROUTING),
		KVM_CAP_NAME(KVM_CAP_IOEVENTFD_ANY_LENGTH),
	};
	int r;

	r = kvm_require(args->vm->fd, caps, ARRAY_SIZE(caps), err);
	if (r < 0)
		return r;
	r = pci_init(&m->pci, &windows, args->bus, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < args->spare_ports; i++) {
		r = add_port(m, MACHINE_SPARE, i, NULL, err);
		if (r < 0)
			return hvd_err_in(err, r, "hotplug_ports");
	}
	return 0;
}

int machine_pci_new(const struct machine_pci_args *args, struct machine_pci **ret,
		    struct hvd_error *err)
{
	AUTO(machine_pci_free) struct machine_pci *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	m->events = (struct pci_events){ bind_message, unbind_message, free_route,
					 bind_write, unbind_write };
	m->args = *args;
	m->n_buses = (unsigned)(args->map->ecam.size / MEMMAP_PCI_BUS_SIZE);
	pthread_mutex_init(&m->log_lock, NULL);
	r = make(m, args, err);
	if (r < 0)
		return r;
	*ret = TAKE(m);
	return 0;
}

struct machine_pci *machine_pci_free(struct machine_pci *m)
{
	if (!m)
		return NULL;
	for (unsigned i = 0; i < m->n_direct; i++) {
		virtio_pci_destroy(m->direct[i]);
		free(m->direct[i]);
	}
	for (unsigned i = 0; i < m->n_ports; i++) {
		stop_waiting(m->ports[i]);
		virtio_pci_destroy(&m->ports[i]->device);
		pci_port_destroy(&m->ports[i]->port);
		free(m->ports[i]);
	}
	pci_destroy(&m->pci);
	pthread_mutex_destroy(&m->log_lock);
	free(m);
	return NULL;
}

static int transport_failed(int r, struct hvd_error *err)
{
	return hvd_err(err, -r, "virtio-pci: %s", strerror(-r));
}

static int plug_direct(struct machine_pci *m, enum machine_kind kind, unsigned index,
		       struct virtio_dev *dev, struct hvd_error *err)
{
	struct virtio_pci *t = calloc(1, sizeof(*t));
	int r;

	if (!t || m->n_direct == MAX_DIRECT || index >= places[kind].n) {
		free(t);
		virtio_dev_free(dev);
		return hvd_err(err, ENOSPC, "there is no PCI place for one more");
	}
	m->direct[m->n_direct++] = t;
	r = virtio_pci_init(t, dev, false, &m->events);
	if (r < 0)
		return transport_failed(r, err);
	return pci_plug(&m->pci, &t->function, PCI_DEVFN(places[kind].device + index, 0), err);
}

int machine_pci_plug_function(struct machine_pci *m, enum machine_kind kind,
			      struct pci_function *function, struct hvd_error *err)
{
	return pci_plug(&m->pci, function, PCI_DEVFN(places[kind].device, 0), err);
}

static int insert(struct machine_port *p, struct virtio_dev *dev, bool hot, struct hvd_error *err)
{
	int r = virtio_pci_init(&p->device, dev, true, &p->pci->events);

	if (r < 0)
		return transport_failed(r, err);
	r = pci_port_insert(&p->port, &p->device.function, hot, err);
	if (r < 0)
		virtio_pci_destroy(&p->device);
	return r;
}

int machine_pci_plug(struct machine_pci *m, enum machine_kind kind, unsigned index,
		     struct virtio_dev *dev, struct hvd_error *err)
{
	struct machine_port *p;
	int r;

	if (!places[kind].slot)
		return plug_direct(m, kind, index, dev, err);
	r = add_port(m, kind, index, &p, err);
	if (r < 0) {
		virtio_dev_free(dev);
		return r;
	}
	return insert(p, dev, false, err);
}

static struct machine_port *empty_port(struct machine_pci *m, enum machine_kind kind)
{
	for (unsigned i = 0; i < m->n_ports; i++)
		if (m->ports[i]->kind == kind && !m->ports[i]->device.dev)
			return m->ports[i];
	return NULL;
}

int machine_pci_attach(struct machine_pci *m, enum machine_kind kind, struct virtio_dev *dev,
		       struct hvd_error *err)
{
	struct machine_port *p = empty_port(m, kind);

	if (!p)
		p = empty_port(m, MACHINE_SPARE);
	if (!p) {
		virtio_dev_free(dev);
		return hvd_err(err, ENOSPC, "all PCI ports of this VM are in use: hotplug_ports says "
			       "how many it has to spare after its next start");
	}
	return insert(p, dev, true, err);
}

/* The port of a device that is behind one. */
static struct machine_port *port_of(struct machine_pci *m, const struct virtio_dev *dev)
{
	unsigned i = 0;

	while (m->ports[i]->device.dev != dev)
		i++;
	return m->ports[i];
}

static int start_waiting(struct machine_port *p, unsigned seconds)
{
	struct itimerspec when = { .it_value.tv_sec = seconds };
	int r;

	p->patience.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (p->patience.fd < 0)
		return -errno;
	timerfd_settime(p->patience.fd, 0, &when, NULL);
	r = loop_add(p->pci->args.main, &p->patience, EPOLLIN);
	if (r < 0)
		stop_waiting(p);
	return r;
}

int machine_pci_detach(struct machine_pci *m, const struct virtio_dev *dev, unsigned seconds,
		       struct hvd_error *err)
{
	struct machine_port *p = port_of(m, dev);
	int r;

	if (p->patience.fd >= 0 && seconds)
		return hvd_err(err, EBUSY, "the guest has been asked to let go of it already");
	if (seconds) {
		r = start_waiting(p, seconds);
		if (r < 0)
			return hvd_err(err, -r, "timer: %s", strerror(-r));
	}
	if (seconds && !pci_port_eject(&p->port))
		return 0;
	take_out(p);
	return 1;
}
