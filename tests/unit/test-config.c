/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/config.h"

static void nic_queues_follow_vcpus(void **state)
{
	char name[] = "tap0";
	struct vm_config config = { .vcpus = 1 };
	struct nic_config nic = { 0 };

	assert_int_equal(vm_config_nic_queues(&config, &nic), 1);
	config.vcpus = 3;
	assert_int_equal(vm_config_nic_queues(&config, &nic), 3);
	config.vcpus = 64;
	assert_int_equal(vm_config_nic_queues(&config, &nic), 4);
	nic.tap = name;
	assert_int_equal(vm_config_nic_queues(&config, &nic), 1);
	nic.queues = 8;
	assert_int_equal(vm_config_nic_queues(&config, &nic), 8);
	nic.queues = 100;
	assert_int_equal(vm_config_nic_queues(&config, &nic), VM_MAX_NIC_QUEUES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nic_queues_follow_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
