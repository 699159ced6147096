/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/manager.h"
#include "daemon/unit.h"
#include "daemon/unit_properties.h"
#include "tests/unit/peers.h"
#include "vmm/base/macro.h"

#define PROPERTIES_MAX 96

/* What was appended, in order: names, and values where they are numbers. */
struct properties {
	size_t n;
	struct {
		char name[40], type[24];
		uint64_t number;
	} all[PROPERTIES_MAX];
};

static void read_properties(sd_bus_message *m, struct properties *p)
{
	memset(p, 0, sizeof(*p));
	assert_true(sd_bus_message_enter_container(m, 'a', "(sv)") > 0);
	while (sd_bus_message_enter_container(m, 'r', "sv") > 0) {
		const char *name, *type;

		assert_true(p->n < PROPERTIES_MAX);
		assert_true(sd_bus_message_read(m, "s", &name) > 0);
		assert_true(sd_bus_message_peek_type(m, NULL, &type) > 0);
		snprintf(p->all[p->n].name, sizeof(p->all[0].name), "%s", name);
		snprintf(p->all[p->n].type, sizeof(p->all[0].type), "%s", type);
		if (strcmp(type, "t") == 0)
			assert_true(sd_bus_message_read(m, "v", "t", &p->all[p->n].number) > 0);
		else
			assert_true(sd_bus_message_skip(m, "v") > 0);
		assert_true(sd_bus_message_exit_container(m) > 0);
		p->n++;
	}
}

