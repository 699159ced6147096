/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots with the real qemu-img, qemu-io and qemu-storage-daemon. The test is the hvd-vmm of a VM that runs;
 * its storage daemons are of an earlier hvd.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/operation.h"
#include "daemon/snapshot.h"
#include "daemon/storage.h"
#include "daemon/store.h"
#include "daemon/vm_private.h"
#include "tests/unit/process.h"
#include "vmm/base/macro.h"

#define N_DISKS 2

static struct {
	struct scene *scene;
	struct vm *vm;
	char images[N_DISKS][256];
	struct process process;
	pid_t daemons[N_DISKS];
	struct outcome o;
	unsigned steps;
} t;

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static void must_run(const char *what, unsigned disk)
{
	if (run("%s %s", what, t.images[disk]) != 0)
		fail_msg("%s %s", what, t.images[disk]);
}

/* The guest writes; its disk reads as that. */
static void put(unsigned disk, char c)
{
	char command[128];

	snprintf(command, sizeof(command), "qemu-io -f qcow2 -c 'write -q -P %d 0 64k'", c);
	must_run(command, disk);
}

static void expect_data(unsigned disk, char c)
{
	char command[128];

	snprintf(command, sizeof(command), "qemu-io -r -f qcow2 -c 'read -q -P %d 0 64k'", c);
	must_run(command, disk);
}

/* Are there snapshots in the image, and of this name? */
static bool image_has(unsigned disk, const char *name)
{
	return run("qemu-img snapshot -U -l %s | grep -qw -- %s", t.images[disk], name) == 0;
}

static void add_disk(struct vm_config *config, const char *id, const char *path, enum disk_format format)
{
	struct disk_config *disk = field_list_append(schema_field(&vm_schema, "disks"), config);

	disk->id = strdup(id);
	disk->path = strdup(path);
	disk->format = format;
}

static int set_up(void **state)
{
	static const char *const ids[] = { "vda", "vdb" };
	struct hvd_error err = { 0 };
	struct vm_config config;

	memset(&t, 0, sizeof(t));
	scene_set_up(state);
	t.scene = *state;
	scene_spec(t.scene, "demo", &config);
	for (unsigned i = 0; i < N_DISKS; i++) {
		scene_path(t.scene, ids[i], t.images[i]);
		assert_int_equal(run("qemu-img create -q -f qcow2 %s 1M", t.images[i]), 0);
		put(i, 'a');
		add_disk(&config, ids[i], t.images[i], DISK_FORMAT_QCOW2);
	}
	if (vm_define(t.scene->manager, &config, &t.vm, &err) < 0)
		fail_msg("vm_define: %s", err.msg);
	return 0;
}

static void end_daemon(unsigned i)
{
	if (!t.daemons[i])
		return;
	kill(t.daemons[i], SIGTERM);
	assert_int_equal(waitpid(t.daemons[i], NULL, 0), t.daemons[i]);
	t.daemons[i] = 0;
}

static int tear_down(void **state)
{
	for (unsigned i = 0; i < N_DISKS; i++) {
		end_daemon(i);
		if (t.images[i][0])
			must_run("qemu-img check -q -f qcow2", i);
	}
	return scene_tear_down(state);
}

/* ---- hvd ---- */

static void restart(void)
{
	scene_restart(t.scene);
	t.vm = manager_find_vm(t.scene->manager, "demo");
}

static void turn(void)
{
	assert_true(sd_event_run(t.scene->event, UINT64_MAX) > 0);
}

static void wait_done(void)
{
	while (!t.o.calls)
		turn();
	assert_int_equal(t.o.calls, 1);
	assert_null(t.vm->snapshot_work);
}

static void on_progress(void *ctx, unsigned done, unsigned total)
{
	assert_true(done == t.steps + 1 && done <= total);
	t.steps = done;
}

