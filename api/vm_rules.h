/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules for values that a length and a range cannot say: the check functions of the tables in
 * vm_schema.c. Text rules take text that is never NULL; all return 0 or -EINVAL
 * with a message that reads well behind the field's name ("must be …").
 */
#pragma once

#include "vmm/base/err.h"

#define VM_MACHINE_DEFAULT "hvd-1.0"

int rule_machine(const char *text, struct hvd_error *err);
int rule_id(const char *text, struct hvd_error *err);        /* of a disk or NIC: "vda" */
/* What may stand for the path of firmware; ends with NULL. */
extern const char *const firmware_words[];
int rule_firmware(const char *text, struct hvd_error *err);
int rule_path(const char *text, struct hvd_error *err);      /* absolute, one line */
int rule_line(const char *text, struct hvd_error *err);      /* no newline, no tab */
int rule_serial(const char *text, struct hvd_error *err);    /* printable ASCII */
int rule_interface(const char *text, struct hvd_error *err); /* Linux network interface name */
int rule_ip_address(const char *text, struct hvd_error *err); /* IPv4 or IPv6, not a name */
int rule_rbd_image(const char *text, struct hvd_error *err);  /* "pool/image", "pool/namespace/image" */
int rule_ceph_user(const char *text, struct hvd_error *err);   /* without "client." */
int rule_cpuset(const char *text, struct hvd_error *err);    /* "0-3,8" */

/* Whole objects. */
int rule_nbd(const void *obj, struct hvd_error *err);
int rule_ceph(const void *obj, struct hvd_error *err);
int rule_disk(const void *obj, struct hvd_error *err);
int rule_disk_limits(const void *obj, struct hvd_error *err);
int rule_nic_limits(const void *obj, struct hvd_error *err);
int rule_boot(const void *obj, struct hvd_error *err);
int rule_nic(const void *obj, struct hvd_error *err);
int rule_vm(const void *obj, struct hvd_error *err);
