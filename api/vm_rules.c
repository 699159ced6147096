/* SPDX-License-Identifier: Apache-2.0 */
#include "api/vm_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/vm_schema.h"
#include "vmm/base/macro.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

#define MAX_HOST_CPU 8191 /* the kernel's own limit on arm64 is lower */

static const char *const machines[] = { VM_MACHINE_DEFAULT };

int rule_machine(const char *text, struct hvd_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (strcmp(text, machines[i]) == 0)
			return 0;
	return hvd_err(err, EINVAL, "'%.40s' is not a machine type of this hvd: use %s", text,
		       VM_MACHINE_DEFAULT);
}

int vm_name_check(const char *text, struct hvd_error *err)
{
	uint8_t uuid[16];
	size_t len = strlen(text);

	if (!len || len > 63 || strspn(text, LOWER DIGITS "-") != len || text[0] == '-')
		return hvd_err(err, EINVAL,
			       "'%.64s' is no name: use 1 to 63 of a-z, 0-9 and '-', not '-' first",
			       text);
	/* wherever a name may stand, so may a UUID */
	if (uuid_parse(text, uuid) == 0)
		return hvd_err(err, EINVAL, "must not look like a UUID");
	return 0;
}

int rule_id(const char *text, struct hvd_error *err)
{
	if (!text[0] || strspn(text, LOWER DIGITS "-") != strlen(text) || text[0] == '-')
		return hvd_err(err, EINVAL, "'%.40s' is no id: use a-z, 0-9 and '-', not '-' first",
			       text);
	return 0;
}

int rule_line(const char *text, struct hvd_error *err)
{
	if (strpbrk(text, "\n\t"))
		return hvd_err(err, EINVAL, "must be one line without tabs");
	return 0;
}

int rule_path(const char *text, struct hvd_error *err)
{
	if (text[0] != '/')
		return hvd_err(err, EINVAL, "must be an absolute path: '%.200s' is relative", text);
	return rule_line(text, err);
}

const char *const firmware_words[] = { "auto", "efi", "uefi", NULL };

int rule_firmware(const char *text, struct hvd_error *err)
{
	for (size_t i = 0; firmware_words[i]; i++)
		if (strcmp(text, firmware_words[i]) == 0)
			return 0;
	if (text[0] != '/')
		return hvd_err(err, EINVAL,
			       "must be an absolute path, or \"auto\" for the host's own: '%.200s'",
			       text);
	return rule_line(text, err);
}

int rule_boot(const void *obj, struct hvd_error *err)
{
	const struct boot_config *boot = obj;

	if (!boot->kernel && !boot->firmware)
		return hvd_err_field(err, EINVAL, "kernel",
				     "is required, unless firmware is given (\"auto\": the host's "
				     "UEFI image, to boot from a disk)");
	return 0;
}

int rule_serial(const char *text, struct hvd_error *err)
{
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return hvd_err(err, EINVAL, "must be printable ASCII without spaces");
	return 0;
}

int rule_ip_address(const char *text, struct hvd_error *err)
{
	struct in6_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1 && inet_pton(AF_INET6, text, &addr) != 1)
		return hvd_err(err, EINVAL, "must be an IPv4 or IPv6 address, names are not looked up: "
			       "'%.60s' is none", text);
	return 0;
}

/*
 * Ceph lets names have more, but '/' and '@' are of its own notation, and some of the rest are of
 * QEMU's and of its configuration.
 */
#define CEPH_NAME LOWER UPPER DIGITS "-_.+"

int rule_rbd_image(const char *text, struct hvd_error *err)
{
	unsigned parts = 1;
	size_t len;

	for (const char *p = text;; p += len + 1, parts++) {
		len = strspn(p, CEPH_NAME);
		if (!len || (p[len] && p[len] != '/'))
			return hvd_err(err, EINVAL, "must be POOL/IMAGE or POOL/NAMESPACE/IMAGE, of names "
				       "of a-z, A-Z, 0-9 and '-_.+': '%.100s'", text);
		if (!p[len])
			break;
	}
	return parts == 2 || parts == 3 ? 0
	       : hvd_err(err, EINVAL, "must be POOL/IMAGE or POOL/NAMESPACE/IMAGE: '%.100s'", text);
}

int rule_ceph_user(const char *text, struct hvd_error *err)
{
	if (strncmp(text, "client.", strlen("client.")) == 0)
		return hvd_err(err, EINVAL, "is written without client.: '%.60s'", text);
	if (strspn(text, CEPH_NAME) != strlen(text))
		return hvd_err(err, EINVAL, "must be a name of a-z, A-Z, 0-9 and '-_.+': '%.60s'", text);
	return 0;
}

int rule_interface(const char *text, struct hvd_error *err)
{
	size_t len = strlen(text);

	if (len > 15 || strspn(text, LOWER UPPER DIGITS "-_.") != len || text[0] == '.' ||
	    text[0] == '-')
		return hvd_err(err, EINVAL, "'%.40s' is no network interface name", text);
	return 0;
}

