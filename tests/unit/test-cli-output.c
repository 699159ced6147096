/* SPDX-License-Identifier: Apache-2.0 */
/* VMs, networks and the host as people read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/output.h"
#include "cli/vm_table.h"

static const char demo[] =
	"{\"name\": \"demo\", \"uuid\": \"6c1f1f0e-0000-4000-8000-000000000001\","
	" \"spec\": {\"name\": \"demo\", \"description\": \"\\u001b[2J a test\", \"vcpus\": 2,"
	"  \"memory\": 536870912, \"boot\": {\"kernel\": \"/srv/vmlinuz\"},"
	"  \"disks\": [{\"path\": \"/srv/a.img\", \"format\": \"raw\", \"cache\": \"none\","
	"   \"read_only\": false}, {\"path\": \"/srv/b.img\", \"read_only\": true}],"
	"  \"nics\": [{\"network\": \"default\", \"mac\": \"52:54:00:12:34:56\"}],"
	"  \"rng\": true, \"resources\": {\"cpu_weight\": 0, \"cpu_quota\": 50,"
	"  \"memory_max\": 1073741824, \"memory_high\": 0}, \"on_reboot\": \"restart\"},"
	" \"status\": {\"state\": \"running\", \"pid\": 4711, \"unit\": \"hvd-vm-demo.service\","
	"  \"started_usec\": 1700000000000000, \"generation\": 3,"
	"  \"addresses\": [{\"address\": \"192.168.133.7\"}, {\"address\": \"fd00::7\"}]}}";

static json_t *load(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

struct text {
	char *text;
	size_t len;
	FILE *f;
};

static void text_open(struct text *t)
{
	t->f = open_memstream(&t->text, &t->len);
	assert_non_null(t->f);
}

static void text_close(struct text *t)
{
	fclose(t->f);
}

static void assert_has(const struct text *t, const char *line)
{
	if (!strstr(t->text, line))
		fail_msg("no \"%s\" in:\n%s", line, t->text);
}

static void assert_lacks(const struct text *t, const char *line)
{
	if (strstr(t->text, line))
		fail_msg("\"%s\" in:\n%s", line, t->text);
}

static void test_sheet(void **state)
{
	struct text t;
	json_t *vm = load(demo);

	text_open(&t);
	assert_int_equal(vm_sheet(&(struct sheet){ t.f, 80, false }, &ops[OP_VM_GET], vm), 0);
	text_close(&t);

	assert_has(&t, "Status\n  state           running\n");
	assert_has(&t, "  started         2023-11-14 22:13:20 UTC\n");
	assert_has(&t, "  addresses       192.168.133.7; fd00::7\n");
	assert_has(&t, "  uptime          ");
	assert_has(&t, "Spec\n  name            demo\n");
	assert_has(&t, "  memory          512M\n");
	assert_has(&t, "  description     ?[2J a test\n");
	assert_has(&t, "Boot\n  kernel          /srv/vmlinuz\n");
	assert_has(&t, "Disks\n  0               /srv/a.img, cache none\n"
		       "  1               /srv/b.img, read only yes\n");
	assert_has(&t, "Nics\n  0               default, mac 52:54:00:12:34:56\n");
	assert_has(&t, "Resources\n  cpu quota       50 percent\n  memory max      1G\n");
	assert_lacks(&t, "cpu weight");
	free(t.text);
	json_decref(vm);
}

/* Every plain setting of the table is shown by its name. */
static void test_sheet_walks_the_table(void **state)
{
	json_t *spec = json_object(), *vm = json_pack("{s:o}", "spec", spec);
	struct text t;

	for (size_t i = 0; i < vm_schema.n_fields; i++) {
		const struct field *field = &vm_schema.fields[i];

		if (field->type != FIELD_STRUCT && field->type != FIELD_LIST)
			json_object_set_new(spec, field->name, json_sprintf("<%s>", field->name));
	}
	text_open(&t);
	assert_int_equal(vm_sheet(&(struct sheet){ t.f, 80, false }, &ops[OP_VM_GET], vm), 0);
	text_close(&t);
	for (size_t i = 0; i < vm_schema.n_fields; i++) {
		char value[80];

		snprintf(value, sizeof(value), "<%s>", vm_schema.fields[i].name);
		if (json_object_get(spec, vm_schema.fields[i].name))
			assert_has(&t, value);
	}
	free(t.text);
	json_decref(vm);
}

