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

#include "api/json.h"
#include "cli/output.h"
#include "cli/sheet.h"
#include "cli/text.h"
#include "cli/vm_table.h"
#include "tests/unit/fill.h"
#include "vmm/base/cleanup.h"

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

/* As long as names may be, in the place of every text. */
static void lengthen(json_t *value)
{
	static const char name[] = "a-name-as-long-as-names-may-be-which-is-three-and-sixty-bytes-0";
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		json_string_set(value, name);
	json_array_foreach(value, i, member) lengthen(member);
	json_object_foreach(value, key, member) lengthen(member);
}

/* One resource of the operation's kind, everything set and long. */
static json_t *long_resource(const struct op *op)
{
	AUTO(free) void *obj = calloc(1, op->result_schema->size);
	json_t *json, *all;

	fill_obj(op->result_schema, obj, 1);
	json = json_from_obj(op->result_schema, obj);
	schema_clear(op->result_schema, obj);
	all = op->status_schema ? json_pack("{s:s, s:s, s:O, s:{s:s, s:i, s:[{s:s}]}}", "name", "", "uuid",
					    "", "spec", json, "status", "state", "", "pid", 4000000,
					    "addresses", "address", "")
				: json_incref(json);
	json_decref(json);
	lengthen(all);
	return all;
}

static void assert_fits(const struct text *t, bool words)
{
	for (const char *line = t->text; *line; line += strcspn(line, "\n") + 1) {
		char copy[512];

		snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line, "\n"), line);
		/* what is one word is not cut where it stands to be copied */
		if (text_width(copy) > 80 && !(words && strlen(strrchr(copy, ' ')) > 60))
			fail_msg("%zu columns: %s", text_width(copy), copy);
	}
}

static void test_everything_fits_80_columns(void **state)
{
	size_t n = 0;

	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		AUTO(json_decref) json_t *resource = NULL, *items = NULL;
		struct text t;

		if (!op->result_schema || op->method != HTTP_GET)
			continue;
		resource = long_resource(op);
		items = json_pack("[O, O]", resource, resource);
		text_open(&t);
		if (op->result == RESULT_LIST)
			assert_int_equal(output_list(op, items, OUTPUT_TABLE, t.f, 80, false), 0);
		else if (op->status_schema)
			assert_int_equal(vm_sheet(&(struct sheet){ t.f, 80, false }, op, resource), 0);
		else
			assert_int_equal(sheet_object(&(struct sheet){ t.f, 80, false }, "thing",
						      op->result_schema, resource), 0);
		text_close(&t);
		assert_fits(&t, op->result != RESULT_LIST);
		free(t.text);
		n++;
	}
	assert_true(n > 10);
}

static void test_yaml(void **state)
{
	static const char json[] =
		"{\"plain\": \"a path/to.it 1\", \"empty\": \"\", \"no\": \"Yes\", \"number\": \"1.0\","
		" \"time\": \"12:30\", \"lines\": \"two\\n\\tlines\", \"unicode\": \"\u00e9 \\u0085\\u2028\","
		" \"quote\": \"say \\\"x\\\\\\\"\", \"trailing\": \"a \", \"colon\": \"a: b #c\","
		" \"n\": [1, -2, 1.5, true, null], \"none\": [], \"nothing\": {},"
		" \"deep\": {\"list\": [{\"a\": 1, \"b\": {\"c\": \"~\"}}, [\"x\"], {}]}}";
	static const char yaml[] = "plain: a path/to.it 1\nempty: \"\"\n\"no\": \"Yes\"\nnumber: \"1.0\"\n"
				   "time: \"12:30\"\nlines: \"two\\n\\tlines\"\nunicode: \"\u00e9 \\u0085\\u2028\"\n"
				   "quote: \"say \\\"x\\\\\\\"\"\ntrailing: \"a \"\ncolon: \"a: b #c\"\n"
				   "\"n\":\n- 1\n- -2\n- 1.5\n- true\n- null\nnone: []\nnothing: {}\n"
				   "deep:\n  list:\n  - a: 1\n    b:\n      c: \"~\"\n  - - x\n  - {}\n";
	AUTO(json_decref) json_t *value = load(json);
	struct text t;

	text_open(&t);
	assert_int_equal(output_data(OUTPUT_YAML, value, t.f), 0);
	text_close(&t);
	assert_string_equal(t.text, yaml);
	free(t.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sheet),	     cmocka_unit_test(test_sheet_walks_the_table),
		cmocka_unit_test(test_list),	     cmocka_unit_test(test_network_list),
		cmocka_unit_test(test_host),	     cmocka_unit_test(test_strange_answers),
		cmocka_unit_test(test_yaml),	     cmocka_unit_test(test_everything_fits_80_columns),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
