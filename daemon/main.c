/* SPDX-License-Identifier: Apache-2.0 */
/* hvd: options, event loop, front ends. See hvd(8). */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "daemon/bus.h"
#include "daemon/http.h"
#include "daemon/machined.h"
#include "daemon/manager.h"
#include "daemon/networkd.h"
#include "daemon/store.h"
#include "daemon/tcp_listen.h"
#include "daemon/tls.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

#define SOCKET_BACKLOG 128
#define LARGE_ANSWER (256 * 1024)


struct options {
	struct manager_paths paths;
	const char *socket; /* NULL: "<runtime>/hvd.sock" */
	const char *listen; /* ADDRESS:PORT for TLS; NULL: none */
	bool no_bus;
	int log_level;
};

/* Everything that lives as long as hvd does; freed in the reverse order. */
struct hvd {
	sd_event *event;
	sd_bus *bus;
	struct manager *manager;
	struct http_server *http;
	struct bus_server *bus_server;
	struct machined *machined;
	struct manager_listener listener;
};

static const char *const log_levels[] = {
	[LOG_ERR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static void usage(void)
{
	printf("Usage: hvd [OPTION…]\n"
	       "\n"
	       "The virtualization daemon: runs VMs as services of systemd, managed over REST, D-Bus\n"
	       "and hvcli. Usually started by systemd: systemctl enable --now hvd\n"
	       "\n"
	       "  --state-dir DIR    definitions of VMs and networks (%s)\n"
	       "  --runtime-dir DIR  sockets of running VMs (/run/hvd)\n"
	       "  --socket PATH      REST socket, where systemd passes none (RUNTIME/hvd.sock)\n"
	       "  --listen ADDRESS:PORT  REST over TLS as well, for tokens and client certificates\n"
	       "  --worker PATH      the VMM program (%s/hvd-vmm)\n"
	       "  --xml PATH         the XML program (%s/hvd-xml)\n"
	       "  --no-bus           do without the system bus: VMs can be defined, not started\n"
	       "  --log-level LEVEL  error, warning, notice, info (default) or debug\n"
	       "  --version, --help\n",
	       HVD_STATEDIR, HVD_LIBEXECDIR, HVD_LIBEXECDIR);
}

static int parse_log_level(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(log_levels); i++)
		if (log_levels[i] && strcmp(log_levels[i], text) == 0)
			return (int)i;
	fprintf(stderr, "hvd: --log-level: %s is none of error, warning, notice, info, debug\n", text);
	return -EINVAL;
}

/* Returns 1 to go on, 0 when all is done, -EINVAL. */
static int parse_options(int argc, char **argv, struct options *o)
{
	enum { OPT_STATE = 256, OPT_RUNTIME, OPT_SOCKET, OPT_LISTEN, OPT_WORKER, OPT_XML, OPT_NO_BUS, OPT_LEVEL,
	       OPT_VERSION, OPT_HELP };
	static const struct option options[] = {
		{ "state-dir", required_argument, NULL, OPT_STATE },
		{ "runtime-dir", required_argument, NULL, OPT_RUNTIME },
		{ "socket", required_argument, NULL, OPT_SOCKET },
		{ "listen", required_argument, NULL, OPT_LISTEN },
		{ "worker", required_argument, NULL, OPT_WORKER },
		{ "xml", required_argument, NULL, OPT_XML },
		{ "no-bus", no_argument, NULL, OPT_NO_BUS },
		{ "log-level", required_argument, NULL, OPT_LEVEL },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, OPT_HELP },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case OPT_STATE:
			o->paths.state = optarg;
			break;
		case OPT_RUNTIME:
			o->paths.runtime = optarg;
			break;
		case OPT_SOCKET:
			o->socket = optarg;
			break;
		case OPT_LISTEN:
			o->listen = optarg;
			break;
		case OPT_WORKER:
			o->paths.worker = optarg;
			break;
		case OPT_XML:
			o->paths.xml = optarg;
			break;
		case OPT_NO_BUS:
			o->no_bus = true;
			break;
		case OPT_LEVEL:
			o->log_level = parse_log_level(optarg);
			if (o->log_level < 0)
				return -EINVAL;
			break;
		case OPT_VERSION:
			puts("hvd " PACKAGE_VERSION);
			return 0;
		case OPT_HELP:
			usage();
			return 0;
		default:
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "hvd: %s: takes no arguments; see hvd --help\n", argv[optind]);
		return -EINVAL;
	}
	return 1;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	log_info("%s: hvd stops, VMs go on", si->ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	sd_notify(false, "STOPPING=1");
	return sd_event_exit(userdata, 0);
}

