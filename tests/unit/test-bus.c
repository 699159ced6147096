/* SPDX-License-Identifier: Apache-2.0 */
/* The D-Bus server on a bus of its own (dbus-daemon), with a real manager. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "api/dbus.h"
#include "api/json.h"
#include "daemon/bus_object.h"
#include "daemon/bus_path.h"
#include "daemon/bus_table.h"
#include "tests/unit/patience.h"
#include "tests/unit/rig.h"
#include "vmm/base/macro.h"

#define UP     BUS_VM_PATH "/up"
#define LAB    BUS_NETWORK_PATH "/lab"
#define ROOT   BUS_VOLUME_PATH "/root_2e1"
#define NOBODY 65534

#define PATIENCE_USEC (PATIENCE_SEC * 1000000ULL)

static struct rig rig;
static bool have_bus;
static sd_bus *bus; /* the client's */

static sd_bus *connect_to_bus(void)
{
	sd_bus *b = NULL;

	assert_true(sd_bus_new(&b) >= 0);
	assert_true(sd_bus_set_address(b, rig.bus_address) >= 0);
	assert_true(sd_bus_set_bus_client(b, true) >= 0);
	assert_true(sd_bus_set_method_call_timeout(b, PATIENCE_USEC) >= 0);
	assert_true(sd_bus_start(b) >= 0);
	return b;
}

static int setup(void **state)
{
	rig_init(&rig);
	have_bus = rig_start_bus(&rig);
	if (!have_bus)
		return 0;
	rig_start_vmm(&rig, "up");
	rig_start(&rig);
	bus = connect_to_bus();
	return 0;
}

static int teardown(void **state)
{
	sd_bus_flush_close_unref(bus);
	rig_clear(&rig);
	return 0;
}

static int need_bus(void **state)
{
	if (!have_bus)
		skip();
	return 0;
}

/* Call and get the answer; an error is a failure of the test. */
static sd_bus_message *call(const char *path, const char *interface, const char *member,
			    const char *types, ...)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL, *reply = NULL;
	va_list ap;

	assert_true(sd_bus_message_new_method_call(bus, &m, BUS_NAME, path, interface, member) >=
		    0);
	va_start(ap, types);
	assert_true(sd_bus_message_appendv(m, types, ap) >= 0);
	va_end(ap);
	if (sd_bus_call(bus, m, 0, &error, &reply) < 0)
		fail_msg("%s.%s: %s", interface, member, error.message);
	sd_bus_message_unref(m);
	sd_bus_error_free(&error);
	return reply;
}

/* Call and get this error. */
static void call_fails(const char *name, const char *text, const char *path, const char *interface,
		       const char *member, const char *types, ...)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	va_list ap;

	assert_true(sd_bus_message_new_method_call(bus, &m, BUS_NAME, path, interface, member) >=
		    0);
	va_start(ap, types);
	assert_true(sd_bus_message_appendv(m, types, ap) >= 0);
	va_end(ap);
	assert_true(sd_bus_call(bus, m, 0, &error, NULL) < 0);
	assert_string_equal(error.name, name);
	if (text && !strstr(error.message, text))
		fail_msg("\"%s\" is not in \"%s\"", text, error.message);
	sd_bus_message_unref(m);
	sd_bus_error_free(&error);
}

static void create(const char *name)
{
	sd_bus_message *m =
		call(BUS_PATH, BUS_MANAGER, "CreateVM", "a{sv}", 3, "name", "s", name, "memory",
		     "s", "64M", "boot", "a{sv}", 1, "kernel", "s", "/bin/sh");
	const char *path;
	char want[64];

	assert_true(sd_bus_message_read(m, "o", &path) > 0);
	snprintf(want, sizeof(want), BUS_VM_PATH "/%s", name);
	assert_string_equal(path, want);
	sd_bus_message_unref(m);
}

static char *introspect(const char *path)
{
	sd_bus_message *m = call(path, "org.freedesktop.DBus.Introspectable", "Introspect", "");
	const char *xml;
	char *copy;

	assert_true(sd_bus_message_read(m, "s", &xml) > 0);
	copy = strdup(xml);
	sd_bus_message_unref(m);
	return copy;
}

/* The part of the document that is about one interface; cuts the document there. */
static char *section(char *xml, const char *interface)
{
	char text[64], *start, *end;

	snprintf(text, sizeof(text), "<interface name=\"%s\">", interface);
	start = strstr(xml, text);
	assert_non_null(start);
	end = strstr(start, "</interface>");
	assert_non_null(end);
	*end = '\0';
	return start;
}

