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

static struct network_static_lease leases[] = {
	{ .mac = { 0x52, 0x54, 0, 0, 0, 7 }, .address = (char *)"10.9.0.7" },
	{ .mac = { 0x52, 0x54, 0, 0, 0, 8 }, .address = (char *)"10.9.0.8" },
};

static struct network_config config = {
	.name = (char *)"lan",
	.mode = NETWORK_NAT,
	.bridge = (char *)"br9",
	.address = (char *)"10.9.0.1/24",
	.dhcp = true,
};

static void has(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("no \"%s\" in:\n%s", line, text);
}

static void lacks(const char *text, const char *line)
{
	if (strstr(text, line))
		fail_msg("\"%s\" in:\n%s", line, text);
}

static char *network_text(const struct network_config *network)
{
	char *text = NULL;

	assert_int_equal(networkd_network_text(network, &text), 0);
	return text;
}

static void test_nat(void **state)
{
	AUTO(free) char *netdev = NULL, *network = network_text(&config);

	assert_int_equal(networkd_netdev_text(&config, &netdev), 0);
	has(netdev, "\n[NetDev]\nName=br9\nKind=bridge\n");
	lacks(netdev, "MTUBytes");
	has(network, "\n[Match]\nName=br9\n");
	has(network, "\nAddress=10.9.0.1/24\n");
	has(network, "\nDHCPServer=yes\n");
	has(network, "\nIPMasquerade=ipv4\n");
	has(network, "\nConfigureWithoutCarrier=yes\n");
	lacks(network, "PoolOffset");
	lacks(network, "RoutingPolicyRule");
}

static void test_dhcp(void **state)
{
	struct network_config other = config;
	AUTO(free) char *text = NULL, *netdev = NULL, *none = NULL, *open_start = NULL;

	other.dhcp_start = (char *)"10.9.0.100";
	other.dhcp_end = (char *)"10.9.0.199";
	other.dns = (char *)"10.1.1.1";
	other.mtu = 9000;
	other.static_leases = leases;
	other.n_static_leases = 2;
	text = network_text(&other);
	has(text, "\nPoolOffset=100\nPoolSize=100\n");
	has(text, "\nDNS=10.1.1.1\n");
	has(text, "\nSendOption=26:uint16:9000\n");
	has(text, "\n[DHCPServerStaticLease]\nMACAddress=52:54:00:00:00:07\nAddress=10.9.0.7\n");
	has(text, "\nMACAddress=52:54:00:00:00:08\nAddress=10.9.0.8\n");
	assert_int_equal(networkd_netdev_text(&other, &netdev), 0);
	has(netdev, "\nMTUBytes=9000\n");

	other.dhcp_start = NULL;
	open_start = network_text(&other);
	has(open_start, "\nPoolOffset=1\nPoolSize=199\n");

	other.dhcp = false;
	none = network_text(&other);
	has(none, "\nDHCPServer=no\n");
	lacks(none, "[DHCPServer]");
}

static void test_isolated(void **state)
{
	struct network_config other = config;
	AUTO(free) char *text = NULL;

	other.mode = NETWORK_ISOLATED;
	other.address6 = (char *)"fd00:9::1/64";
	text = network_text(&other);
	has(text, "\nIPForward=no\nIPMasquerade=no\n");
	has(text, "\nEmitRouter=no\nEmitDNS=no\n");
	has(text, "\n[IPv6SendRA]\nRouterLifetimeSec=0\n");
	/* what comes in is not passed on, and only the host reaches the subnet */
	has(text, "\nFamily=ipv4\nPriority=1701\nIncomingInterface=br9\nType=prohibit\n");
	has(text, "\nFamily=ipv4\nPriority=1701\nIncomingInterface=lo\nTo=10.9.0.0/24\n");
	has(text, "\nFamily=ipv4\nPriority=1702\nTo=10.9.0.0/24\nType=prohibit\n");
	has(text, "\nFamily=ipv6\nPriority=1702\nTo=fd00:9::/64\nType=prohibit\n");
}

static void test_routed(void **state)
{
	struct network_config other = config;
	AUTO(free) char *text = NULL, *both = NULL;

	other.mode = NETWORK_ROUTED;
	other.address = (char *)"10.9.77.5/19";
	text = network_text(&other);
	has(text, "\nIPForward=ipv4\nIPMasquerade=no\n");
	lacks(text, "EmitRouter");
	lacks(text, "IPv6Prefix");

	other.mode = NETWORK_NAT;
	other.address6 = (char *)"fd00:9:0:0:8000::1/65";
	both = network_text(&other);
	has(both, "\nIPForward=yes\nIPMasquerade=both\n");
	has(both, "\nLinkLocalAddressing=ipv6\n");
	has(both, "\nIPv6SendRA=yes\n");
	has(both, "\n[IPv6Prefix]\nPrefix=fd00:9:0:0:8000::/65\n");
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
	other.mode = NETWORK_ROUTED;
	assert_int_equal(networkd_write(folder, &other, &err), 1);

	/* networkd is not root */
	scene_path(scene, "network/70-hvd-lan.network", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_true(scene_exists(scene, "network/70-hvd-lan.netdev"));

	assert_true(networkd_has(folder, "lan"));
	assert_int_equal(networkd_remove(folder, "lan", &err), 1);
	assert_int_equal(networkd_remove(folder, "lan", &err), 0);
	assert_false(networkd_has(folder, "lan"));
	assert_false(scene_exists(scene, "network/70-hvd-lan.netdev"));

	assert_true(networkd_write("/nonexistent/folder", &config, &err) < 0);
	has(err.msg, "/nonexistent/folder");
}

static int append(void *ctx, const char *name)
{
	return sprintf((char *)ctx + strlen(ctx), "%s ", name);
}

static void test_each(void **state)
{
	struct scene *scene = *state;
	char folder[256], names[64] = "";
	struct hvd_error err = { 0 };

	scene_path(scene, "network", folder);
	assert_int_equal(networkd_each(folder, append, names), 0); /* no folder */
	assert_int_equal(networkd_write(folder, &config, &err), 1);
	scene_write(scene, "network/10-eth0.network", "");
	scene_write(scene, "network/70-hvd-lan.conf", "");
	assert_true(networkd_each(folder, append, names) > 0);
	assert_string_equal(names, "lan lan "); /* one for each of the two files */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scene_set_up, scene_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nat), cmocka_unit_test(test_dhcp),
		cmocka_unit_test(test_isolated), cmocka_unit_test(test_routed),
		TEST(test_write), TEST(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