/* systemctl reload: other certificates. */
static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct hvd *hvd = userdata;
	struct hvd_error err = { 0 };

	if (!hvd->manager)
		return 0;
	if (tls_load(hvd->manager->tls, &err) < 0) {
		log_err("certificates stay as they were: %s", err.msg);
		return 0;
	}
	log_info("certificates were read again");
	manager_access_changed(hvd->manager);
	return 0;
}

static int handle_signals(struct hvd *hvd)
{
	sigset_t set;
	int r;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(hvd->event, NULL, SIGTERM, on_signal, hvd->event);
	if (r >= 0)
		r = sd_event_add_signal(hvd->event, NULL, SIGINT, on_signal, hvd->event);
	return r < 0 ? r : sd_event_add_signal(hvd->event, NULL, SIGHUP, on_reload, hvd);
}

static int on_bus_lost(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	/* VMs go on; systemd starts hvd again, which finds them and the new bus. */
	log_err("the system bus has gone: hvd ends");
	return sd_event_exit(userdata, EXIT_FAILURE);
}

/* No bus is no error: see --no-bus. */
static int connect_bus(struct hvd *hvd)
{
	int r;

	r = sd_bus_open_system_with_description(&hvd->bus, "hvd");
	if (r < 0) {
		log_warning("no system bus (%s): VMs can be defined, but not started", strerror(-r));
		return 0;
	}
	sd_bus_set_exit_on_disconnect(hvd->bus, false);
	r = sd_bus_match_signal(hvd->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
				"org.freedesktop.DBus.Local", "Disconnected", on_bus_lost,
				hvd->event);
	return r < 0 ? r : sd_bus_attach_event(hvd->bus, hvd->event, SD_EVENT_PRIORITY_NORMAL);
}

/* The socket that systemd passes. Returns -1 when there is none. */
static int passed_socket(void)
{
	int n = sd_listen_fds(true);

	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++)
		if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0)
			return fd;
	return -1;
}

/* The same as hvd.socket: for root and the group, where there is one. */
static int own_socket(const char *path, struct hvd_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct group *group = getgrnam(HVD_GROUP);
	AUTO(close) int fd = -1;

	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path) >=
	    sizeof(addr.sun_path))
		return hvd_err(err, ENAMETOOLONG, "%s: %s", path, strerror(ENAMETOOLONG));
	if (unlink(path) < 0 && errno != ENOENT)
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(path, group ? 0660 : 0600) < 0 || listen(fd, SOCKET_BACKLOG) < 0)
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
		log_warning("%s: cannot give it to group " HVD_GROUP ": %s", path, strerror(errno));
	return TAKE_FD(fd);
}

/* Where that is wanted. Without a certificate clients are turned away until there is one. */
static int listen_tls(struct manager *manager, const struct options *o, struct http_config *config,
		      struct hvd_error *err)
{
	struct certificate_info info = { 0 };
	struct hvd_error why = { 0 };

	config->tls_fd = -1;
	if (!o->listen)
		return 0;
	config->tls_fd = tcp_listen(o->listen, err);
	if (config->tls_fd < 0)
		return hvd_err_prefix(err, config->tls_fd, "--listen");
	if (tls_describe(manager->tls, &info, &why) < 0)
		log_warning("remote clients are turned away: %s", why.msg);
	else
		log_info("remote clients are served at %s, as %s", o->listen, info.name);
	schema_clear(&certificate_schema, &info);
	return 0;
}

