/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hotplug with a real guest on real KVM: disks and NICs come and go while Linux runs. The guest is a
 * kernel and an initramfs whose init says GUEST-UP and then runs what it is typed as shell commands
 * (tests/lab/e2e/init.sh): TEST_KERNEL and TEST_INITRD in the environment. Skipped without.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "vmm/arch/machine.h"
#include "vmm/arch/vcpu_crew.h"
#include "vmm/base/macro.h"
#include "vmm/base/thread.h"
#include "vmm/virtio/virtio.h"

#define TIMEOUT_SECONDS 1200 /* the emulated server is slow; nothing is judged by it */
#define PATIENCE        120 /* seconds that a guest has to let go */

struct rig {
	struct loop *main, *io;
	pthread_t io_thread;
	struct console *console;
	struct vm_config config;
	struct vm_files files;
	struct vcpu_crew *crew;
	struct machine *machine;
	struct loop_source terminal;
	char output[64 * 1024];
	size_t n_output, seen;
	bool ended;
	int detached; /* what the last detachment ended with; 1: none has */
};

static void on_output(struct loop_source *src, uint32_t events)
{
	struct rig *rig = container_of(src, struct rig, terminal);
	size_t room = sizeof(rig->output) - 1 - rig->n_output;
	ssize_t n = read(src->fd, rig->output + rig->n_output, room);

	assert_true(room > 0);
	if (n > 0)
		rig->n_output += (size_t)n;
	rig->output[rig->n_output] = '\0';
	loop_quit(rig->main);
}

static void on_event(void *ctx, enum vcpu_event event, const struct hvd_error *err)
{
	struct rig *rig = ctx;

	rig->ended = true;
	loop_quit(rig->main);
}

static void on_detached(void *ctx, int r, const struct hvd_error *err)
{
	struct rig *rig = ctx;

	assert_int_equal(r < 0, err != NULL);
	rig->detached = r;
	loop_quit(rig->main);
}

static void on_thread(void *ctx)
{
}

/* Until the guest has said this, behind what it was expected to say before. */
static void expect(struct rig *rig, const char *text)
{
	const char *found;

	while (!(found = strstr(rig->output + rig->seen, text))) {
		if (rig->ended)
			fail_msg("the guest has ended: %s", rig->output);
		loop_run(rig->main);
	}
	rig->seen = (size_t)(found - rig->output) + strlen(text);
}

static void type(struct rig *rig, const char *line)
{
	assert_int_equal(write(rig->terminal.fd, line, strlen(line)), strlen(line));
}

/* Until the guest's shell finds the condition true; the answer is not in what is typed. */
static void wait_for(struct rig *rig, const char *condition)
{
	char line[512];

	snprintf(line, sizeof(line), "while ! %s; do sleep 0.2; done; echo IT-IS-$((40 + 2))\n", condition);
	type(rig, line);
	expect(rig, "IT-IS-42");
}

static void *run_io(void *arg)
{
	loop_run(arg);
	return NULL;
}

struct started {
	struct loop_work work;
	sem_t sem;
};

static void on_started(struct loop_work *work)
{
	sem_post(&container_of(work, struct started, work)->sem);
}

/* While the loop does not run yet, calls to it run on the caller's thread. */
static void start_io(struct rig *rig)
{
	struct started started = { .work.fn = on_started };

	sem_init(&started.sem, 0, 0);
	loop_post(rig->io, &started.work);
	assert_int_equal(thread_start(&rig->io_thread, "io", run_io, rig->io), 0);
	while (sem_wait(&started.sem) < 0)
		;
	sem_destroy(&started.sem);
}

static void open_terminal(struct rig *rig)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(console_attach(rig->console, ends[0], true, NULL), 0);
	rig->terminal = (struct loop_source){ .fd = ends[1], .fn = on_output };
	assert_int_equal(loop_add(rig->main, &rig->terminal, EPOLLIN), 0);
}

