/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/host.h"
#include "vmm/base/macro.h"

/* The head is that of a two-CPU server; only the line of the kernel's clock differs. */
#define HEAD                                                                                       \
	"           CPU0       CPU1       \n"                                                        \
	"  9:          0          0     GICv3  25 Level     vgic\n"
#define TAIL                                                                                       \
	" 13:          0          0     GICv3  27 Level     kvm guest vtimer\n"                        \
	"IPI0:       126        171       Rescheduling interrupts\n"

static void test_interrupts(void **state)
{
	assert_int_equal(host_mode_from_interrupts(
				 HEAD " 11:  4101  5322  GICv3  26 Level     arch_timer\n" TAIL),
			 HOST_VHE);
	assert_int_equal(host_mode_from_interrupts(
				 HEAD " 11:  4101  5322  GICv3  30 Level     arch_timer\n" TAIL),
			 HOST_NVHE);
	assert_int_equal(host_mode_from_interrupts(
				 HEAD " 11:  4101  5322  GICv3  27 Level     arch_timer\n"),
			 HOST_NONE);
	assert_int_equal(host_mode_from_interrupts(
				 HEAD " 11:  4101  5322  GIC-0  26 Level     arch_timer\n"),
			 HOST_VHE);
	/* no GIC, no line, not the clock's line */
	assert_int_equal(host_mode_from_interrupts(
				 HEAD " 11:  4101  5322  AIC  2 Level     arch_timer\n" TAIL),
			 -1);
	assert_int_equal(host_mode_from_interrupts(HEAD TAIL), -1);
	assert_int_equal(host_mode_from_interrupts(""), -1);
	assert_int_equal(host_mode_from_interrupts("GICv3 arch_timer"), -1);
}

static void test_log(void **state)
{
	static const struct {
		const char *line;
		int mode;
	} lines[] = {
		{ "6,463,1100739,-;kvm [1]: VHE mode initialized successfully\n", HOST_VHE },
		{ "6,463,1100739,-;kvm [1]: Hyp mode initialized successfully\n", HOST_NVHE },
		{ "6,463,1100739,-;kvm [1]: Hyp nVHE mode initialized successfully\n", HOST_NVHE },
		{ "6,463,1,-;kvm [1]: Protected nVHE mode initialized successfully\n", HOST_PROTECTED },
		{ "6,463,1,-;kvm [1]: Protected hVHE mode initialized successfully\n", HOST_PROTECTED },
		{ "6,463,1,-;kvm [1]: HYP mode not available\n", HOST_NONE },
		{ "6,463,1,-;kvm [1]: IPA Size Limit: 48 bits\n", -1 },
		{ "6,463,1,-;someone: VHE mode initialized successfully\n", -1 },
		{ "", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(host_mode_from_log(lines[i].line), lines[i].mode);
}

static void test_cmdline(void **state)
{
	assert_true(host_cmdline_protected("root=/dev/vda kvm-arm.mode=protected quiet"));
	assert_true(host_cmdline_protected("kvm-arm.mode=nvhe kvm-arm.mode=protected"));
	assert_false(host_cmdline_protected("kvm-arm.mode=protected kvm-arm.mode=nvhe"));
	assert_false(host_cmdline_protected("kvm-arm.mode=nested"));
	assert_false(host_cmdline_protected(""));
}

/* On whatever host this runs: complete, and a host without VMs says why. */
static void test_probe(void **state)
{
	struct host_info info;

	assert_int_equal(host_probe(&info), 0);
	assert_non_null(info.hostname);
	assert_true(info.cpus > 0);
	assert_true(info.memory > 0);
	assert_non_null(info.virt_mode);
	if (strcmp(info.virt_mode, "none") == 0)
		assert_non_null(info.virt_detail);
	if (strcmp(info.arch, "aarch64") != 0)
		assert_string_equal(info.virt_mode, "none");
	schema_clear(&host_schema, &info);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_cmdline),
		cmocka_unit_test(test_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
