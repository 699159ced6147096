/* SPDX-License-Identifier: Apache-2.0 */
/* Taps and vhost-net descriptors, in a network namespace of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "vmm/base/cleanup.h"
#include "vmm/nic_files.h"

static int flags_of(int tap, char name[static IFNAMSIZ])
{
	struct ifreq ifr = { 0 };

	assert_int_equal(ioctl(tap, TUNGETIFF, &ifr), 0);
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return (unsigned short)ifr.ifr_flags;
}

static int mtu_of(const char *name)
{
	AUTO(close) int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(sock, SIOCGIFMTU, &ifr), 0);
	return ifr.ifr_mtu;
}

/* One that stays when nobody has it, as `ip tuntap add` makes it. */
static void make_tap(const char *name, int flags)
{
	AUTO(close) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags) };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
}

static unsigned count(const int fds[static VM_MAX_NIC_QUEUES])
{
	unsigned n = 0;

	for (unsigned i = 0; i < VM_MAX_NIC_QUEUES; i++)
		n += fds[i] >= 0;
	return n;
}

static void a_new_tap_has_queues_and_an_mtu(void **state)
{
	struct nic_config nic = { .mtu = 9000 };
	char name[IFNAMSIZ], second[IFNAMSIZ];
	struct nic_files files;

	assert_int_equal(nic_files_open(&nic, 3, 0, &files, NULL), 0);
	assert_int_equal(count(files.tap), 3);
	assert_int_equal(count(files.vhost), 0);
	assert_true(flags_of(files.tap[0], name) & IFF_MULTI_QUEUE);
	flags_of(files.tap[2], second);
	assert_string_equal(name, second);
	assert_int_equal(mtu_of(name), 9000);
	nic_files_close(&files);
	assert_int_equal(if_nametoindex(name), 0);
	assert_int_equal(count(files.tap), 0);

	assert_int_equal(nic_files_open(&nic, 1, 0, &files, NULL), 0);
	assert_false(flags_of(files.tap[0], name) & IFF_MULTI_QUEUE);
	nic_files_close(&files);
}

static void a_tap_that_is_there_is_taken_as_it_is(void **state)
{
	char single[] = "one", several[] = "many";
	struct nic_config nic = { .tap = single, .mtu = 9000 };
	struct hvd_error err = { 0 };
	struct nic_files files, more;
	char name[IFNAMSIZ];

	make_tap(single, 0);
	make_tap(several, IFF_MULTI_QUEUE);
	assert_int_equal(nic_files_open(&nic, 1, 0, &files, NULL), 0);
	assert_int_equal(mtu_of(single), 1500);
	assert_int_equal(nic_files_open(&nic, 1, 0, &more, &err), -EBUSY);
	assert_string_equal(err.field, "tap");
	nic_files_close(&files);

	assert_int_equal(nic_files_open(&nic, 2, 0, &files, &err), -EINVAL);
	assert_string_equal(err.field, "queues");
	assert_non_null(strstr(err.msg, "multi_queue"));

	nic.tap = several;
	assert_int_equal(nic_files_open(&nic, 1, 0, &files, NULL), 0);
	assert_true(flags_of(files.tap[0], name) & IFF_MULTI_QUEUE);
	nic_files_close(&files);
	assert_int_equal(nic_files_open(&nic, VM_MAX_NIC_QUEUES, 0, &files, NULL), 0);
	assert_int_equal(count(files.tap), VM_MAX_NIC_QUEUES);
	nic_files_close(&files);
}

static void vhost_is_opened_or_explained(void **state)
{
	struct nic_config nic = { .backend = NIC_BACKEND_VHOST };
	struct hvd_error err = { 0 };
	struct nic_files files;

	if (access("/dev/vhost-net", R_OK | W_OK) == 0) {
		assert_int_equal(nic_files_open(&nic, 2, 0, &files, &err), 0);
		assert_int_equal(count(files.vhost), 2);
		nic_files_close(&files);
	} else {
		assert_true(nic_files_open(&nic, 2, 0, &files, &err) < 0);
		assert_string_equal(err.field, "backend");
		assert_non_null(strstr(err.msg, "vhost_net"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_tap_has_queues_and_an_mtu),
		cmocka_unit_test(a_tap_that_is_there_is_taken_as_it_is),
		cmocka_unit_test(vhost_is_opened_or_explained),
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "no network namespace or no /dev/net/tun\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