static void begin_create(const char *name, const char *disk)
{
	struct snapshot wanted;

	assert_int_equal(schema_init(&snapshot_schema, &wanted), 0);
	free(wanted.name);
	wanted.name = strdup(name);
	wanted.description = strdup("what for");
	if (disk) {
		struct snapshot_disk *item =
			field_list_append(schema_field(&snapshot_schema, "disks"), &wanted);

		item->id = strdup(disk);
	}
	t.o = (struct outcome){ 0 };
	t.steps = 0;
	snapshot_create(t.vm, &wanted, on_progress, outcome_set, &t.o);
}

static void expect_outcome(int r, const char *text)
{
	wait_done();
	if (t.o.r != r || (text && !strstr(t.o.err.msg, text)))
		fail_msg("%d: %s: %s, not %d: %s", t.o.r, t.o.err.field, t.o.err.msg, r, text ? text : "");
}

static void expect_done(void)
{
	expect_outcome(0, NULL);
}

static void create(const char *name)
{
	begin_create(name, NULL);
	expect_done();
}

static void begin(void (*fn)(struct vm *, const char *, vm_progress_fn, vm_done_fn, void *), const char *name)
{
	t.o = (struct outcome){ 0 };
	t.steps = 0;
	fn(t.vm, name, on_progress, outcome_set, &t.o);
}

static unsigned count(void)
{
	unsigned n = 0;

	for (const struct vm_snapshot *s = snapshot_next(t.vm, NULL); s; s = snapshot_next(t.vm, s))
		n++;
	return n;
}

/* Nothing of it is anywhere. */
static void expect_nothing(const char *name)
{
	assert_null(snapshot_find(t.vm, name));
	for (unsigned i = 0; i < N_DISKS; i++)
		assert_false(image_has(i, name));
	assert_false(scene_exists(t.scene, "state/snapshots/demo"));
}

/* ---- a VM that is off ---- */

static void test_life(void **state)
{
	const struct snapshot *info;

	create("one");
	put(0, 'b');
	put(1, 'b');
	create("two");
	assert_int_equal(t.steps, 4);
	put(0, 'c');

	restart();
	assert_int_equal(count(), 2);
	info = snapshot_info(snapshot_next(t.vm, NULL));
	assert_string_equal(info->name, "one");
	assert_string_equal(info->description, "what for");
	assert_int_equal(info->state, SNAPSHOT_READY);
	assert_int_equal(info->vm_state, VM_SHUTOFF);
	assert_int_equal(info->n_disks, 2);
	assert_string_equal(info->disks[1].path, t.images[1]);
	assert_int_equal(info->disks[1].size, 1 << 20);
	assert_true(info->created_usec && !info->reverted_usec);

	begin(snapshot_revert, "one");
	expect_done();
	expect_data(0, 'a');
	expect_data(1, 'a');
	assert_true(snapshot_info(snapshot_find(t.vm, "one"))->reverted_usec >= info->created_usec);
	begin(snapshot_revert, "two");
	expect_done();
	expect_data(0, 'b');
	expect_data(1, 'b');

	begin(snapshot_delete, "one");
	expect_done();
	begin(snapshot_delete, "one");
	expect_outcome(-ENOENT, "VM demo has no snapshot one; see hvcli snapshot list demo");
	assert_false(image_has(0, "one"));
	begin(snapshot_revert, "two");
	expect_done();
	begin(snapshot_delete, "two");
	expect_done();
	expect_nothing("two");
}

