/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of a D-Bus call: an a{sv} whose bytes are the input, received over a real
 * connection. What is read must be writable, and read again be the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "api/dbus.h"
#include "api/json.h"
#include "tests/unit/peers.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The header of a signal of org.hvd1.Test with an a{sv} (D-Bus Specification, "Message Format"). */
static const char header_fields[] = "\x01\x01o\0\x05\0\0\0/test\0\0\0"
				    "\x02\x01s\0\x0d\0\0\0org.hvd1.Test\0\0\0"
				    "\x03\x01s\0\x04\0\0\0Test\0\0\0\0"
				    "\x08\x01g\0\x05"
				    "a{sv}";

struct header {
	char endian, type, flags, version;
	uint32_t body_len, serial, fields_len;
	char fields[ALIGN_UP(sizeof(header_fields), 8)];
};

static void send_body(struct peers *peers, const uint8_t *body, uint32_t len)
{
	struct header header = { 'l', 4, 0, 1, len, 1, sizeof(header_fields), "" };
	struct iovec iov[] = { { &header, sizeof(header) }, { (void *)body, len } };

	memcpy(header.fields, header_fields, sizeof(header_fields));
	if (writev(sd_bus_get_fd(peers->client), iov, 2) != (ssize_t)(sizeof(header) + len))
		abort();
}

/* NULL: refused by sd-bus itself, which ends the connection. */
static sd_bus_message *receive(struct peers *peers)
{
	sd_bus_message *m = NULL;

	while (sd_bus_process(peers->server, &m) >= 0) {
		if (m && sd_bus_message_is_signal(m, "org.hvd1.Test", "Test") > 0)
			return m;
		m = sd_bus_message_unref(m);
	}
	return NULL;
}

static void pass_again(struct peers *peers, const json_t *json)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	AUTO(sd_bus_message_unref) sd_bus_message *got = NULL;
	AUTO(json_decref) json_t *again = NULL;

	if (peers_message(peers, &m) < 0 || dbus_append_json_object(m, json) < 0)
		abort();
	/* {"a": {"b": 1}} needs a variant a level: more levels than what only had maps in maps */
	if (peers_pass(peers, m, &got) < 0 || dbus_read_json(got, &again, NULL) < 0)
		return;
	if (!json_equal(json, again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	AUTO(json_decref) json_t *json = NULL;
	struct hvd_error err = { 0 };
	struct peers peers;
	int r;

	if (size > BODY_MAX || peers_open(&peers) < 0)
		return 0;
	send_body(&peers, data, (uint32_t)size);
	m = receive(&peers);
	if (m) {
		r = dbus_read_json(m, &json, &err);
		if ((r < 0) != (err.code < 0) || (r < 0) != !json)
			abort();
		if (r == 0)
			pass_again(&peers, json);
	}
	m = sd_bus_message_unref(m);
	peers_close(&peers);
	return 0;
}
