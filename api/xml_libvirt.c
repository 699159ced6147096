/* SPDX-License-Identifier: Apache-2.0 */
#include "api/xml_libvirt.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/macro.h"

/*
 * path: from the root, fnmatch(3); "#text" is the text of an element. values: "a|b*", what the
 * attribute or the element's text may be ("": no text), because hvd always has that; NULL: whatever
 * it is, with everything in it, makes no difference to the guest.
 */
static const struct accepted {
	const char *path, *values;
} table[] = {
	{ "domain/@id", NULL },
	{ "domain/title", NULL },
	{ "domain/metadata", NULL },
	{ "domain/resource", NULL },
	{ "domain/seclabel", NULL },
	{ "domain/pm", NULL },
	{ "domain/vcpu/@placement", NULL },
	{ "domain/cputune/global_period", "100000" },
	{ "domain/os/type/@machine", "virt|virt-*" },
	/* beside a loader; by itself it is a value */
	{ "domain/os/@firmware", NULL },
	{ "domain/os/firmware", "" },
	{ "domain/os/firmware/feature", "" },
	{ "domain/os/firmware/feature/@enabled", "no" },
	{ "domain/os/firmware/feature/@name", NULL },
	{ "domain/os/loader/@secure", "no" },
	{ "domain/os/loader/@format", "raw" },
	{ "domain/os/nvram/@format", "raw" },
	{ "domain/os/nvram/@templateFormat", "raw" },
	{ "domain/os/boot", NULL },
	{ "domain/os/bootmenu", NULL },
	{ "domain/features", "" },
	{ "domain/features/gic", "" },
	{ "domain/features/gic/@version", "3|host" },
	{ "domain/cpu", "" },
	{ "domain/cpu/@mode", "host-passthrough|host-model|maximum" },
	{ "domain/cpu/@check", NULL },
	{ "domain/cpu/@match", NULL },
	{ "domain/cpu/@migratable", NULL },
	{ "domain/clock", "" },
	{ "domain/clock/@offset", "utc" },
	{ "domain/clock/timer", NULL },
	{ "domain/on_poweroff", "destroy" },

	{ "domain/devices/emulator", NULL },
	{ "domain/devices/controller", NULL },
	{ "domain/devices/memballoon/driver", NULL },
	{ "domain/devices/audio", NULL },
	{ "domain/devices/*/alias", NULL },
	{ "domain/devices/*/address", NULL },

	{ "domain/devices/disk/driver/@name", "qemu" },
	{ "domain/devices/disk/driver/@cache", "default" },
	{ "domain/devices/disk/driver/@discard", NULL },
	{ "domain/devices/disk/driver/@detect_zeroes", NULL },
	{ "domain/devices/disk/driver/@io", NULL },
	{ "domain/devices/disk/driver/@iothread", NULL },
	{ "domain/devices/disk/driver/@queues", NULL },
	{ "domain/devices/disk/source/@index", NULL },
	{ "domain/devices/disk/backingStore", NULL },
	{ "domain/devices/disk/target", "" },
	{ "domain/devices/disk/target/@dev", NULL },
	{ "domain/devices/disk/target/@bus", "virtio" },

	{ "domain/devices/interface/source/@mode", "bridge" },
	{ "domain/devices/interface/source/@portid", NULL },
	{ "domain/devices/interface/source/@bridge", NULL },
	{ "domain/devices/interface/target", "" },
	{ "domain/devices/interface/target/@dev", NULL },
	{ "domain/devices/interface/target/@managed", NULL },
	{ "domain/devices/interface/filterref", "" },
	{ "domain/devices/interface/filterref/@filter", "no-mac-spoofing" },
	{ "domain/devices/interface/model", "" },
	{ "domain/devices/interface/model/@type", "virtio" },
	{ "domain/devices/interface/driver", "" },
	{ "domain/devices/interface/driver/@txmode", NULL },
	{ "domain/devices/interface/driver/@ioeventfd", NULL },
	{ "domain/devices/interface/driver/@event_idx", "on" },
	{ "domain/devices/interface/driver/@rx_queue_size", NULL },
	{ "domain/devices/interface/driver/@tx_queue_size", NULL },

	{ "domain/devices/vsock/cid/@auto", NULL },

	{ "domain/devices/rng/backend/#text", NULL },

	/* the serial port is always there; virtio consoles are a field */
	{ "domain/devices/serial", "" },
	{ "domain/devices/serial/@type", "pty" },
	{ "domain/devices/serial/source", NULL },
	{ "domain/devices/serial/target", NULL },
	{ "domain/devices/console", "" },
	{ "domain/devices/console/@type", "pty" },
	{ "domain/devices/console/@tty", NULL },
	{ "domain/devices/console/source", NULL },
	{ "domain/devices/console/target", "" },
	{ "domain/devices/console/target/@type", "serial" },
	{ "domain/devices/console/target/@port", NULL },

	{ "network/@connections", NULL },
	{ "network/title", NULL },
	{ "network/description", NULL },
	{ "network/metadata", NULL },
	{ "network/mac", NULL },
	{ "network/bridge/@stp", NULL },
	{ "network/bridge/@delay", NULL },
	{ "network/bridge/@macTableManager", "kernel" },
	{ "network/bridge/@zone", NULL },
	{ "network/forward/nat", "" },
	{ "network/forward/nat/port", NULL },
	{ "network/dns/@enable", "yes" },
	{ "network/ip/@localPtr", NULL },
};