/* What introspection says of a property's changes; NULL: nothing. */
static void expect_change(const char *xml, const char *property, const char *want)
{
	char text[128];
	const char *at, *end;

	snprintf(text, sizeof(text), "<property name=\"%s\"", property);
	at = strstr(xml, text);
	assert_non_null(at);
	end = strstr(at, "</property>");
	assert_non_null(end);
	at = strstr(at, "<annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" value=");
	snprintf(text, sizeof(text), "value=\"%s\"", want ? want : "");
	assert_int_equal(at && at < end, want != NULL);
	assert_true(!want || !strncmp(strstr(at, "value="), text, strlen(text)));
}

/* Every operation is a method of its interface and every scalar field a property. */
static void test_introspection(void **state)
{
	char *manager_xml = introspect(BUS_PATH), *manager = section(manager_xml, BUS_MANAGER);
	char *vm_xml = introspect(UP), *vm = section(vm_xml, BUS_VM);
	char *network_xml = introspect(BUS_NETWORK_PATH "/default"),
	     *network = section(network_xml, BUS_NETWORK);
	char *list = introspect(BUS_VM_PATH), *networks = introspect(BUS_NETWORK_PATH), text[128];
	const char *const of[_BUS_KIND_MAX] = { manager, vm, network };

	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		if (!of[bus_kind_of(op)])
			continue; /* there are no images and volumes: test_volumes */
		snprintf(text, sizeof(text), "<method name=\"%s\"", op->member);
		assert_non_null(strstr(of[bus_kind_of(op)], text));
	}
	assert_non_null(strstr(manager, "<arg type=\"a{sv}\" name=\"spec\" direction=\"in\"/>"));
	assert_non_null(strstr(manager, "<arg type=\"o\" name=\"path\" direction=\"out\"/>"));
	assert_non_null(strstr(manager, "<arg type=\"s\" name=\"name\" direction=\"in\"/>"));
	assert_non_null(strstr(vm, "<arg type=\"a{sv}\" name=\"patch\" direction=\"in\"/>"));
	assert_non_null(strstr(vm, "<arg type=\"h\" name=\"stream\" direction=\"out\"/>"));
	assert_non_null(strstr(manager, "<signal name=\"VMRemoved\">"));
	assert_non_null(strstr(vm, "<signal name=\"StateChanged\">"));
	assert_non_null(strstr(vm, "<property name=\"UUID\" type=\"s\" access=\"read\">"));
	assert_non_null(strstr(vm, "<property name=\"Memory\" type=\"t\" access=\"read\">"));
	assert_non_null(strstr(vm, "<property name=\"State\" type=\"s\" access=\"read\">"));
	assert_null(strstr(vm, "<property name=\"Boot\""));
	expect_change(vm, "UUID", "const");
	expect_change(vm, "Machine", "const");
	expect_change(vm, "Vcpus", NULL); /* "true" is what is not said */
	expect_change(network, "Name", "const");
	expect_change(network, "State", NULL);
	expect_change(manager, "Version", "const");
	assert_non_null(strstr(list, "<node name=\"up\"/>"));
	assert_non_null(strstr(network, "<property name=\"Address6\" type=\"s\" access=\"read\">"));
	assert_non_null(strstr(network, "<property name=\"Leases\" type=\"u\" access=\"read\">"));
	assert_non_null(strstr(network, "<signal name=\"StateChanged\">"));
	assert_non_null(strstr(networks, "<node name=\"default\"/>"));
	free(manager_xml);
	free(vm_xml);
	free(network_xml);
	free(list);
	free(networks);
}

static void get_property(const char *path, const char *interface, const char *name,
			 const char *type, void *ret)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	if (*type == 's')
		r = sd_bus_get_property_string(bus, BUS_NAME, path, interface, name, &error, ret);
	else
		r = sd_bus_get_property_trivial(bus, BUS_NAME, path, interface, name, &error, *type,
						ret);
	if (r < 0)
		fail_msg("%s: %s", name, error.message);
}

static void expect_property(const char *path, const char *interface, const char *name,
			    const char *want)
{
	char *text = NULL;

	get_property(path, interface, name, "s", &text);
	assert_string_equal(text, want);
	free(text);
}

static void test_properties(void **state)
{
	uint64_t memory;
	uint32_t vcpus;

	expect_property(BUS_PATH, BUS_MANAGER, "Version", PACKAGE_VERSION);
	expect_property(UP, BUS_VM, "Name", "up");
	expect_property(UP, BUS_VM, "State", "running");
	expect_property(UP, BUS_VM, "Description", ""); /* unset */
	get_property(UP, BUS_VM, "Memory", "t", &memory);
	get_property(UP, BUS_VM, "Vcpus", "u", &vcpus);
	assert_int_equal(memory, 64 * MIB);
	assert_int_equal(vcpus, 1);
}

/* ---- signals ---- */

struct seen {
	char text[1024]; /* "Member path;" of every signal of hvd */
	char changed[1024];
};

static const char *event_type(sd_bus_message *m)
{
	const char *key, *type = NULL;

	sd_bus_message_enter_container(m, 'a', "{sv}");
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		sd_bus_message_read(m, "s", &key);
		if (strcmp(key, "type") == 0)
			sd_bus_message_read(m, "v", "s", &type);
		else
			sd_bus_message_skip(m, "v");
		sd_bus_message_exit_container(m);
	}
	return type;
}

