/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/base/macro.h"
#include "vmm/mem/guest_mem.h"

#define BASE 0x40000000ULL
#define SIZE (4 * MIB)

static void translates_what_is_ram(void **state)
{
	AUTO(guest_mem_free) struct guest_mem *mem = NULL;
	uint8_t *first;

	assert_int_equal(guest_mem_new(BASE, SIZE, &mem), 0);
	assert_int_equal(guest_mem_base(mem), BASE);
	assert_int_equal(guest_mem_size(mem), SIZE);

	first = guest_mem_ptr(mem, BASE, 1);
	assert_non_null(first);
	assert_ptr_equal(guest_mem_ptr(mem, BASE, SIZE), first);
	assert_ptr_equal(guest_mem_ptr(mem, BASE + SIZE - 1, 1), first + SIZE - 1);
	assert_int_equal(first[0], 0);
	first[SIZE - 1] = 1;

	/* so that stage 2 can map huge pages */
	assert_true(IS_ALIGNED((uintptr_t)first, 2 * MIB));
}

static void refuses_what_is_not_all_ram(void **state)
{
	static const struct {
		uint64_t ipa, len;
	} bad[] = {
		{ BASE, 0 },
		{ BASE, SIZE + 1 },
		{ BASE - 1, 1 },
		{ BASE - 1, 2 },
		{ BASE + SIZE, 1 },
		{ BASE + SIZE - 1, 2 },
		{ BASE + 1, UINT64_MAX },
		{ BASE + 1, UINT64_MAX - BASE },
		{ 0, UINT64_MAX },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX, UINT64_MAX },
	};
	AUTO(guest_mem_free) struct guest_mem *mem = NULL;

	assert_int_equal(guest_mem_new(BASE, SIZE, &mem), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(guest_mem_ptr(mem, bad[i].ipa, bad[i].len));
}

static void check_discard(const struct guest_mem *mem)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p;

	p = guest_mem_ptr(mem, BASE, SIZE);
	memset(p, 1, 4 * page);

	assert_int_equal(guest_mem_discard(mem, p, 0), 0);
	assert_int_equal(guest_mem_discard(mem, p + 1, page), 0);
	assert_int_equal(guest_mem_discard(mem, p, page - 1), 0);
	for (size_t i = 0; i < 4 * page; i++)
		assert_int_equal(p[i], 1);

	assert_int_equal(guest_mem_discard(mem, p + page - 1, 2 * page), 0);
	for (size_t i = 0; i < 4 * page; i++)
		assert_int_equal(p[i], i < page || i >= 2 * page);
}

static void gives_back_whole_pages(void **state)
{
	AUTO(guest_mem_free) struct guest_mem *mem = NULL, *shared = NULL;
	struct stat st;

	assert_int_equal(guest_mem_new(BASE, SIZE, &mem), 0);
	check_discard(mem);
	assert_int_equal(guest_mem_new_shared(BASE, SIZE, &shared), 0);
	check_discard(shared);
	/* of the file, too, something is gone */
	assert_int_equal(guest_mem_discard(shared, guest_mem_ptr(shared, BASE, 1), SIZE), 0);
	assert_int_equal(fstat(guest_mem_fd(shared), &st), 0);
	assert_int_equal(st.st_blocks, 0);
}

static void impossible_sizes_fail(void **state)
{
	struct guest_mem *mem = NULL;

	assert_int_equal(guest_mem_new(BASE, 0, &mem), -ENOMEM);
	assert_int_equal(guest_mem_new(BASE, UINT64_MAX, &mem), -ENOMEM);
	assert_int_equal(guest_mem_new(UINT64_MAX, SIZE, &mem), -ENOMEM);
	assert_int_equal(guest_mem_new(BASE, 1ULL << 60, &mem), -ENOMEM);
	assert_null(mem);
}

static void shared_memory_is_the_same_for_another(void **state)
{
	AUTO(guest_mem_free) struct guest_mem *mem = NULL, *private = NULL;
	uint8_t *first, *other;

	assert_int_equal(guest_mem_new(BASE, SIZE, &private), 0);
	assert_int_equal(guest_mem_fd(private), -1);
	assert_int_equal(guest_mem_new_shared(BASE, SIZE, &mem), 0);
	first = guest_mem_ptr(mem, BASE, SIZE);
	assert_true(IS_ALIGNED((uintptr_t)first, 2 * MIB));
	other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, guest_mem_fd(mem), 0);
	assert_true(other != MAP_FAILED);
	first[SIZE - 1] = 7;
	assert_int_equal(other[SIZE - 1], 7);
	munmap(other, SIZE);

	/* nobody pulls it away */
	assert_int_equal(ftruncate(guest_mem_fd(mem), 0), -1);
	assert_int_equal(guest_mem_new_shared(BASE, 0, &mem), -ENOMEM);
	assert_int_equal(guest_mem_new_shared(BASE, UINT64_MAX, &mem), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(translates_what_is_ram),
		cmocka_unit_test(refuses_what_is_not_all_ram),
		cmocka_unit_test(gives_back_whole_pages),
		cmocka_unit_test(impossible_sizes_fail),
		cmocka_unit_test(shared_memory_is_the_same_for_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
