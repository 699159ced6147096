/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bus_table.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "api/dbus.h"

/* Signature and name of each kind of argument and result, as introspection shows them. */
#define NAME_SIZE 16
static const struct {
	const char *signature;
	char name[NAME_SIZE];
} arguments[] = {
	[BUS_ARGUMENT_NAME] = { "s", "name" },
	[BUS_ARGUMENT_ITEM] = { "s", "id" },
	[BUS_ARGUMENT_OBJECT] = { "a{sv}", "spec" },
	[BUS_ARGUMENT_TEXT] = { "s", "document" },
	[BUS_ARGUMENT_OPTIONS] = { "a{sv}", "options" },
}, results[] = {
	[BUS_RESULT_NONE] = { "", "" },
	[BUS_RESULT_PATH] = { "o", "path" },
	[BUS_RESULT_IMPORT] = { "oaa{sv}", "path\0ignored" },
	[BUS_RESULT_OBJECT] = { "a{sv}", "resource" },
	[BUS_RESULT_LIST] = { "aa{sv}", "resources" },
	[BUS_RESULT_TEXT] = { "s", "document" },
	[BUS_RESULT_FD] = { "h", "stream" },
};

/* Words that D-Bus names write in capitals. */
static const char *const acronyms[] = { "uuid", "pid", NULL };

bool bus_is_vm_op(const struct op *op)
{
	char parameter[16];

	op_parameter(op, 0, parameter);
	return strcmp(parameter, "vm") == 0;
}

size_t bus_arguments_of(const struct op *op, enum bus_argument ret[static BUS_MAX_ARGUMENTS])
{
	char parameter[16];
	size_t n = 0;

	op_parameter(op, 0, parameter);
	if (*parameter && !bus_is_vm_op(op))
		ret[n++] = BUS_ARGUMENT_NAME;
	op_parameter(op, 1, parameter);
	if (*parameter)
		ret[n++] = BUS_ARGUMENT_ITEM;
	if (op->args)
		ret[n++] = BUS_ARGUMENT_OBJECT;
	else if (op->body_type)
		ret[n++] = BUS_ARGUMENT_TEXT;
	if (op->options)
		ret[n++] = BUS_ARGUMENT_OPTIONS;
	return n;
}

enum bus_result bus_result_of(const struct op *op)
{
	static const enum bus_result of[] = {
		[RESULT_NONE] = BUS_RESULT_NONE,       [RESULT_OBJECT] = BUS_RESULT_OBJECT,
		[RESULT_LIST] = BUS_RESULT_LIST,       [RESULT_DOCUMENT] = BUS_RESULT_TEXT,
		[RESULT_STREAM] = BUS_RESULT_FD,
	};

	/* only VMs are objects of their own */
	if (op_success_status(op) == 201 && op_gives_vm(op))
		return op->report ? BUS_RESULT_IMPORT : BUS_RESULT_PATH;
	return of[op->result];
}

const struct op *bus_op(bool vm, const char *member)
{
	for (const struct op *op = ops; op < ops + _OP_MAX; op++)
		if (bus_is_vm_op(op) == vm && strcmp(op->member, member) == 0)
			return op;
	return NULL;
}

/* "on_reboot" -> "OnReboot", "uuid" -> "UUID". buf: as long as name. */
static void property_name(const char *name, char *buf)
{
	bool start = true;

	for (const char *const *a = acronyms; *a; a++)
		if (strcmp(name, *a) == 0) {
			while (*name)
				*buf++ = (char)toupper(*name++);
			*buf = '\0';
			return;
		}
	for (; *name; name++) {
		if (*name != '_')
			*buf++ = start ? (char)toupper(*name) : *name;
		start = *name == '_';
	}
	*buf = '\0';
}

static bool is_property(const struct field *field)
{
	return field->type != FIELD_STRUCT && field->type != FIELD_LIST && strlen(field->name) < 64;
}

const struct field *bus_field(const struct schema *schema, const char *property)
{
	char name[64];

	for (size_t i = 0; i < schema->n_fields; i++) {
		if (!is_property(&schema->fields[i]))
			continue;
		property_name(schema->fields[i].name, name);
		if (strcmp(name, property) == 0)
			return &schema->fields[i];
	}
	return NULL;
}

/* Keep heap memory until bus_table_clear(). NULL: out of memory. */
static char *keep(struct bus_table *table, char *text)
{
	char **strings = reallocarray(table->strings, table->n_strings + 1, sizeof(*strings));

	if (strings)
		table->strings = strings;
	if (!text || !strings) {
		free(text);
		return NULL;
	}
	return strings[table->n_strings++] = text;
}

