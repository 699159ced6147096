/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a client of the REST front end is, and what it may.
 *
 * Over the unix socket the kernel says who has connected, once. Over TLS each request has a token, or
 * the connection a client's certificate; either has a role (api/access.h).
 */
#pragma once

#include "api/access.h"
#include "daemon/http_request.h"

/*
 * Of a new connection: peer, allowed and address. group: whose members may everything over the unix
 * socket. -errno.
 */
int http_access_identify(struct http_client *client, gid_t group);

/* Do both come from the same user, or over TLS from the same address (a /64 in IPv6)? */
bool http_access_same(const struct http_client *a, const struct http_client *b);

/*
 * Of a request: fill peer with who asks, and the client's grant. -ENOKEY, -EKEYREJECTED: it does not say,
 * or not rightly; -EACCES: may nothing here.
 */
int http_access_authenticate(struct http_client *client, struct MHD_Connection *connection,
			     struct peer *peer, enum role *role, struct hvd_error *err);

/* Is what it was let in by still good? The token is there, the certificate taken. */
bool http_access_holds(struct http_client *client);

/* May it do this? -EACCES */
int http_access_authorise(const struct peer *peer, enum role role, const struct op *op,
			  struct hvd_error *err);
