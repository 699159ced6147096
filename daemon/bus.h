/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The D-Bus front end: name org.hvd1 on manager->bus.
 *
 *	/org/hvd1               org.hvd1.Manager: operations of none of these; ObjectManager
 *	/org/hvd1/vm/NAME       org.hvd1.VM: operations of one VM; NAME as by sd_bus_path_encode(3)
 *	/org/hvd1/network/NAME  org.hvd1.Network: those of one network
 *	/org/hvd1/image/NAME    org.hvd1.Image: those of one image
 *	/org/hvd1/volume/NAME   org.hvd1.Volume: those of one volume
 *
 * Methods and properties are made from the operations and field tables when the server starts.
 * Each call is authorised by polkit with the action of its access class; root needs none,
 * and without polkit only root may call. Properties are the scalar fields of spec and
 * status: whoever the bus policy lets talk to hvd may read them without polkit, so
 * nested ones (command line, disks, networks, limits) are only in the answer of Get.
 */
#pragma once

#include "daemon/manager.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

struct bus_server;

/*
 * manager->bus must not be NULL. Requests the name, serves until freed; manager and its bus must
 * outlive the server. Calls that are still pending then are finished by the core as always.
 */
int bus_server_new(struct manager *manager, struct bus_server **ret, struct hvd_error *err);
struct bus_server *bus_server_free(struct bus_server *server);
DEFINE_AUTO(struct bus_server *, bus_server_free);
