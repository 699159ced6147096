/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bus_table.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "api/dbus.h"
#include "daemon/bus_path.h"

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
	[BUS_ARGUMENT_FD] = { "h", "file" },
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

const struct bus_kind_info bus_kinds[_BUS_KIND_MAX] = {
	[BUS_KIND_MANAGER] = { .interface = BUS_MANAGER, .path = BUS_PATH },
	[BUS_KIND_VM] = { BUS_VM, BUS_VM_PATH, "vm", &vm_schema, &vm_status_schema, "VMAdded",
			  "VMRemoved" },
	[BUS_KIND_NETWORK] = { BUS_NETWORK, BUS_NETWORK_PATH, "network", &network_schema,
			       &network_status_schema, "NetworkAdded", "NetworkRemoved" },
	[BUS_KIND_IMAGE] = { BUS_IMAGE, BUS_IMAGE_PATH, "image", &image_schema, &volume_status_schema,
			     "ImageAdded", "ImageRemoved" },
	[BUS_KIND_VOLUME] = { BUS_VOLUME, BUS_VOLUME_PATH, "volume", &volume_schema, &volume_status_schema,
			      "VolumeAdded", "VolumeRemoved" },
};

enum bus_kind bus_kind_named(const char *parameter)
{
	for (enum bus_kind kind = 0; kind < _BUS_KIND_MAX; kind++)
		if (bus_kinds[kind].parameter && !strcmp(bus_kinds[kind].parameter, parameter))
			return kind;
	return BUS_KIND_MANAGER;
}

enum bus_kind bus_kind_of(const struct op *op)
{
	char parameter[16];

	if (bus_kind_made(op) != BUS_KIND_MANAGER)
		return BUS_KIND_MANAGER;
	op_parameter(op, 0, parameter);
	return bus_kind_named(parameter);
}

enum bus_kind bus_kind_made(const struct op *op)
{
	if (op_success_status(op) == 201)
		for (enum bus_kind kind = 0; kind < _BUS_KIND_MAX; kind++)
			if (bus_kinds[kind].spec && bus_kinds[kind].spec == op->result_schema)
				return kind;
	return BUS_KIND_MANAGER;
}

size_t bus_arguments_of(const struct op *op, enum bus_argument ret[static BUS_MAX_ARGUMENTS])
{
	char parameter[16];
	size_t n = 0;

	op_parameter(op, 0, parameter);
	if (*parameter && bus_kind_of(op) == BUS_KIND_MANAGER)
		ret[n++] = BUS_ARGUMENT_NAME;
	op_parameter(op, 1, parameter);
	if (*parameter)
		ret[n++] = BUS_ARGUMENT_ITEM;
	if (op->args)
		ret[n++] = BUS_ARGUMENT_OBJECT;
	else if (op->body_type)
		ret[n++] = op->upload ? BUS_ARGUMENT_FD : BUS_ARGUMENT_TEXT;
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

	if (bus_kind_made(op) != BUS_KIND_MANAGER)
		return op->report ? BUS_RESULT_IMPORT : BUS_RESULT_PATH;
	return of[op->result];
}

const struct op *bus_op(enum bus_kind kind, const char *member)
{
	for (const struct op *op = ops; op < ops + _OP_MAX; op++)
		if (bus_kind_of(op) == kind && strcmp(op->member, member) == 0)
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

static int add_methods(struct bus_table *table, sd_bus_vtable *out, enum bus_kind kind,
		       const struct bus_handlers *handlers)
{
	int n = 0;

	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		const char *in = keep(table, signature(op));
		const char *names = keep(table, parameter_names(op));

		if (!in || !names)
			return -ENOMEM;
		if (bus_kind_of(op) != kind)
			continue;
		out[n++] = (sd_bus_vtable)SD_BUS_METHOD_WITH_NAMES(
			op->member, in, names, results[bus_result_of(op)].signature, ,
			handlers->method, SD_BUS_VTABLE_UNPRIVILEGED);
	}
	return n;
}

static bool has_property(const struct schema *schema, const char *name)
{
	const struct field *field = schema ? schema_field(schema, name) : NULL;

	return field && is_property(field);
}

static bool has_state(const struct bus_kind_info *info)
{
	return has_property(info->status, "state");
}

