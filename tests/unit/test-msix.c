/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/pci_rig.h"
#include "vmm/base/macro.h"
#include "vmm/bus/msix.h"

#define BDF PCI_DEVFN(3, 0)
#define BAR 0x10000000U
#define N   5

/* A function that is nothing but MSI-X: table at 0, pending bits at 0x1000. */
struct subject {
	struct pci_function f;
	struct msix msix;
	struct pci_rig rig;
};

static struct subject *to_subject(struct pci_function *f)
{
	return container_of(f, struct subject, f);
}

static uint64_t subject_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned len)
{
	return offset < MSIX_TABLE_SIZE ?
		       msix_table_read(&to_subject(f)->msix, offset, len) :
		       msix_pba_read(&to_subject(f)->msix, offset - MSIX_TABLE_SIZE, len);
}

static void subject_write(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t value,
			  unsigned len)
{
	if (offset < MSIX_TABLE_SIZE)
		msix_table_write(&to_subject(f)->msix, offset, value, len);
}

static void subject_written(struct pci_function *f, unsigned at, unsigned len)
{
	msix_update(&to_subject(f)->msix, f);
}

static void subject_reset(struct pci_function *f)
{
	msix_reset(&to_subject(f)->msix, f);
}

static const struct pci_ops ops = {
	.read = subject_read,
	.write = subject_write,
	.config_written = subject_written,
	.reset = subject_reset,
};