static void test_disks_are_chosen(void **state)
{
	begin_create("one", "vdb");
	expect_done();
	assert_int_equal(snapshot_info(snapshot_find(t.vm, "one"))->n_disks, 1);
	assert_false(image_has(0, "one"));
	begin_create("two", "vdx");
	expect_outcome(-EINVAL, "VM demo has no disk vdx; see hvcli disk list demo");
	assert_string_equal(t.o.err.field, "disks[0].id");

	t.vm->config.disks[0].format = DISK_FORMAT_RAW;
	begin_create("two", NULL);
	expect_outcome(-EINVAL, "disk vda is raw: only a qcow2 image on this host can hold a snapshot; convert it "
				"(qemu-img convert -O qcow2), or name the disks");
	assert_string_equal(t.o.err.field, "disks");
	/* what the guest cannot change plays no part */
	t.vm->config.disks[0].read_only = true;
	create("two");
	assert_int_equal(snapshot_info(snapshot_find(t.vm, "two"))->n_disks, 1);
	begin_create("three", "vda");
	expect_outcome(-EINVAL, "disk vda is read-only");
	t.vm->config.disks[1].read_only = true;
	begin_create("three", NULL);
	expect_outcome(-EBUSY, "VM demo has no disk that its guest can write to");
	t.vm->config.disks[0].read_only = t.vm->config.disks[1].read_only = false;
	t.vm->config.disks[0].format = DISK_FORMAT_QCOW2;
}

static void test_names(void **state)
{
	struct snapshot info = { .name = strdup("17") };
	struct hvd_error err = { 0 };

	assert_int_equal(schema_check(&snapshot_schema, &info, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "must not be a number"));
	free(info.name);
	info.name = strdup("A b");
	assert_int_equal(schema_check(&snapshot_schema, &info, &err), -EINVAL);
	free(info.name);

	create("one");
	begin_create("one", NULL);
	expect_outcome(-EEXIST, "VM demo has a snapshot one already");
	/* one that somebody else has made is not touched */
	must_run("qemu-img snapshot -c theirs", 1);
	begin_create("theirs", NULL);
	expect_outcome(-EEXIST, "disk vdb: its image has a snapshot theirs already");
	assert_true(image_has(1, "theirs") && !image_has(0, "theirs"));
	assert_null(snapshot_find(t.vm, "theirs"));
	begin(snapshot_revert, "theirs");
	expect_outcome(-ENOENT, NULL);
}

