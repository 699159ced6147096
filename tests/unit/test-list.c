/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/base/list.h"

struct item {
	int value;
	struct list node;
};

static int join(struct list *head)
{
	struct item *item;
	int digits = 0;

	list_for_each(item, head, node)
		digits = digits * 10 + item->value;
	return digits;
}

static void keeps_order(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };

	assert_true(list_empty(&head));
	assert_int_equal(join(&head), 0);
	for (int i = 0; i < 3; i++)
		list_append(&head, &items[i].node);
	assert_false(list_empty(&head));
	assert_int_equal(join(&head), 123);

	list_remove(&items[1].node);
	assert_int_equal(join(&head), 13);
	list_append(&head, &items[1].node);
	assert_int_equal(join(&head), 132);
}

static void removing_twice_is_harmless(void **state)
{
	struct list head = LIST_INIT(head);
	struct item item = { .value = 1 };

	list_init(&item.node);
	list_remove(&item.node);
	list_append(&head, &item.node);
	list_remove(&item.node);
	list_remove(&item.node);
	assert_true(list_empty(&head));
}

static void the_current_item_may_be_removed(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 } }, *item;

	for (int i = 0; i < 3; i++)
		list_append(&head, &items[i].node);
	list_for_each(item, &head, node)
		if (item->value != 2)
			list_remove(&item->node);
	assert_int_equal(join(&head), 2);
}

static void splice_moves_all_to_the_end(void **state)
{
	struct list head = LIST_INIT(head), from = LIST_INIT(from);
	struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };

	list_splice(&head, &from);
	assert_true(list_empty(&head));

	list_append(&head, &items[0].node);
	list_append(&from, &items[1].node);
	list_append(&from, &items[2].node);
	list_splice(&head, &from);
	assert_int_equal(join(&head), 123);
	assert_true(list_empty(&from));
	assert_ptr_equal(head.prev, &items[2].node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order),
		cmocka_unit_test(splice_moves_all_to_the_end),
		cmocka_unit_test(removing_twice_is_harmless),
		cmocka_unit_test(the_current_item_may_be_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