static int listen_rest(struct hvd *hvd, const struct options *o, struct hvd_error *err)
{
	struct http_config config = { .listen_fd = passed_socket(), .group = HVD_GROUP };
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int r;

	if (config.listen_fd < 0) {
		snprintf(path, sizeof(path), "%s/hvd.sock", o->paths.runtime);
		config.listen_fd = own_socket(o->socket ? o->socket : path, err);
		if (config.listen_fd < 0)
			return config.listen_fd;
	}
	r = listen_tls(hvd->manager, o, &config, err);
	if (r >= 0)
		r = http_server_new(hvd->manager, &config, &hvd->http, err);
	if (r < 0) {
		close(config.listen_fd);
		auto_close(&config.tls_fd);
	}
	return r;
}

static void show_status(struct manager *manager)
{
	unsigned defined = 0, active = 0;

	for (struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm)) {
		defined++;
		active += vm_has_process(vm);
	}
	sd_notifyf(false, "STATUS=%u VMs defined, %u active", defined, active);
}

static void on_change(struct manager_listener *listener, enum manager_event event, struct vm *vm)
{
	show_status(container_of(listener, struct hvd, listener)->manager);
}

static void say_host(const struct host_info *host)
{
	bool is_vhe = strncmp(host->virt_mode, "vhe", 3) == 0;

	log_line(is_vhe ? LOG_INFO : LOG_WARNING, "host %s, %s: virtualization mode %s%s%s",
		 host->hostname, host->arch, host->virt_mode, host->virt_detail ? ": " : "",
		 host->virt_detail ? host->virt_detail : "");
}

static void hvd_clear(struct hvd *hvd)
{
	http_server_free(hvd->http);
	machined_free(hvd->machined);
	bus_server_free(hvd->bus_server);
	manager_free(hvd->manager);
	sd_bus_flush_close_unref(hvd->bus);
	sd_event_unref(hvd->event);
}

static int hvd_start(struct hvd *hvd, const struct options *o, struct hvd_error *err)
{
	int r;

	r = sd_event_default(&hvd->event);
	if (r >= 0)
		r = handle_signals(hvd);
	if (r >= 0)
		r = sd_event_set_watchdog(hvd->event, true);
	if (r >= 0 && !o->no_bus)
		r = connect_bus(hvd);
	if (r < 0)
		return hvd_err(err, -r, "event loop: %s", strerror(-r));

	r = manager_new(hvd->event, hvd->bus, &o->paths, &hvd->manager, err);
	if (r < 0)
		return r;
	say_host(&hvd->manager->host);

	r = listen_rest(hvd, o, err);
	if (r >= 0 && hvd->bus)
		r = bus_server_new(hvd->manager, &hvd->bus_server, err);
	if (r < 0)
		return r;
	if (hvd->bus && machined_new(hvd->manager, &hvd->machined) < 0)
		return hvd_err(err, ENOMEM, "out of memory");

	hvd->listener.fn = on_change;
	list_append(&hvd->manager->listeners, &hvd->listener.node);
	manager_autostart(hvd->manager);
	sd_notify(false, "READY=1");
	show_status(hvd->manager);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {
		.paths = { .state = HVD_STATEDIR, .runtime = "/run/hvd", .networkd = NETWORKD_FOLDER,
			   .worker = HVD_LIBEXECDIR "/hvd-vmm",
			   .xml = HVD_LIBEXECDIR "/hvd-xml" },
		.log_level = LOG_INFO,
	};
	struct hvd_error err = { 0 };
	struct hvd hvd = { 0 };
	int r;

	r = parse_options(argc, argv, &o);
	if (r <= 0)
		return r < 0 ? 2 : 0;
	log_open(o.log_level);
	umask(0022);
	/* what a large answer has taken goes back to the system with it */
	mallopt(M_MMAP_THRESHOLD, LARGE_ANSWER);

	r = hvd_start(&hvd, &o, &err);
	if (r < 0) {
		log_err("%s", err.msg);
		sd_notifyf(false, "STATUS=%s\nERRNO=%d", err.msg, -r);
	} else {
		r = sd_event_loop(hvd.event);
		if (r < 0)
			log_err("event loop: %s", strerror(-r));
	}
	hvd_clear(&hvd);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