static int on_signal(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct seen *seen = data;
	const char *path = sd_bus_message_get_path(m), *arg = NULL, *key;
	size_t n = strlen(seen->text);

	if (sd_bus_message_has_signature(m, "oa{sa{sv}}") || sd_bus_message_has_signature(m, "oas"))
		sd_bus_message_read(m, "o", &path);
	else if (sd_bus_message_has_signature(m, "so"))
		sd_bus_message_read(m, "so", &arg, &path);
	else if (sd_bus_message_has_signature(m, "s") || sd_bus_message_has_signature(m, "sss"))
		sd_bus_message_read(m, "s", &arg);
	else if (sd_bus_message_has_signature(m, "ss"))
		sd_bus_message_read(m, "ss", &arg, &key);
	else if (sd_bus_message_has_signature(m, "a{sv}"))
		arg = event_type(m);
	snprintf(seen->text + n, sizeof(seen->text) - n, "%s %s%s%s;", sd_bus_message_get_member(m),
		 path, arg ? " " : "", arg ? arg : "");
	if (!sd_bus_message_is_signal(m, NULL, "PropertiesChanged"))
		return 0;

	sd_bus_message_skip(m, "s");
	sd_bus_message_enter_container(m, 'a', "{sv}");
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		sd_bus_message_read(m, "s", &key);
		sd_bus_message_skip(m, "v");
		sd_bus_message_exit_container(m);
		n = strlen(seen->changed);
		snprintf(seen->changed + n, sizeof(seen->changed) - n, "%s;", key);
	}
	return 0;
}

static void expect_text(const char *seen, const char *text)
{
	while (!strstr(seen, text)) {
		int r = sd_bus_process(bus, NULL);

		assert_true(r >= 0);
		if (r == 0 && sd_bus_wait(bus, PATIENCE_USEC) == 0)
			fail_msg("no %s in %s", text, seen);
	}
}

/* Until text has been seen, in the order in which signals come. */
static void expect_signal(struct seen *seen, const char *text)
{
	expect_text(seen->text, text);
}

/* Until this property is said to have changed. */
static void expect_changed(struct seen *seen, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s;", name);
	expect_text(seen->changed, text);
}

/* The one thing that a document's import has ignored. */
static void expect_ignored(sd_bus_message *m, const char *element)
{
	AUTO(json_decref) json_t *remark = NULL;

	assert_true(sd_bus_message_enter_container(m, 'a', "a{sv}") > 0);
	assert_int_equal(dbus_read_json(m, &remark, NULL), 0);
	assert_string_equal(json_string_value(json_object_get(remark, "element")), element);
	assert_string_equal(json_string_value(json_object_get(remark, "lines")), "1");
	assert_true(sd_bus_message_at_end(m, false) > 0);
}

static void test_life_and_signals(void **state)
{
	struct seen seen = { 0 };
	sd_bus_slot *slot = NULL;
	sd_bus_message *m;
	const char *text;

	assert_true(sd_bus_add_match(bus, &slot, "type='signal',sender='" BUS_NAME "'", on_signal,
				     &seen) >= 0);
	create("demo");
	expect_signal(&seen, "InterfacesAdded /org/hvd1/vm/demo;");
	expect_signal(&seen, "VMAdded /org/hvd1/vm/demo demo;");
	expect_signal(&seen, "Event /org/hvd1 added;");
	expect_signal(&seen, "Event /org/hvd1 operation;");

	m = call(BUS_VM_PATH "/demo", BUS_VM, "Update", "a{sv}a{sv}", 1, "vcpus", "u", 2, 0);
	assert_true(sd_bus_message_has_signature(m, "a{sv}"));
	sd_bus_message_unref(m);
	expect_signal(&seen, "PropertiesChanged /org/hvd1/vm/demo;");
	expect_changed(&seen, "Vcpus");
	assert_null(strstr(seen.changed, "State;"));

	sd_bus_message_unref(call(UP, BUS_VM, "Pause", ""));
	expect_signal(&seen, "StateChanged /org/hvd1/vm/up paused;");
	expect_changed(&seen, "State");
	expect_property(UP, BUS_VM, "State", "paused");
	sd_bus_message_unref(call(UP, BUS_VM, "Resume", ""));
	expect_signal(&seen, "StateChanged /org/hvd1/vm/up running;");

	sd_bus_message_unref(call(BUS_VM_PATH "/demo", BUS_VM, "Delete", "a{sv}", 0));
	expect_signal(&seen, "InterfacesRemoved /org/hvd1/vm/demo;");
	expect_signal(&seen, "VMRemoved /org/hvd1/vm/demo demo;");

	m = call(BUS_PATH, BUS_MANAGER, "DefineXML", "s",
		 "<domain type='kvm'><name>x-1</name><title>T</title><memory unit='MiB'>64</memory>"
		 "<os><kernel>/bin/sh</kernel></os></domain>");
	/* '-' is no character of object paths */
	assert_true(sd_bus_message_read(m, "o", &text) > 0);
	assert_string_equal(text, "/org/hvd1/vm/x_2d1");
	expect_ignored(m, "domain/title");
	sd_bus_message_unref(m);
	expect_signal(&seen, "InterfacesAdded /org/hvd1/vm/x_2d1;");
	m = call("/org/hvd1/vm/x_2d1", BUS_VM, "GetXML", "");
	assert_true(sd_bus_message_read(m, "s", &text) > 0);
	assert_non_null(strstr(text, "<name>x-1</name>"));
	sd_bus_message_unref(m);
	sd_bus_message_unref(call("/org/hvd1/vm/x_2d1", BUS_VM, "Delete", "a{sv}", 0));
	expect_signal(&seen, "VMRemoved /org/hvd1/vm/x_2d1 x-1;");
	sd_bus_slot_unref(slot);
}

