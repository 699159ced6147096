/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/loop_device.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"
#include "vmm/files.h"

/* A folder with a kernel, a disk, a pipe and a folder in it. */
struct rig {
	char dir[32], kernel[48], disk[48], pipe[48], folder[48], none[48];
};

static void make_file(const char *path)
{
	AUTO(close) int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
}

static int set_up(void **state)
{
	static struct rig rig;

	strcpy(rig.dir, "files-XXXXXX");
	assert_non_null(mkdtemp(rig.dir));
	snprintf(rig.kernel, sizeof(rig.kernel), "%s/kernel", rig.dir);
	snprintf(rig.disk, sizeof(rig.disk), "%s/disk", rig.dir);
	snprintf(rig.pipe, sizeof(rig.pipe), "%s/pipe", rig.dir);
	snprintf(rig.folder, sizeof(rig.folder), "%s/folder", rig.dir);
	snprintf(rig.none, sizeof(rig.none), "%s/none", rig.dir);
	make_file(rig.kernel);
	make_file(rig.disk);
	assert_int_equal(mkfifo(rig.pipe, 0600), 0);
	assert_int_equal(mkdir(rig.folder, 0700), 0);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	unlink(rig->kernel);
	unlink(rig->disk);
	unlink(rig->pipe);
	rmdir(rig->folder);
	return rmdir(rig->dir);
}

static unsigned open_descriptors(void)
{
	AUTO(closedir) DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	return n;
}

static void expect_failure(const struct vm_config *config, int r, const char *field, const char *says)
{
	struct vm_files files = VM_FILES_INIT;
	struct hvd_error err = { 0 };
	unsigned before = open_descriptors();

	assert_int_equal(vm_files_open(config, NULL, NULL, &files, &err), r);
	assert_string_equal(err.field, field);
	assert_non_null(strstr(err.msg, says));
	assert_int_equal(files.kernel, -1);
	assert_int_equal(open_descriptors(), before);
}

static void boot_files_must_be_plain(void **state)
{
	struct rig *rig = *state;
	struct vm_config config = { .boot.kernel = rig->none };

	expect_failure(&config, -ENOENT, "boot.kernel", "none: No such file");
	config.boot.kernel = rig->folder;
	expect_failure(&config, -EISDIR, "boot.kernel", "is a directory");
	config.boot.kernel = rig->pipe;
	expect_failure(&config, -EINVAL, "boot.kernel", "is a pipe");
	config.boot.kernel = rig->kernel;
	config.boot.initrd = rig->none;
	expect_failure(&config, -ENOENT, "boot.initrd", "No such file");

	config.boot.initrd = NULL;
	config.boot.firmware = rig->none;
	expect_failure(&config, -ENOENT, "boot.firmware", "No such file");
	config.boot.firmware = rig->kernel;
	config.boot.nvram = rig->folder;
	expect_failure(&config, -EISDIR, "boot.nvram", "Is a directory");
}

static void disks_must_be_files_or_block_devices(void **state)
{
	struct rig *rig = *state;
	struct disk_config disks[2] = {
		{ .path = rig->disk, .cache = DISK_CACHE_WRITEBACK },
		{ .path = rig->none, .cache = DISK_CACHE_WRITEBACK },
	};
	struct vm_config config = { .boot.kernel = rig->kernel, .disks = disks, .n_disks = 2 };
	char null[] = "/dev/null";

	expect_failure(&config, -ENOENT, "disks[1].path", "No such file");
	disks[1].path = null;
	expect_failure(&config, -EINVAL, "disks[1].path", "is a character device");
	disks[1].cache = DISK_CACHE_NONE;
	expect_failure(&config, -EINVAL, "disks[1].path", "is a character device");
	disks[1].path = rig->folder;
	disks[1].read_only = true;
	expect_failure(&config, -EISDIR, "disks[1].path", "directory");
}

