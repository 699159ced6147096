/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "vmm/base/err.h"

/*
 * A listening TCP socket at "ADDRESS:PORT", "[ADDRESS]:PORT" for IPv6, or ":PORT" for all addresses of
 * the host, which need not be there yet. Numbers only. Returns the descriptor; -EINVAL, -EADDRINUSE, …
 */
int tcp_listen(const char *text, struct hvd_error *err);
