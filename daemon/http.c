/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <grp.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/http_access.h"
#include "daemon/http_events.h"
#include "daemon/http_reply.h"
#include "daemon/http_request.h"
#include "daemon/tls.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

#define USEC_PER_SEC 1000000ULL
#define MEMORY_LIMIT (32 * 1024) /* of a connection: bounds the head of a request (431) */
#define LATER_USEC  50000ULL
#define REFUSED_MAX 16           /* connections beyond the limit that are told so */

/* Neither's clients can keep the other's out. */
enum { UNIX, TLS, _LISTENERS_MAX };

struct http_listener {
	struct http_server *server;
	struct MHD_Daemon *mhd; /* NULL: it is not served */
	sd_event_source *source;
	unsigned n_clients; /* but those evicted */
	unsigned n_ending;  /* after their WebSockets */
};

struct http_server {
	struct manager *manager;
	struct http_config config;
	gid_t group; /* (gid_t)-1, which no process has: there is none */
	struct http_listener listeners[_LISTENERS_MAX];
	sd_event_source *again, *timer;
	int wake_fd; /* eventfd of again: a deferred source would be in front of all others each time */
	bool awake;
	uint64_t later; /* run libmicrohttpd then, CLOCK_MONOTONIC; 0: no need */
	struct list clients; /* struct http_client */
	struct access_listener access_listener;
	bool access_changed;
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

	client->phase = phase;
	client->waiting = phase == HTTP_PHASE_IDLE ? server_now(client->server) : 0;
	if (phase == HTTP_PHASE_BUSY) {
		client->deadline = client->grant.expires;
		if (client->deadline)
			arm_timer(client->server, client->deadline);
		return;
	}
	set_deadline(client, phase == HTTP_PHASE_IDLE ? config->idle_timeout
						      : config->request_timeout);
	if (phase == HTTP_PHASE_IDLE && client->last)
		shutdown(client->fd, SHUT_RDWR);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	struct http_server *server = data;
	struct http_client *client;
	uint64_t now = server_now(server);

	server->next_deadline = 0;
	if (server->later && server->later <= now) {
		server->later = 0;
		http_server_wake(server);
	} else if (server->later) {
		arm_timer(server, server->later);
	}
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

/* ---- access ---- */

/*
 * A client that was let in by what is good no more is cut: its streams, its console, its request that is
 * under way, whose call goes on by itself. An answer on its way is sent first: it may be that of the
 * request to delete the token.
 */
static void check_access(struct http_server *server)
{
	struct http_client *client;

	server->access_changed = false;
	list_for_each(client, &server->clients, node) {
		if (http_access_holds(client))
			continue;
		client->last = true;
		if (client->phase != HTTP_PHASE_REPLY || client->stream)
			shutdown(client->fd, SHUT_RDWR);
	}
}

/* Not at once: this may be in the middle of a client's request. */
static void on_access(struct access_listener *listener)
{
	struct http_server *server = container_of(listener, struct http_server, access_listener);

	server->access_changed = true;
	http_server_wake(server);
}

/* ---- limits ---- */

static bool is_rival(const struct http_client *client, const struct http_client *other)
{
	return other->listener == client->listener && !other->evicted;
}

/*
 * Close the connection that has waited longest for its next request, of client's peer or of all:
 * whoever holds connections without use stands in nobody's way. Closing it is libmicrohttpd's to
 * do; its place is free at once. False: all are in use.
 */
static bool evict(const struct http_client *client, bool of_peer)
{
	struct http_client *other, *victim = NULL;

	list_for_each(other, &client->server->clients, node)
		if (is_rival(client, other) && other->waiting &&
		    (!of_peer || http_access_same(other, client)) &&
		    (!victim || other->waiting < victim->waiting))
			victim = other;
	if (!victim)
		return false;
	victim->evicted = true;
	victim->listener->n_clients--;
	victim->server->manager->traffic.connections--;
	shutdown(victim->fd, SHUT_RDWR);
	return true;
}

/* Over TLS there is no telling before the handshake: the connection just ends. */
static void refuse(const struct http_client *client, unsigned status, const char *code,
		   const char *title, const char *detail)
{
	if (!client->remote)
		http_refuse(client->fd, status, code, title, detail);
}

static bool within_limits(const struct http_client *client)
{
	const struct http_config *config = &client->server->config;
	const struct http_client *other;
	unsigned same = 0;

	list_for_each(other, &client->server->clients, node)
		same += is_rival(client, other) && http_access_same(other, client);
	if (same >= config->max_per_peer && !evict(client, true)) {
		refuse(client, MHD_HTTP_TOO_MANY_REQUESTS, "too-many-connections",
		       "Too Many Requests", "this user has too many connections");
		return false;
	}
	if (client->listener->n_clients >= config->max_connections && !evict(client, false)) {
		refuse(client, MHD_HTTP_SERVICE_UNAVAILABLE, "try-again", "Try again later",
		       "all connections are taken");
		return false;
	}
	return true;
}

/* ---- connections ---- */

static void client_free(struct http_client *client)
{
	list_remove(&client->node);
	tls_identity_unref(client->tls);
	free(client);
}

DEFINE_AUTO(struct http_client *, client_free);

/*
 * Answers are written whole: the end of one is not to wait for an acknowledgement. A client that has
 * vanished is noticed within two minutes, also on a console that is quiet.
 */
static void set_tcp_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },   { SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 60 }, { IPPROTO_TCP, TCP_KEEPINTVL, 15 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static bool begin_tls(struct http_client *client, struct MHD_Connection *connection)
{
	client->tls = tls_identity_get(client->server->manager->tls);
	if (!client->tls) {
		log_debug("a remote client is turned away: there is no certificate");
		return false;
	}
	tls_identity_present(client->tls,
			     MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)
				     ->tls_session);
	set_tcp_options(client->fd);
	return true;
}

