/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's bytes against the real server with a real manager (no bus: VMs can be defined, not
 * started), over a socket pair. Whatever comes, the connection ends when the client is gone.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/http.h"
#include "vmm/base/log.h"

#define PATIENCE_USEC (15 * 1000000ULL) /* more than a document may take */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	char dir[32], state[40], runtime[40];
	sd_event *event;
	struct manager *manager;
	struct http_server *server;
} hvd;

static void stop(void)
{
	char command[64];

	http_server_free(hvd.server);
	manager_free(hvd.manager);
	sd_event_unref(hvd.event);
	snprintf(command, sizeof(command), "rm -rf %s", hvd.dir);
	if (system(command) != 0)
		perror(hvd.dir);
}

static void start(void)
{
	struct manager_paths paths = { .state = hvd.state, .runtime = hvd.runtime,
				       .worker = "/nonexistent", .networkd = "/nonexistent",
				       .xml = BUILT_XML };
	struct http_config config = { .listen_fd = -1 };

	log_open(LOG_EMERG);
	snprintf(hvd.dir, sizeof(hvd.dir), "/tmp/hvd-fuzz-XXXXXX");
	if (!mkdtemp(hvd.dir))
		abort();
	snprintf(hvd.state, sizeof(hvd.state), "%s/state", hvd.dir);
	snprintf(hvd.runtime, sizeof(hvd.runtime), "%s/run", hvd.dir);
	if (sd_event_new(&hvd.event) < 0 ||
	    manager_new(hvd.event, NULL, &paths, &hvd.manager, NULL) < 0 ||
	    http_server_new(hvd.manager, &config, &hvd.server, NULL) < 0)
		abort();
	atexit(stop);
}

/* What one input has defined must not be there for the next. */
static void undefine_all(void)
{
	struct vm *vm;

	while ((vm = vm_next(hvd.manager, NULL)))
		if (vm_undefine(vm, &(struct delete_options){ 0 }, NULL) < 0)
			abort();
}

static void run(int client)
{
	char buf[4096];

	while (sd_event_run(hvd.event, 0) > 0 || recv(client, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

/* Has the server closed it? A document in XML is waited for: a process reads it. */
static bool is_closed(int client)
{
	char buf[4096];
	ssize_t n;

	while ((n = recv(client, buf, sizeof(buf), MSG_DONTWAIT)) > 0 || (n < 0 && errno == EAGAIN))
		if (n < 0 && sd_event_run(hvd.event, PATIENCE_USEC) <= 0)
			return false;
	return true; /* end of file, or reset */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int sock[2];

	if (!hvd.server)
		start();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0 ||
	    http_server_add(hvd.server, sock[0]) < 0)
		abort();
	/* an input is never larger than the socket's buffer */
	if (size > 65536)
		size = 65536;
	send(sock[1], data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	run(sock[1]);
	shutdown(sock[1], SHUT_WR);
	run(sock[1]);
	if (!is_closed(sock[1]))
		abort();
	close(sock[1]);
	undefine_all();
	return 0;
}