static int set_up(void **state)
{
	static const struct pci_ident ident = { .vendor = 1, .device = 2 };
	static struct subject s;

	memset(&s, 0, sizeof(s));
	pci_rig_open(&s.rig);
	pci_function_init(&s.f, &ops, &ident);
	pci_add_bar(&s.f, 0, MSIX_TABLE_SIZE + MSIX_PBA_SIZE, false, false);
	assert_int_equal(msix_init(&s.msix, &s.f, N, 0, 0, MSIX_TABLE_SIZE, &s.rig.events), 0);
	assert_int_equal(pci_plug(&s.rig.pci, &s.f, BDF, NULL), 0);
	rig_write(&s.rig, BDF, PCI_BASE_ADDRESS_0, BAR, 4);
	rig_write(&s.rig, BDF, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct subject *s = *state;

	pci_unplug(&s->f);
	msix_destroy(&s->msix);
	pci_rig_close(&s->rig);
	return 0;
}

static void set_flags(struct subject *s, uint32_t flags)
{
	rig_write(&s->rig, BDF, s->msix.at + PCI_MSIX_FLAGS, flags, 2);
}

static void set_word(struct subject *s, unsigned vector, unsigned word, uint32_t value)
{
	rig_store(&s->rig, BAR + 16 * vector + 4 * word, value, 4);
}

static uint32_t word(struct subject *s, unsigned vector, unsigned i)
{
	return (uint32_t)rig_load(&s->rig, BAR + 16 * vector + 4 * i, 4);
}

static void program(struct subject *s, unsigned vector, uint32_t data)
{
	set_word(s, vector, 0, 0x08090040);
	set_word(s, vector, 1, 0);
	set_word(s, vector, 2, data);
	set_word(s, vector, 3, 0);
}

static uint64_t pending(struct subject *s)
{
	return rig_load(&s->rig, BAR + MSIX_TABLE_SIZE, 8);
}

static const struct rig_route *route(struct subject *s, unsigned vector)
{
	return rig_route_of(&s->rig, msix_fd(&s->msix, vector));
}

static bool bound(struct subject *s, unsigned vector)
{
	const struct rig_route *r = route(s, vector);

	return r && r->bound;
}

static void capability_is_found(void **state)
{
	struct subject *s = *state;
	unsigned at = rig_capability(&s->rig, BDF, PCI_CAP_ID_MSIX, 0);

	assert_int_equal(at, s->msix.at);
	assert_int_equal(rig_read(&s->rig, BDF, at + PCI_MSIX_FLAGS, 2), N - 1);
	assert_int_equal(rig_read(&s->rig, BDF, at + PCI_MSIX_TABLE, 4), 0);
	assert_int_equal(rig_read(&s->rig, BDF, at + PCI_MSIX_PBA, 4), MSIX_TABLE_SIZE);

	/* the guest may write two bits of it */
	rig_write(&s->rig, BDF, at, UINT32_MAX, 4);
	assert_int_equal(rig_read(&s->rig, BDF, at + PCI_MSIX_FLAGS, 2), 0xc000 | (N - 1));
	assert_int_equal(rig_read(&s->rig, BDF, at, 1), PCI_CAP_ID_MSIX);
	rig_write(&s->rig, BDF, at + PCI_MSIX_TABLE, UINT32_MAX, 4);
	assert_int_equal(rig_read(&s->rig, BDF, at + PCI_MSIX_TABLE, 4), 0);
}

static void entries_begin_masked(void **state)
{
	struct subject *s = *state;

	for (unsigned v = 0; v < N; v++) {
		assert_int_equal(word(s, v, 0), 0);
		assert_int_equal(word(s, v, 3), 1);
	}
	set_flags(s, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned v = 0; v < N; v++)
		assert_false(bound(s, v));
}

static void a_vector_is_bound_to_its_message(void **state)
{
	struct subject *s = *state;

	set_flags(s, PCI_MSIX_FLAGS_ENABLE);
	program(s, 2, 77);
	assert_true(bound(s, 2));
	assert_int_equal(route(s, 2)->message.address, 0x08090040);
	assert_int_equal(route(s, 2)->message.data, 77);
	assert_int_equal(route(s, 2)->message.requester, BDF);
	assert_false(bound(s, 1));

	/* a new message while it is live, and the same once more */
	set_word(s, 2, 2, 78);
	assert_int_equal(route(s, 2)->message.data, 78);
	assert_int_equal(route(s, 2)->updates, 1);
	set_word(s, 2, 2, 78);
	assert_int_equal(route(s, 2)->updates, 1);
	set_word(s, 2, 1, 0x12);
	assert_int_equal(route(s, 2)->message.address, 0x1208090040);
}

static void masks(void **state)
{
	struct subject *s = *state;

	program(s, 0, 10);
	program(s, 4, 14);
	assert_false(bound(s, 0));
	set_flags(s, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_false(bound(s, 0));
	set_flags(s, PCI_MSIX_FLAGS_ENABLE);
	assert_true(bound(s, 0));
	assert_true(bound(s, 4));

	set_word(s, 0, 3, 1);
	assert_false(bound(s, 0));
	assert_true(bound(s, 4));
	set_word(s, 0, 3, 0);
	assert_true(bound(s, 0));

	rig_write(&s->rig, BDF, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_false(bound(s, 0));
	assert_false(bound(s, 4));
	rig_write(&s->rig, BDF, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	assert_true(bound(s, 4));
	assert_int_equal(route(s, 4)->updates, 0);

	set_flags(s, 0);
	assert_false(bound(s, 4));
}

static void masked_vectors_are_pending(void **state)
{
	struct subject *s = *state;
	uint64_t count;

	set_flags(s, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(pending(s), 0);
	msix_notify(&s->msix, 0);
	msix_notify(&s->msix, 3);
	msix_notify(&s->msix, 3);
	assert_int_equal(pending(s), 9);
	assert_int_equal(pending(s), 9);
	assert_int_equal(rig_load(&s->rig, BAR + MSIX_TABLE_SIZE, 1), 9);
	assert_int_equal(rig_load(&s->rig, BAR + MSIX_TABLE_SIZE + 1, 1), 0);

	/* who it is bound to takes it from the eventfd: it is not pending any more */
	program(s, 3, 1);
	assert_true(bound(s, 3));
	assert_int_equal(pending(s), 1);
	assert_int_equal(read(msix_fd(&s->msix, 3), &count, sizeof(count)), sizeof(count));

	/* turned off, what was pending is forgotten */
	set_flags(s, 0);
	set_flags(s, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(pending(s), 0);
}

static void the_pending_bits_cannot_be_written(void **state)
{
	struct subject *s = *state;

	set_flags(s, PCI_MSIX_FLAGS_ENABLE);
	rig_store(&s->rig, BAR + MSIX_TABLE_SIZE, UINT64_MAX, 8);
	assert_int_equal(pending(s), 0);
	msix_notify(&s->msix, 1);
	rig_store(&s->rig, BAR + MSIX_TABLE_SIZE, 0, 8);
	assert_int_equal(pending(s), 2);
}

static void what_cannot_be_bound_is_pending(void **state)
{
	struct subject *s = *state;

	s->rig.refuse = true;
	set_flags(s, PCI_MSIX_FLAGS_ENABLE);
	program(s, 1, 5);
	assert_false(bound(s, 1));
	msix_notify(&s->msix, 1);
	assert_int_equal(pending(s), 2);
	s->rig.refuse = false;
	set_word(s, 1, 3, 0);
	assert_true(bound(s, 1));

	/* a message that is refused ends the one before it */
	s->rig.refuse = true;
	set_word(s, 1, 2, 6);
	assert_false(bound(s, 1));
}

static void odd_accesses(void **state)
{
	struct subject *s = *state;

	rig_store(&s->rig, BAR + 16, 0x1122334455667788, 8);
	assert_int_equal(word(s, 1, 0), 0x55667788);
	assert_int_equal(word(s, 1, 1), 0x11223344);
	assert_int_equal(rig_load(&s->rig, BAR + 16 + 3, 2), 0x4455);
	/* address bits 0 and 1, and all of the control but the mask, are 0 */
	rig_store(&s->rig, BAR + 16, UINT64_MAX, 8);
	assert_int_equal(word(s, 1, 0), 0xfffffffc);
	rig_store(&s->rig, BAR + 24, UINT64_MAX, 8);
	assert_int_equal(word(s, 1, 3), 1);

	/* neither words nor aligned: nothing happens */
	rig_store(&s->rig, BAR + 16, 0, 1);
	rig_store(&s->rig, BAR + 16, 0, 2);
	rig_store(&s->rig, BAR + 18, 0, 4);
	rig_store(&s->rig, BAR + 20, 0, 8);
	assert_int_equal(word(s, 1, 0), 0xfffffffc);
	assert_int_equal(word(s, 1, 1), 0xffffffff);

	/* behind the last entry, and across entries */
	set_word(s, N, 0, 0x12345678);
	assert_int_equal(word(s, N, 0), 0);
	assert_int_equal(rig_load(&s->rig, BAR + 28, 8), 0);
	assert_int_equal(rig_load(&s->rig, BAR + MSIX_TABLE_SIZE - 8, 8), 0);
	assert_int_equal(rig_load(&s->rig, BAR + MSIX_TABLE_SIZE + MSIX_PBA_SIZE - 8, 8), 0);
}

static void reset_forgets(void **state)
{
	struct subject *s = *state;

	set_flags(s, PCI_MSIX_FLAGS_ENABLE);
	program(s, 1, 5);
	msix_notify(&s->msix, 2);
	s->f.config[PCI_COMMAND] = 0;
	pci_config_set(&s->f, s->msix.at + PCI_MSIX_FLAGS, N - 1, 2);
	msix_reset(&s->msix, &s->f);
	assert_false(bound(s, 1));
	rig_write(&s->rig, BDF, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(word(s, 1, 2), 0);
	assert_int_equal(word(s, 1, 3), 1);
	assert_int_equal(pending(s), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(capability_is_found),
		TEST(entries_begin_masked),
		TEST(a_vector_is_bound_to_its_message),
		TEST(masks),
		TEST(masked_vectors_are_pending),
		TEST(the_pending_bits_cannot_be_written),
		TEST(what_cannot_be_bound_is_pending),
		TEST(odd_accesses),
		TEST(reset_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