static void test_list(void **state)
{
	json_t *items = json_pack("[o,o]", load(demo),
				  load("{\"name\": \"off\", \"spec\": {\"vcpus\": 1, \"memory\":"
				       " 33554432}, \"status\": {\"state\": \"shutoff\","
				       " \"started_usec\": 0, \"pid\": 0}}"));
	struct text t;

	text_open(&t);
	assert_int_equal(vm_table(items, false, t.f, 80, false), 0);
	text_close(&t);
	assert_has(&t, "NAME  STATE    VCPUS  MEMORY  ADDRESS                 UPTIME\n");
	assert_has(&t, "\ndemo  running      2    512M  192.168.133.7; fd00::7  ");
	assert_has(&t, "\noff   shutoff      1     32M  -                       -\n");
	assert_lacks(&t, "hvd-vm-demo.service");
	free(t.text);

	text_open(&t);
	assert_int_equal(vm_table(items, true, t.f, 80, false), 0);
	text_close(&t);
	assert_has(&t, "4711  hvd-vm-demo.service");
	free(t.text);
	json_decref(items);
}

static void test_network_list(void **state)
{
	json_t *items = load("[{\"name\": \"default\", \"spec\": {\"bridge\": \"hvd0\","
			     " \"address\": \"192.168.133.1/24\", \"mode\": \"nat\","
			     " \"dhcp\": true}, \"status\": {\"state\": \"active\", \"leases\": 2,"
			     " \"vms\": [{\"vm\": \"a\"}, {\"vm\": \"b\"}]}}]");
	struct text t;

	text_open(&t);
	assert_int_equal(output_list(&ops[OP_NETWORK_LIST], items, OUTPUT_TABLE, t.f, 80, false),
			 0);
	text_close(&t);
	assert_has(&t, "NAME     STATE   MODE  BRIDGE  ADDRESS           DHCP  LEASES\n"
		       "default  active  nat   hvd0    192.168.133.1/24  yes        2\n");
	free(t.text);

	text_open(&t);
	assert_int_equal(output_list(&ops[OP_NETWORK_LIST], items, OUTPUT_WIDE, t.f, 80, false), 0);
	text_close(&t);
	assert_has(&t, "  a; b  ");
	free(t.text);
	json_decref(items);
}

static void test_host(void **state)
{
	json_t *host = load("{\"virt_mode\": \"vhe\", \"memory\": 25276502016, \"cpus\": 4}");
	struct text t;

	text_open(&t);
	assert_int_equal(host_sheet(&(struct sheet){ t.f, 80, false }, host), 0);
	text_close(&t);
	assert_has(&t, "  mode            vhe\n");
	assert_has(&t, "EL2");
	assert_has(&t, "Host\n  cpus            4\n  memory          23.5G\n");
	free(t.text);
	json_decref(host);

	/* What this client does not know is shown as hvd explains it. */
	host = load("{\"virt_mode\": \"new\", \"virt_detail\": \"a new way\"}");
	text_open(&t);
	assert_int_equal(host_sheet(&(struct sheet){ t.f, 80, false }, host), 0);
	text_close(&t);
	assert_has(&t, "  mode            new\n  detail          a new way\n");
	free(t.text);
	json_decref(host);
}

/* An answer that is not what it should be is shown as far as it makes sense, and nothing breaks. */
static void test_strange_answers(void **state)
{
	static const char *const strange[] = {
		"{}", "{\"spec\": []}", "{\"spec\": {\"disks\": 3, \"boot\": []}}",
		"{\"status\": {\"state\": 7, \"addresses\": [1, \"x\", null]}}",
		"{\"status\": {\"state\": \"odd\", \"started_usec\": -9223372036854775807}}",
		"{\"name\": null, \"spec\": {\"memory\": -1, \"vcpus\": 1.5}}",
	};

	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		json_t *vm = load(strange[i]), *items = json_pack("[O]", vm);
		struct text t;

		text_open(&t);
		assert_int_equal(vm_sheet(&(struct sheet){ t.f, 40, true }, &ops[OP_VM_GET], vm),
				 0);
		assert_int_equal(vm_table(items, true, t.f, 40, true), 0);
		text_close(&t);
		free(t.text);
		json_decref(items);
		json_decref(vm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sheet),	     cmocka_unit_test(test_sheet_walks_the_table),
		cmocka_unit_test(test_list),	     cmocka_unit_test(test_network_list),
		cmocka_unit_test(test_host),	     cmocka_unit_test(test_strange_answers),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