static void test_networks(void **state)
{
	struct seen seen = { 0 };
	sd_bus_slot *slot = NULL;
	sd_bus_message *m;
	const char *text;

	assert_true(sd_bus_add_match(bus, &slot, "type='signal',sender='" BUS_NAME "'", on_signal,
				     &seen) >= 0);
	m = call(BUS_PATH, BUS_MANAGER, "CreateNetwork", "a{sv}", 3, "name", "s", "lab", "mode", "s",
		 "bridge", "bridge", "s", "nobridge0");
	assert_true(sd_bus_message_read(m, "o", &text) > 0);
	assert_string_equal(text, LAB);
	sd_bus_message_unref(m);
	expect_signal(&seen, "Event /org/hvd1 added;InterfacesAdded " LAB ";NetworkAdded " LAB " lab;");
	expect_property(LAB, BUS_NETWORK, "Mode", "bridge");
	expect_property(LAB, BUS_NETWORK, "Bridge", "nobridge0");
	expect_property(LAB, BUS_NETWORK, "State", "inactive");
	expect_property(LAB, BUS_NETWORK, "Address", ""); /* unset */

	m = call(LAB, BUS_NETWORK, "Update", "a{sv}a{sv}", 1, "autostart", "b", 0, 0);
	assert_true(sd_bus_message_has_signature(m, "a{sv}"));
	sd_bus_message_unref(m);
	expect_signal(&seen, "PropertiesChanged " LAB ";");
	expect_changed(&seen, "Autostart");
	expect_changed(&seen, "Generation");
	assert_null(strstr(seen.changed, "State;"));
	call_fails("org.hvd1.Error.PreconditionFailed", "generation", LAB, BUS_NETWORK, "Update",
		   "a{sv}a{sv}", 0, 1, "generation", "t", (uint64_t)77);

	call_fails("org.hvd1.Error.Invalid", "nobridge0", LAB, BUS_NETWORK, "Start", "");
	expect_signal(&seen, "StateChanged " LAB);
	expect_changed(&seen, "State");
	m = call(LAB, BUS_NETWORK, "GetXML", "");
	assert_true(sd_bus_message_read(m, "s", &text) > 0);
	assert_non_null(strstr(text, "<name>lab</name>"));
	sd_bus_message_unref(m);
	sd_bus_message_unref(call(LAB, BUS_NETWORK, "ListLeases", "a{sv}", 0));

	sd_bus_message_unref(call(LAB, BUS_NETWORK, "Delete", "a{sv}", 0));
	expect_signal(&seen, "InterfacesRemoved " LAB ";NetworkRemoved " LAB " lab;");
	call_fails(SD_BUS_ERROR_UNKNOWN_OBJECT, NULL, LAB, BUS_NETWORK, "Get", "");

	m = call(BUS_PATH, BUS_MANAGER, "DefineNetworkXML", "s",
		 "<network><name>lab</name><title>T</title><bridge name='nobridge0'/>"
		 "<forward mode='bridge'/></network>");
	assert_true(sd_bus_message_read(m, "o", &text) > 0);
	assert_string_equal(text, LAB);
	expect_ignored(m, "network/title");
	sd_bus_message_unref(m);
	/* its interface is that of networks alone */
	call_fails(SD_BUS_ERROR_UNKNOWN_METHOD, NULL, LAB, BUS_VM, "Start", "");
	sd_bus_message_unref(call(LAB, BUS_NETWORK, "Delete", "a{sv}", 0));
	sd_bus_slot_unref(slot);
}

static void expect_path(sd_bus_message *m, const char *want)
{
	const char *path;

	assert_true(sd_bus_message_read(m, "o", &path) > 0);
	assert_string_equal(path, want);
	sd_bus_message_unref(m);
}

/* All operations of its kind are methods of an object, and nothing that is not told is said to be. */
static void expect_interface(const char *path, enum bus_kind kind)
{
	char *xml = introspect(path), *part = section(xml, bus_kinds[kind].interface), text[128];
	unsigned n = 0;

	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		if (bus_kind_of(op) != kind)
			continue;
		snprintf(text, sizeof(text), "<method name=\"%s\"", op->member);
		assert_non_null(strstr(part, text));
		n++;
	}
	assert_true(n > 0);
	assert_null(strstr(part, "<signal"));
	expect_change(part, "Name", "const");
	expect_change(part, "Size", NULL);
	expect_change(part, "Allocation", "false");
	assert_null(strstr(strstr(part, "\"Path\"") + 1, "\"Path\""));
	free(xml);
}

