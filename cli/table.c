/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "vmm/base/macro.h"

#define GAP      2
#define CELL_MIN 4 /* no column is cut to less */

struct table {
	const struct column *columns;
	size_t n_columns, n_rows;
	char **cells; /* n_rows * n_columns */
};

int table_new(const struct column *columns, size_t n_columns, struct table **ret)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->columns = columns;
	table->n_columns = n_columns;
	*ret = table;
	return 0;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
	return NULL;
}

int table_add(struct table *table, const char *const *cells)
{
	size_t used = table->n_rows * table->n_columns, n = table->n_columns;
	char **grown = reallocarray(table->cells, used + n, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	table->cells = grown;

	for (size_t i = 0; i < n; i++) {
		grown[used + i] = text_clean(cells[i] ? cells[i] : "-");
		if (!grown[used + i]) {
			while (i--)
				free(grown[used + i]);
			return -ENOMEM;
		}
	}
	table->n_rows++;
	return 0;
}

static const char *cell(const struct table *table, size_t row, size_t column)
{
	return table->cells[row * table->n_columns + column];
}

static size_t natural_width(const struct table *table, size_t column)
{
	size_t width = text_width(table->columns[column].heading);

	for (size_t row = 0; row < table->n_rows; row++) {
		size_t w = text_width(cell(table, row, column));

		if (w > width)
			width = w;
	}
	return width;
}

/* Take columns from the widest ones until the sum fits, or nothing can be taken any more. */
static void shrink(size_t *widths, size_t n, size_t limit)
{
	size_t sum = (n - 1) * GAP;

	for (size_t i = 0; i < n; i++)
		sum += widths[i];
	for (; sum > limit; sum--) {
		size_t widest = 0;

		for (size_t i = 1; i < n; i++)
			if (widths[i] > widths[widest])
				widest = i;
		if (widths[widest] <= CELL_MIN)
			return;
		widths[widest]--;
	}
}

/* One column in any locale. */
static const char *ellipsis(void)
{
	return MB_CUR_MAX > 1 ? "…" : "~";
}

static void print_cell(FILE *f, const struct column *column, const char *text, size_t width,
		       bool last, const char *sgr)
{
	size_t columns = text_width(text), fit = strlen(text), pad;
	bool cut = columns > width;

	if (cut) {
		fit = text_fit(text, width - 1);
		columns = width;
	}
	pad = width - columns;
	if (column->right)
		fprintf(f, "%*s", (int)pad, "");
	if (sgr)
		fprintf(f, "\033[%sm", sgr);
	fprintf(f, "%.*s%s", (int)fit, text, cut ? ellipsis() : "");
	if (sgr)
		fputs("\033[0m", f);
	if (!last)
		fprintf(f, "%*s", (int)(GAP + (column->right ? 0 : pad)), "");
}

int table_print(const struct table *table, FILE *f, unsigned width, bool colour)
{
	size_t n = table->n_columns;
	AUTO(free) size_t *widths = calloc(n, sizeof(*widths));

	if (!widths)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		widths[i] = natural_width(table, i);
	if (width)
		shrink(widths, n, width);

	for (size_t i = 0; i < n; i++)
		print_cell(f, &table->columns[i], table->columns[i].heading, widths[i], i == n - 1,
			   colour ? "1" : NULL);
	fputc('\n', f);
	for (size_t row = 0; row < table->n_rows; row++) {
		for (size_t i = 0; i < n; i++) {
			const struct column *column = &table->columns[i];
			const char *text = cell(table, row, i);

			print_cell(f, column, text, widths[i], i == n - 1,
				   colour && column->colour ? column->colour(text) : NULL);
		}
		fputc('\n', f);
	}
	return 0;
}
