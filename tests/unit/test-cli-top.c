/* SPDX-License-Identifier: Apache-2.0 */
/* What VMs have used between two looks, and how that is shown. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/json.h"
#include "cli/top_rates.h"
#include "vmm/base/cleanup.h"

static const char before_text[] =
	"[{\"name\":\"a\",\"uuid\":\"1\",\"state\":\"running\",\"up\":true,\"uptime_usec\":5000000,"
	"\"cpu_user_usec\":1000000,\"cpu_system_usec\":0,\"memory\":1048576,"
	"\"guest_memory\":{\"actual\":67108864},"
	"\"vcpus\":[{\"vcpu\":0,\"cpu_usec\":0,\"steal_usec\":0,\"exits\":100},"
	"{\"vcpu\":1,\"cpu_usec\":0,\"steal_usec\":0,\"exits\":100}],"
	"\"disks\":[{\"disk\":\"vda\",\"reads\":10,\"read_bytes\":4096}],"
	"\"nics\":[{\"nic\":\"net0\",\"rx\":{\"bytes\":0},\"tx\":{\"bytes\":0}}]},"
	"{\"name\":\"again\",\"uuid\":\"2\",\"state\":\"running\",\"up\":true,\"uptime_usec\":9000000,"
	"\"cpu_user_usec\":1000000}]";

static const char now_text[] =
	"[{\"name\":\"a\",\"uuid\":\"1\",\"state\":\"running\",\"up\":true,\"uptime_usec\":7000000,"
	"\"cpu_user_usec\":3000000,\"cpu_system_usec\":1000000,\"memory\":2097152,"
	"\"guest_memory\":{\"actual\":67108864},"
	"\"vcpus\":[{\"vcpu\":0,\"cpu_usec\":2000000,\"steal_usec\":200000,\"exits\":2100},"
	"{\"vcpu\":1,\"cpu_usec\":0,\"steal_usec\":0,\"exits\":100}],"
	"\"disks\":[{\"disk\":\"vda\",\"reads\":30,\"read_bytes\":2101248},"
	"{\"disk\":\"vdb\",\"reads\":1000,\"read_bytes\":1}],"
	"\"nics\":[{\"nic\":\"net0\",\"rx\":{\"bytes\":2048},\"tx\":{\"bytes\":4}}]},"
	"{\"name\":\"again\",\"uuid\":\"2\",\"state\":\"running\",\"up\":true,\"uptime_usec\":1000000,"
	"\"cpu_user_usec\":9000000},"
	"{\"name\":\"b\\u001b\",\"uuid\":\"3\",\"state\":\"paused\",\"up\":false,\"uptime_usec\":10,"
	"\"memory\":9000000000},"
	"{\"name\":\"off\",\"uuid\":\"4\",\"state\":\"shutoff\",\"up\":false,\"uptime_usec\":0}]";

static json_t *load(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

static json_t *rates(enum top_sort sort)
{
	AUTO(json_decref) json_t *before = load(before_text), *now = load(now_text);
	json_t *list = top_rates(before, now, 2.0, sort);

	assert_non_null(list);
	return list;
}

static void assert_member(const json_t *vm, const char *name, double want)
{
	double is = json_number_value(json_object_get(vm, name));

	if (is < want - 0.001 || is > want + 0.001)
		fail_msg("%s is %f, not %f", name, is, want);
}

static void test_rates(void **state)
{
	AUTO(json_decref) json_t *list = rates(TOP_CPU);
	const json_t *a = json_array_get(list, 0), *again = json_array_get(list, 1);
	const json_t *vcpu = json_array_get(json_object_get(a, "vcpus"), 0);

	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_string_value(json_object_get(a, "name")), "a");
	assert_member(a, "cpu_percent", 150);
	assert_member(a, "steal_percent", 5); /* in the mean of two */
	assert_member(a, "disk_requests", 10); /* vdb is new */
	assert_member(a, "read_bytes", 1048576);
	assert_member(a, "rx_bytes", 1024);
	assert_member(a, "tx_bytes", 2);
	assert_member(a, "exits", 1000);
	assert_member(vcpu, "cpu_percent", 100);
	assert_member(vcpu, "steal_percent", 10);
	/* it has been started anew: no difference to what was before */
	assert_string_equal(json_string_value(json_object_get(again, "name")), "again");
	assert_member(again, "cpu_percent", 0);
}

static void test_first_look(void **state)
{
	AUTO(json_decref) json_t *now = load(now_text);
	AUTO(json_decref) json_t *list = top_rates(NULL, now, 0, TOP_CPU);

	assert_int_equal(json_array_size(list), 3);
	assert_member(json_array_get(list, 0), "cpu_percent", 0);
	assert_member(json_array_get(list, 0), "memory", 2097152);
}

static void test_sort(void **state)
{
	static const char *const first[_TOP_SORT_MAX] = {
		[TOP_CPU] = "a", [TOP_STEAL] = "a", [TOP_MEMORY] = "b\033", [TOP_DISK] = "a",
		[TOP_NET] = "a", [TOP_EXITS] = "a", [TOP_NAME] = "a",
	};

	for (unsigned sort = 0; sort < _TOP_SORT_MAX; sort++) {
		AUTO(json_decref) json_t *list = rates(sort);

		assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "name")),
				    first[sort]);
	}
}

static char *print(const struct top_view *view)
{
	AUTO(json_decref) json_t *list = rates(TOP_CPU);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(top_print(list, view, f), 0);
	fclose(f);
	return text;
}

static void test_table(void **state)
{
	AUTO(free) char *plain = print(&(struct top_view){ .width = 80 });
	AUTO(free) char *vcpus = print(&(struct top_view){ .vcpus = true, .wide = true });
	AUTO(free) char *colour = print(&(struct top_view){ .colour = true });

	for (const char *line = plain; *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 80);
	assert_int_equal(strncmp(plain, "NAME ", 5), 0);
	assert_non_null(strstr(plain, " 150.0 "));
	assert_non_null(strstr(plain, " 64M "));
	assert_non_null(strstr(plain, " 8.4G ")); /* three digits */
	assert_non_null(strstr(plain, " 1.0k\n"));
	assert_non_null(strstr(plain, "\nb? "));
	assert_null(strchr(plain, '\033'));
	assert_null(strstr(plain, "vcpu"));
	assert_non_null(strstr(vcpus, "\n  vcpu 1 "));
	assert_non_null(strstr(vcpus, " STATE "));
	assert_non_null(strstr(colour, "\033[33m150.0"));
	assert_non_null(strstr(colour, "\033[31m5.0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates), cmocka_unit_test(test_first_look),
		cmocka_unit_test(test_sort),  cmocka_unit_test(test_table),
	};

	setlocale(LC_CTYPE, "C");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
