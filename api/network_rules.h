/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for values of networks, in the manner of api/vm_rules.h: check functions of its tables. */
#pragma once

#include "vmm/base/err.h"

int rule_ipv4(const char *text, struct hvd_error *err);  /* "192.168.133.7" */
int rule_cidr(const char *text, struct hvd_error *err);  /* IPv4 "192.168.133.1/24" */
int rule_cidr6(const char *text, struct hvd_error *err); /* IPv6 "fd00:1::1/64" */

/* Whole objects. */
int rule_static_lease(const void *obj, struct hvd_error *err);
int rule_network(const void *obj, struct hvd_error *err);
