/* SPDX-License-Identifier: Apache-2.0 */
/* docs/dbus.md has the methods, signals and properties that introspection shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/bus_table.h"
#include "tests/unit/fresh.h"
#include "vmm/base/cleanup.h"

#define PAGE "docs/dbus.md"

static int no_method(sd_bus_message *m, void *data, sd_bus_error *error)
{
	return 0;
}

static int no_property(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *data, sd_bus_error *error)
{
	return 0;
}

/* "s name, a{sv} options": a signature with its names, which are in order, each with its NUL. */
static const char *write_arguments(FILE *f, const char *signature, const char *names)
{
	bool begun = false;

	for (const char *s = signature; *s; names += strlen(names) + 1) {
		int depth = 0;
		size_t len = 0;

		do {
			depth += strchr("({", s[len]) ? 1 : strchr(")}", s[len]) ? -1 : 0;
		} while (s[len++] == 'a' || depth);
		fprintf(f, "%s`%.*s` %s", begun ? ", " : "", (int)len, s, names);
		begun = true;
		s += len;
	}
	return names;
}

static void write_methods(FILE *f, const sd_bus_vtable *v, enum bus_kind kind)
{
	fputs("| method | takes | gives | action | |\n|---|---|---|---|---|\n", f);
	for (; v->type != _SD_BUS_VTABLE_END; v++) {
		const struct op *op;
		const char *names;

		if (v->type != _SD_BUS_VTABLE_METHOD)
			continue;
		op = bus_op(kind, v->x.method.member);
		assert_non_null(op);
		fprintf(f, "| `%s` | ", op->member);
		names = write_arguments(f, v->x.method.signature, v->x.method.names);
		fputs(" | ", f);
		write_arguments(f, v->x.method.result, names);
		fprintf(f, " | %s | %s |\n", strrchr(polkit_actions[op->access], '.') + 1, op->help);
	}
}

static void write_signals(FILE *f, const sd_bus_vtable *v)
{
	bool begun = false;

	for (; v->type != _SD_BUS_VTABLE_END; v++) {
		if (v->type != _SD_BUS_VTABLE_SIGNAL)
			continue;
		if (!begun)
			fputs("\n| signal | |\n|---|---|\n", f);
		begun = true;
		fprintf(f, "| `%s` | ", v->x.signal.member);
		write_arguments(f, v->x.signal.signature, v->x.signal.names);
		fputs(" |\n", f);
	}
}

static void write_properties(FILE *f, const sd_bus_vtable *v)
{
	fputs("\n| property | type |\n|---|---|\n", f);
	for (; v->type != _SD_BUS_VTABLE_END; v++)
		if (v->type == _SD_BUS_VTABLE_PROPERTY)
			fprintf(f, "| `%s` | `%s` |\n", v->x.property.member, v->x.property.signature);
}

static void check(const char *section, const struct bus_table *table, enum bus_kind kind)
{
	const sd_bus_vtable *v = table->kinds[kind].vtable;
	AUTO(free) char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	write_methods(f, v, kind);
	write_signals(f, v);
	write_properties(f, v);
	assert_int_equal(fclose(f), 0);
	fresh_section(PAGE, section, text);
}

static void test_page(void **state)
{
	const struct bus_handlers handlers = { no_method, no_property, no_property };
	struct bus_table table = { 0 };

	assert_int_equal(bus_table_init(&table, &handlers), 0);
	check("manager", &table, BUS_KIND_MANAGER);
	check("vm", &table, BUS_KIND_VM);
	check("network", &table, BUS_KIND_NETWORK);
	check("image", &table, BUS_KIND_IMAGE);
	check("volume", &table, BUS_KIND_VOLUME);
	bus_table_clear(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_page) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