/*
 * NULL: not to be served. The socket stays libmicrohttpd's: shut down, it is closed like any
 * other whose peer is gone.
 */
static struct http_client *client_new(struct http_listener *listener,
				      struct MHD_Connection *connection, int fd)
{
	AUTO(client_free) struct http_client *client = calloc(1, sizeof(*client));
	struct http_server *server = listener->server;

	if (!client)
		return NULL;
	list_init(&client->node);
	client->server = server;
	client->listener = listener;
	client->fd = fd;
	client->remote = listener == &server->listeners[TLS];
	if (http_access_identify(client, server->group) < 0 || !within_limits(client))
		return NULL;
	/* the last that can fail: the session must not outlive what it is given */
	if (client->remote && !begin_tls(client, connection))
		return NULL;
	list_append(&server->clients, &client->node);
	listener->n_clients++;
	server->manager->traffic.connections++;
	client->waiting = server_now(server);
	set_deadline(client, server->config.request_timeout);
	return TAKE(client);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **slot,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_listener *listener = cls;
	struct http_client *client = *slot;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				 ->connect_fd;

		*slot = client_new(listener, connection, fd);
		if (!*slot)
			shutdown(fd, SHUT_RDWR);
		return;
	}
	if (client) {
		listener->n_clients -= !client->evicted;
		listener->server->manager->traffic.connections -= !client->evicted;
		listener->n_ending -= client->ending;
		client_free(client);
	}
	/* its next run accepts again, if it was at its limits; nothing else causes one */
	http_server_wake(listener->server);
}

int http_server_add(struct http_server *server, int fd)
{
	static const struct sockaddr_un address = { .sun_family = AF_UNIX };

	/* closes fd when it fails */
	if (MHD_add_connection(server->listeners[UNIX].mhd, fd, (const struct sockaddr *)&address,
			       sizeof(address)) != MHD_YES)
		return -EIO;
	return 0;
}

void http_server_wake(struct http_server *server)
{
	if (!server->awake)
		eventfd_write(server->wake_fd, 1);
	server->awake = true;
}

/*
 * libmicrohttpd takes a session in the middle of its handshake for one that has something to read, for as
 * long as the client likes: it is not to be run for that alone, since what comes is an event of its own.
 * Who has been let in and is sending a request or is sent an answer is not kept waiting.
 */
static bool may_wait(const struct http_listener *listener)
{
	const struct http_client *client;
	bool handshake = false;

	list_for_each(client, &listener->server->clients, node) {
		if (client->listener != listener)
			continue;
		if (client->in_request && client->phase != HTTP_PHASE_BUSY &&
		    (client->grant.token[0] || client->grant.session))
			return false;
		handshake |= client->remote && !client->begun;
	}
	return handshake;
}

void http_client_end_upgrade(struct http_client *client)
{
	client->ending = true;
	client->listener->n_ending++;
	http_client_phase(client, HTTP_PHASE_REPLY);
	MHD_upgrade_action(client->upgrade, MHD_UPGRADE_ACTION_CLOSE);
	http_server_wake(client->server);
}

