/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/rig.h"

#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/control.h"
#include "daemon/control_client.h"
#include "api/snapshot_schema.h"
#include "daemon/network.h"
#include "daemon/store.h"
#include "vmm/base/log.h"
#include "vmm/vmm.h"

static const char bus_config[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
	" \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	"<busconfig><type>system</type><listen>unix:path=%s/bus</listen>\n"
	"<auth>EXTERNAL</auth><policy context=\"default\"><allow user=\"*\"/>\n"
	"<allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/>\n"
	"</policy></busconfig>\n";

void rig_init(struct rig *rig)
{
	log_open(LOG_ERR);
	*rig = (struct rig){ .stop_fd = -1, .vmm_listen = -1, .vmm_stop_fd = -1 };
	strcpy(rig->dir, "/tmp/hvd-rig-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	chmod(rig->dir, 0755); /* for the tests that call as another user */
	snprintf(rig->state, sizeof(rig->state), "%s/state", rig->dir);
	snprintf(rig->runtime, sizeof(rig->runtime), "%s/run", rig->dir);
	snprintf(rig->socket, sizeof(rig->socket), "%s/sock", rig->dir);
}

bool rig_start_bus(struct rig *rig)
{
	char path[96];
	FILE *f;
	int fds[2];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/bus.conf", rig->dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, bus_config, rig->dir);
	fclose(f);

	assert_int_equal(pipe(fds), 0);
	rig->bus_pid = fork();
	assert_true(rig->bus_pid >= 0);
	if (!rig->bus_pid) {
		char config[128];

		snprintf(config, sizeof(config), "--config-file=%s", path);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		dup2(fds[1], 3);
		execlp("dbus-daemon", "dbus-daemon", config, "--nofork", "--nopidfile",
		       "--nosyslog", "--print-address=3", NULL);
		_exit(127);
	}
	close(fds[1]);
	n = read(fds[0], rig->bus_address, sizeof(rig->bus_address) - 1);
	close(fds[0]);
	if (n <= 0)
		return false;
	rig->bus_address[strcspn(rig->bus_address, "\n")] = '\0';
	return true;
}

/* ---- a hvd-vmm, as far as hvd talks to it ---- */

static void serve_console(int fd)
{
	char buf[256];
	ssize_t n;

	/* what is typed comes back, until the session ends */
	fcntl(fd, F_SETFL, 0); /* hvd makes it non-blocking */
	if (send(fd, "login: ", 7, MSG_NOSIGNAL) == 7)
		while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
			send(fd, buf, (size_t)n, MSG_NOSIGNAL);
	close(fd);
}

static void *console_thread(void *arg)
{
	serve_console((int)(intptr_t)arg);
	return NULL;
}

static bool answer(struct rig *rig, int sock)
{
	struct control_message msg, reply = { .version = CONTROL_VERSION, .type = CONTROL_REPLY };
	int fds[CONTROL_MAX_FDS];
	size_t n = CONTROL_MAX_FDS;
	pthread_t console;

	if (control_recv(sock, &msg, fds, &n) <= 0)
		return false;
	reply.serial = msg.serial;
	if (atomic_load(&rig->vmm_mute) || atomic_load(&rig->vmm_error)) {
		struct hvd_error err = { 0 };

		reply.state = rig->vmm_paused ? VMM_PAUSED : VMM_RUNNING;
		while (n > 0)
			close(fds[--n]);
		control_set_error(&reply, hvd_err(&err, atomic_load(&rig->vmm_error), "no"), &err);
		if (!atomic_load(&rig->vmm_mute))
			return control_send(sock, &reply, NULL, 0) >= 0;
		atomic_fetch_add(&rig->vmm_held, 1);
		return true;
	}
	if (msg.type == CONTROL_PAUSE || msg.type == CONTROL_RESUME)
		rig->vmm_paused = msg.type == CONTROL_PAUSE;
	reply.state = rig->vmm_paused ? VMM_PAUSED : VMM_RUNNING;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(
			pthread_create(&console, NULL, console_thread, (void *)(intptr_t)fds[i]),
			0);
		pthread_detach(console);
	}
	if (msg.type == CONTROL_PAUSE && atomic_load(&rig->vmm_hold)) {
		atomic_fetch_add(&rig->vmm_held, 1);
		return true;
	}
	return control_send(sock, &reply, NULL, 0) >= 0;
}

static void *vmm_thread(void *arg)
{
	struct rig *rig = arg;
	int sock = -1;

	for (;;) {
		struct pollfd p[] = {
			{ .fd = rig->vmm_stop_fd, .events = POLLIN },
			{ .fd = rig->vmm_listen, .events = POLLIN },
			{ .fd = sock, .events = POLLIN },
		};

		poll(p, 3, -1);
		if (p[0].revents)
			break;
		if (p[1].revents) {
			if (sock >= 0)
				close(sock);
			sock = accept4(rig->vmm_listen, NULL, NULL, SOCK_CLOEXEC);
		} else if (p[2].revents && !answer(rig, sock)) {
			close(sock);
			sock = -1;
		}
	}
	if (sock >= 0)
		close(sock);
	return NULL;
}

static void add_devices(struct manager *manager, struct vm_config *config)
{
	struct hvd_error err = { 0 };
	struct network_config lab;
	struct network *network;
	struct disk_config *disk = field_list_append(schema_field(&vm_schema, "disks"), config);
	struct nic_config *nic = field_list_append(schema_field(&vm_schema, "nics"), config);

	assert_true(disk && nic);
	disk->path = strdup("/bin/ls");
	disk->read_only = true;
	config->balloon = true;
	nic->network = strdup("lab");
	assert_int_equal(schema_init(&network_schema, &lab), 0);
	lab.name = strdup("lab");
	if (network_define(manager, &lab, &network, &err) < 0)
		fail_msg("network_define: %s", err.msg);
}

/* A snapshot in an image that has gone. */
static void add_snapshot(const struct rig *rig, struct manager *manager, const char *name)
{
	struct snapshot_disk disk = { .id = (char[]){ "vda" }, .path = (char[]){ "/nonexistent/before.qcow2" } };
	struct snapshot info = { .name = (char[]){ "before" }, .vm_state = VM_RUNNING, .disks = &disk,
				 .n_disks = 1, .created_usec = 1000000 };
	char folder[128];

	snprintf(folder, sizeof(folder), "%s/snapshots/%s", rig->state, name);
	assert_int_equal(store_make_folder(folder, NULL), 0);
	assert_int_equal(store_save(manager->xml, folder, info.name, &snapshot_schema, &info, 1, NULL), 0);
}

static void define(struct rig *rig, const char *name)
{
	struct manager_paths paths = { rig->state, rig->runtime, "/nonexistent", rig->dir, BUILT_XML };
	AUTO(manager_free) struct manager *manager = NULL;
	struct hvd_error err = { 0 };
	struct vm_config config;
	sd_event *event;
	struct vm *vm;

	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(manager_new(event, NULL, &paths, &manager, NULL), 0);
	assert_int_equal(schema_init(&vm_schema, &config), 0);
	config.name = strdup(name);
	config.boot.kernel = strdup("/bin/sh");
	config.memory = 64 * 1024 * 1024;
	if (rig->devices)
		add_devices(manager, &config);
	if (vm_define(manager, &config, &vm, &err) < 0)
		fail_msg("vm_define: %s", err.msg);
	if (rig->devices)
		add_snapshot(rig, manager, name);
	sd_event_unref(event);
}

void rig_start_vmm(struct rig *rig, const char *name)
{
	char path[200];

	define(rig, name);
	snprintf(path, sizeof(path), "%s/vms/%s", rig->runtime, name);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/control");
	rig->vmm_listen = control_listen(path);
	assert_true(rig->vmm_listen >= 0);
	rig->vmm_stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&rig->vmm_thread, NULL, vmm_thread, rig), 0);
	rig->vmm_running = true;
}

