/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/networkd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#define NETWORK1 "org.freedesktop.network1"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define DHCP_SERVER "org.freedesktop.network1.DHCPServer"

struct networkd_watch {
	sd_bus *bus;
	char *path; /* object of the link */
	sd_bus_slot *changed, *get;
	networkd_leases_fn fn;
	void *ctx;
};

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

static int on_forgotten(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (e)
		log_warning("systemd-networkd: Reload: %s", e->message ? e->message : e->name);
	return 0;
}

void networkd_forget(sd_bus *bus)
{
	int r = bus ? sd_bus_call_method_async(bus, NULL, NETWORK1, "/org/freedesktop/network1",
					       "org.freedesktop.network1.Manager", "Reload",
					       on_forgotten, NULL, NULL)
		    : 0;

	if (r < 0)
		log_warning("systemd-networkd: Reload: %s", strerror(-r));
}

/* One (uayayayayt): family, client id, address, gateway, hardware address, expiration. */
static int read_lease(sd_bus_message *m, struct lease *lease)
{
	const void *address, *mac;
	size_t n_address, n_mac;
	uint64_t expires;
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
		r = sd_bus_message_read(m, "t", &expires);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0)
		return r;
	if (family != AF_INET || n_address != 4 || n_mac < sizeof(lease->mac))
		return -EBADMSG;

	memcpy(lease->mac, mac, sizeof(lease->mac));
	lease->expires_usec = expires;
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
