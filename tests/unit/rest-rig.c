/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvd as test-rest-document.py and others drive it: the rig with a VM "up", its state on a small file system
 * of its own. Says the path of the socket, the port for TLS and the address of its bus, if any, in a line, then
 * does what each line says, and answers "ok".
 *
 *	error N		the VM's process answers all with this errno; 0: as ever
 *	mute		it answers nothing
 *	asked		wait until it has been asked for something that it did not answer
 *	end		it ends
 *	full, read-only	the file system of hvd's state
 *	restart		of hvd
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

/* Where only this process sees it. */
static int mount_state(const struct rig *rig)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(rig->state, 0755) < 0)
		return -errno;
	return mount("none", rig->state, "tmpfs", 0, "size=512k") < 0 ? -errno : 0;
}

static void fill(const struct rig *rig)
{
	static const char page[4096];
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/filler", rig->state);
	f = fopen(path, "we");
	while (f && fwrite(page, sizeof(page), 1, f) == 1 && fflush(f) == 0)
		;
	fclose(f);
}

/* Another mount over it: this one is in use by a file that is written. */
static void make_read_only(const struct rig *rig)
{
	if (mount(rig->state, rig->state, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, rig->state, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		exit(1);
}

static void obey(struct rig *rig, const char *line)
{
	int number;

	if (sscanf(line, "error %d", &number) == 1)
		atomic_store(&rig->vmm_error, number);
	else if (!strcmp(line, "mute"))
		atomic_store(&rig->vmm_mute, true);
	else if (!strcmp(line, "asked"))
		while (!atomic_load(&rig->vmm_held))
			poll(NULL, 0, 1);
	else if (!strcmp(line, "end"))
		rig_end_vmm(rig);
	else if (!strcmp(line, "full"))
		fill(rig);
	else if (!strcmp(line, "read-only"))
		make_read_only(rig);
	else if (!strcmp(line, "restart"))
		rig_stop(rig), rig_start(rig);
	else
		exit(1);
}

/* Arguments: connections of a user, and of all. */
int main(int argc, char **argv)
{
	struct rig rig;
	char line[64];

	rig_init(&rig);
	if (mount_state(&rig) < 0)
		return 77;
	if (argc == 3) {
		rig.http.max_per_peer = (unsigned)atoi(argv[1]);
		rig.http.max_connections = (unsigned)atoi(argv[2]);
	}
	rig.devices = true;
	rig.tls = true;
	rig_start_bus(&rig);
	rig_start_vmm(&rig, "up");
	rig_start(&rig);
	printf("%s %u %s\n", rig.socket, rig.port, rig.bus_address);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		obey(&rig, line);
		puts("ok");
		fflush(stdout);
	}
	rig_stop(&rig);
	while (umount2(rig.state, MNT_DETACH) == 0)
		;
	rig_clear(&rig);
	return 0;
}
