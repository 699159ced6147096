/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The D-Bus interfaces as sd-bus wants them, made at run time from the operations table (methods)
 * and the field tables of spec and status (properties).
 *
 * Methods: an op whose path has {vm} is on org.hvd1.VM, else on org.hvd1.Manager. Arguments, in
 * this order: name of another resource (s), id of a disk or NIC (s), spec or patch (a{sv}), text (s),
 * options (a{sv}). Results: object a{sv}, list aa{sv}, text s, stream h; what creates a VM returns
 * its path (o), and what of a document it ignored (aa{sv}).
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "api/ops.h"
#include "vmm/base/cleanup.h"

enum bus_argument {
	BUS_ARGUMENT_NAME,
	BUS_ARGUMENT_ITEM,
	BUS_ARGUMENT_OBJECT,
	BUS_ARGUMENT_TEXT,
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

bool bus_is_vm_op(const struct op *op);
size_t bus_arguments_of(const struct op *op, enum bus_argument ret[static BUS_MAX_ARGUMENTS]);
enum bus_result bus_result_of(const struct op *op);

struct bus_handlers {
	sd_bus_message_handler_t method;
	sd_bus_property_get_t spec, status, version;
};

struct bus_table {
	sd_bus_vtable *manager, *vm;
	char **spec, **status; /* names of the VM's properties, NULL-terminated */
	char **strings;        /* all that the above point to */
	size_t n_strings;
};

/* table must be all zero. 0 or -ENOMEM; bus_table_clear() in either case. */
int bus_table_init(struct bus_table *table, const struct bus_handlers *handlers);
void bus_table_clear(struct bus_table *table);

/* The operation of a method, the field of a property. */
const struct op *bus_op(bool vm, const char *member);
const struct field *bus_field(const struct schema *schema, const char *property);