const char *xml_libvirt_prefix(const char *mask, char prefix[static 4])
{
	struct in_addr in;
	uint32_t bits;

	if (inet_pton(AF_INET, mask, &in) != 1)
		return mask;
	bits = ~ntohl(in.s_addr);
	if (bits & (bits + 1))
		return mask;
	snprintf(prefix, 4, "%d", 32 - __builtin_popcount(bits));
	return prefix;
}

static void path_of(const xmlNode *node, char path[static 256])
{
	size_t used = 0;

	path[0] = '\0';
	if (node->parent && node->parent->type == XML_ELEMENT_NODE) {
		path_of(node->parent, path);
		used = strlen(path);
	}
	/* what is in a namespace is not libvirt's: '?' is in no path of the table */
	snprintf(path + used, 256 - used, "%s%s%s%s", used ? "/" : "", node->ns ? "?" : "",
		 node->type == XML_ATTRIBUTE_NODE ? "@" : "",
		 node->type == XML_ELEMENT_NODE || node->type == XML_ATTRIBUTE_NODE
			 ? (const char *)node->name
			 : "#text");
}

/* The text of an element without that of its children, and without blank space around it. */
static void own_text(const xmlNode *node, char text[static 128])
{
	size_t used = 0;

	text[0] = '\0';
	for (const xmlNode *child = node->children; child; child = child->next) {
		const char *part = (const char *)child->content;

		if (!xmlNodeIsText(child) || !part)
			continue;
		part += strspn(part, " \t\r\n");
		used += (size_t)snprintf(text + used, 128 - used, "%s", part);
		if (used >= 128)
			return;
	}
	while (used && strchr(" \t\r\n", text[used - 1]))
		text[--used] = '\0';
}

static bool one_of(const char *values, const char *text)
{
	for (;;) {
		size_t len = strcspn(values, "|");
		char pattern[32];

		snprintf(pattern, sizeof(pattern), "%.*s", (int)len, values);
		if (fnmatch(pattern, text, 0) == 0)
			return true;
		if (!values[len])
			return false;
		values += len + 1;
	}
}

enum xml_verdict xml_libvirt_judge(const xmlNode *node)
{
	char path[256], text[128];

	path_of(node, path);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (fnmatch(table[i].path, path, FNM_PATHNAME) != 0)
			continue;
		if (!table[i].values)
			return XML_IGNORED;
		own_text(node, text);
		return one_of(table[i].values, text) ? XML_FIXED : XML_REFUSED;
	}
	return XML_REFUSED;
}
