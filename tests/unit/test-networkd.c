/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "daemon/networkd.h"
#include "tests/unit/scene.h"

static struct network_config config = {
	.name = (char *)"lan",
	.bridge = (char *)"br9",
	.address = (char *)"10.9.0.1/24",
	.dhcp = true,
	.nat = true,
};

static void has(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("no \"%s\" in:\n%s", line, text);
}

static void test_texts(void **state)
{
	AUTO(free) char *netdev = NULL, *network = NULL, *closed = NULL;
	struct network_config isolated = config;

	assert_int_equal(networkd_netdev_text(&config, &netdev), 0);
	has(netdev, "\n[NetDev]\nName=br9\nKind=bridge\n");
	assert_int_equal(networkd_network_text(&config, &network), 0);
	has(network, "\n[Match]\nName=br9\n");
	has(network, "\nAddress=10.9.0.1/24\n");
	has(network, "\nDHCPServer=yes\n");
	has(network, "\nIPMasquerade=ipv4\n");
	has(network, "\nConfigureWithoutCarrier=yes\n");

	isolated.dhcp = isolated.nat = false;
	assert_int_equal(networkd_network_text(&isolated, &closed), 0);
	has(closed, "\nDHCPServer=no\n");
	has(closed, "\nIPMasquerade=no\n");
}

static void test_write(void **state)
{
	struct scene *scene = *state;
	struct network_config other = config;
	struct hvd_error err = { 0 };
	char folder[256], path[256];
	struct stat st;

	scene_path(scene, "network", folder);
	assert_int_equal(networkd_write(folder, &config, &err), 1);
	assert_int_equal(networkd_write(folder, &config, &err), 0); /* as it was */
	other.nat = false;
	assert_int_equal(networkd_write(folder, &other, &err), 1);

	/* networkd is not root */
	scene_path(scene, "network/70-hvd-lan.network", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_true(scene_exists(scene, "network/70-hvd-lan.netdev"));

	assert_true(networkd_write("/nonexistent/folder", &config, &err) < 0);
	has(err.msg, "/nonexistent/folder");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scene_set_up, scene_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_texts), TEST(test_write) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
