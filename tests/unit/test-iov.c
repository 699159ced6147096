/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/iov.h"

static char area[16];

/* "abc" "d" "" "efgh" */
static void fill(struct iovec iov[4])
{
	memcpy(area, "abc.d.efgh", 10);
	iov[0] = (struct iovec){ area, 3 };
	iov[1] = (struct iovec){ area + 4, 1 };
	iov[2] = (struct iovec){ area + 5, 0 };
	iov[3] = (struct iovec){ area + 6, 4 };
}

static void test_gather(void **state)
{
	struct iovec iov[4];
	char buf[9] = "";

	fill(iov);
	assert_int_equal(iov_len(iov, 4), 8);
	assert_int_equal(iov_gather(iov, 4, buf, 5), 5);
	assert_string_equal(buf, "abcde");
	assert_int_equal(iov_gather(iov, 4, buf, 100), 8);
	assert_string_equal(buf, "abcdefgh");
	assert_int_equal(iov_gather(iov, 0, buf, 1), 0);
}

static void test_scatter(void **state)
{
	struct iovec iov[4];

	fill(iov);
	assert_int_equal(iov_scatter(iov, 4, "12345", 5), 5);
	assert_memory_equal(area, "123.4.5fgh", 10);
	assert_int_equal(iov_scatter_at(iov, 4, 2, "XYZ", 3), 3);
	assert_memory_equal(area, "12X.Y.Zfgh", 10);
	assert_int_equal(iov_scatter_at(iov, 4, 7, "ab", 2), 1);
	assert_memory_equal(area, "12X.Y.Zfga", 10);
	assert_int_equal(iov_scatter_at(iov, 4, 8, "q", 1), 0);
	assert_int_equal(iov_scatter_at(iov, 4, 100, "q", 1), 0);
}

static void test_advance(void **state)
{
	struct iovec iov[4], *p = iov;
	unsigned n = 4;

	fill(iov);
	iov_advance(&p, &n, 2);
	assert_int_equal(n, 4);
	assert_ptr_equal(p->iov_base, area + 2);
	assert_int_equal(p->iov_len, 1);
	iov_advance(&p, &n, 2);
	assert_ptr_equal(p, iov + 3);
	assert_int_equal(n, 1);
	iov_advance(&p, &n, 0);
	assert_int_equal(n, 1);
	iov_advance(&p, &n, 4);
	assert_int_equal(n, 0);
	iov_advance(&p, &n, 1);
	assert_int_equal(n, 0);
}

static void test_truncate(void **state)
{
	struct iovec iov[4];
	unsigned n = 4;

	fill(iov);
	iov_truncate(iov, &n, 100);
	assert_int_equal(n, 4);
	assert_int_equal(iov_len(iov, n), 8);
	iov_truncate(iov, &n, 5);
	assert_int_equal(iov_len(iov, n), 5);
	iov_truncate(iov, &n, 3);
	assert_int_equal(iov_len(iov, n), 3);
	iov_truncate(iov, &n, 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_scatter),
		cmocka_unit_test(test_advance),
		cmocka_unit_test(test_truncate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
