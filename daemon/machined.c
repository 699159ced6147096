/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/machined.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus_path.h"
#include "daemon/link.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

#define MACHINED "org.freedesktop.machine1"

/* A VM that is registered, or being so. */
struct registration {
	struct list node;
	struct machined *machined;
	uint8_t uuid[16];
	uint32_t pid; /* that it is registered with */
	sd_bus_slot *call;
};

struct machined {
	struct manager *manager;
	struct manager_listener listener;
	struct list registrations;
	bool told; /* that there is no machined */
};

static void forget(struct registration *reg)
{
	list_remove(&reg->node);
	sd_bus_slot_unref(reg->call);
	free(reg);
}

static struct registration *find(const struct machined *machined, const struct vm *vm)
{
	struct registration *reg;

	list_for_each(reg, &machined->registrations, node)
		if (memcmp(reg->uuid, vm_config(vm)->uuid, sizeof(reg->uuid)) == 0)
			return reg;
	return NULL;
}

/* There is none, or it may not be used: then machinectl does not know the VMs, and that is all. */
static bool is_absent(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	       sd_bus_error_has_name(error, "org.freedesktop.systemd1.NoSuchUnit") ||
	       sd_bus_error_has_name(error, "org.freedesktop.systemd1.UnitMasked");
}

static int on_registered(sd_bus_message *m, void *data, sd_bus_error *ret_error)
{
	struct registration *reg = data;
	struct machined *machined = reg->machined;
	const sd_bus_error *error = sd_bus_message_get_error(m);

	reg->call = sd_bus_slot_unref(reg->call);
	/* an earlier hvd has registered it */
	if (!error || sd_bus_error_has_name(error, MACHINED ".MachineExists"))
		return 0;
	if (!is_absent(error))
		log_warning("systemd-machined does not take a VM: %s", error->message);
	else if (!machined->told)
		log_notice("there is no systemd-machined: machinectl does not show VMs");
	machined->told = machined->told || is_absent(error);
	return 0;
}

struct interfaces {
	const struct vm *vm;
	sd_bus_message *m;
};

static int append_interface(void *ctx, const struct link *link)
{
	struct interfaces *interfaces = ctx;

	if (!vm_nic_of_link(interfaces->vm, link))
		return 0;
	return sd_bus_message_append(interfaces->m, "i", link->index);
}

static int append_interfaces(sd_bus_message *m, const struct vm *vm)
{
	struct interfaces interfaces = { vm, m };
	int r;

	r = sd_bus_message_open_container(m, 'a', "i");
	if (r >= 0 && vm_running(vm)->n_nics)
		r = link_each(append_interface, &interfaces);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int call_register(struct registration *reg, const struct vm *vm)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	sd_bus *bus = reg->machined->manager->bus;
	int r;

	r = sd_bus_message_new_method_call(bus, &m, MACHINED, "/org/freedesktop/machine1",
					   MACHINED ".Manager", "RegisterMachineWithNetwork");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", vm_config(vm)->name);
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', reg->uuid, sizeof(reg->uuid));
	if (r >= 0)
		r = sd_bus_message_append(m, "ssus", "hvd", "vm", reg->pid, "");
	if (r >= 0)
		r = append_interfaces(m, vm);
	return r < 0 ? r : sd_bus_call_async(bus, &reg->call, m, on_registered, reg, 0);
}

static void follow(struct machined *machined, struct vm *vm)
{
	struct registration *reg = find(machined, vm);
	uint32_t pid = vm_pid(vm);
	int r;

	if (reg && reg->pid == pid)
		return;
	if (reg)
		forget(reg);
	if (!pid)
		return;
	reg = calloc(1, sizeof(*reg));
	if (!reg)
		return;
	reg->machined = machined;
	reg->pid = pid;
	memcpy(reg->uuid, vm_config(vm)->uuid, sizeof(reg->uuid));
	list_append(&machined->registrations, &reg->node);
	r = call_register(reg, vm);
	if (r < 0 && r != -ENOTCONN)
		log_warning("VM %s: systemd-machined: %s", vm_config(vm)->name, strerror(-r));
}

static void on_event(struct manager_listener *listener, enum manager_event event, struct vm *vm)
{
	struct machined *machined = container_of(listener, struct machined, listener);

	if (event == MANAGER_VM_STATE)
		follow(machined, vm);
}

int machined_new(struct manager *manager, struct machined **ret)
{
	struct machined *machined = calloc(1, sizeof(*machined));

	if (!machined)
		return -ENOMEM;
	machined->manager = manager;
	list_init(&machined->registrations);
	machined->listener.fn = on_event;
	list_append(&manager->listeners, &machined->listener.node);
	for (struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		follow(machined, vm);
	*ret = machined;
	return 0;
}

struct machined *machined_free(struct machined *machined)
{
	if (!machined)
		return NULL;
	list_remove(&machined->listener.node);
	while (!list_empty(&machined->registrations))
		forget(list_entry(machined->registrations.next, struct registration, node));
	free(machined);
	return NULL;
}
