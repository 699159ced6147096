/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces, in a network namespace of the test's own: what a guest sends goes through a real kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "daemon/link_private.h"
#include "daemon/network_private.h"
#include "tests/unit/patience.h"
#include "vmm/nic_files.h"

#define HEADER    10 /* virtio-net header of a tap that nobody has set up otherwise */
#define ETHERTYPE 0x88b5 /* of local experiments */

static const uint8_t mac_a[6] = { 0x52, 0x54, 0, 0, 0, 0xa }, mac_b[6] = { 0x52, 0x54, 0, 0, 0, 0xb };
static const uint8_t last_byte_differs[6] = { 0x52, 0x54, 0, 0, 0, 0xc };
static const uint8_t first_byte_differs[6] = { 0x56, 0x54, 0, 0, 0, 0xa };

struct tap {
	struct nic_files files;
	char name[IFNAMSIZ];
};

static struct tap open_tap(void)
{
	struct nic_config nic = { 0 };
	struct tap tap;
	struct ifreq ifr;

	assert_int_equal(nic_files_open(&nic, 1, 0, &tap.files, NULL), 0);
	assert_int_equal(ioctl(tap.files.tap[0], TUNGETIFF, &ifr), 0);
	memcpy(tap.name, ifr.ifr_name, IFNAMSIZ);
	return tap;
}

static int index_of(const char *name)
{
	struct link link;

	assert_int_equal(link_find(name, &link), 0);
	return link.index;
}

static void make_bridge(const char *name)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request =
		link_request(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, 0);
	struct nlattr *info;

	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(request, info);
	assert_int_equal(link_talk(request, NULL, NULL), 0);
	assert_int_equal(link_set_up(index_of(name), 0), 0);
}

static void add_port(const char *bridge, const struct tap *tap, const struct link_port *port)
{
	struct hvd_error err = { 0 };

	if (link_add_port(bridge, tap->name, port, &err) < 0)
		fail_msg("%s", err.msg);
}

/* A broadcast frame from this address, with a number in it. */
static void send_frame(int fd, const uint8_t *from, uint8_t number)
{
	uint8_t frame[HEADER + 60] = { 0 };

	memset(frame + HEADER, 0xff, 6);
	memcpy(frame + HEADER + 6, from, 6);
	frame[HEADER + 12] = ETHERTYPE >> 8;
	frame[HEADER + 13] = ETHERTYPE & 0xff;
	frame[HEADER + 14] = number;
	assert_int_equal(write(fd, frame, sizeof(frame)), sizeof(frame));
}

/* The number of the next such frame; what the kernel sends of itself is passed over. */
static uint8_t receive_frame(int fd)
{
	for (;;) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };
		uint8_t frame[2048];
		ssize_t n;

		assert_int_equal(poll(&pollfd, 1, PATIENCE_MS), 1);
		n = read(fd, frame, sizeof(frame));
		assert_true(n > 0);
		if (n >= HEADER + 15 && frame[HEADER + 12] == ETHERTYPE >> 8 &&
		    frame[HEADER + 13] == (ETHERTYPE & 0xff))
			return frame[HEADER + 14];
	}
}

/* A guest is on the bridge with the address that hvd has given it, and with no other. */
static void a_guest_keeps_its_address(void **state)
{
	struct tap a = open_tap(), b = open_tap();
	struct link link;

	make_bridge("br0");
	add_port("br0", &a, &(struct link_port){ .mac = mac_a, .alias = "hvd:vm/a/net0" });
	add_port("br0", &b, &(struct link_port){ .mtu = 1400 });
	assert_int_equal(link_find(a.name, &link), 0);
	assert_string_equal(link.alias, "hvd:vm/a/net0");
	assert_int_equal(link.master, index_of("br0"));
	assert_true(link.up);

	/* They go one behind the other, so that the last one shows what has become of the first. */
	send_frame(a.files.tap[0], last_byte_differs, 1);
	send_frame(a.files.tap[0], first_byte_differs, 2);
	send_frame(a.files.tap[0], mac_b, 3);
	send_frame(a.files.tap[0], mac_a, 4);
	assert_int_equal(receive_frame(b.files.tap[0]), 4);

	/* and when the filter goes, so may others */
	assert_int_equal(link_unfilter(index_of(a.name)), 0);
	send_frame(a.files.tap[0], mac_b, 6);
	assert_int_equal(receive_frame(b.files.tap[0]), 6);
	assert_int_equal(link_unfilter(index_of(a.name)), 0);
	assert_int_equal(link_filter_source(index_of(a.name), LINK_INGRESS, mac_b), 0);
	send_frame(a.files.tap[0], mac_a, 7);
	send_frame(a.files.tap[0], mac_b, 8);
	assert_int_equal(receive_frame(b.files.tap[0]), 8);

	/* without a filter any goes */
	send_frame(b.files.tap[0], last_byte_differs, 5);
	assert_int_equal(receive_frame(a.files.tap[0]), 5);

	nic_files_close(&a.files);
	nic_files_close(&b.files);
	assert_int_equal(link_delete(index_of("br0")), 0);
}

