/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/networkd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#define NETWORK1 "org.freedesktop.network1"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define DHCP_SERVER "org.freedesktop.network1.DHCPServer"
#define TEXT_MAX 4096


struct networkd_watch {
	sd_bus *bus;
	char *path; /* object of the link */
	sd_bus_slot *changed, *get;
	networkd_leases_fn fn;
	void *ctx;
};

int networkd_netdev_text(const struct network_config *config, char **ret)
{
	return asprintf(ret,
			"# Written by hvd from its network %s; changes are lost.\n"
			"[NetDev]\n"
			"Name=%s\n"
			"Kind=bridge\n"
			"\n"
			"[Bridge]\n"
			"STP=no\n",
			config->name, config->bridge) < 0
		       ? -ENOMEM
		       : 0;
}

int networkd_network_text(const struct network_config *config, char **ret)
{
	return asprintf(ret,
			"# Written by hvd from its network %s; changes are lost.\n"
			"[Match]\n"
			"Name=%s\n"
			"Kind=bridge\n"
			"\n"
			"[Link]\n"
			"RequiredForOnline=no\n"
			"\n"
			"[Network]\n"
			"Address=%s\n"
			"ConfigureWithoutCarrier=yes\n"
			"IgnoreCarrierLoss=yes\n"
			"LinkLocalAddressing=no\n"
			"IPv6AcceptRA=no\n"
			"DHCPServer=%s\n"
			"IPMasquerade=%s\n",
			config->name, config->bridge, config->address, config->dhcp ? "yes" : "no",
			config->nat ? "ipv4" : "no") < 0
		       ? -ENOMEM
		       : 0;
}

static bool has_text(const char *path, const char *text)
{
	char old[TEXT_MAX];
	AUTO(fclose) FILE *f = fopen(path, "re");
	size_t len;

	if (!f)
		return false;
	len = fread(old, 1, sizeof(old), f);
	return len == strlen(text) && memcmp(old, text, len) == 0;
}

/* Returns 1 when the file has changed. networkd runs as its own user and must be able to read it. */
static int write_text(const char *folder, const char *name, const char *suffix, const char *text,
		      struct hvd_error *err)
{
	char path[PATH_MAX];
	AUTO(fclose) FILE *f = NULL;

	if (snprintf(path, sizeof(path), "%s/70-hvd-%s.%s", folder, name, suffix) >=
	    (int)sizeof(path))
		return hvd_err(err, ENAMETOOLONG, "%s: %s", folder, strerror(ENAMETOOLONG));
	if (has_text(path, text))
		return 0;

	f = fopen(path, "we");
	if (!f || fputs(text, f) < 0 || fflush(f) < 0 || fchmod(fileno(f), 0644) < 0)
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	return 1;
}

int networkd_write(const char *folder, const struct network_config *config, struct hvd_error *err)
{
	AUTO(free) char *netdev = NULL, *network = NULL;
	int r, changed;

	r = networkd_netdev_text(config, &netdev);
	if (r >= 0)
		r = networkd_network_text(config, &network);
	if (r < 0)
		return hvd_err(err, ENOMEM, "out of memory");

	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return hvd_err(err, errno, "%s: %s", folder, strerror(errno));

	changed = write_text(folder, config->name, "netdev", netdev, err);
	if (changed < 0)
		return changed;
	r = write_text(folder, config->name, "network", network, err);
	return r < 0 ? r : changed | r;
}

struct reload {
	networkd_done_fn fn;
	void *ctx;
};

static int on_reloaded(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct reload reload = *(struct reload *)userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	struct hvd_error err = { 0 };
	int r = 0;

	if (e && (sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
		  sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER)))
		r = hvd_err(&err, ENOTCONN,
			    "systemd-networkd does not run; systemctl enable --now systemd-networkd");
	else if (e)
		r = hvd_err(&err, EIO, "systemd-networkd: %s", e->message ? e->message : e->name);
	reload.fn(reload.ctx, r, r < 0 ? &err : NULL);
	return 0;
}

int networkd_reload(sd_bus *bus, networkd_done_fn fn, void *ctx, sd_bus_slot **ret,
		    struct hvd_error *err)
{
	AUTO(free) struct reload *reload = malloc(sizeof(*reload));
	sd_bus_slot *slot;
	int r;

	if (!reload)
		return hvd_err(err, ENOMEM, "out of memory");
	*reload = (struct reload){ .fn = fn, .ctx = ctx };