/* Does the ObjectManager have it? */
static bool is_managed(const char *object, const char *interface)
{
	sd_bus_message *m =
		call(BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "");
	const char *path, *name;
	bool found = false;

	assert_true(sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}") > 0);
	while (sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}") > 0) {
		assert_true(sd_bus_message_read(m, "o", &path) > 0);
		assert_true(sd_bus_message_enter_container(m, 'a', "{sa{sv}}") > 0);
		while (sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0) {
			assert_true(sd_bus_message_read(m, "s", &name) > 0);
			found |= !strcmp(path, object) && !strcmp(name, interface);
			assert_true(sd_bus_message_skip(m, "a{sv}") > 0);
			sd_bus_message_exit_container(m);
		}
		sd_bus_message_exit_container(m);
		sd_bus_message_exit_container(m);
	}
	sd_bus_message_unref(m);
	return found;
}

static void test_volumes(void **state)
{
	struct seen seen = { 0 };
	sd_bus_slot *slot = NULL;
	char *file = NULL;
	uint64_t size;

	if (access("/usr/bin/qemu-img", X_OK) < 0)
		skip();
	assert_true(sd_bus_add_match(bus, &slot, "type='signal',sender='" BUS_NAME "'", on_signal,
				     &seen) >= 0);
	expect_path(call(BUS_PATH, BUS_MANAGER, "ImportImage", "a{sv}", 2, "name", "s", "base", "path", "s",
			 "/bin/true"), BUS_IMAGE_PATH "/base");
	expect_signal(&seen, "InterfacesAdded " BUS_IMAGE_PATH "/base;ImageAdded " BUS_IMAGE_PATH "/base base;");
	expect_interface(BUS_IMAGE_PATH "/base", BUS_KIND_IMAGE);
	/* not that which it was imported from */
	get_property(BUS_IMAGE_PATH "/base", BUS_IMAGE, "Path", "s", &file);
	assert_non_null(strstr(file, "/images/base.raw"));
	free(file);

	expect_path(call(BUS_PATH, BUS_MANAGER, "CreateVolume", "a{sv}", 3, "name", "s", "root.1", "image", "s",
			 "base", "size", "s", "1M"), ROOT);
	expect_signal(&seen, "InterfacesAdded " ROOT ";VolumeAdded " ROOT " root.1;");
	expect_interface(ROOT, BUS_KIND_VOLUME);
	assert_true(is_managed(ROOT, BUS_VOLUME));
	expect_property(ROOT, BUS_VOLUME, "Image", "base");
	sd_bus_message_unref(call(ROOT, BUS_VOLUME, "Update", "a{sv}", 1, "size", "s", "2M"));
	expect_signal(&seen, "PropertiesChanged " ROOT ";");
	expect_signal(&seen, "Event /org/hvd1 changed;");
	expect_changed(&seen, "Size");
	get_property(ROOT, BUS_VOLUME, "Size", "t", &size);
	assert_int_equal(size, 2 * MIB);
	call_fails("org.hvd1.Error.AlreadyExists", "root.1", BUS_PATH, BUS_MANAGER, "CreateVolume", "a{sv}", 2, "name",
		   "s", "root.1", "size", "s", "1M");

	sd_bus_message_unref(call(ROOT, BUS_VOLUME, "Delete", ""));
	expect_signal(&seen, "InterfacesRemoved " ROOT ";VolumeRemoved " ROOT " root.1;");
	call_fails(SD_BUS_ERROR_UNKNOWN_OBJECT, NULL, ROOT, BUS_VOLUME, "Get", "");
	sd_bus_message_unref(call(BUS_IMAGE_PATH "/base", BUS_IMAGE, "Delete", ""));
	expect_signal(&seen, "ImageRemoved " BUS_IMAGE_PATH "/base base;");
	sd_bus_slot_unref(slot);
}

static void test_volume_of_a_document(void **state)
{
	sd_bus_message *m;
	const char *text;

	if (access("/usr/bin/qemu-img", X_OK) < 0)
		skip();
	m = call(BUS_PATH, BUS_MANAGER, "DefineVolumeXML", "s",
		 "<volume><name>root.1</name><capacity>1048576</capacity></volume>");
	assert_true(sd_bus_message_has_signature(m, "oaa{sv}"));
	expect_path(m, ROOT);
	m = call(ROOT, BUS_VOLUME, "GetXML", "");
	assert_true(sd_bus_message_read(m, "s", &text) > 0);
	assert_non_null(strstr(text, "<name>root.1</name>"));
	sd_bus_message_unref(m);
	sd_bus_message_unref(call(ROOT, BUS_VOLUME, "Delete", ""));
}