static void isolated_ports_do_not_meet(void **state)
{
	struct tap a = open_tap(), b = open_tap(), open = open_tap();

	make_bridge("br0");
	add_port("br0", &a, &(struct link_port){ .mac = mac_a, .isolated = true });
	add_port("br0", &b, &(struct link_port){ .mac = mac_b, .isolated = true });
	add_port("br0", &open, &(struct link_port){ 0 });
	send_frame(a.files.tap[0], mac_a, 1);
	assert_int_equal(receive_frame(open.files.tap[0]), 1);
	send_frame(open.files.tap[0], first_byte_differs, 2);
	assert_int_equal(receive_frame(b.files.tap[0]), 2);

	nic_files_close(&a.files);
	nic_files_close(&b.files);
	nic_files_close(&open.files);
	assert_int_equal(link_delete(index_of("br0")), 0);
}

static void what_is_no_bridge_is_refused(void **state)
{
	struct tap a = open_tap(), b = open_tap();
	struct hvd_error err = { 0 };
	struct link link;

	assert_int_equal(link_add_port("br0", a.name, &(struct link_port){ 0 }, &err), -ENODEV);
	assert_non_null(strstr(err.msg, "br0"));
	assert_int_equal(link_add_port(b.name, a.name, &(struct link_port){ 0 }, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "is not a bridge"));
	assert_false(link_is_bridge_up(b.name));
	assert_int_equal(link_find("none", &link), -ENODEV);
	assert_int_equal(link_delete(99999), 0);
	nic_files_close(&a.files);
	nic_files_close(&b.files);
}

static int count_kind(void *ctx, const struct link *link)
{
	*(unsigned *)ctx += strcmp(link->kind, "macvtap") == 0;
	return 0;
}

static unsigned macvtaps(void)
{
	unsigned n = 0;

	assert_int_equal(link_each(count_kind, &n), 0);
	return n;
}

static void macvtaps_come_and_go(void **state)
{
	struct tap lower = open_tap();
	struct link_macvtap wanted = { .parent = lower.name, .mac = mac_a, .alias = "hvd:vm/a/net0" };
	struct hvd_error err = { 0 };
	struct link first, second, found;

	if (link_make_macvtap(&wanted, &first, &err) == -EOPNOTSUPP)
		skip();
	assert_string_equal(first.name, "hvdm0");
	assert_int_equal(link_find("hvdm0", &found), 0);
	assert_string_equal(found.kind, "macvtap");
	assert_string_equal(found.alias, "hvd:vm/a/net0");
	assert_true(found.up);

	/* an address is one guest's */
	assert_int_equal(link_make_macvtap(&wanted, &second, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "has this MAC address"));
	assert_int_equal(macvtaps(), 1);
	wanted.mac = mac_b;
	wanted.mode = NIC_MODE_PASSTHROUGH;
	assert_int_equal(link_make_macvtap(&wanted, &second, &err), -EBUSY);
	assert_int_equal(macvtaps(), 1);
	wanted.mode = NIC_MODE_PRIVATE;
	assert_int_equal(link_make_macvtap(&wanted, &second, &err), 0);
	assert_string_equal(second.name, "hvdm1");

	assert_int_equal(link_delete(first.index), 0);
	assert_int_equal(link_delete(second.index), 0);
	wanted.mode = NIC_MODE_PASSTHROUGH;
	assert_int_equal(link_make_macvtap(&wanted, &first, &err), 0);
	nic_files_close(&lower.files);
	assert_int_equal(macvtaps(), 0);

	wanted.parent = "none";
	assert_int_equal(link_make_macvtap(&wanted, &first, &err), -ENODEV);
	assert_non_null(strstr(err.msg, "no interface none"));
}

static struct nic_files open_macvtap(const struct link *link)
{
	char parent[] = "x";
	struct nic_config nic = { .interface = parent };
	struct nic_files files = NIC_FILES_INIT;
	struct ifreq ifr;

	/* its device has the number that it has here, which another may have outside */
	if (nic_files_open(&nic, 2, (unsigned)link->index, &files, NULL) >= 0 &&
	    ioctl(files.tap[1], TUNGETIFF, &ifr) == 0 && strcmp(ifr.ifr_name, link->name) == 0)
		return files;
	nic_files_close(&files);
	return files;
}

static void a_guest_keeps_its_address_on_a_macvtap(void **state)
{
	struct tap lower = open_tap();
	struct link_macvtap wanted = { .parent = lower.name, .mac = mac_a, .filter = true, .alias = "x" };
	struct hvd_error err = { 0 };
	struct nic_files files;
	struct link link;

	assert_int_equal(link_set_up(index_of(lower.name), 0), 0);
	if (link_make_macvtap(&wanted, &link, &err) == -EOPNOTSUPP)
		skip();
	files = open_macvtap(&link);
	if (files.tap[0] < 0) {
		nic_files_close(&lower.files);
		skip();
	}
	send_frame(files.tap[0], last_byte_differs, 1);
	send_frame(files.tap[0], mac_b, 2);
	send_frame(files.tap[0], mac_a, 3);
	assert_int_equal(receive_frame(lower.files.tap[0]), 3);
	nic_files_close(&files);
	nic_files_close(&lower.files);
}