void rig_end_vmm(struct rig *rig)
{
	if (!rig->vmm_running)
		return;
	/* nobody is to find it while it goes */
	close(rig->vmm_listen);
	eventfd_write(rig->vmm_stop_fd, 1);
	pthread_join(rig->vmm_thread, NULL);
	close(rig->vmm_stop_fd);
	rig->vmm_running = false;
}

/* ---- hvd ---- */

static int on_stop(sd_event_source *source, int fd, uint32_t events, void *data)
{
	return sd_event_exit(data, 0);
}

static sd_bus *connect_bus(const struct rig *rig, sd_event *event)
{
	sd_bus *bus = NULL;

	if (!rig->bus_address[0])
		return NULL;
	if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, rig->bus_address) < 0 ||
	    sd_bus_set_bus_client(bus, true) < 0 || sd_bus_start(bus) < 0 ||
	    sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL) < 0)
		abort();
	return bus;
}

/* cmocka's assertions are for its own thread: here what fails aborts. */
static void must(int r, const struct hvd_error *err)
{
	if (r >= 0)
		return;
	fprintf(stderr, "rig: %s\n", err->msg);
	abort();
}

static void *hvd_thread(void *arg)
{
	struct rig *rig = arg;
	struct manager_paths paths = { rig->state, rig->runtime, "/nonexistent", rig->dir, BUILT_XML };
	struct bus_server *bus_server = NULL;
	struct http_server *http;
	struct manager *manager;
	struct hvd_error err = { 0 };
	sd_event *event;
	sd_bus *bus;

	if (sd_event_new(&event) < 0 ||
	    sd_event_add_io(event, NULL, rig->stop_fd, POLLIN, on_stop, event) < 0)
		abort();
	bus = connect_bus(rig, event);
	/* there is no systemd on the bus that would know the process: it is for clients only */
	must(manager_new(event, NULL, &paths, &manager, &err), &err);
	manager->bus = sd_bus_ref(bus);
	must(http_server_new(manager, &rig->http, &http, &err), &err);
	if (bus)
		must(bus_server_new(manager, &bus_server, &err), &err);
	sem_post(&rig->ready);
	while (sd_event_get_state(event) != SD_EVENT_FINISHED && sd_event_run(event, UINT64_MAX) >= 0)
		atomic_fetch_add(&rig->turns, 1);

	http_server_free(http);
	bus_server_free(bus_server);
	manager_free(manager);
	sd_bus_flush_close_unref(bus);
	sd_event_unref(event);
	return NULL;
}