static void test_object_manager(void **state)
{
	assert_true(is_managed(UP, BUS_VM));
	assert_true(is_managed(BUS_NETWORK_PATH "/default", BUS_NETWORK));
	assert_false(is_managed(UP, BUS_NETWORK));
}

static void test_reading(void **state)
{
	sd_bus_message *m;

	m = call(BUS_PATH, BUS_MANAGER, "ListVMs", "a{sv}", 0);
	assert_true(sd_bus_message_has_signature(m, "aa{sv}"));
	assert_true(sd_bus_message_enter_container(m, 'a', "a{sv}") > 0);
	assert_true(sd_bus_message_at_end(m, false) == 0);
	sd_bus_message_unref(m);
	m = call(UP, BUS_VM, "Get", "");
	assert_true(sd_bus_message_has_signature(m, "a{sv}"));
	sd_bus_message_unref(m);
	m = call(BUS_PATH, BUS_MANAGER, "GetHost", "");
	assert_true(sd_bus_message_has_signature(m, "a{sv}"));
	sd_bus_message_unref(m);
	m = call(BUS_PATH, BUS_MANAGER, "GetOpenAPI", "");
	assert_true(sd_bus_message_has_signature(m, "s"));
	sd_bus_message_unref(m);
	sd_bus_message_unref(call(BUS_PATH, BUS_MANAGER, "ListNetworks", "a{sv}", 0));
}

/* The events behind this one, of which only type and number are wanted: one such. */
static uint64_t next_event(const char *cursor)
{
	sd_bus_message *m = call(BUS_PATH, BUS_MANAGER, "ListEvents", "a{sv}", 3, "cursor", "s", cursor,
				 "limit", "u", 1, "fields", "s", "type,seq");
	AUTO(json_decref) json_t *event = NULL;
	uint64_t seq;

	assert_true(sd_bus_message_enter_container(m, 'a', "a{sv}") > 0);
	assert_int_equal(dbus_read_json(m, &event, NULL), 0);
	assert_true(sd_bus_message_at_end(m, false) > 0);
	assert_int_equal(json_object_size(event), 2);
	seq = (uint64_t)json_integer_value(json_object_get(event, "seq"));
	sd_bus_message_unref(m);
	return seq;
}

static void test_pages(void **state)
{
	assert_int_equal(next_event("0"), 1);
	assert_int_equal(next_event("1"), 2);
	call_fails("org.hvd1.Error.Invalid", "cursor", BUS_PATH, BUS_MANAGER, "ListEvents", "a{sv}", 1,
		   "cursor", "s", "web");
}

static void test_errors(void **state)
{
	call_fails("org.hvd1.Error.AlreadyExists", "up", BUS_PATH, BUS_MANAGER, "CreateVM", "a{sv}",
		   2, "name", "s", "up", "boot", "a{sv}", 1, "kernel", "s", "/bin/sh");
	call_fails("org.hvd1.Error.Invalid", "boot.kernl", BUS_PATH, BUS_MANAGER, "CreateVM",
		   "a{sv}", 2, "name", "s", "a", "boot", "a{sv}", 1, "kernl", "s", "/bin/sh");
	call_fails("org.hvd1.Error.Invalid", "vcpus", UP, BUS_VM, "Update", "a{sv}a{sv}", 1,
		   "vcpus", "s", "many", 0);
	call_fails("org.hvd1.Error.Invalid", "later", UP, BUS_VM, "Update", "a{sv}a{sv}", 0, 1,
		   "later", "b", true);
	call_fails("org.hvd1.Error.PreconditionFailed", "generation", UP, BUS_VM, "Update",
		   "a{sv}a{sv}", 0, 1, "generation", "t", (uint64_t)77);
	call_fails("org.hvd1.Error.NotFound", "vdz", UP, BUS_VM, "GetDisk", "s", "vdz");
	call_fails("org.hvd1.Error.NotFound", "vdz", UP, BUS_VM, "DetachDisk", "sa{sv}", "vdz", 0);
	call_fails("org.hvd1.Error.Conflict", "stop it first", UP, BUS_VM, "Delete", "a{sv}", 0);
	call_fails("org.hvd1.Error.NotFound", "nowhere", BUS_PATH, BUS_MANAGER, "GetOperation", "sa{sv}",
		   "nowhere", 0);
	call_fails(SD_BUS_ERROR_UNKNOWN_OBJECT, NULL, BUS_NETWORK_PATH "/nowhere", BUS_NETWORK, "Get", "");
	call_fails("org.hvd1.Error.Invalid", "mode", UP, BUS_VM, "OpenConsole", "a{sv}", 1,
		   "mode", "s", "sniff");
	call_fails(SD_BUS_ERROR_UNKNOWN_OBJECT, NULL, BUS_VM_PATH "/nobody", BUS_VM, "Start", "");
	call_fails(SD_BUS_ERROR_INVALID_ARGS, NULL, UP, BUS_VM, "Start", "s", "now");
	call_fails(SD_BUS_ERROR_UNKNOWN_METHOD, NULL, UP, BUS_VM, "CreateVM", "a{sv}", 0);
}

