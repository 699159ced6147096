/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http.h"

#include <errno.h>
#include <grp.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/http_events.h"
#include "daemon/http_reply.h"
#include "daemon/http_request.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

#define USEC_PER_SEC 1000000ULL
#define MEMORY_LIMIT (32 * 1024) /* of a connection: bounds the head of a request (431) */
#define REFUSED_MAX 16           /* connections beyond the limit that are told so */

struct http_server {
	struct manager *manager;
	struct http_config config;
	gid_t group; /* (gid_t)-1, which no process has: there is none */
	struct MHD_Daemon *mhd;
	sd_event_source *mhd_source, *again, *timer;
	struct list clients; /* struct http_client */
	unsigned n_clients;
	uint64_t next_deadline;     /* what the timer is set to; 0: off */
	struct http_streams streams;
};

struct manager *http_server_manager(const struct http_server *server)
{
	return server->manager;
}

struct http_streams *http_server_streams(struct http_server *server)
{
	return &server->streams;
}

/* ---- deadlines ---- */

static uint64_t server_now(const struct http_server *server)
{
	uint64_t usec = 0;

	sd_event_now(server->manager->event, CLOCK_MONOTONIC, &usec);
	return usec;
}

/*
 * The timer is only ever moved forward here; when it fires too early because a deadline was
 * put off, on_timer() sets it anew. So a request costs no timer operation.
 */
static void arm_timer(struct http_server *server, uint64_t deadline)
{
	if (server->next_deadline && server->next_deadline <= deadline)
		return;
	server->next_deadline = deadline;
	sd_event_source_set_time(server->timer, deadline);
	sd_event_source_set_enabled(server->timer, SD_EVENT_ONESHOT);
}

static void set_deadline(struct http_client *client, unsigned seconds)
{
	client->deadline = server_now(client->server) + seconds * USEC_PER_SEC;
	arm_timer(client->server, client->deadline);
}

void http_client_phase(struct http_client *client, enum http_phase phase)
{
	const struct http_config *config = &client->server->config;

	client->waiting = phase == HTTP_PHASE_IDLE ? server_now(client->server) : 0;
	if (phase == HTTP_PHASE_BUSY)
		client->deadline = 0;
	else
		set_deadline(client, phase == HTTP_PHASE_IDLE ? config->idle_timeout
							      : config->request_timeout);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	struct http_server *server = data;
	struct http_client *client;
	uint64_t now = server_now(server);

	server->next_deadline = 0;
	list_for_each(client, &server->clients, node) {
		if (!client->deadline)
			continue;
		if (client->deadline > now) {
			arm_timer(server, client->deadline);
			continue;
		}
		/* libmicrohttpd sees the end of the connection and closes it */
		client->deadline = 0;
		shutdown(client->fd, SHUT_RDWR);
	}
	return 0;
}

/* ---- who is calling ---- */

static bool in_peer_groups(int fd, gid_t group)
{
	AUTO(free) gid_t *groups = NULL;
	socklen_t size = 0;

	/* the kernel says how much room it needs, unless there are none */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE)
		return false;
	groups = malloc(size);
	if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(*groups); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static int identify(const struct http_server *server, struct http_client *client)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;
	client->peer = (struct peer){ .front = "rest", .uid = cred.uid, .pid = cred.pid };
	client->allowed = cred.uid == 0 || cred.uid == geteuid() ||
			  cred.gid == server->group || in_peer_groups(client->fd, server->group);
	return 0;
}

static bool of_same_peer(const struct http_client *a, const struct http_client *b)
{
	return a->peer.uid == b->peer.uid;
}

/*
 * Close the connection that has waited longest for its next request, of the peer of client or of
 * all (NULL): whoever holds connections without use stands in nobody's way. Closing it is
 * libmicrohttpd's to do; its place is free at once. False: all are in use.
 */
static bool evict(struct http_server *server, const struct http_client *peer)
{
	struct http_client *other, *victim = NULL;

	list_for_each(other, &server->clients, node)
		if (other->waiting && !other->evicted && (!peer || of_same_peer(other, peer)) &&
		    (!victim || other->waiting < victim->waiting))
			victim = other;
	if (!victim)
		return false;
	victim->evicted = true;
	server->n_clients--;
	shutdown(victim->fd, SHUT_RDWR);
	return true;
}

static bool within_limits(struct http_server *server, const struct http_client *client)
{
	const struct http_client *other;
	unsigned same = 0;

	list_for_each(other, &server->clients, node)
		same += !other->evicted && of_same_peer(other, client);
	if (same >= server->config.max_per_uid && !evict(server, client)) {
		http_refuse(client->fd, MHD_HTTP_TOO_MANY_REQUESTS, "too-many-connections",
			    "Too Many Requests", "this user has too many connections");
		return false;
	}
	if (server->n_clients >= server->config.max_connections && !evict(server, NULL)) {
		http_refuse(client->fd, MHD_HTTP_SERVICE_UNAVAILABLE, "try-again",
			    "Try again later", "all connections are taken");
		return false;
	}
	return true;
}

/* ---- connections ---- */

/*
 * NULL: not to be served. The socket stays libmicrohttpd's: shut down, it is closed like any
 * other whose peer is gone.
 */
