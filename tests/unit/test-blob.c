/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/blob.h"
#include "vmm/base/cleanup.h"

static void grows_at_its_end(void **state)
{
	static const uint8_t want[] = { 'a', 'b', 0, 0, 0x44, 0x33, 0x22, 0x11, 0xee, 0xff };
	AUTO(blob_clear) struct blob b = { 0 };

	blob_put(&b, "ab", 2);
	blob_put_zeros(&b, 2);
	blob_put_le(&b, 0x5511223344, 4);
	blob_put_le(&b, 0xffee, 2);
	assert_int_equal(b.error, 0);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
}

static void keeps_its_bytes_when_it_moves(void **state)
{
	AUTO(blob_clear) struct blob b = { 0 };

	for (unsigned i = 0; i < 10000; i++)
		blob_put_le(&b, i, 4);
	assert_int_equal(b.len, 40000);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(b.data[4 * i] | b.data[4 * i + 1] << 8, i);
}

static void aligns_inserts_and_overwrites(void **state)
{
	static const uint8_t want[] = { 'a', 1, 2, 'b', 'c', 0, 0, 0 };
	AUTO(blob_clear) struct blob b = { 0 };
	uint8_t *hole;

	blob_align(&b, 8); /* is */
	assert_int_equal(b.len, 0);
	blob_put(&b, "abc", 3);
	hole = blob_insert(&b, 1, 2);
	assert_non_null(hole);
	memset(hole, 0, 2);
	blob_align(&b, 8);
	blob_set_le(&b, 1, 0x0201, 2);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
}

static void has_an_end(void **state)
{
	AUTO(blob_clear) struct blob b = { 0 };

	blob_put_zeros(&b, BLOB_MAX);
	assert_int_equal(b.error, 0);
	blob_put_le(&b, 1, 1);
	assert_int_equal(b.error, -ENOSPC);
	assert_int_equal(b.len, BLOB_MAX);

	/* and after an error, nothing */
	blob_put(&b, "x", 1);
	blob_set_le(&b, 0, 0xff, 1);
	assert_null(blob_insert(&b, 0, 0));
	assert_int_equal(b.data[0], 0);
	blob_clear(&b);
	assert_null(b.data);
	assert_int_equal(b.error, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_at_its_end),
		cmocka_unit_test(keeps_its_bytes_when_it_moves),
		cmocka_unit_test(aligns_inserts_and_overwrites),
		cmocka_unit_test(has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