/* Names of arguments, then of the result, each with its NUL, and one more; for introspection. */
static char *parameter_names(const struct op *op)
{
	enum bus_argument args[BUS_MAX_ARGUMENTS];
	size_t n = bus_arguments_of(op, args), len = 0;
	char *text = calloc(1, (BUS_MAX_ARGUMENTS + 1) * NAME_SIZE + 1);

	if (!text)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		bool patch = args[i] == BUS_ARGUMENT_OBJECT && op->args_partial;

		strcpy(text + len, patch ? "patch" : arguments[args[i]].name);
		len += strlen(text + len) + 1;
	}
	/* one name or two */
	memcpy(text + len, results[bus_result_of(op)].name, NAME_SIZE);
	return text;
}

static char *signature(const struct op *op)
{
	enum bus_argument args[BUS_MAX_ARGUMENTS];
	size_t n = bus_arguments_of(op, args);
	char text[64] = "";

	for (size_t i = 0; i < n; i++)
		strcat(text, arguments[args[i]].signature);
	return strdup(text);
}

static int add_methods(struct bus_table *table, sd_bus_vtable *out, bool vm,
		       const struct bus_handlers *handlers)
{
	int n = 0;

	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		const char *in = keep(table, signature(op));
		const char *names = keep(table, parameter_names(op));

		if (!in || !names)
			return -ENOMEM;
		if (bus_is_vm_op(op) != vm)
			continue;
		out[n++] = (sd_bus_vtable)SD_BUS_METHOD_WITH_NAMES(
			op->member, in, names, results[bus_result_of(op)].signature, ,
			handlers->method, SD_BUS_VTABLE_UNPRIVILEGED);
	}
	return n;
}

static int add_properties(struct bus_table *table, sd_bus_vtable *out, char **names,
			  const struct schema *schema, sd_bus_property_get_t get)
{
	int n = 0;

	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];

		if (!is_property(field))
			continue;
		names[n] = keep(table, malloc(strlen(field->name) + 1));
		if (!names[n])
			return -ENOMEM;
		property_name(field->name, names[n]);
		out[n] = (sd_bus_vtable)SD_BUS_PROPERTY(names[n], dbus_field_signature(field), get,
							0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
		n++;
	}
	return n;
}

static int fill_manager(struct bus_table *table, const struct bus_handlers *handlers)
{
	sd_bus_vtable *out = table->manager;
	int n;

	*out++ = (sd_bus_vtable)SD_BUS_VTABLE_START(0);
	n = add_methods(table, out, false, handlers);
	if (n < 0)
		return n;
	out += n;
	*out++ = (sd_bus_vtable)SD_BUS_PROPERTY("Version", "s", handlers->version, 0,
						SD_BUS_VTABLE_PROPERTY_CONST);
	*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("VMAdded", "so", "name\0path\0", 0);
	*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("VMRemoved", "so", "name\0path\0", 0);
	*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("Event", "a{sv}", "event\0", 0);
	*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("NetworkAdded", "s", "name\0", 0);
	*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("NetworkChanged", "s", "name\0", 0);
	*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("NetworkRemoved", "s", "name\0", 0);
	*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("NetworkStateChanged", "sss",
							 "name\0state\0reason\0", 0);
	*out = (sd_bus_vtable)SD_BUS_VTABLE_END;
	return 0;
}

static int fill_vm(struct bus_table *table, const struct bus_handlers *handlers)
{
	sd_bus_vtable *out = table->vm;
	int n;

	*out++ = (sd_bus_vtable)SD_BUS_VTABLE_START(0);
	n = add_methods(table, out, true, handlers);
	if (n < 0)
		return n;
	out += n;
	n = add_properties(table, out, table->spec, &vm_schema, handlers->spec);
	if (n < 0)
		return n;
	out += n;
	n = add_properties(table, out, table->status, &vm_status_schema, handlers->status);
	if (n < 0)
		return n;
	out += n;
	*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("StateChanged", "ss",
							 "state\0reason\0", 0);
	*out = (sd_bus_vtable)SD_BUS_VTABLE_END;
	return 0;
}

int bus_table_init(struct bus_table *table, const struct bus_handlers *handlers)
{
	/* all operations and fields, and what the fill functions add of their own */
	size_t n = _OP_MAX + vm_schema.n_fields + vm_status_schema.n_fields + 10;
	int r;

	table->manager = calloc(n, sizeof(*table->manager));
	table->vm = calloc(n, sizeof(*table->vm));
	table->spec = calloc(vm_schema.n_fields + 1, sizeof(*table->spec));
	table->status = calloc(vm_status_schema.n_fields + 1, sizeof(*table->status));
	if (!table->manager || !table->vm || !table->spec || !table->status)
		return -ENOMEM;
	r = fill_manager(table, handlers);
	return r < 0 ? r : fill_vm(table, handlers);
}

void bus_table_clear(struct bus_table *table)
{
	for (size_t i = 0; i < table->n_strings; i++)
		free(table->strings[i]);
	free(table->strings);
	free(table->manager);
	free(table->vm);
	free(table->spec);
	free(table->status);
	*table = (struct bus_table){ 0 };
}