/* As QEMU does: byte 201 says that nobody else may write. */
static int lock_image(unsigned disk)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 201, .l_len = 1 };
	int fd = open(t.images[disk], O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

static void test_one_disk_fails(void **state)
{
	int lock = lock_image(1);

	begin_create("one", NULL);
	expect_outcome(-EINVAL, "disk vdb: qemu-img: Failed to get \"write\" lock");
	expect_nothing("one");
	close(lock);

	/* that cannot be undone by anybody: nothing was changed, or the rest is told */
	create("one");
	put(0, 'b');
	lock = lock_image(0);
	begin(snapshot_revert, "one");
	expect_outcome(-EINVAL, "disk vda: qemu-img: Failed to get \"write\" lock");
	begin(snapshot_delete, "one");
	expect_outcome(-EINVAL, "disk vda: qemu-img: Failed to get \"write\" lock");
	assert_int_equal(snapshot_info(snapshot_find(t.vm, "one"))->state, SNAPSHOT_READY);
	close(lock);
	lock = lock_image(1);
	begin(snapshot_revert, "one");
	expect_outcome(-EINVAL, "some disks are reverted and others not, the VM cannot start: revert it again");
	assert_int_equal(snapshot_info(snapshot_find(t.vm, "one"))->state, SNAPSHOT_REVERTING);
	assert_int_equal(snapshot_check_start(t.vm, NULL), -EBUSY);
	close(lock);
	begin(snapshot_revert, "one");
	expect_done();
	assert_int_equal(snapshot_check_start(t.vm, NULL), 0);

	lock = lock_image(1);
	begin(snapshot_delete, "one");
	expect_outcome(-EINVAL, "some disks have the snapshot still: delete it again");
	assert_int_equal(snapshot_info(snapshot_find(t.vm, "one"))->state, SNAPSHOT_DELETING);
	begin(snapshot_revert, "one");
	expect_outcome(-EBUSY, "snapshot one is not whole");
	begin_create("one", NULL);
	expect_outcome(-EEXIST, "there is something left of a former snapshot one: hvcli snapshot delete demo one");
	close(lock);
	begin(snapshot_delete, "one");
	expect_done();
	expect_nothing("one");
}

static void test_changed_behind_its_back(void **state)
{
	char *path;

	create("one");
	must_run("qemu-img snapshot -d one", 1);
	put(0, 'b');
	begin(snapshot_revert, "one");
	expect_outcome(-EBUSY, "disk vdb: its image has no snapshot one any more: something else than hvd has "
			       "removed it");
	expect_data(0, 'b');
	begin(snapshot_delete, "one");
	expect_done();
	expect_nothing("one");

	create("one");
	path = t.vm->config.disks[1].path;
	t.vm->config.disks[1].path = strdup("/elsewhere");
	begin(snapshot_revert, "one");
	expect_outcome(-EBUSY, "disk vdb is another image now: the snapshot is within");
	free(t.vm->config.disks[1].path);
	t.vm->config.disks[1].path = path;
	t.vm->config.n_disks = 1;
	begin(snapshot_revert, "one");
	expect_outcome(-EBUSY, "VM demo has no disk vdb any more");
	/* it can be removed from an image that is of no disk any more, and when that is gone too */
	begin(snapshot_delete, "one");
	expect_done();
	t.vm->config.n_disks = 2;
	expect_nothing("one");
	create("one");
	assert_int_equal(unlink(t.images[1]), 0);
	begin(snapshot_delete, "one");
	expect_done();
	assert_int_equal(run("qemu-img create -q -f qcow2 %s 1M", t.images[1]), 0);
	expect_nothing("one");
}

static void test_goes_with_the_vm(void **state)
{
	const struct delete_options options = { 0 };

	create("one");
	scene_write(t.scene, "state/snapshots/demo/broken.xml", "<broken");
	restart();
	assert_int_equal(count(), 1);
	assert_int_equal(vm_undefine(t.vm, &options, NULL), 0);
	assert_false(scene_exists(t.scene, "state/snapshots/demo"));
	assert_true(image_has(0, "one") && image_has(1, "one"));
}

/* ---- what a former hvd has left ---- */

static void leave(const char *name, enum snapshot_state state, enum vm_state vm_state)
{
	struct snapshot_disk disks[N_DISKS] = { { .id = (char[]){ "vda" }, .path = t.images[0] },
						{ .id = (char[]){ "vdb" }, .path = t.images[1] } };
	struct snapshot info = { .name = (char *)name, .state = state, .vm_state = vm_state, .disks = disks,
				 .n_disks = N_DISKS, .created_usec = 1000000 };
	char folder[256];

	scene_path(t.scene, "state/snapshots/demo", folder);
	assert_int_equal(store_make_folder(folder, NULL), 0);
	assert_int_equal(store_save(t.scene->manager->xml, folder, name, &snapshot_schema, &info, 1, NULL), 0);
}

static void leave_operation(const char *kind, const char *name)
{
	char text[512], uuid[UUID_TEXT_SIZE];

	uuid_format(vm_config(t.vm)->uuid, uuid);
	snprintf(text, sizeof(text),
		 "{\"id\":\"00000000000a\",\"kind\":\"%s\",\"resource\":\"/v1/vms/demo/snapshots/%s\","
		 "\"vm\":\"demo\",\"vm_uuid\":\"%s\",\"generation\":1,\"state\":\"running\","
		 "\"cancellable\":false,\"created_usec\":1000000,\"by\":{\"front\":\"rest\",\"uid\":7}}",
		 kind, name, uuid);
	scene_write(t.scene, "state/operations/00000000000a.json", text);
}

static void expect_resolved(enum event_outcome outcome)
{
	const struct operation_info *info =
		operation_info(operation_find(t.scene->manager->operations, "00000000000a"));

	if (info->state != outcome)
		fail_msg("%s: %s", outcome_names[info->state], info->error.detail);
}

static void on_waited(void *ctx, const struct operation *operation)
{
	*(bool *)ctx = operation_info(operation)->state != OUTCOME_RUNNING;
}

/* Whoever waits for the operation is told. */
static void recover(void)
{
	bool told = false;

	restart();
	assert_true(snapshot_is_recovering(t.vm));
	expect_resolved(OUTCOME_RUNNING);
	assert_int_equal(operation_wait(operation_find(t.scene->manager->operations, "00000000000a"), 600,
					on_waited, &told, NULL), 0);
	while (snapshot_is_recovering(t.vm))
		turn();
	assert_true(told);
}

static void test_half_made(void **state)
{
	must_run("qemu-img snapshot -c one", 0);
	leave("one", SNAPSHOT_CREATING, VM_SHUTOFF);
	leave_operation("snapshot.create", "one");
	restart();
	/* it is not shown, nothing else is done, and a start waits */
	assert_int_equal(count(), 0);
	assert_int_equal(snapshot_allows(t.vm, &ops[OP_SNAPSHOT_CREATE], NULL), -EBUSY);
	assert_int_equal(snapshot_allows(t.vm, &ops[OP_VM_START], NULL), 0);
	assert_int_equal(snapshot_allows(t.vm, &ops[OP_VM_GET], NULL), 0);
	recover();
	expect_resolved(OUTCOME_FAILED);
	expect_nothing("one");
}

static void test_made(void **state)
{
	must_run("qemu-img snapshot -c one", 0);
	must_run("qemu-img snapshot -c one", 1);
	leave("one", SNAPSHOT_READY, VM_SHUTOFF);
	leave_operation("snapshot.create", "one");
	restart();
	expect_resolved(OUTCOME_SUCCEEDED);
	/* of which nothing had begun */
	leave_operation("snapshot.revert", "one");
	restart();
	expect_resolved(OUTCOME_FAILED);
	leave_operation("snapshot.delete", "one");
	restart();
	expect_resolved(OUTCOME_FAILED);
	assert_int_equal(count(), 1);
}

static void test_half_removed(void **state)
{
	must_run("qemu-img snapshot -c one", 1);
	leave("one", SNAPSHOT_DELETING, VM_SHUTOFF);
	leave_operation("snapshot.delete", "one");
	recover();
	expect_resolved(OUTCOME_SUCCEEDED);
	expect_nothing("one");
}

static void test_half_reverted(void **state)
{
	for (unsigned i = 0; i < N_DISKS; i++) {
		must_run("qemu-img snapshot -c one", i);
		put(i, 'b');
	}
	must_run("qemu-img snapshot -a one", 0);
	leave("one", SNAPSHOT_REVERTING, VM_SHUTOFF);
	leave_operation("snapshot.revert", "one");
	recover();
	expect_resolved(OUTCOME_SUCCEEDED);
	expect_data(0, 'a');
	expect_data(1, 'a');
	assert_int_equal(snapshot_info(snapshot_find(t.vm, "one"))->state, SNAPSHOT_READY);
}

/* hvd ends while it is at it. */
static void test_end_of_hvd(void **state)
{
	for (unsigned turns = 0; turns < 12; turns++) {
		begin_create("one", NULL);
		for (unsigned i = 0; i < turns && !t.o.calls; i++)
			turn();
		restart();
		assert_int_equal(t.o.calls, 1);
		while (snapshot_is_recovering(t.vm))
			turn();
		if (t.o.r == 0)
			break;
		assert_int_equal(t.o.r, -ECANCELED);
		expect_nothing("one");
	}
}

/* ---- a VM that runs ---- */

static int listen_at(const char *file)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char path[256];

	scene_path(t.scene, file, path);
	assert_true(snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path) < (int)sizeof(addr.sun_path));
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* Put path in the place of the daemon's own name for it. */
static char *place_path(const char *arg, const char *path)
{
	const char *at = strstr(arg, "\"" STORAGE_IMAGE "\"");
	char *text;

	if (!at)
		return strdup(arg);
	assert_true(asprintf(&text, "%.*s\"%s%s", (int)(at - arg), arg, path, at + 1 + strlen(STORAGE_IMAGE)) > 0);
	return text;
}