/* names: of those that change, as signals tell; NULL: they do not. But for those that are in hidden too. */
static int add_properties(struct bus_table *table, sd_bus_vtable *out, char **names,
			  const struct schema *schema, const struct schema *hidden,
			  sd_bus_property_get_t get)
{
	int n = 0;

	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];
		bool changes = field->applies != APPLIES_NEVER;
		char *name;

		if (!is_property(field) || has_property(hidden, field->name))
			continue;
		name = keep(table, malloc(strlen(field->name) + 1));
		if (!name)
			return -ENOMEM;
		property_name(field->name, name);
		out[n++] = (sd_bus_vtable)SD_BUS_PROPERTY(
			name, dbus_field_signature(field), get, 0,
			!names ? 0
			: changes ? SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE : SD_BUS_VTABLE_PROPERTY_CONST);
		if (names && changes)
			*names++ = name;
	}
	return n;
}

static int add_signals(sd_bus_vtable *out)
{
	sd_bus_vtable *begin = out;

	*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("Event", "a{sv}", "event\0", 0);
	for (enum bus_kind kind = 0; kind < _BUS_KIND_MAX; kind++) {
		if (!bus_kinds[kind].added)
			continue;
		*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES(bus_kinds[kind].added, "so",
								 "name\0path\0", 0);
		*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES(bus_kinds[kind].removed, "so",
								 "name\0path\0", 0);
	}
	return (int)(out - begin);
}

static int fill_manager(struct bus_table *table, const struct bus_handlers *handlers)
{
	sd_bus_vtable *out = table->kinds[BUS_KIND_MANAGER].vtable;
	int n;

	*out++ = (sd_bus_vtable)SD_BUS_VTABLE_START(0);
	n = add_methods(table, out, BUS_KIND_MANAGER, handlers);
	if (n < 0)
		return n;
	out += n;
	*out++ = (sd_bus_vtable)SD_BUS_PROPERTY("Version", "s", handlers->version, 0,
						SD_BUS_VTABLE_PROPERTY_CONST);
	out += add_signals(out);
	*out = (sd_bus_vtable)SD_BUS_VTABLE_END;
	return 0;
}

static int fill(struct bus_table *table, enum bus_kind kind, const struct bus_handlers *handlers)
{
	const struct bus_kind_info *info = &bus_kinds[kind];
	sd_bus_vtable *out = table->kinds[kind].vtable;
	int n;

	*out++ = (sd_bus_vtable)SD_BUS_VTABLE_START(0);
	n = add_methods(table, out, kind, handlers);
	if (n < 0)
		return n;
	out += n;
	n = add_properties(table, out, table->kinds[kind].spec, info->spec, info->status, handlers->property);
	if (n < 0)
		return n;
	out += n;
	n = add_properties(table, out, has_state(info) ? table->kinds[kind].status : NULL, info->status, NULL,
			   handlers->property);
	if (n < 0)
		return n;
	out += n;
	if (has_state(info))
		*out++ = (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES("StateChanged", "ss", "state\0reason\0", 0);
	*out = (sd_bus_vtable)SD_BUS_VTABLE_END;
	return 0;
}

int bus_table_init(struct bus_table *table, const struct bus_handlers *handlers)
{
	int r = 0;

	for (enum bus_kind kind = 0; kind < _BUS_KIND_MAX && r >= 0; kind++) {
		const struct bus_kind_info *info = &bus_kinds[kind];
		size_t n_spec = info->spec ? info->spec->n_fields : 0;
		size_t n_status = info->status ? info->status->n_fields : 0;

		/* all operations and fields, and what the fill functions add of their own */
		table->kinds[kind].vtable = calloc(_OP_MAX + n_spec + n_status + 4 + 2 * _BUS_KIND_MAX,
						   sizeof(*table->kinds[kind].vtable));
		table->kinds[kind].spec = calloc(n_spec + 1, sizeof(char *));
		table->kinds[kind].status = calloc(n_status + 1, sizeof(char *));
		if (!table->kinds[kind].vtable || !table->kinds[kind].spec || !table->kinds[kind].status)
			return -ENOMEM;
		r = kind == BUS_KIND_MANAGER ? fill_manager(table, handlers)
					     : fill(table, kind, handlers);
	}
	return r;
}

void bus_table_clear(struct bus_table *table)
{
	for (size_t i = 0; i < table->n_strings; i++)
		free(table->strings[i]);
	free(table->strings);
	for (enum bus_kind kind = 0; kind < _BUS_KIND_MAX; kind++) {
		free(table->kinds[kind].vtable);
		free(table->kinds[kind].spec);
		free(table->kinds[kind].status);
	}
	*table = (struct bus_table){ 0 };
}