/* Disks and NICs are not objects: the VM has methods for them. */
static void test_disks(void **state)
{
	const char *text;
	sd_bus_message *m;

	m = call(UP, BUS_VM, "AttachDisk", "a{sv}a{sv}", 2, "path", "s", "/bin/sh", "read_only", "b",
		 true, 1, "dry_run", "b", true);
	assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
	assert_true(sd_bus_message_enter_container(m, 'e', "sv") > 0);
	assert_true(sd_bus_message_read(m, "s", &text) > 0);
	assert_string_equal(text, "changes");
	sd_bus_message_unref(m);

	m = call(UP, BUS_VM, "AttachDisk", "a{sv}a{sv}", 2, "path", "s", "/bin/sh", "read_only", "b",
		 true, 0);
	assert_true(sd_bus_message_has_signature(m, "a{sv}"));
	sd_bus_message_unref(m);
	m = call(UP, BUS_VM, "ListDisks", "a{sv}", 0);
	assert_true(sd_bus_message_has_signature(m, "aa{sv}"));
	sd_bus_message_unref(m);
	sd_bus_message_unref(call(UP, BUS_VM, "UpdateDisk", "sa{sv}a{sv}", "vda", 1, "cache", "s",
				  "none", 1, "next_boot", "b", true));
	sd_bus_message_unref(call(UP, BUS_VM, "DetachDisk", "sa{sv}", "vda", 0));
	call_fails("org.hvd1.Error.NotFound", "vda", UP, BUS_VM, "GetDisk", "s", "vda");
}

/* A VM is one object: not another one under its UUID. */
static void test_uuid_is_no_path(void **state)
{
	char *uuid = NULL, *path = NULL;

	get_property(UP, BUS_VM, "UUID", "s", &uuid);
	assert_true(bus_path_of(BUS_KIND_VM, uuid, &path) >= 0);
	call_fails(SD_BUS_ERROR_UNKNOWN_OBJECT, NULL, path, BUS_VM, "Get", "");
	free(uuid);
	free(path);
}

static void test_console(void **state)
{
	sd_bus_message *m = call(UP, BUS_VM, "OpenConsole", "a{sv}", 1, "mode", "s", "write");
	char buf[16] = "";
	struct pollfd p;
	int fd;

	assert_true(sd_bus_message_read(m, "h", &fd) > 0);
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	for (size_t n = 0; n < 7; n += strlen(buf + n)) {
		assert_true(poll(&p, 1, PATIENCE_MS) > 0);
		assert_true(recv(fd, buf + n, sizeof(buf) - 1 - n, 0) > 0);
	}
	assert_string_equal(buf, "login: ");
	assert_int_equal(send(fd, "hi", 2, 0), 2);
	assert_true(poll(&p, 1, PATIENCE_MS) > 0);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 2);
	sd_bus_message_unref(m);
}

/* An image by a descriptor, which its sender must be able to read himself. */
static void test_upload(void **state)
{
	sd_bus_message *m;
	int fd = open("/bin/sh", O_RDONLY | O_CLOEXEC), path = open("/bin/sh", O_PATH | O_CLOEXEC);
	FILE *f = tmpfile();
	char self[40];
	int write_only;

	if (access("/usr/bin/qemu-img", X_OK) < 0)
		skip();
	assert_true(fd >= 0 && path >= 0 && f);
	fputs("data", f);
	fflush(f);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fileno(f));
	write_only = open(self, O_WRONLY | O_CLOEXEC);
	assert_true(write_only >= 0);

	call_fails("org.hvd1.Error.Invalid", "not open for reading", BUS_PATH, BUS_MANAGER, "UploadImage",
		   "sha{sv}", "sh", path, 0);
	call_fails("org.hvd1.Error.Invalid", "not open for reading", BUS_PATH, BUS_MANAGER, "UploadImage",
		   "sha{sv}", "sh", write_only, 0);
	m = call(BUS_PATH, BUS_MANAGER, "UploadImage", "sha{sv}", "sh", fd, 1, "format", "s", "raw");
	expect_path(m, BUS_IMAGE_PATH "/sh");
	sd_bus_message_unref(call(BUS_IMAGE_PATH "/sh", BUS_IMAGE, "Get", ""));
	close(write_only);
	close(path);
	close(fd);
	fclose(f);
}

/* ---- polkit ---- */

/*
 * Here polkit is a program that has the name and answers as told; the real one has its turn in the
 * lab, where hvd's actions are installed.
 */
enum verdict { ALLOW, DENY, CHALLENGE, SILENT };

struct polkit {
	enum verdict verdict;
	char action[64];
	uint32_t flags;
	unsigned asked;
};

