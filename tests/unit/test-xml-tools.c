/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libvirt's own tools write (tests/unit/xml), and what docs/xml.md shows: taken in, with all
 * that is ignored told, or refused with the line and what to do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/errors.h"
#include "api/network_schema.h"
#include "api/volume_schema.h"
#include "api/vm_schema.h"
#include "api/xml.h"
#include "tests/unit/fresh.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

/* "3 domain/@id; 5-9 domain/metadata" */
static void show_report(const struct import_report *report, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < report->n_ignored && used < size; i++) {
		const struct import_remark *remark = &report->ignored[i];

		assert_true(*remark->why != '\0');
		used += (size_t)snprintf(buf + used, size - used, "%s%s %s", i ? "; " : "",
					 remark->lines, remark->element);
	}
}

/* What is accepted comes out, goes in and comes out the same, and nothing of it is ignored then. */
static void check_fixed_point(const struct schema *schema, const void *obj)
{
	AUTO(free) char *text = NULL, *again = NULL;
	AUTO(free) void *back = malloc(schema->size);
	struct import_report report;

	assert_int_equal(xml_from_obj(schema, obj, &text), 0);
	assert_int_equal(xml_import(schema, text, strlen(text), back, &report, NULL), 0);
	assert_int_equal(report.n_ignored, 0);
	assert_int_equal(xml_from_obj(schema, back, &again), 0);
	assert_string_equal(text, again);
	assert_true(schema_equal(schema, obj, back));
	schema_clear(schema, back);
}

static void check(const struct schema *schema, const char *name, const char *text,
		  const char *ignored, const char *error)
{
	AUTO(free) void *obj = malloc(schema->size);
	char told[2048], message[ERROR_TEXT_SIZE] = "accepted";
	struct import_report report;
	struct hvd_error err = { 0 };

	if (xml_import(schema, text, strlen(text), obj, &report, &err) < 0)
		error_text(&err, message);
	if (strcmp(message, error ? error : "accepted"))
		fail_msg("%s: %s", name, message);
	show_report(&report, told, sizeof(told));
	if (strcmp(told, ignored))
		fail_msg("%s: ignored %s", name, told);
	if (!error)
		check_fixed_point(schema, obj);
	schema_clear(schema, obj);
	schema_clear(&import_report_schema, &report);
}