static struct http_client *client_new(struct http_server *server, int fd)
{
	AUTO(free) struct http_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->server = server;
	client->fd = fd;
	if (identify(server, client) < 0 || !within_limits(server, client))
		return NULL;
	list_append(&server->clients, &client->node);
	server->n_clients++;
	client->waiting = server_now(server);
	set_deadline(client, server->config.request_timeout);
	return TAKE(client);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **slot,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_server *server = cls;
	struct http_client *client = *slot;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				 ->connect_fd;

		*slot = client_new(server, fd);
		if (!*slot)
			shutdown(fd, SHUT_RDWR);
		return;
	}
	if (client) {
		list_remove(&client->node);
		server->n_clients -= !client->evicted;
		free(client);
	}
	/* its next run accepts again, if it was at its limits; nothing else causes one */
	http_server_wake(server);
}

int http_server_add(struct http_server *server, int fd)
{
	static const struct sockaddr_un address = { .sun_family = AF_UNIX };

	/* closes fd when it fails */
	if (MHD_add_connection(server->mhd, fd, (const struct sockaddr *)&address,
			       sizeof(address)) != MHD_YES)
		return -EIO;
	return 0;
}

void http_server_wake(struct http_server *server)
{
	sd_event_source_set_enabled(server->again, SD_EVENT_ONESHOT);
}

static void server_run(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	MHD_run(server->mhd);
	/* no timeouts are given to libmicrohttpd, so this says: there is more to do now */
	if (MHD_get_timeout(server->mhd, &timeout) == MHD_YES)
		http_server_wake(server);
}

static int on_mhd(sd_event_source *source, int fd, uint32_t events, void *data)
{
	server_run(data);
	return 0;
}

static int on_again(sd_event_source *source, void *data)
{
	server_run(data);
	return 0;
}

/* ---- set-up ---- */

static void on_log(void *cls, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void on_log(void *cls, const char *fmt, va_list ap)
{
	char line[512];

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	log_debug("libmicrohttpd: %s", line);
}

/*
 * Leave escapes as they are: names need none (api/ops.h), and an escaped "/" or NUL must not turn
 * one path into another. Values of a query are unescaped where they are read.
 */
static size_t on_unescape(void *cls, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

static int start_mhd(struct http_server *server)
{
	const struct http_config *config = &server->config;
	bool listening = config->listen_fd >= 0;

	server->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG |
			(listening ? 0 : MHD_USE_NO_LISTEN_SOCKET),
		0, NULL, NULL, http_request_handle, server,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
		MHD_OPTION_NOTIFY_COMPLETED, http_request_completed, server,
		MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, server,
		MHD_OPTION_CONNECTION_LIMIT, config->max_connections + REFUSED_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_LIMIT,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		listening ? MHD_OPTION_LISTEN_SOCKET : MHD_OPTION_END, config->listen_fd,
		MHD_OPTION_END);
	return server->mhd ? 0 : -EIO;
}

static int add_sources(struct http_server *server)
{
	sd_event *event = server->manager->event;
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	r = sd_event_add_io(event, &server->mhd_source, info->epoll_fd, EPOLLIN, on_mhd, server);
	if (r < 0)
		return r;
	r = sd_event_add_defer(event, &server->again, on_again, server);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &server->timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC / 10,
			      on_timer, server);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(server->timer, SD_EVENT_OFF);
}

static void set_defaults(struct http_config *config)
{
	config->group = config->group ? config->group : "hvd";
	config->max_connections = config->max_connections ? config->max_connections : 512;
	config->max_per_uid = config->max_per_uid ? config->max_per_uid : 256;
	config->request_timeout = config->request_timeout ? config->request_timeout : 20;
	config->idle_timeout = config->idle_timeout ? config->idle_timeout : 60;
	config->max_streams = config->max_streams ? config->max_streams : 64;
	config->heartbeat = config->heartbeat ? config->heartbeat : 15;
}

int http_server_new(struct manager *manager, const struct http_config *config,
		    struct http_server **ret, struct hvd_error *err)
{
	AUTO(http_server_free) struct http_server *server = calloc(1, sizeof(*server));
	const struct group *group;
	int r;

	if (!server)
		return hvd_err(err, ENOMEM, "out of memory");
	server->manager = manager;
	list_init(&server->clients);
	server->config = *config;
	set_defaults(&server->config);
	group = getgrnam(server->config.group);
	server->group = group ? group->gr_gid : (gid_t)-1;

	r = start_mhd(server);
	if (r >= 0)
		r = add_sources(server);
	if (r >= 0)
		r = http_streams_init(&server->streams, manager, server->config.max_streams,
				      server->config.heartbeat);
	if (r < 0) {
		if (server->mhd) /* the socket stays the caller's */
			MHD_quiesce_daemon(server->mhd);
		return hvd_err(err, -r, "cannot start the HTTP server: %s", strerror(-r));
	}
	*ret = TAKE(server);
	return 0;
}

struct http_server *http_server_free(struct http_server *server)
{
	struct http_client *client;

	if (!server)
		return NULL;
	list_for_each(client, &server->clients, node)
		http_client_abandon(client);
	sd_event_source_disable_unref(server->mhd_source);
	/* calls back for each connection */
	if (server->mhd)
		MHD_stop_daemon(server->mhd);
	http_streams_clear(&server->streams);
	sd_event_source_disable_unref(server->again);
	sd_event_source_disable_unref(server->timer);
	free(server);
	return NULL;
}