static void listen_tls(struct rig *rig)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(addr);

	rig->http.tls_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(rig->http.tls_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(rig->http.tls_fd, 128), 0);
	assert_int_equal(getsockname(rig->http.tls_fd, (struct sockaddr *)&addr, &size), 0);
	rig->port = ntohs(addr.sin_port);
}

void rig_start(struct rig *rig)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, rig->socket);
	unlink(rig->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(chmod(rig->socket, 0666), 0);
	assert_int_equal(listen(fd, 128), 0);
	rig->http.listen_fd = fd;
	rig->http.tls_fd = -1;
	if (rig->tls)
		listen_tls(rig);
	rig->stop_fd = eventfd(0, EFD_CLOEXEC);
	sem_init(&rig->ready, 0, 0);
	assert_int_equal(pthread_create(&rig->thread, NULL, hvd_thread, rig), 0);
	while (sem_wait(&rig->ready) < 0)
		;
	rig->running = true;
}

void rig_stop(struct rig *rig)
{
	if (!rig->running)
		return;
	eventfd_write(rig->stop_fd, 1);
	pthread_join(rig->thread, NULL);
	close(rig->stop_fd);
	sem_destroy(&rig->ready);
	rig->running = false;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void rig_clear(struct rig *rig)
{
	rig_stop(rig);
	rig_end_vmm(rig);
	if (rig->bus_pid > 0) {
		kill(rig->bus_pid, SIGTERM);
		waitpid(rig->bus_pid, NULL, 0);
	}
	nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

size_t rig_resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}
