/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The D-Bus interfaces as sd-bus wants them, made at run time from the operations table (methods)
 * and the field tables of spec and status (properties).
 *
 * Methods: an op whose path has {vm}, {network}, {image} or {volume} is on the interface of that, any other
 * on org.hvd1.Manager, and so is what makes one of them. Arguments, in this order: name of another resource (s),
 * id of a disk or NIC (s), spec or patch (a{sv}), text (s), options (a{sv}). Results: object a{sv}, list aa{sv},
 * text s, stream h; what creates an object of the bus returns its path (o), and what of a document it ignored
 * (aa{sv}).
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "api/ops.h"
#include "vmm/base/cleanup.h"

/* Kinds of objects: the one at BUS_PATH, and one for each VM, network, image and volume. */
enum bus_kind {
	BUS_KIND_MANAGER,
	BUS_KIND_VM,
	BUS_KIND_NETWORK,
	BUS_KIND_IMAGE,
	BUS_KIND_VOLUME,
	_BUS_KIND_MAX
};
struct bus_kind_info {
	const char *interface, *path; /* below which each has its own, but the manager's */
	/* NULL for the manager: */
	const char *parameter;              /* of the paths of its operations */
	/*
	 * Its properties are their scalar fields. Signals tell of changes of status only where one is the state: what
	 * else there is of a volume is its file's, which changes with all that is written.
	 */
	const struct schema *spec, *status;
	const char *added, *removed;        /* signals of the manager */
};
extern const struct bus_kind_info bus_kinds[_BUS_KIND_MAX];

/* That of this parameter, or the manager's. */
enum bus_kind bus_kind_named(const char *parameter);
/* The kind that has the method of op; the one that op makes objects of, or the manager's. */
enum bus_kind bus_kind_of(const struct op *op);
enum bus_kind bus_kind_made(const struct op *op);

enum bus_argument {
	BUS_ARGUMENT_NAME,
	BUS_ARGUMENT_ITEM,
	BUS_ARGUMENT_OBJECT,
	BUS_ARGUMENT_TEXT,
	BUS_ARGUMENT_FD,
	BUS_ARGUMENT_OPTIONS
};
#define BUS_MAX_ARGUMENTS 3

enum bus_result {
	BUS_RESULT_NONE,
	BUS_RESULT_PATH,
	BUS_RESULT_IMPORT, /* the path, and what of a document was ignored */
	BUS_RESULT_OBJECT,
	BUS_RESULT_LIST,
	BUS_RESULT_TEXT,
	BUS_RESULT_FD
};

size_t bus_arguments_of(const struct op *op, enum bus_argument ret[static BUS_MAX_ARGUMENTS]);
enum bus_result bus_result_of(const struct op *op);

struct bus_handlers {
	sd_bus_message_handler_t method;
	sd_bus_property_get_t property, version;
};

struct bus_table {
	struct {
		sd_bus_vtable *vtable;
		char **spec, **status; /* names of the properties that change, NULL-terminated */
	} kinds[_BUS_KIND_MAX];
	char **strings; /* all that the above point to */
	size_t n_strings;
};

/* table must be all zero. 0 or -ENOMEM; bus_table_clear() in either case. */
int bus_table_init(struct bus_table *table, const struct bus_handlers *handlers);
void bus_table_clear(struct bus_table *table);

/* The operation of a method, the field of a property; NULL: there is none. */
const struct op *bus_op(enum bus_kind kind, const char *member);
const struct field *bus_field(const struct schema *schema, const char *property);