static void start_daemon(unsigned i)
{
	const struct disk_config *disk = &t.vm->config.disks[i];
	AUTO(storage_args_free) char **argv = storage_args(disk, 1);
	char file[64];
	int qmp, vhost;

	for (char **arg = argv; *arg; arg++) {
		char *placed = place_path(*arg, t.images[i]);

		free(*arg);
		*arg = placed;
	}
	snprintf(file, sizeof(file), "run/vms/demo/%s.qmp", disk->id);
	qmp = listen_at(file);
	snprintf(file, sizeof(file), "run/vms/demo/%s.disk", disk->id);
	vhost = listen_at(file);
	t.daemons[i] = fork();
	if (t.daemons[i] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(qmp, 0);
		dup2(vhost, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(qmp);
	close(vhost);
}

static void make_runtime(void)
{
	char path[256];

	scene_path(t.scene, "run/vms/demo", path);
	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	assert_int_equal(vm_save_runtime(t.vm, VM_SPEC_FILE, &t.vm->config, 1, NULL), 0);
}

static void on_asked(void *ctx, int r, json_t *result, const struct hvd_error *err)
{
	*(bool *)ctx = true;
}

static void run_vm(enum vmm_state vmm_state)
{
	make_runtime();
	for (unsigned i = 0; i < N_DISKS; i++)
		start_daemon(i);
	t.vm = process_adopt(t.scene, &t.process, vmm_state);
}

static void storages_ready(void)
{
	static const char *const ids[] = { "vda", "vdb" };

	for (unsigned i = 0; i < N_DISKS; i++) {
		bool asked = false;

		while (vm_storage_command(t.vm, ids[i], "query-named-block-nodes", NULL, on_asked, &asked,
					  NULL) < 0)
			turn();
		while (!asked)
			turn();
	}
}

static void take_while(bool (*waits)(void), enum control_type type)
{
	struct control_message msg;
	int fds[CONTROL_MAX_FDS];
	size_t n = 0;

	while (control_recv(t.process.conn, &msg, fds, &n) == -EAGAIN) {
		assert_true(waits());
		turn();
	}
	assert_int_equal(msg.type, type);
	t.process.vmm_state = type == CONTROL_PAUSE ? VMM_PAUSED : VMM_RUNNING;
	process_answer(&t.process, &msg, 0, "");
}

static bool works(void)
{
	return t.vm->snapshot_work;
}

static void end_vm(void)
{
	for (unsigned i = 0; i < N_DISKS; i++)
		end_daemon(i);
	process_tell(&t.process, VMM_STOPPED, VMM_REASON_GUEST_SHUTDOWN, "");
	process_die(&t.process);
	while (vm_has_process(t.vm))
		turn();
}

static void test_live(void **state)
{
	const struct snapshot *info;

	run_vm(VMM_RUNNING);
	storages_ready();
	begin_create("one", NULL);
	take_while(works, CONTROL_PAUSE);
	take_while(works, CONTROL_RESUME);
	expect_done();
	process_expect_nothing(&t.process);
	assert_int_equal(t.vm->state, VM_RUNNING);
	info = snapshot_info(snapshot_find(t.vm, "one"));
	assert_int_equal(info->vm_state, VM_RUNNING);
	assert_int_equal(info->disks[0].size, 1 << 20);
	assert_true(image_has(0, "one") && image_has(1, "one"));

	begin_create("two", NULL);
	take_while(works, CONTROL_PAUSE);
	take_while(works, CONTROL_RESUME);
	expect_done();
	begin(snapshot_delete, "one");
	expect_done();
	assert_false(image_has(0, "one") || image_has(1, "one"));
	end_vm();
	put(0, 'b');
	begin(snapshot_revert, "two");
	expect_done();
	expect_data(0, 'a');
}

/* Paused by its user it stays so. */
static void test_live_paused(void **state)
{
	run_vm(VMM_PAUSED);
	storages_ready();
	begin_create("one", NULL);
	expect_done();
	process_expect_nothing(&t.process);
	assert_int_equal(t.vm->state, VM_PAUSED);
	assert_int_equal(snapshot_info(snapshot_find(t.vm, "one"))->vm_state, VM_PAUSED);
	assert_true(image_has(0, "one") && image_has(1, "one"));
	end_vm();
}

static void test_live_one_disk_fails(void **state)
{
	run_vm(VMM_RUNNING);
	storages_ready();
	begin_create("one", NULL);
	/* the one that is asked last ends meanwhile */
	end_daemon(1);
	while (!t.o.calls) {
		struct control_message msg;
		int fds[CONTROL_MAX_FDS];
		size_t n = 0;

		if (control_recv(t.process.conn, &msg, fds, &n) == 1) {
			t.process.vmm_state = msg.type == CONTROL_PAUSE ? VMM_PAUSED : VMM_RUNNING;
			process_answer(&t.process, &msg, 0, "");
		}
		turn();
	}
	assert_true(t.o.r < 0);
	assert_non_null(strstr(t.o.err.msg, "disk vdb: "));
	assert_int_equal(t.vm->state, VM_RUNNING);
	assert_null(snapshot_find(t.vm, "one"));
	/* what is left is removed when that can be: here when the VM has ended */
	end_vm();
	while (snapshot_is_recovering(t.vm))
		turn();
	expect_nothing("one");
}

/* hvd was killed between pause and resume. */
static void test_left_paused(void **state)
{
	must_run("qemu-img snapshot -c one", 0);
	leave("one", SNAPSHOT_CREATING, VM_RUNNING);
	leave_operation("snapshot.create", "one");
	run_vm(VMM_PAUSED);
	take_while(works, CONTROL_RESUME);
	while (snapshot_is_recovering(t.vm))
		turn();
	assert_int_equal(t.vm->state, VM_RUNNING);
	process_expect_nothing(&t.process);
	expect_resolved(OUTCOME_FAILED);
	expect_nothing("one");
	end_vm();
}

/* hvd ends between pause and resume: the guest goes on. */
static void test_end_of_hvd_resumes(void **state)
{
	struct control_message msg;
	int fds[CONTROL_MAX_FDS];
	size_t n = 0;

	run_vm(VMM_RUNNING);
	storages_ready();
	begin_create("one", NULL);
	while (control_recv(t.process.conn, &msg, fds, &n) == -EAGAIN)
		turn();
	assert_int_equal(msg.type, CONTROL_PAUSE);
	scene_stop(t.scene);
	assert_int_equal(t.o.r, -ECANCELED);
	assert_int_equal(control_recv(t.process.conn, &msg, fds, &n), 1);
	assert_int_equal(msg.type, CONTROL_RESUME);
	process_die(&t.process);
	for (unsigned i = 0; i < N_DISKS; i++)
		end_daemon(i);
	restart();
	while (snapshot_is_recovering(t.vm))
		turn();
	expect_nothing("one");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_life),
		T(test_disks_are_chosen),
		T(test_names),
		T(test_one_disk_fails),
		T(test_changed_behind_its_back),
		T(test_goes_with_the_vm),
		T(test_half_made),
		T(test_made),
		T(test_half_removed),
		T(test_half_reverted),
		T(test_end_of_hvd),
		T(test_live),
		T(test_live_paused),
		T(test_live_one_disk_fails),
		T(test_left_paused),
		T(test_end_of_hvd_resumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