static const struct {
	const char *name, *ignored, *error;
} domains[] = {
	{ "install-import",
	  "7 domain/metadata; 25 domain/devices/emulator; 31-46 domain/devices/controller; "
	  "54 domain/devices/channel/source; 55 domain/devices/channel/target/@name",
	  NULL },
	{ "install-kernel",
	  "7 domain/metadata; 24 domain/devices/emulator; 30-45 domain/devices/controller; "
	  "53 domain/devices/channel/source; 54 domain/devices/channel/target/@name",
	  NULL },
	{ "install-tuned",
	  "7 domain/metadata; 34 domain/devices/emulator; 42-57 domain/devices/controller; "
	  "71 domain/devices/channel/source; 72 domain/devices/channel/target/@name",
	  NULL },
	{ "install-graphics",
	  "7 domain/metadata; 25 domain/devices/emulator; 31-46 domain/devices/controller; "
	  "54 domain/devices/channel/source; 55 domain/devices/channel/target/@name; 57-58 "
	  "domain/devices/input; 59 domain/devices/graphics; 60 domain/devices/video",
	  NULL },
	{ "install-cloud-init", "",
	  "line 17: <smbios mode='sysinfo'> is not supported: hvd has no SMBIOS tables" },
	{ "install-cdrom", "",
	  "line 32: <disk type='file' device='cdrom'> is not supported: hvd has no such "
	  "drive; write device='disk', with bus='virtio' and <readonly/> for an image of a CD" },
	{ "install-tpm", "",
	  "line 57: <tpm> is not supported: hvd has no TPM; take it out if the guest can do "
	  "without" },
	{ "install-hugepages", "",
	  "line 15: <hugepages> is not supported: take it out: hvd has no pool of huge "
	  "pages, the host's transparent ones are used" },
	{ "install-numa", "",
	  "line 15: <numatune> is not supported: hvd does not bind memory to nodes; use the "
	  "cpuset of <vcpu>, for the VM as a whole" },
	{ "dump-import",
	  "7 domain/metadata; 29 domain/devices/emulator; 34, 117, 129, 133, 137 "
	  "domain/devices/*/address; 36, 39-40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, "
	  "100, 105, 110 domain/devices/controller; 128 domain/devices/channel/target/@name; "
	  "131 domain/devices/audio",
	  NULL },
	{ "dump-tuned",
	  "7 domain/metadata; 39 domain/devices/emulator; 46, 130, 136, 148, 152, 156, 160 "
	  "domain/devices/*/address; 48, 51-52, 57, 62, 67, 72, 77, 82, 87, 92, 97, 102, "
	  "107, 112, 117, 122 domain/devices/controller; 147 "
	  "domain/devices/channel/target/@name; 150 domain/devices/audio",
	  NULL },
	{ "dump-ejected",
	  "7 domain/metadata; 17 domain/os/boot/@dev; 30 domain/devices/emulator; 35, 127, "
	  "139, 143, 147 domain/devices/*/address; 37 domain/devices/disk; 43, 46, 49-50, "
	  "55, 60, 65, 70, 75, 80, 85, 90, 95, 100, 105, 110, 115, 120 "
	  "domain/devices/controller; 138 domain/devices/channel/target/@name; 141 "
	  "domain/devices/audio",
	  NULL },
	{ "dump-running",
	  "4 domain/@id; 7 domain/metadata; 16 domain/resource; 35 domain/devices/emulator; "
	  "38 domain/devices/disk/source/@index; 39 domain/devices/disk/backingStore/@index; "
	  "42 domain/devices/disk/backingStore/backingStore; 45, 152, 157, 162, 167, 172 "
	  "domain/devices/*/alias; 46, 145, 163, 168, 173 domain/devices/*/address; 48, 51, "
	  "57, 63, 69, 75, 81, 87, 93, 99, 105, 111, 117, 123, 129, 135 "
	  "domain/devices/controller; 142 domain/devices/interface/target/@dev; 148 "
	  "domain/devices/serial/source; 154 domain/devices/console/@tty; 155 "
	  "domain/devices/console/source; 160 domain/devices/channel/source; 161 "
	  "domain/devices/channel/target/@name; 161 domain/devices/channel/target/@state; "
	  "165 domain/devices/audio; 176 domain/seclabel",
	  NULL },
};

static void test_domains(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(domains); i++) {
		AUTO(free) char *text = NULL;
		char path[80];

		snprintf(path, sizeof(path), "tests/unit/xml/%s.xml", domains[i].name);
		text = fresh_load(path);
		check(&vm_schema, domains[i].name, text, domains[i].ignored, domains[i].error);
	}
}

static void test_network(void **state)
{
	AUTO(free) char *text = fresh_load("tests/unit/xml/net-dump.xml");

	check(&network_schema, "net-dump", text,
	      "7 network/bridge/@stp; 7 network/bridge/@delay; 8 network/mac",
	      NULL);
}

/* virsh vol-dumpxml */
static void test_volumes(void **state)
{
	AUTO(free) char *alone = fresh_load("tests/unit/xml/vol-dump.xml");
	AUTO(free) char *backed = fresh_load("tests/unit/xml/vol-dump-backed.xml");

	check(&volume_schema, "vol-dump", alone,
	      "3 volume/key; 7 volume/allocation; 8 volume/physical; 10 volume/target/path; "
	      "12 volume/target/permissions; 17 volume/target/timestamps; 23 volume/target/compat; "
	      "24 volume/target/clusterSize; 25 volume/target/features", NULL);
	check(&volume_schema, "vol-dump-backed", backed, "",
	      "line 9: <backingStore> is not supported: import what is behind it as an image, and name that: "
	      "<hvd:image name='…'>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_volumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