/* A decimal number of at most max at *text, which moves behind it. */
static int take_number(const char **text, unsigned max, unsigned *ret)
{
	size_t digits = strspn(*text, DIGITS);
	unsigned value = 0;

	if (!digits || digits > 5)
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (unsigned)((*text)[i] - '0');
	if (value > max)
		return -ERANGE;
	*text += digits;
	*ret = value;
	return 0;
}

/* "3" or "0-3" */
static int take_cpus(const char **text)
{
	unsigned first, last;
	int r;

	r = take_number(text, MAX_HOST_CPU, &first);
	if (r < 0 || **text != '-')
		return r;
	(*text)++;
	r = take_number(text, MAX_HOST_CPU, &last);
	if (r < 0)
		return r;
	return last < first ? -EINVAL : 0;
}

int rule_cpuset(const char *text, struct hvd_error *err)
{
	const char *p = text;

	for (;;) {
		if (take_cpus(&p) < 0 || (*p && *p != ','))
			return hvd_err(err, EINVAL, "'%.64s' is no list of CPUs such as 0-3,8",
				       text);
		if (!*p)
			return 0;
		p++;
	}
}

/* A burst without the limit that it belongs to. */
static int check_burst(uint64_t burst, uint64_t limit, const char *burst_name, const char *name,
		       struct hvd_error *err)
{
	if (burst && !limit)
		return hvd_err_field(err, EINVAL, burst_name, "is given without %s", name);
	return 0;
}