static void set_address(const char *name, const char *text, const char *mask)
{
	AUTO(close) int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	struct sockaddr_in *address = (struct sockaddr_in *)&ifr.ifr_addr;

	strcpy(ifr.ifr_name, name);
	address->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, text, &address->sin_addr), 1);
	assert_int_equal(ioctl(sock, SIOCSIFADDR, &ifr), 0);
	assert_int_equal(inet_pton(AF_INET, mask, &address->sin_addr), 1);
	assert_int_equal(ioctl(sock, SIOCSIFNETMASK, &ifr), 0);
}

static void a_subnet_of_the_host_is_refused(void **state)
{
	struct tap tap = open_tap();
	char bridge[] = "br0", inside[] = "10.9.8.1/24", around[] = "10.0.0.1/8", beside[] = "10.10.0.1/16";
	struct network_config config = { .bridge = bridge, .address = inside };
	struct hvd_error err = { 0 };

	assert_int_equal(link_set_up(index_of(tap.name), 0), 0);
	set_address(tap.name, "10.9.0.1", "255.255.0.0");
	assert_int_equal(network_check_routes(&config, &err), -EBUSY);
	assert_string_equal(err.field, "address");
	assert_non_null(strstr(err.msg, "10.9.0.0/16"));
	assert_non_null(strstr(err.msg, tap.name));
	config.address = around;
	assert_int_equal(network_check_routes(&config, &err), -EBUSY);
	config.address = beside;
	assert_int_equal(network_check_routes(&config, &err), 0);

	/* its own bridge has it, of course */
	config.address = inside;
	config.bridge = tap.name;
	assert_int_equal(network_check_routes(&config, &err), 0);
	nic_files_close(&tap.files);
}

static void make_rule(uint8_t family, uint32_t priority, const char *from, const char *to, uint8_t bits)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct fib_rule_hdr *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));
	uint8_t address[16];

	request->nlmsg_type = RTM_NEWRULE;
	request->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	head->family = family;
	head->action = FR_ACT_PROHIBIT;
	mnl_attr_put_u32(request, FRA_PRIORITY, priority);
	mnl_attr_put_u8(request, FRA_PROTOCOL, RTPROT_STATIC);
	if (from)
		mnl_attr_put_strz(request, FRA_IIFNAME, from);
	if (to) {
		assert_int_equal(inet_pton(family, to, address), 1);
		head->dst_len = bits;
		mnl_attr_put(request, FRA_DST, family == AF_INET ? 4 : 16, address);
	}
	assert_int_equal(link_talk(request, NULL, NULL), 0);
}

struct seen {
	char text[512];
	const char *keep;
};

static bool see_rule(void *ctx, const struct link_rule *rule)
{
	struct seen *seen = ctx;
	size_t len = strlen(seen->text);

	assert_int_equal(rule->protocol, RTPROT_STATIC);
	snprintf(seen->text + len, sizeof(seen->text) - len, "%u %s %s;", rule->priority, rule->from,
		 rule->to);
	return !seen->keep || strcmp(rule->from, seen->keep) == 0 || strcmp(rule->to, seen->keep) == 0;
}

static void assert_rules(const char *wanted)
{
	struct seen seen = { 0 };

	assert_int_equal(link_prune_rules(1000, 2000, see_rule, &seen), 0);
	assert_string_equal(seen.text, wanted);
}

/* Rules of other priorities stay, those of the range go if they are not kept, also with their bridge gone. */
static void rules_are_pruned(void **state)
{
	struct seen keep_one = { .keep = "10.7.0.0/24" }, keep_none = { .keep = "nothing" };

	make_rule(AF_INET, 999, "elsewhere", NULL, 0);
	make_rule(AF_INET, 1701, "gone0", NULL, 0);
	make_rule(AF_INET, 1702, NULL, "10.7.0.0", 24);
	make_rule(AF_INET6, 1702, NULL, "fd00:7::", 64);
	assert_rules("1701 gone0 ;1702  10.7.0.0/24;1702  fd00:7::/64;");
	assert_int_equal(link_prune_rules(1701, 1702, see_rule, &keep_one), 0);
	assert_rules("1702  10.7.0.0/24;");
	assert_int_equal(link_prune_rules(1701, 1702, see_rule, &keep_none), 0);
	assert_rules("");
	keep_none.text[0] = '\0';
	assert_int_equal(link_prune_rules(999, 999, see_rule, &keep_none), 0);
	assert_string_equal(keep_none.text, "999 elsewhere ;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_keeps_its_address),
		cmocka_unit_test(isolated_ports_do_not_meet),
		cmocka_unit_test(what_is_no_bridge_is_refused),
		cmocka_unit_test(macvtaps_come_and_go),
		cmocka_unit_test(a_guest_keeps_its_address_on_a_macvtap),
		cmocka_unit_test(a_subnet_of_the_host_is_refused),
		cmocka_unit_test(rules_are_pruned),
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		printf("needs root and /dev/net/tun: %s\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