/* What another VM does to the disk. */
static void lock(int fd, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

/* Whether the VM could be built is a question of /dev/kvm; the disk was locked before. */
static int open_result(const struct vm_config *config, struct vm_files *files)
{
	int r = vm_files_open(config, NULL, NULL, files, NULL);
	AUTO(close) int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	return kvm < 0 && r == -errno ? 0 : r;
}

static void a_disk_in_use_is_refused(void **state)
{
	struct rig *rig = *state;
	struct disk_config disk = { .path = rig->disk, .cache = DISK_CACHE_WRITEBACK };
	struct vm_config config = { .disks = &disk, .n_disks = 1 };
	struct vm_files files = VM_FILES_INIT;
	AUTO(close) int other = open(rig->disk, O_RDWR | O_CLOEXEC);

	lock(other, F_WRLCK);
	expect_failure(&config, -EBUSY, "disks[0].path", "in use by another VM");
	disk.read_only = true;
	expect_failure(&config, -EBUSY, "disks[0].path", "in use by another VM");

	/* readers share it */
	lock(other, F_RDLCK);
	assert_int_equal(open_result(&config, &files), 0);
	vm_files_close(&files);
	disk.read_only = false;
	expect_failure(&config, -EBUSY, "disks[0].path", "in use by another VM");

	lock(other, F_UNLCK);
	assert_int_equal(open_result(&config, &files), 0);
	vm_files_close(&files);
	/* and nothing of it is left */
	lock(other, F_WRLCK);
}

static void one_disk_cannot_be_two(void **state)
{
	struct rig *rig = *state;
	struct disk_config disks[2] = {
		{ .path = rig->disk, .cache = DISK_CACHE_WRITEBACK },
		{ .path = rig->disk, .cache = DISK_CACHE_WRITEBACK },
	};
	struct vm_config config = { .disks = disks, .n_disks = 2 };

	expect_failure(&config, -EBUSY, "disks[1].path", "twice by this one");
}

static void a_device_in_use_is_refused(void **state)
{
	struct rig *rig = *state;
	char path[32];
	AUTO(close) int file = open(rig->disk, O_RDWR | O_CLOEXEC);
	AUTO(close) int device = loop_device(file, O_RDWR, path);
	AUTO(close) int holder = -1;
	struct disk_config disk = { .path = path, .cache = DISK_CACHE_WRITEBACK };
	struct vm_config config = { .disks = &disk, .n_disks = 1 };
	struct vm_files files = VM_FILES_INIT;

	if (device < 0)
		skip();
	/* as a file system that is mounted holds it */
	holder = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_true(holder >= 0);
	expect_failure(&config, -EBUSY, "disks[0].path", "in use by this host");
	disk.cache = DISK_CACHE_NONE;
	expect_failure(&config, -EBUSY, "disks[0].path", "in use by this host");

	/* looking on is allowed */
	disk.read_only = true;
	assert_int_equal(open_result(&config, &files), 0);
	vm_files_close(&files);

	close(holder);
	disk.read_only = false;
	assert_int_equal(vm_files_open(&config, &(struct vm_config){ 0 }, NULL, &files, NULL), 0);
	holder = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_int_equal(holder, -1);
	lock(files.disks[0], F_WRLCK);
	expect_failure(&config, -EBUSY, "disks[0].path", "in use by another VM");
	vm_files_close(&files);
}

/* Some file systems have no O_DIRECT; procfs never has. */
static void missing_direct_io_is_explained(void **state)
{
	char path[] = "/proc/self/maps";
	struct disk_config disk = { .path = path, .read_only = true, .cache = DISK_CACHE_NONE };
	struct vm_config config = { .disks = &disk, .n_disks = 1 };

	expect_failure(&config, -EINVAL, "disks[0].cache", "use cache \"writeback\"");
}

static void taps_must_exist(void **state)
{
	char none[] = "hvd-none", loopback[] = "lo";
	struct nic_config nics[2] = { { .tap = none } };
	struct vm_config config = { .nics = nics, .n_nics = 1 };

	expect_failure(&config, -ENOENT, "nics[0].tap", "no interface hvd-none");
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return;
	nics[0].tap = loopback;
	expect_failure(&config, geteuid() == 0 ? -EINVAL : -EPERM, "nics[0].tap", "lo");
}

static void limits_hold(void **state)
{
	struct vm_config config = { .n_disks = VM_MAX_DISKS + 1 };

	expect_failure(&config, -ERANGE, "disks", "more than 16");
	config = (struct vm_config){ .n_nics = VM_MAX_NICS + 1 };
	expect_failure(&config, -ERANGE, "nics", "more than 8");
}

static void pack_and_unpack_are_inverse(void **state)
{
	char text[] = "x";
	struct disk_config disks[2] = { { .path = text } };
	struct nic_config nics[1] = { { .tap = text } };
	struct vm_config config = {
		.boot = { .kernel = text, .firmware = text }, .disks = disks, .n_disks = 2, .nics = nics, .n_nics = 1,
	};
	struct vm_files files = VM_FILES_INIT, back;
	int fds[VM_MAX_FILES];

	files.kvm = 10;
	files.kernel = 11;
	files.firmware = 12;
	files.nvram = 13;
	files.disks[0] = 14;
	files.disks[1] = 15;
	files.nics[0].tap[0] = 16;
	assert_int_equal(vm_files_pack(&files, &config, NULL, fds), 7);
	for (int i = 0; i < 7; i++)
		assert_int_equal(fds[i], 10 + i);
	assert_int_equal(vm_files_unpack(&config, NULL, fds, 7, &back), 0);
	assert_memory_equal(&back, &files, sizeof(files));
}

static void a_wrong_number_of_files_is_refused(void **state)
{
	struct vm_config config = { 0 };
	struct vm_files files = VM_FILES_INIT;
	unsigned before = open_descriptors();
	int fds[2] = { dup(0), dup(0) };

	assert_int_equal(vm_files_unpack(&config, NULL, fds, 2, &files), -EBADMSG);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(files.kvm, -1);
}

/* Of a VM that runs, only what is new is opened, sent and received; the rest finds its new place. */
static void an_update_has_what_is_new(void **state)
{
	struct rig *rig = *state;
	char vda[] = "vda", vdb[] = "vdb", vdc[] = "vdc", net0[] = "net0";
	struct disk_config had[2] = { { .id = vda, .path = rig->none }, { .id = vdb, .path = rig->none } };
	struct disk_config has[2] = {
		{ .id = vdc, .path = rig->disk, .cache = DISK_CACHE_WRITEBACK },
		{ .id = vdb, .path = rig->none },
	};
	struct nic_config nics[1] = { { .id = net0, .tap = rig->none } };
	struct vm_config running = { .boot.kernel = rig->none, .disks = had, .n_disks = 2,
				     .nics = nics, .n_nics = 1 };
	struct vm_config config = { .boot.kernel = rig->none, .disks = has, .n_disks = 2 };
	struct vm_files files = VM_FILES_INIT, opened, added;
	unsigned before = open_descriptors();
	int fds[VM_MAX_FILES], kept = dup(0);

	files.kvm = dup(0);
	files.disks[0] = dup(0);
	files.firmware = dup(0);
	files.nvram = dup(0);
	files.disks[1] = kept;
	files.nics[0].tap[0] = dup(0);
	assert_int_equal(vm_files_open(&config, &running, NULL, &opened, NULL), 0);
	assert_true(opened.disks[0] >= 0);
	assert_int_equal(opened.disks[1], -1);
	assert_int_equal(opened.kvm, -1);
	assert_int_equal(vm_files_pack(&opened, &config, &running, fds), 1);
	assert_int_equal(fds[0], opened.disks[0]);
	assert_int_equal(vm_files_unpack(&config, &running, fds, 1, &added), 0);
	assert_memory_equal(&added, &opened, sizeof(added));

	vm_files_update(&files, &running, &config, &added);
	assert_int_equal(files.disks[0], fds[0]);
	assert_int_equal(files.disks[1], kept);
	assert_int_equal(files.nics[0].tap[0], -1);
	assert_true(files.kvm >= 0 && files.firmware >= 0 && files.nvram >= 0);
	assert_int_equal(added.disks[0], -1);
	vm_files_close(&files);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(boot_files_must_be_plain),
		TEST(disks_must_be_files_or_block_devices),
		TEST(a_disk_in_use_is_refused),
		TEST(a_device_in_use_is_refused),
		TEST(one_disk_cannot_be_two),
		TEST(missing_direct_io_is_explained),
		TEST(taps_must_exist),
		TEST(limits_hold),
		TEST(an_update_has_what_is_new),
		cmocka_unit_test(pack_and_unpack_are_inverse),
		cmocka_unit_test(a_wrong_number_of_files_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