#define CHECK_BURST(limits, limit, burst) \
	check_burst((limits)->burst, (limits)->limit, #burst, #limit, err)

static bool can_be_encrypted(enum disk_format format)
{
	return format == DISK_FORMAT_LUKS || format == DISK_FORMAT_QCOW2;
}

int rule_nbd(const void *obj, struct hvd_error *err)
{
	const struct nbd_config *nbd = obj;

	if (nbd->server && nbd->socket)
		return hvd_err_field(err, EINVAL, "socket", "cannot be given together with server");
	if (nbd->export && !nbd->server && !nbd->socket)
		return hvd_err_field(err, EINVAL, "export", "is given without server or socket");
	return 0;
}

int rule_ceph(const void *obj, struct hvd_error *err)
{
	const struct ceph_config *ceph = obj;

	if (!ceph->rbd)
		return ceph->n_monitors || ceph->user || ceph->keyfile
			       ? hvd_err_field(err, EINVAL, "rbd", "is missing: which image of the cluster?")
			       : 0;
	if (!ceph->n_monitors)
		return hvd_err_field(err, EINVAL, "monitors", "are missing: Ceph's own configuration is not "
				     "read");
	if (ceph->user && !ceph->keyfile)
		return hvd_err_field(err, EINVAL, "keyfile", "is missing: the file with the key of user %s, "
				     "as 'ceph auth print-key client.%s' prints it", ceph->user, ceph->user);
	if (ceph->keyfile && !ceph->user)
		return hvd_err_field(err, EINVAL, "user", "is missing: whose key is in %s?", ceph->keyfile);
	return 0;
}

int rule_disk(const void *obj, struct hvd_error *err)
{
	const struct disk_config *disk = obj;
	int places = !!disk->path + !!disk->volume + disk_is_nbd(disk) + disk_is_rbd(disk);

	if (places != 1)
		return hvd_err_field(err, EINVAL, "path", places
				     ? "is one of four, and they exclude each other: path, volume, an NBD "
				       "server and rbd"
				     : "is required, unless the disk is a volume, on an NBD server (server "
				       "or socket), or in Ceph (rbd)");
	if (disk->volume && (disk->backing || disk->secret))
		return hvd_err_field(err, EINVAL, disk->backing ? "backing" : "secret",
				     "cannot be given together with volume");
	if (disk->format == DISK_FORMAT_LUKS && !disk->secret)
		return hvd_err_field(err, EINVAL, "secret", "is missing: a luks image needs the file "
				     "with its passphrase");
	if (disk->secret && !can_be_encrypted(disk->format))
		return hvd_err_field(err, EINVAL, "secret", "is for formats luks and qcow2 only");
	if (disk->backing && disk->format != DISK_FORMAT_QCOW2)
		return hvd_err_field(err, EINVAL, "backing", "is for format qcow2 only");
	if (!disk->backing && disk->backing_format != DISK_FORMAT_RAW)
		return hvd_err_field(err, EINVAL, "backing_format", "is given without backing");
	if (disk->backing_format == DISK_FORMAT_LUKS)
		return hvd_err_field(err, EINVAL, "backing_format", "cannot be luks");
	if (disk->format == DISK_FORMAT_RAW && !disk_is_nbd(disk) && !disk_is_rbd(disk))
		return 0;
	/* what the storage daemon cannot do */
	if (disk->serial)
		return hvd_err_field(err, EINVAL, "serial", "is for format raw only, in a file or on a device: "
				     "qemu-storage-daemon gives its disks none");
	if (disk->error_policy != DISK_ERROR_REPORT)
		return hvd_err_field(err, EINVAL, "error_policy", "other than report is for format raw "
				     "only, in a file or on a device");
	return 0;
}

int rule_disk_limits(const void *obj, struct hvd_error *err)
{
	const struct disk_limits_config *limits = obj;
	int r = CHECK_BURST(limits, iops, iops_burst);

	return r < 0 ? r : CHECK_BURST(limits, bytes_per_second, bytes_burst);
}

int rule_nic_limits(const void *obj, struct hvd_error *err)
{
	const struct nic_limits_config *limits = obj;
	int r;

	r = CHECK_BURST(limits, rx_frames_per_second, rx_frames_burst);
	if (r >= 0)
		r = CHECK_BURST(limits, rx_bytes_per_second, rx_bytes_burst);
	if (r >= 0)
		r = CHECK_BURST(limits, tx_frames_per_second, tx_frames_burst);
	if (r >= 0)
		r = CHECK_BURST(limits, tx_bytes_per_second, tx_bytes_burst);
	return r;
}

static bool has_limits(const struct nic_limits_config *limits)
{
	return limits->rx_frames_per_second || limits->rx_bytes_per_second ||
	       limits->tx_frames_per_second || limits->tx_bytes_per_second;
}

int rule_nic(const void *obj, struct hvd_error *err)
{
	const struct nic_config *nic = obj;
	int places = !!nic->network + !!nic->bridge + !!nic->interface + !!nic->tap;

	if (places != 1)
		return hvd_err(err, EINVAL,
			       "%s: give exactly one of network, bridge, interface and tap",
			       places ? "is in two places" : "is on nothing");
	if (nic->mode != NIC_MODE_BRIDGE && !nic->interface)
		return hvd_err_field(err, EINVAL, "mode", "is for those with an interface only");
	if (nic->isolated && !nic->network && !nic->bridge)
		return hvd_err_field(err, EINVAL, "isolated",
				     "is for those on a network or bridge only");
	if (nic->backend == NIC_BACKEND_VHOST && has_limits(&nic->limits))
		return hvd_err_field(err, EINVAL, "limits",
				     "vhost-net knows none: give backend process with them");
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* The field that says so; NULL: it is another. */
static const char *same_image(const struct disk_config *a, const struct disk_config *b)
{
	if (same_text(a->path, b->path))
		return "path";
	if (same_text(a->volume, b->volume))
		return "volume";
	return disk_is_rbd(a) && schema_equal(&ceph_schema, &a->ceph, &b->ceph) ? "ceph.rbd" : NULL;
}

static int check_disks(const struct vm_config *vm, struct hvd_error *err)
{
	for (size_t i = 0; i < vm->n_disks; i++) {
		const struct disk_config *disk = &vm->disks[i];

		for (size_t j = 0; j < i; j++) {
			const char *field = same_image(disk, &vm->disks[j]);

			if (!field || (disk->read_only && vm->disks[j].read_only))
				continue;
			hvd_err_field(err, EINVAL, field, "is the same as that of disks[%zu]", j);
			return hvd_err_in(err, -EINVAL, "disks[%zu]", i);
		}
	}
	return 0;
}

static bool same_link(const struct nic_config *a, const struct nic_config *b)
{
	return same_text(a->tap, b->tap);
}

static bool same_mac(const struct nic_config *a, const struct nic_config *b)
{
	static const uint8_t unset[6];

	return memcmp(a->mac, unset, 6) != 0 && memcmp(a->mac, b->mac, 6) == 0;
}

static int check_nics(const struct vm_config *vm, struct hvd_error *err)
{
	for (size_t i = 0; i < vm->n_nics; i++) {
		for (size_t j = 0; j < i; j++) {
			bool mac = same_mac(&vm->nics[i], &vm->nics[j]);

			if (!mac && !same_link(&vm->nics[i], &vm->nics[j]))
				continue;
			hvd_err_field(err, EINVAL, mac ? "mac" : "tap", "is that of nics[%zu] too",
				      j);
			return hvd_err_in(err, -EINVAL, "nics[%zu]", i);
		}
	}
	return 0;
}

/* The boot order of the n-th of all disks and NICs, disks first. */
static uint32_t boot_order(const struct vm_config *vm, size_t n)
{
	return n < vm->n_disks ? vm->disks[n].boot_order : vm->nics[n - vm->n_disks].boot_order;
}

static int check_boot_order(const struct vm_config *vm, struct hvd_error *err)
{
	const size_t n_disks = vm->n_disks;

	for (size_t i = 0; i < n_disks + vm->n_nics; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!boot_order(vm, i) || boot_order(vm, i) != boot_order(vm, j))
				continue;
			hvd_err_field(err, EINVAL, "boot_order", "is that of %s[%zu] too",
				      j < n_disks ? "disks" : "nics", j < n_disks ? j : j - n_disks);
			return hvd_err_in(err, -EINVAL, "%s[%zu]", i < n_disks ? "disks" : "nics",
					  i < n_disks ? i : i - n_disks);
		}
	}
	return 0;
}

int rule_vm(const void *obj, struct hvd_error *err)
{
	const struct vm_config *vm = obj;
	int r;

	r = check_disks(vm, err);
	if (r < 0)
		return r;
	r = check_nics(vm, err);
	if (r < 0)
		return r;
	return check_boot_order(vm, err);
}