static int check_authorization(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct polkit *polkit = data;
	const char *kind, *key, *name, *action;
	sd_bus_message *reply;
	int r;

	if (sd_bus_message_read(m, "(sa{sv})s", &kind, 1, &key, "s", &name, &action) < 0 ||
	    sd_bus_message_skip(m, "a{ss}") < 0 || sd_bus_message_read(m, "u", &polkit->flags) < 0)
		abort();
	if (strcmp(kind, "system-bus-name") || strcmp(key, "name") || name[0] != ':')
		abort();
	snprintf(polkit->action, sizeof(polkit->action), "%s", action);
	polkit->asked++;
	if (polkit->verdict == SILENT)
		return 1;
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = sd_bus_message_append(reply, "(bba{ss})", polkit->verdict == ALLOW,
					  polkit->verdict == CHALLENGE, 0);
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

static const sd_bus_vtable polkit_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", check_authorization,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

/*
 * In a child without privileges: exit status is 0 when the last of count calls succeeds, 1 with
 * AccessDenied, 2 with TryAgain.
 */
static pid_t call_as_nobody(const char *path, const char *interface, const char *member,
			    bool interactive, int count)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m;
	sd_bus *own;
	pid_t pid = fork();
	int r = 0;

	if (pid)
		return pid;
	if (setuid(NOBODY) < 0)
		_exit(9);
	own = connect_to_bus();
	for (int i = 0; i < count && r >= 0; i++) {
		if (sd_bus_message_new_method_call(own, &m, BUS_NAME, path, interface, member) < 0)
			_exit(9);
		sd_bus_message_set_allow_interactive_authorization(m, interactive);
		r = i == count - 1 ? sd_bus_call(own, m, 0, &error, NULL)
				   : sd_bus_call_async(own, NULL, m, NULL, NULL, 0);
	}
	if (r >= 0)
		_exit(0);
	_exit(sd_bus_error_has_name(&error, "org.hvd1.Error.AccessDenied") ? 1
	      : sd_bus_error_has_name(&error, "org.hvd1.Error.TryAgain")   ? 2
									   : 3);
}

/* Serve polkit until the child has ended; its exit status. */
static int wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		while (sd_bus_process(bus, NULL) > 0)
			;
		sd_bus_wait(bus, 20000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_polkit(void **state)
{
	struct polkit polkit = { 0 };
	sd_bus_slot *slot = NULL;

	if (geteuid() != 0)
		skip();
	/* nobody to ask: only root may */
	assert_int_equal(wait_child(call_as_nobody(UP, BUS_VM, "Get", false, 1)), 1);

	assert_true(sd_bus_add_object_vtable(bus, &slot, "/org/freedesktop/PolicyKit1/Authority",
					     "org.freedesktop.PolicyKit1.Authority", polkit_vtable,
					     &polkit) >= 0);
	assert_true(sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0) >= 0);
	assert_int_equal(wait_child(call_as_nobody(UP, BUS_VM, "Get", false, 1)), 0);
	assert_string_equal(polkit.action, "org.hvd1.read");
	assert_int_equal(polkit.flags, 0);
	assert_int_equal(wait_child(call_as_nobody(UP, BUS_VM, "Pause", true, 1)), 0);
	assert_string_equal(polkit.action, "org.hvd1.operate");
	assert_int_equal(polkit.flags, 1);
	expect_property(UP, BUS_VM, "State", "paused");

	polkit.verdict = DENY;
	assert_int_equal(wait_child(call_as_nobody(UP, BUS_VM, "Resume", true, 1)), 1);
	polkit.verdict = CHALLENGE;
	assert_int_equal(wait_child(call_as_nobody(UP, BUS_VM, "Resume", false, 1)), 1);
	expect_property(UP, BUS_VM, "State", "paused");

	/* questions that are never answered: bounded for one user, and root still gets through */
	polkit.verdict = SILENT;
	polkit.asked = 0;
	assert_int_equal(wait_child(call_as_nobody(UP, BUS_VM, "Resume", true, 40)), 2);
	/* the questions were on their way before the child had its answer */
	while (polkit.asked < 32 && sd_bus_wait(bus, PATIENCE_USEC) > 0)
		while (sd_bus_process(bus, NULL) > 0)
			;
	assert_int_equal(polkit.asked, 32);
	sd_bus_message_unref(call(UP, BUS_VM, "Resume", ""));

	/* and hvd stops, and starts again, while they are open */
	rig_stop(&rig);
	rig_start(&rig);
	expect_property(UP, BUS_VM, "State", "running");
	sd_bus_release_name(bus, "org.freedesktop.PolicyKit1");
	sd_bus_slot_unref(slot);
}

#define BUS_TEST(test) cmocka_unit_test_setup(test, need_bus)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BUS_TEST(test_introspection),    BUS_TEST(test_properties),
		BUS_TEST(test_life_and_signals), BUS_TEST(test_networks),
		BUS_TEST(test_volumes),          BUS_TEST(test_volume_of_a_document),
		BUS_TEST(test_object_manager),   BUS_TEST(test_reading),
		BUS_TEST(test_pages),            BUS_TEST(test_errors),
		BUS_TEST(test_disks),            BUS_TEST(test_uuid_is_no_path),
		BUS_TEST(test_console),          BUS_TEST(test_upload),
		BUS_TEST(test_polkit),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