static int find(const struct properties *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->all[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void check_number(const struct properties *p, const char *name, uint64_t value)
{
	int i = find(p, name);

	if (i < 0)
		fail_msg("no %s", name);
	assert_string_equal(p->all[i].type, "t");
	assert_int_equal(p->all[i].number, value);
}

static void limits(const struct resources_config *resources, bool reset, struct properties *ret)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL, *got = NULL;
	struct peers peers;

	assert_int_equal(peers_open(&peers), 0);
	assert_int_equal(peers_message(&peers, &m), 0);
	assert_true(sd_bus_message_open_container(m, 'a', "(sv)") >= 0);
	assert_true(unit_append_limits(m, resources, reset) >= 0);
	assert_true(sd_bus_message_close_container(m) >= 0);
	assert_int_equal(peers_pass(&peers, m, &got), 0);
	read_properties(got, ret);
	m = sd_bus_message_unref(m);
	got = sd_bus_message_unref(got);
	peers_close(&peers);
}

static void test_limits(void **state)
{
	const struct resources_config none = { 0 };
	const struct resources_config some = {
		.cpu_weight = 50,
		.cpu_quota = 150,
		.memory_high = 256 * MIB,
		.memory_max = 512 * MIB,
		.io_weight = 20,
		.cpuset = (char *)"1,9",
	};
	struct properties p;

	limits(&none, false, &p);
	assert_int_equal(p.n, 0);

	limits(&some, false, &p);
	assert_int_equal(p.n, 6);
	check_number(&p, "CPUWeight", 50);
	check_number(&p, "CPUQuotaPerSecUSec", 1500000);
	check_number(&p, "MemoryHigh", 256 * MIB);
	check_number(&p, "MemoryMax", 512 * MIB);
	check_number(&p, "IOWeight", 20);
	assert_string_equal(p.all[find(&p, "AllowedCPUs")].type, "ay");

	/* what a running unit had is taken away */
	limits(&none, true, &p);
	assert_int_equal(p.n, 6);
	check_number(&p, "CPUWeight", UINT64_MAX);
	check_number(&p, "MemoryMax", UINT64_MAX);
	assert_true(find(&p, "AllowedCPUs") >= 0);
}

static void test_service(void **state)
{
	static const char *const wanted[] = { "ExecStart", "StandardInputFileDescriptor", "DynamicUser",
					      "NoNewPrivileges", "PrivateNetwork", "RootDirectory",
					      "SystemCallFilter", "BindReadOnlyPaths",
					      "RestrictAddressFamilies", "LogExtraFields" };
	const struct manager_paths paths = { "/var/lib/hvd", "/run/hvd", "/usr/libexec/hvd-vmm",
					     "/run/systemd/network", "/usr/libexec/hvd-xml" };
	const struct vm_config config = { .name = (char *)"demo", .vcpus = 4 };
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	struct properties p;
	struct peers peers;

	assert_int_equal(peers_open(&peers), 0);
	assert_int_equal(peers_message(&peers, &m), 0);
	assert_true(sd_bus_message_open_container(m, 'a', "(sv)") >= 0);
	assert_true(unit_append_service(m, &config, &paths, 0) >= 0);
	assert_true(sd_bus_message_close_container(m) >= 0);
	assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
	assert_true(sd_bus_message_rewind(m, true) >= 0);
	read_properties(m, &p);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (find(&p, wanted[i]) < 0)
			fail_msg("no %s", wanted[i]);
	check_number(&p, "CapabilityBoundingSet", 0);
	assert_true(p.all[find(&p, "TasksMax")].number > 4);
	m = sd_bus_message_unref(m);
	peers_close(&peers);
}

/* qemu-img: its end is the end of its start, and it has bounds. */
static void test_tool(void **state)
{
	static const char *const wanted[] = { "ExecStart", "StandardInputFileDescriptor", "DynamicUser",
					      "PrivateNetwork", "RootDirectory", "SystemCallFilter",
					      "BindReadOnlyPaths", "BindPaths", "MemorySwapMax", "IOWeight" };
	const struct manager_paths paths = { "/var/lib/hvd", "/run/hvd", "/usr/libexec/hvd-vmm",
					     "/run/systemd/network", "/usr/libexec/hvd-xml" };
	char *const argv[] = { (char *)"/usr/bin/qemu-img", NULL };
	const struct unit_storage_file files[] = { { "/a", "/image0", true } };
	const struct unit_tool tool = { .description = "Test", .argv = (char **)argv, .files = files,
					.n_files = 1, .timeout_sec = 30 };
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	struct properties p;
	struct peers peers;

	assert_int_equal(peers_open(&peers), 0);
	assert_int_equal(peers_message(&peers, &m), 0);
	assert_true(sd_bus_message_open_container(m, 'a', "(sv)") >= 0);
	assert_true(unit_append_tool(m, &paths, &tool) >= 0);
	assert_true(sd_bus_message_close_container(m) >= 0);
	assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
	assert_true(sd_bus_message_rewind(m, true) >= 0);
	read_properties(m, &p);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (find(&p, wanted[i]) < 0)
			fail_msg("no %s", wanted[i]);
	check_number(&p, "CapabilityBoundingSet", 2);
	check_number(&p, "MemoryMax", 1024 * MIB);
	/* the last of them holds */
	assert_string_equal(p.all[p.n - 2].name, "Type");
	assert_string_equal(p.all[p.n - 1].name, "TimeoutStartUSec");
	assert_int_equal(p.all[p.n - 1].number, 30000000);
	m = sd_bus_message_unref(m);
	peers_close(&peers);
}

static void test_failures(void **state)
{
	static const struct {
		struct unit_info info;
		const char *text;
	} cases[] = {
		{ { .result = "signal", .exec_code = CLD_KILLED, .exec_status = SIGKILL },
		  "hvd-vmm was killed by SIGKILL" },
		{ { .result = "core-dump", .exec_code = CLD_DUMPED, .exec_status = SIGSEGV },
		  "hvd-vmm was killed by SIGSEGV (it dumped core)" },
		{ { .result = "oom-kill", .exec_code = CLD_KILLED, .exec_status = SIGKILL },
		  "out of memory (memory_max is 256M)" },
		{ { .result = "exit-code", .exec_code = CLD_EXITED, .exec_status = 1 },
		  "hvd-vmm failed with status 1; see journalctl -u hvd-vm-demo" },
		{ { .result = "exit-code", .exec_code = CLD_EXITED, .exec_status = 3 },
		  "the guest panicked (on_crash is stop)" },
		{ { .result = "exit-code", .exec_code = CLD_EXITED, .exec_status = 4 },
		  "the guest did not keep its watchdog quiet (watchdog is stop)" },
		{ { .result = "exit-code", .exec_code = CLD_EXITED, .exec_status = 203 },
		  "systemd could not execute hvd-vmm (status 203); see journalctl -u hvd-vm-demo" },
		{ { .result = "resources" }, "systemd: resources" },
	};
	const struct vm_config config = { .name = (char *)"demo",
					  .resources.memory_max = 256 * MIB };
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unit_describe_failure(&cases[i].info, &config, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

static void test_name(void **state)
{
	char name[UNIT_NAME_MAX], longest[64];

	unit_name("demo", name);
	assert_string_equal(name, "hvd-vm-demo.service");
	memset(longest, 'x', 63);
	longest[63] = '\0';
	unit_name(longest, name);
	assert_string_equal(name + strlen(name) - 8, ".service");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_tool),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
