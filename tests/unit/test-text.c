/* SPDX-License-Identifier: Apache-2.0 */
/* Text forms of values: sizes, numbers, UUIDs, MACs, UTF-8, suggestions. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/schema.h"
#include "api/suggest.h"
#include "api/utf8.h"
#include "api/vm_schema.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

static void test_size_parse(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "512", 0, 512 },
		{ "1K", 0, KIB },
		{ "512M", 0, 512 * MIB },
		{ "512m", 0, 512 * MIB },
		{ "2GiB", 0, 2 * GIB },
		{ "3T", 0, 3 * 1024 * GIB },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "8388607T", 0, 8388607ULL << 40 },
		{ "8388608T", -ERANGE, 0 },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "99999999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "5X", -EINVAL, 0 },
		{ "5MB", -EINVAL, 0 },
		{ "5M ", -EINVAL, 0 },
		{ " 5", -EINVAL, 0 },
		{ "-5", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 77;

		assert_int_equal(size_parse(cases[i].text, &value), cases[i].r);
		assert_int_equal(value, cases[i].r ? 77 : cases[i].value);
	}
}

static void test_size_format(void **state)
{
	static const struct {
		uint64_t value;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ 1023, "1023" },
		{ KIB, "1K" },
		{ 1536, "1536" },
		{ 512 * MIB, "512M" },
		{ 1024 * MIB, "1G" },
		{ 1025 * MIB, "1025M" },
		{ 4096 * GIB, "4T" },
		{ 4096 * 1024 * GIB, "4096T" },
		{ INT64_MAX, "9223372036854775807" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value;
		char text[24];

		size_format(cases[i].value, text);
		assert_string_equal(text, cases[i].text);
		assert_int_equal(size_parse(text, &value), 0);
		assert_int_equal(value, cases[i].value);
	}
}

static void test_uuid(void **state)
{
	static const char *const bad[] = {
		"",
		"4dea22b3",
		"4dea22b3-1d52-d8f3-2516-782e98ab3fa",
		"4dea22b31d52d8f32516782e98ab3fa0",
		"4dea22b3-1d52-d8f3-2516-782e98ab3fa00",
		"4dea22b3-1d52-d8f3-2516-782e98ab3fag",
		"4dea22b3_1d52-d8f3-2516-782e98ab3fa0",
	};
	uint8_t uuid[16], untouched[16] = { 0 };
	char text[UUID_TEXT_SIZE];

	assert_int_equal(uuid_parse("4DEA22B3-1d52-d8f3-2516-782e98ab3fa0", uuid), 0);
	assert_int_equal(uuid[0], 0x4d);
	assert_int_equal(uuid[15], 0xa0);
	uuid_format(uuid, text);
	assert_string_equal(text, "4dea22b3-1d52-d8f3-2516-782e98ab3fa0");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(uuid, 0, sizeof(uuid));
		assert_int_equal(uuid_parse(bad[i], uuid), -EINVAL);
		assert_memory_equal(uuid, untouched, 16);
	}
}

static void test_mac(void **state)
{
	static const char *const bad[] = { "",
					   "52:54",
					   "52:54:00:12:34",
					   "52:54:00:12:34:5",
					   "52:54:00:12:34:56:78",
					   "52-54-00-12-34-56",
					   "52:54:00:12:34:5g" };
	char text[MAC_TEXT_SIZE];
	uint8_t mac[6];

	assert_int_equal(mac_parse("52:54:00:aB:34:56", mac), 0);
	mac_format(mac, text);
	assert_string_equal(text, "52:54:00:ab:34:56");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(mac_parse(bad[i], mac), -EINVAL);
}

static void test_field_text(void **state)
{
	const struct field *memory = schema_field(&vm_schema, "memory");
	const struct field *on_reboot = schema_field(&vm_schema, "on_reboot");
	const struct field *name = schema_field(&vm_schema, "name");
	struct hvd_error err = { 0 };
	struct vm_config vm;
	char *text;

	assert_int_equal(schema_init(&vm_schema, &vm), 0);
	assert_int_equal(field_set_text(memory, &vm, "much", &err), -EINVAL);
	assert_string_equal(err.field, "memory");
	assert_int_equal(vm.memory, 512 * MIB);
	assert_int_equal(field_get_text(memory, &vm, &text), 0);
	assert_string_equal(text, "512M");
	free(text);

	assert_int_equal(field_set_text(on_reboot, &vm, "explode", &err), -EINVAL);
	assert_string_equal(err.msg, "'explode' is not one of: restart, stop");

	assert_int_equal(field_set_text(name, &vm, "demo", &err), 0);
	assert_string_equal(vm.name, "demo");
	assert_int_equal(field_set_text(name, &vm, "", &err), 0);
	assert_null(vm.name);
	assert_int_equal(field_get_text(name, &vm, &text), 0);
	assert_null(text);
	schema_clear(&vm_schema, &vm);
}

static void test_utf8(void **state)
{
	static const char *const good[] = { "",
					    "plain",
					    "tab\t newline\n",
					    "é",
					    "中",
					    "\xf0\x9f\x98\x80",
					    "\xef\xbf\xbd",
					    "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = {
		"\x01",
		"\r",
		"\x7f",
		"\xc2\x85" /* C1 */,
		"\xc0\x80",
		"\xc3",
		"\xff",
		"\xe0\x80\x80",
		"\xed\xa0\x80" /* surrogate */,
		"\xef\xbf\xbe",
		"\x80",
		"\xf4\x90\x80\x80",
		"\xe4\xb8",
		"\xf5\x80\x80\x80",
	};
	char text[] = "a\x01"
		      "b\xff\xe4\xb8";

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(utf8_is_text(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(utf8_is_text(bad[i], strlen(bad[i])));
	assert_false(utf8_is_text("a\0b", 3));

	utf8_clean(text);
	assert_string_equal(text, "a?b???");
}

static void test_suggest(void **state)
{
	struct suggestion near = { 0 };

	assert_int_equal(edit_distance("", "abc"), 3);
	assert_int_equal(edit_distance("vcpu", "vcpus"), 1);
	assert_int_equal(edit_distance("memroy", "memory"), 1);
	assert_int_equal(edit_distance("kitten", "sitting"), 3);
	assert_true(edit_distance("a234567890123456789012345678901234567890x", "a") == SIZE_MAX);

	suggest(&near, "dsk", "nics");
	assert_null(near.name);
	suggest(&near, "vcpu", "vcpus");
	suggest(&near, "vcpu", "cpus");
	assert_string_equal(near.name, "vcpus");
	memset(&near, 0, sizeof(near));
	suggest(&near, "x", "y");
	assert_null(near.name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_parse), cmocka_unit_test(test_size_format),
		cmocka_unit_test(test_uuid),       cmocka_unit_test(test_mac),
		cmocka_unit_test(test_field_text), cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_suggest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