static void listener_run(struct http_listener *listener)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	if (!listener->mhd)
		return;
	MHD_run(listener->mhd);
	/* it only sees in the next run, which nothing else causes, that it has sent all over TLS */
	if (listener->n_ending)
		MHD_run(listener->mhd);
	/* no timeouts are given to libmicrohttpd, so this says: there is more to do now */
	if (MHD_get_timeout(listener->mhd, &timeout) != MHD_YES)
		return;
	if (!may_wait(listener)) {
		http_server_wake(listener->server);
	} else if (!listener->server->later) {
		listener->server->later = server_now(listener->server) + LATER_USEC;
		arm_timer(listener->server, listener->server->later);
	}
}

static int on_mhd(sd_event_source *source, int fd, uint32_t events, void *data)
{
	listener_run(data);
	return 0;
}

static int on_again(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct http_server *server = data;

	eventfd_read(fd, &(eventfd_t){ 0 });
	server->awake = false;
	if (server->access_changed)
		check_access(server);
	for (size_t i = 0; i < _LISTENERS_MAX; i++)
		listener_run(&server->listeners[i]);
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

/* Every connection is given what TLS takes when it begins (begin_tls()), so that this is not called. */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *names, int n_names,
			  const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
			  gnutls_pcert_st **certificate, unsigned *n, gnutls_privkey_t *key)
{
	return -1;
}

/* fd: a listening socket, or -1: connections are given one by one. */
static int start_listener(struct http_listener *listener, int fd, bool tls)
{
	struct http_server *server = listener->server;
	const struct MHD_OptionItem tls_options[] = {
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (char *)TLS_PRIORITIES },
		{ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)no_certificate },
		{ MHD_OPTION_END, 0, NULL },
	};
	const union MHD_DaemonInfo *info;

	listener->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG |
			(fd >= 0 ? 0 : MHD_USE_NO_LISTEN_SOCKET) | (tls ? MHD_USE_TLS : 0),
		0, NULL, NULL, http_request_handle, server,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener,
		MHD_OPTION_NOTIFY_COMPLETED, http_request_completed, server,
		MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, server,
		MHD_OPTION_CONNECTION_LIMIT, server->config.max_connections + REFUSED_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_LIMIT,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_ARRAY, tls ? tls_options : &tls_options[ARRAY_SIZE(tls_options) - 1],
		fd >= 0 ? MHD_OPTION_LISTEN_SOCKET : MHD_OPTION_END, fd,
		MHD_OPTION_END);
	if (!listener->mhd)
		return -EIO;
	info = MHD_get_daemon_info(listener->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	return sd_event_add_io(server->manager->event, &listener->source, info->epoll_fd, EPOLLIN,
			       on_mhd, listener);
}

static int start_listeners(struct http_server *server)
{
	int r;

	for (size_t i = 0; i < _LISTENERS_MAX; i++)
		server->listeners[i].server = server;
	r = start_listener(&server->listeners[UNIX], server->config.listen_fd, false);
	if (r >= 0 && server->config.tls_fd > 0)
		r = start_listener(&server->listeners[TLS], server->config.tls_fd, true);
	return r;
}

static int add_sources(struct http_server *server)
{
	sd_event *event = server->manager->event;
	int r;

	server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->wake_fd < 0)
		return -errno;
	r = sd_event_add_io(event, &server->again, server->wake_fd, EPOLLIN, on_again, server);
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
	config->max_per_peer = config->max_per_peer ? config->max_per_peer : 256;
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
	server->wake_fd = -1;
	list_init(&server->clients);
	list_init(&server->access_listener.node);
	server->access_listener.fn = on_access;
	list_append(&manager->access_listeners, &server->access_listener.node);
	server->config = *config;
	set_defaults(&server->config);
	group = getgrnam(server->config.group);
	server->group = group ? group->gr_gid : (gid_t)-1;

	r = add_sources(server);
	if (r >= 0)
		r = start_listeners(server);
	if (r >= 0)
		r = http_streams_init(&server->streams, manager, server->config.max_streams,
				      server->config.heartbeat);
	if (r < 0) {
		for (size_t i = 0; i < _LISTENERS_MAX; i++)
			if (server->listeners[i].mhd) /* the socket stays the caller's */
				MHD_quiesce_daemon(server->listeners[i].mhd);
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
	for (size_t i = 0; i < _LISTENERS_MAX; i++) {
		sd_event_source_disable_unref(server->listeners[i].source);
		/* calls back for each connection */
		if (server->listeners[i].mhd)
			MHD_stop_daemon(server->listeners[i].mhd);
	}
	http_streams_clear(&server->streams);
	list_remove(&server->access_listener.node);
	sd_event_source_disable_unref(server->again);
	if (server->wake_fd >= 0)
		close(server->wake_fd);
	sd_event_source_disable_unref(server->timer);
	free(server);
	return NULL;
}