	r = sd_bus_call_method_async(bus, &slot, NETWORK1, "/org/freedesktop/network1",
				     "org.freedesktop.network1.Manager", "Reload", on_reloaded,
				     reload, NULL);
	if (r < 0)
		return hvd_err(err, ENOTCONN, "system bus: %s", strerror(-r));

	sd_bus_slot_set_destroy_callback(slot, free);
	reload = NULL;
	*ret = slot;
	return 0;
}

/* One (uayayayayt): family, client id, address, gateway, hardware address, expiration. */
static int read_lease(sd_bus_message *m, struct lease *lease)
{
	const void *address, *mac;
	size_t n_address, n_mac;
	uint32_t family;
	int r;

	r = sd_bus_message_enter_container(m, 'r', "uayayayayt");
	if (r <= 0)
		return r;
	r = sd_bus_message_read(m, "u", &family);
	if (r >= 0)
		r = sd_bus_message_skip(m, "ay");
	if (r >= 0)
		r = sd_bus_message_read_array(m, 'y', &address, &n_address);
	if (r >= 0)
		r = sd_bus_message_skip(m, "ay");
	if (r >= 0)
		r = sd_bus_message_read_array(m, 'y', &mac, &n_mac);
	if (r >= 0)
		r = sd_bus_message_skip(m, "t");
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0)
		return r;
	if (family != AF_INET || n_address != 4 || n_mac < sizeof(lease->mac))
		return -EBADMSG;

	memcpy(lease->mac, mac, sizeof(lease->mac));
	return inet_ntop(AF_INET, address, lease->address, sizeof(lease->address)) ? 1 : -errno;
}

static int read_leases(sd_bus_message *m, struct lease **ret, size_t *ret_n)
{
	AUTO(free) struct lease *leases = NULL;
	struct lease lease;
	size_t n = 0;
	int r;

	r = sd_bus_message_enter_container(m, 'v', "a(uayayayayt)");
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "(uayayayayt)");
	while (r >= 0 && (r = read_lease(m, &lease)) > 0) {
		struct lease *more = realloc(leases, (n + 1) * sizeof(*leases));

		if (!more)
			return -ENOMEM;
		leases = more;
		leases[n++] = lease;
	}
	if (r < 0)
		return r;
	*ret = TAKE(leases);
	*ret_n = n;
	return 0;
}

static int on_leases(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct networkd_watch *watch = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	struct lease *leases = NULL;
	size_t n = 0;
	int r;

	if (e) {
		log_debug("leases of %s: %s", watch->path, e->message ? e->message : e->name);
		return 0;
	}
	r = read_leases(m, &leases, &n);
	if (r < 0)
		log_warning("leases of %s: %s", watch->path, strerror(-r));
	else
		watch->fn(watch->ctx, leases, n);
	return 0;
}

static int get_leases(struct networkd_watch *watch)
{
	watch->get = sd_bus_slot_unref(watch->get);
	return sd_bus_call_method_async(watch->bus, &watch->get, NETWORK1, watch->path, PROPERTIES,
					"Get", on_leases, watch, "ss", DHCP_SERVER, "Leases");
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct networkd_watch *watch = userdata;
	const char *interface;

	if (sd_bus_message_read(m, "s", &interface) > 0 && strcmp(interface, DHCP_SERVER) == 0)
		get_leases(watch);
	return 0;
}

int networkd_watch(sd_bus *bus, int ifindex, networkd_leases_fn fn, void *ctx,
		   struct networkd_watch **ret)
{
	struct networkd_watch *watch = calloc(1, sizeof(*watch));
	char id[16];
	int r;

	if (!watch)
		return -ENOMEM;
	watch->bus = sd_bus_ref(bus);
	watch->fn = fn;
	watch->ctx = ctx;

	snprintf(id, sizeof(id), "%d", ifindex);
	r = sd_bus_path_encode("/org/freedesktop/network1/link", id, &watch->path);
	if (r >= 0)
		r = sd_bus_match_signal_async(bus, &watch->changed, NETWORK1, watch->path,
					      PROPERTIES, "PropertiesChanged", on_changed, NULL,
					      watch);
	if (r >= 0)
		r = get_leases(watch);
	if (r < 0) {
		networkd_watch_free(watch);
		return r;
	}
	*ret = watch;
	return 0;
}

struct networkd_watch *networkd_watch_free(struct networkd_watch *watch)
{
	if (!watch)
		return NULL;
	sd_bus_slot_unref(watch->changed);
	sd_bus_slot_unref(watch->get);
	sd_bus_unref(watch->bus);
	free(watch->path);
	free(watch);
	return NULL;
}
