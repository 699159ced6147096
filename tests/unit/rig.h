/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvd in a thread of the test: manager, REST on a unix socket, and D-Bus on a private bus if
 * wanted, in a folder of its own.
 *
 * hvd-vmm needs an arm64 host with KVM, so a VM that "runs" here is one whose control socket
 * (daemon/control.h) another thread serves, for hvd to adopt.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "daemon/bus.h"
#include "daemon/http.h"

struct rig {
	char dir[64], state[80], runtime[80], socket[80];
	struct http_config http; /* to be set before rig_start(); its sockets are the rig's */
	bool tls;                /* to be set before rig_start(): REST over TLS at this port of */
	unsigned short port;     /* 127.0.0.1 as well */
	char bus_address[256];   /* "" without rig_start_bus() */
	pid_t bus_pid;

	pthread_t thread;
	sem_t ready;
	int stop_fd; /* eventfd */
	bool running;
	atomic_ulong turns; /* of hvd's event loop */

	pthread_t vmm_thread;
	int vmm_listen, vmm_stop_fd;
	bool vmm_running;     /* the thread */
	bool vmm_paused;      /* what it says of the VM */
	atomic_bool vmm_hold; /* do not answer PAUSE */
	atomic_int vmm_held;  /* requests that were not answered */
	atomic_bool vmm_mute; /* do not answer anything */
	atomic_int vmm_error; /* errno to answer everything with; 0: what is asked is done */
	bool devices;         /* before rig_start_vmm(): the VM has a disk "vda", on a network "lab" */
			      /* a NIC "net0", and a balloon */
};

void rig_init(struct rig *rig);

/* A dbus-daemon of the test's own. False: there is none on this host. */
bool rig_start_bus(struct rig *rig);

/* Define a VM of this name whose process hvd finds when it starts. Before rig_start(). */
void rig_start_vmm(struct rig *rig, const char *name);

/* The VM's process ends. */
void rig_end_vmm(struct rig *rig);

void rig_start(struct rig *rig);
void rig_stop(struct rig *rig);
/* Memory of this process, of which hvd is a thread, in bytes. */
size_t rig_resident(void);
/* Stops and removes everything. */
void rig_clear(struct rig *rig);
