/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/resource_table.h"

#include <errno.h>
#include <string.h>

#include "cli/value.h"
#include "vmm/base/macro.h"

static int cell_of(const struct resource_column *column, const json_t *resource, char **ret)
{
	const json_t *value;
	int r = 0;

	if (column->fn)
		return column->fn(resource, ret);
	value = value_at(resource, column->place);
	*ret = NULL;
	if (json_is_boolean(value))
		*ret = strdup(json_is_true(value) ? "yes" : "no");
	else if (json_is_string(value))
		*ret = strdup(json_string_value(value));
	else if (json_integer_value(value))
		r = asprintf(ret, "%lld", (long long)json_integer_value(value));
	return r < 0 || ((json_is_boolean(value) || json_is_string(value)) && !*ret) ? -ENOMEM : 0;
}

static int add_row(struct table *table, const struct resource_column *columns, size_t n_columns,
		   const json_t *resource, bool wide)
{
	char *cells[RESOURCE_COLUMNS_MAX] = { NULL };
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < n_columns && r == 0; i++)
		if (wide || !columns[i].wide)
			r = cell_of(&columns[i], resource, &cells[n++]);
	if (r == 0)
		r = table_add(table, (const char *const *)cells);
	for (size_t i = 0; i < n; i++)
		free(cells[i]);
	return r;
}

int resource_table(const struct resource_column *columns, size_t n_columns, const json_t *items,
		   bool wide, FILE *f, unsigned width, bool colour)
{
	struct column shown[RESOURCE_COLUMNS_MAX];
	AUTO(table_free) struct table *table = NULL;
	size_t n = 0, index;
	json_t *item;
	int r;

	n_columns = MIN(n_columns, (size_t)RESOURCE_COLUMNS_MAX);
	for (size_t i = 0; i < n_columns; i++)
		if (wide || !columns[i].wide)
			shown[n++] = columns[i].column;
	r = table_new(shown, n, &table);
	json_array_foreach(items, index, item)
		r = r < 0 ? r : add_row(table, columns, n_columns, item, wide);
	return r < 0 ? r : table_print(table, f, wide ? 0 : width, colour);
}
