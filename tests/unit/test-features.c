/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/arch/features.h"

static const struct kvm_vcpu_features all = { true, true, true, true }, none;

static void auto_is_what_the_host_has(void **state)
{
	struct vm_config config = { 0 };
	struct kvm_vcpu_features f = none;

	assert_int_equal(features_choose(&config, &all, &f, NULL), 0);
	assert_true(f.pmu && f.sve && f.pauth && f.steal_time);
	assert_int_equal(features_choose(&config, &none, &f, NULL), 0);
	assert_false(f.pmu || f.sve || f.pauth || f.steal_time);
}

static void micro_has_what_costs_only_when_asked(void **state)
{
	struct vm_config config = { .profile = PROFILE_MICRO };
	struct kvm_vcpu_features f = none;

	assert_int_equal(features_choose(&config, &all, &f, NULL), 0);
	assert_true(!f.pmu && f.sve && f.pauth && !f.steal_time);
	config.features.pmu = FEATURE_ON;
	assert_int_equal(features_choose(&config, &all, &f, NULL), 0);
	assert_true(f.pmu);
}

static void off_is_off(void **state)
{
	struct vm_config config = { .features = { FEATURE_OFF, FEATURE_OFF, FEATURE_OFF, FEATURE_OFF } };
	struct kvm_vcpu_features f = all;

	assert_int_equal(features_choose(&config, &all, &f, NULL), 0);
	assert_false(f.pmu || f.sve || f.pauth || f.steal_time);
}

static void on_needs_the_host(void **state)
{
	struct vm_config config = { .features.sve = FEATURE_ON };
	const struct kvm_vcpu_features no_sve = { true, false, true, true };
	struct kvm_vcpu_features f = none;
	struct hvd_error err = { 0 };

	assert_int_equal(features_choose(&config, &no_sve, &f, &err), -EOPNOTSUPP);
	assert_string_equal(err.field, "features.sve");
	assert_non_null(strstr(err.msg, "KVM_CAP_ARM_SVE"));
	assert_false(f.pmu); /* untouched */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_is_what_the_host_has),
		cmocka_unit_test(micro_has_what_costs_only_when_asked),
		cmocka_unit_test(off_is_off),
		cmocka_unit_test(on_needs_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
