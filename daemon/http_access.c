/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_access.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/manager.h"
#include "daemon/tls.h"
#include "daemon/token.h"
#include "vmm/base/cleanup.h"

#define BEARER "Bearer "

/* ---- connections ---- */

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

static int identify_local(struct http_client *client, gid_t group)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;
	client->peer = (struct peer){ .front = "rest", .uid = cred.uid, .pid = cred.pid };
	client->allowed = cred.uid == 0 || cred.uid == geteuid() || cred.gid == group ||
			  in_peer_groups(client->fd, group);
	return 0;
}

/* A network of IPv6 is one client's: it has 2^64 addresses in it. */
static int identify_remote(struct http_client *client)
{
	struct sockaddr_in6 address;
	socklen_t size = sizeof(address);

	if (getpeername(client->fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	client->peer = (struct peer){ .front = "rest", .uid = (uid_t)-1 };
	client->address[0] = 4;
	if (address.sin6_family == AF_INET) {
		memcpy(client->address + 1, &((struct sockaddr_in *)&address)->sin_addr, 4);
	} else if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {
		memcpy(client->address + 1, address.sin6_addr.s6_addr + 12, 4);
	} else {
		client->address[0] = 6;
		memcpy(client->address + 1, address.sin6_addr.s6_addr, 8);
	}
	return 0;
}

int http_access_identify(struct http_client *client, gid_t group)
{
	return client->remote ? identify_remote(client) : identify_local(client, group);
}

bool http_access_same(const struct http_client *a, const struct http_client *b)
{
	return a->peer.uid == b->peer.uid &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* ---- requests ---- */

static uint64_t now_usec(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* -EKEYREJECTED: it has been over for long. */
static int set_expiry(struct http_grant *grant, uint64_t expires_usec, struct hvd_error *err)
{
	uint64_t now = now_usec(CLOCK_REALTIME);

	if (expires_usec <= now)
		return hvd_err(err, EKEYREJECTED, "the client's certificate has expired");
	grant->expires = now_usec(CLOCK_MONOTONIC) + (expires_usec - now);
	return 0;
}

static int by_token(struct http_client *client, const char *authorization, struct peer *peer,
		    enum role *role, struct hvd_error *err)
{
	const struct tokens *tokens = http_server_manager(client->server)->tokens;
	const struct token_info *token;
	int r;

	if (strncasecmp(authorization, BEARER, strlen(BEARER)) != 0)
		return hvd_err(err, EKEYREJECTED, "the only Authorization that is taken is Bearer");
	authorization += strlen(BEARER);
	authorization += strspn(authorization, " ");
	r = tokens_check(tokens, authorization, &token, err);
	if (r >= 0)
		r = set_expiry(&client->grant, token->expires_usec, err);
	if (r < 0)
		return r;
	*role = token->role;
	snprintf(peer->name, sizeof(peer->name), "token:%s", token->name);
	snprintf(client->grant.token, sizeof(client->grant.token), "%s", token->name);
	client->grant.token_created_usec = token->created_usec;
	return 0;
}

static int check_certificate(struct http_client *client, gnutls_session_t session,
			     struct tls_client *ret, struct hvd_error *err)
{
	int r = tls_client(http_server_manager(client->server)->tls, &client->tls, session, ret, err);

	return r < 0 ? r : set_expiry(&client->grant, ret->expires_usec, err);
}

static int by_certificate(struct http_client *client, struct MHD_Connection *connection,
			  struct peer *peer, enum role *role, struct hvd_error *err)
{
	gnutls_session_t session =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;
	struct tls_client who;
	int r;

	r = check_certificate(client, session, &who, err);
	if (r < 0)
		return r;
	/* a browser sends its user's certificate on behalf of any page, and then says of which */
	if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin"))
		return hvd_err(err, EACCES, "pages of browsers must use a token");
	snprintf(peer->name, sizeof(peer->name), "certificate:%s", who.name);
	*role = who.role;
	client->grant.session = session;
	return 0;
}

int http_access_authenticate(struct http_client *client, struct MHD_Connection *connection,
			     struct peer *peer, enum role *role, struct hvd_error *err)
{
	const char *authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
								MHD_HTTP_HEADER_AUTHORIZATION);

	*peer = client->peer;
	*role = ROLE_ADMIN;
	client->grant = (struct http_grant){ 0 };
	if (client->remote)
		return authorization ? by_token(client, authorization, peer, role, err)
				     : by_certificate(client, connection, peer, role, err);
	if (client->allowed)
		return 0;
	return hvd_err(err, EACCES,
		       "user %u may not manage VMs: use sudo, or become a member of group hvd",
		       client->peer.uid);
}

bool http_access_holds(struct http_client *client)
{
	const struct http_grant *grant = &client->grant;
	struct tls_client who;

	if (grant->token[0])
		return tokens_have(http_server_manager(client->server)->tokens, grant->token,
				   grant->token_created_usec);
	return !grant->session || check_certificate(client, grant->session, &who, NULL) >= 0;
}

int http_access_authorise(const struct peer *peer, enum role role, const struct op *op,
			  struct hvd_error *err)
{
	if (role_may(role, op->access))
		return 0;
	return hvd_err(err, EACCES, "%s is %s, and %s takes %s", peer->name, role_names[role],
		       op->name, role_names[role_for(op->access)]);
}
