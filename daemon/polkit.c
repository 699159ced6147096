/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/polkit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "vmm/base/cleanup.h"

#define ALLOW_USER_INTERACTION 1u
#define DIALOG_USEC (300 * 1000000ULL)

DEFINE_AUTO(sd_bus_message *, sd_bus_message_unref);

/* Pick UnixUserID and ProcessID out of the a{sv} of GetConnectionCredentials. */
static int read_credentials(sd_bus_message *m, uid_t *uid, pid_t *pid)
{
	bool have_uid = false;
	const char *key;
	uint32_t value;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &key);
		if (r < 0)
			return r;
		if (!strcmp(key, "UnixUserID") || !strcmp(key, "ProcessID")) {
			r = sd_bus_message_read(m, "v", "u", &value);
			if (r < 0)
				return r;
			if (*key == 'U') {
				*uid = value;
				have_uid = true;
			} else {
				*pid = (pid_t)value;
			}
		} else {
			r = sd_bus_message_skip(m, "v");
			if (r < 0)
				return r;
		}
		r = sd_bus_message_exit_container(m);
	}
	if (r < 0)
		return r;
	return have_uid ? 0 : -ENODATA;
}

static int on_credentials(sd_bus_message *m, void *data, sd_bus_error *ret_error)
{
	struct polkit_query *query = data;
	struct hvd_error err = { 0 };
	uid_t uid = (uid_t)-1;
	pid_t pid = 0;
	int r;

	r = sd_bus_message_is_method_error(m, NULL) ? -EACCES : read_credentials(m, &uid, &pid);
	if (r < 0)
		r = hvd_err(&err, EACCES, "the bus does not say who is calling");
	query->peer(query->ctx, r, &err, uid, pid);
	return 0;
}

int polkit_identify(sd_bus_message *message, struct polkit_query *query, sd_bus_slot **ret)
{
	return sd_bus_call_method_async(sd_bus_message_get_bus(message), ret,
					"org.freedesktop.DBus", "/org/freedesktop/DBus",
					"org.freedesktop.DBus", "GetConnectionCredentials",
					on_credentials, query, "s",
					sd_bus_message_get_sender(message));
}

static int on_answer(sd_bus_message *m, void *data, sd_bus_error *ret_error)
{
	struct polkit_query *query = data;
	struct hvd_error err = { 0 };
	int authorised = 0, challenge = 0, r = 0;

	if (sd_bus_message_is_method_error(m, NULL))
		r = hvd_err(&err, EACCES, "only root may do this: asking polkit about %s: %s",
			    query->action, sd_bus_message_get_error(m)->message);
	else if (sd_bus_message_enter_container(m, 'r', "bba{ss}") < 0 ||
		 sd_bus_message_read(m, "bb", &authorised, &challenge) < 0)
		r = hvd_err(&err, EACCES, "polkit's answer about %s makes no sense", query->action);
	else if (!authorised)
		r = hvd_err(&err, EACCES, challenge ? "%s needs an administrator's password"
						    : "polkit does not permit %s",
			    query->action);
	query->done(query->ctx, r, &err);
	return 0;
}

int polkit_authorise(sd_bus_message *message, struct polkit_query *query, sd_bus_slot **ret)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	sd_bus *bus = sd_bus_message_get_bus(message);
	bool dialog = sd_bus_message_get_allow_interactive_authorization(message) > 0;
	int r;

	r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.PolicyKit1",
					   "/org/freedesktop/PolicyKit1/Authority",
					   "org.freedesktop.PolicyKit1.Authority",
					   "CheckAuthorization");
	if (r < 0)
		return r;
	/* subject, action, no details, flags, no cancellation id */
	r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
				  sd_bus_message_get_sender(message), query->action, 0,
				  dialog ? ALLOW_USER_INTERACTION : 0, "");
	if (r < 0)
		return r;
	return sd_bus_call_async(bus, ret, m, on_answer, query, DIALOG_USEC);
}
