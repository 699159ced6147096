/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables as iasl, the compiler of the ACPI Component Architecture, sees them: each is
 * disassembled and compiled again, without errors or warnings, to the same bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/acpi_rig.h"
#include "vmm/base/cleanup.h"

/* Of the header: what a compiler writes its own name, or nothing, into. */
#define CHECKSUM_AT 9
#define CREATOR_AT  28
#define HEADER_SIZE 36

static char folder[] = "/tmp/test-acpi-iasl.XXXXXX";

static void write_file(const char *name, const void *data, size_t len)
{
	AUTO(fclose) FILE *f = fopen(name, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
}

static size_t read_file(const char *name, uint8_t *data, size_t room)
{
	AUTO(fclose) FILE *f = fopen(name, "rb");

	if (!f)
		fail_msg("no %s", name);
	return fread(data, 1, room, f);
}

/*
 * iasl's last word, such as "Compilation successful. 0 Errors, 0 Warnings, 0 Remarks, 0
 * Optimizations".
 */
static void assert_silent(const char *machine, const char *table, const char *log)
{
	static char text[256 * 1024];
	size_t len = read_file(log, (uint8_t *)text, sizeof(text) - 1);

	text[len] = '\0';
	if (!strstr(text, "0 Errors, 0 Warnings, 0 Remarks"))
		fail_msg("%s: %s:\n%s", machine, table, text);
}

/* What the disassembler cannot make sense of, it says in passing. */
static void assert_understood(const char *machine, const char *table, const char *log)
{
	static char text[64 * 1024];
	size_t len = read_file(log, (uint8_t *)text, sizeof(text) - 1);

	text[len] = '\0';
	if (strcasestr(text, "error") || strcasestr(text, "warning") || strcasestr(text, "invalid"))
		fail_msg("%s: %s:\n%s", machine, table, text);
}

static void check_table(const char *machine, const uint8_t *table, size_t len)
{
	static uint8_t again[128 * 1024];
	char name[5] = "", command[512];

	memcpy(name, table, 4);
	write_file("table.dat", table, len);
	/* -oa: no optimization: the bytes are to be the same */
	snprintf(command, sizeof(command),
		 "rm -f table.dsl again.aml; iasl -d table.dat >log 2>&1 && "
		 "iasl -oa -p again table.dsl >log2 2>&1");
	if (system(command) != 0)
		fail_msg("%s: %s: iasl fails: see %s", machine, name, folder);
	assert_understood(machine, name, "log");
	assert_silent(machine, name, "log2");

	assert_int_equal(read_file("again.aml", again, sizeof(again)), len);
	/* the compiler's own name */
	memcpy(again + CREATOR_AT, table + CREATOR_AT, HEADER_SIZE - CREATOR_AT);
	again[CHECKSUM_AT] = table[CHECKSUM_AT];
	for (size_t i = 0; i < len; i++)
		if (again[i] != table[i])
			fail_msg("%s: %s: byte 0x%zx is 0x%02x, and 0x%02x when compiled again",
				 machine, name, i, table[i], again[i]);
}

static void survive_disassembly(void **state)
{
	for (unsigned i = 0; i < ACPI_RIG_N_MACHINES; i++) {
		const struct acpi_rig_machine *m = acpi_rig_machine(i);
		struct acpi_rig rig;

		acpi_rig_load(&rig, &m->machine);
		for (unsigned t = 0; t < rig.n_found; t++)
			check_table(m->name, rig.found[t].data, rig.found[t].len);
		acpi_rig_free(&rig);
	}
}

static int enter_folder(void **state)
{
	return mkdtemp(folder) ? chdir(folder) : -1;
}

static int leave_folder(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return chdir("/") < 0 ? -1 : system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(survive_disassembly, enter_folder, leave_folder),
	};

	if (system("iasl -v >/dev/null 2>&1") != 0) {
		puts("SKIP: no iasl here (Debian package acpica-tools)");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