static void boot(struct rig *rig, const char *parameters)
{
	static char cmdline[256];
	struct machine_args args = {
		.config = &rig->config,
		.files = &rig->files,
		.main = rig->main,
		.io = rig->io,
		.loops = &rig->io,
		.n_loops = 1,
		.console = rig->console,
		.crew = rig->crew,
		.on_event = on_event,
		.ctx = rig,
	};
	struct hvd_error err = { 0 };

	snprintf(cmdline, sizeof(cmdline), "console=ttyAMA0 quiet panic=-1 do=idle %s", parameters);
	rig->config.boot.cmdline = cmdline;
	if (machine_new(&args, &rig->machine, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
	machine_run(rig->machine);
	expect(rig, "GUEST-UP");
}

static int set_up(void **state)
{
	static struct rig rig;

	alarm(TIMEOUT_SECONDS);
	memset(&rig, 0, sizeof(rig));
	rig.detached = 1;
	rig.config = (struct vm_config){
		.vcpus = 1, .memory = 128 * MIB, .hotplug_ports = 2, .rng = true,
	};
	rig.files = VM_FILES_INIT;
	rig.files.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	rig.files.kernel = open(getenv("TEST_KERNEL"), O_RDONLY | O_CLOEXEC);
	rig.files.initrd = open(getenv("TEST_INITRD"), O_RDONLY | O_CLOEXEC);
	assert_true(rig.files.kernel >= 0 && rig.files.initrd >= 0);
	assert_int_equal(loop_new(&rig.main), 0);
	assert_int_equal(loop_new(&rig.io), 0);
	start_io(&rig);
	assert_int_equal(console_new(rig.main, &rig.console), 0);
	kvm_kick_signal_install();
	assert_int_equal(vcpu_crew_new(rig.config.vcpus, on_thread, &rig, &rig.crew, NULL), 0);
	open_terminal(&rig);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	machine_free(rig->machine);
	vcpu_crew_free(rig->crew);
	loop_quit(rig->io);
	pthread_join(rig->io_thread, NULL);
	loop_remove(&rig->terminal);
	console_free(rig->console);
	close(rig->terminal.fd);
	loop_free(rig->io);
	loop_free(rig->main);
	vm_files_close(&rig->files);
	return 0;
}

static int disk_file(uint64_t size)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static int attach_disk(struct rig *rig, const char *id, int fd, struct hvd_error *err)
{
	static char path[] = "a disk";
	char name[VM_ID_MAX + 1];
	struct disk_config disk = { .id = name, .path = path, .cache = DISK_CACHE_WRITEBACK };

	snprintf(name, sizeof(name), "%s", id);
	return machine_attach_disk(rig->machine, &disk, fd, err);
}

static void wait_detached(struct rig *rig, int expected)
{
	while (rig->detached == 1)
		loop_run(rig->main);
	assert_int_equal(rig->detached, expected);
	rig->detached = 1;
}

static int detach(struct rig *rig, uint16_t type, const char *id, unsigned seconds,
		  struct hvd_error *err)
{
	return machine_detach(rig->machine, type, id, seconds, on_detached, rig, err);
}

static void disks_come_and_go(void **state)
{
	struct rig *rig = *state;
	AUTO(close) int fd = disk_file(8 * MIB);
	char text[8] = { 0 };

	boot(rig, "");
	for (int round = 0; round < 2; round++) {
		assert_int_equal(attach_disk(rig, "vdx", fd, NULL), 0);
		wait_for(rig, "[ -b /dev/vda ]");
		wait_for(rig, "[ $(cat /sys/block/vda/size) = 16384 ]");
		type(rig, "printf written | dd of=/dev/vda conv=fsync 2>/dev/null; echo DONE-$((1 + 1))\n");
		expect(rig, "DONE-2");
		assert_int_equal(pread(fd, text, 7, 0), 7);
		assert_string_equal(text, "written");
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(ftruncate(fd, 8 * MIB), 0);

		assert_int_equal(detach(rig, VIRTIO_ID_BLOCK, "vdx", PATIENCE, NULL), 0);
		assert_int_equal(detach(rig, VIRTIO_ID_BLOCK, "vdx", PATIENCE, NULL), -EBUSY);
		wait_detached(rig, 0);
		wait_for(rig, "[ ! -e /sys/block/vda ]");
		assert_int_equal(detach(rig, VIRTIO_ID_BLOCK, "vdx", PATIENCE, NULL), -ENOENT);
	}
}

static void as_many_as_there_are_ports(void **state)
{
	struct rig *rig = *state;
	AUTO(close) int fd = disk_file(1 * MIB);
	struct hvd_error err = { 0 };

	boot(rig, "");
	assert_int_equal(attach_disk(rig, "a", fd, NULL), 0);
	assert_int_equal(attach_disk(rig, "a", fd, &err), -EEXIST);
	assert_string_equal(err.field, "id");
	assert_int_equal(attach_disk(rig, "b", fd, NULL), 0);
	assert_int_equal(attach_disk(rig, "c", fd, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "hotplug_ports"));
	wait_for(rig, "[ -b /dev/vda -a -b /dev/vdb ]");

	/* torn out: the guest sees it go, and the place is free */
	assert_int_equal(detach(rig, VIRTIO_ID_BLOCK, "a", 0, NULL), 1);
	wait_for(rig, "[ $(ls -d /sys/block/vd? | wc -l) = 1 ]");
	assert_int_equal(attach_disk(rig, "c", fd, NULL), 0);
	wait_for(rig, "[ $(ls -d /sys/block/vd? | wc -l) = 2 ]");

	/* with a request on its way, for which Linux may wait in vain: but the guest goes on */
	type(rig, "dd if=/dev/vda of=/dev/null bs=4k iflag=direct 2>/dev/null &\n");
	assert_int_equal(detach(rig, VIRTIO_ID_BLOCK, "c", 0, NULL), 1);
	wait_for(rig, "true");
	assert_int_equal(rig->detached, 1);
}

static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void nics_come_and_go(void **state)
{
	static char id[] = "net7";
	struct nic_config nic = { .id = id, .mac = { 0x52, 0x54, 0, 0, 0, 0x77 } };
	struct rig *rig = *state;
	struct nic_files files = NIC_FILES_INIT;

	files.tap[0] = open_tap("hvdtest0");
	boot(rig, "");
	assert_int_equal(machine_attach_nic(rig->machine, &nic, &files, NULL), 0);
	nic_files_close(&files);
	wait_for(rig, "grep -q 52:54:00:00:00:77 /sys/class/net/eth0/address");
	type(rig, "ip link set eth0 up\n");
	wait_for(rig, "[ $(cat /sys/class/net/eth0/carrier) = 1 ]");
	assert_int_equal(detach(rig, VIRTIO_ID_NET, "net7", PATIENCE, NULL), 0);
	wait_detached(rig, 0);
	wait_for(rig, "[ ! -e /sys/class/net/eth0 ]");
}

/* A guest without the driver: asked in vain, and the disk stays usable. */
static void a_guest_that_does_not_let_go(void **state)
{
	struct rig *rig = *state;
	static struct disk_config disk;
	static char id[] = "vda", path[] = "a disk";

	disk = (struct disk_config){ .id = id, .path = path, .cache = DISK_CACHE_WRITEBACK };
	rig->config.disks = &disk;
	rig->config.n_disks = 1;
	rig->files.disks[0] = disk_file(1 * MIB);
	boot(rig, "pcie_ports=compat");
	assert_int_equal(detach(rig, VIRTIO_ID_BLOCK, "vda", 2, NULL), 0);
	wait_detached(rig, -ETIMEDOUT);
	type(rig, "dd if=/dev/vda of=/dev/null bs=4k iflag=direct 2>/dev/null && echo READ-$((1 + 1))\n");
	expect(rig, "READ-2");

	/* freed while it is asked again */
	assert_int_equal(detach(rig, VIRTIO_ID_BLOCK, "vda", PATIENCE, NULL), 0);
	rig->machine = machine_free(rig->machine);
	assert_int_equal(rig->detached, -ECANCELED);
}

static void while_it_is_paused(void **state)
{
	struct rig *rig = *state;
	AUTO(close) int fd = disk_file(1 * MIB);

	boot(rig, "");
	machine_hold(rig->machine);
	assert_int_equal(attach_disk(rig, "a", fd, NULL), 0);
	machine_run(rig->machine);
	wait_for(rig, "dd if=/dev/vda of=/dev/null bs=4k count=10 iflag=direct 2>/dev/null");
	machine_hold(rig->machine);
	assert_int_equal(detach(rig, VIRTIO_ID_BLOCK, "a", 0, NULL), 1);
	machine_run(rig->machine);
	wait_for(rig, "[ ! -e /sys/block/vda ]");
}

static void micro_has_no_hotplug(void **state)
{
	struct rig *rig = *state;
	AUTO(close) int fd = disk_file(1 * MIB);
	struct hvd_error err = { 0 };

	rig->config.profile = PROFILE_MICRO;
	boot(rig, "");
	assert_int_equal(attach_disk(rig, "a", fd, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "profile"));
	assert_int_equal(detach(rig, VIRTIO_ID_BLOCK, "a", 1, &err), -EOPNOTSUPP);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(disks_come_and_go),
		TEST(as_many_as_there_are_ports),
		TEST(nics_come_and_go),
		TEST(a_guest_that_does_not_let_go),
		TEST(while_it_is_paused),
		TEST(micro_has_no_hotplug),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0 || !getenv("TEST_KERNEL") || !getenv("TEST_INITRD")) {
		print_message("skipped: no KVM, or no guest in TEST_KERNEL and TEST_INITRD\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
