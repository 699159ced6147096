/* SPDX-License-Identifier: Apache-2.0 */
/* The real qemu-img, run by an hvd without a bus. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "daemon/qemu_img.h"
#include "tests/unit/scene.h"
#include "vmm/base/macro.h"

static struct {
	struct scene *scene;
	char a[256], b[256];
	bool done;
	int r;
	char output[2048];
	struct hvd_error err;
	unsigned last, n_progress;
} t;

static void on_progress(void *ctx, unsigned done)
{
	assert_ptr_equal(ctx, &t);
	assert_true(done > t.last && done <= 10000);
	t.last = done;
	t.n_progress++;
}

static void on_done(void *ctx, int r, const char *output, const struct hvd_error *err)
{
	assert_ptr_equal(ctx, &t);
	assert_false(t.done);
	t.done = true;
	t.r = r;
	snprintf(t.output, sizeof(t.output), "%s", output);
	if (err)
		t.err = *err;
}

static const struct qemu_img_ops quiet = { .done = on_done };
static const struct qemu_img_ops loud = { .progress = on_progress, .done = on_done };

static int set_up(void **state)
{
	int r = scene_set_up(state);

	memset(&t, 0, sizeof(t));
	t.scene = *state;
	scene_path(t.scene, "a", t.a);
	scene_path(t.scene, "b", t.b);
	if (access(QEMU_IMG, X_OK) < 0)
		skip();
	return r;
}

static struct qemu_img *start(const struct qemu_img_ops *ops, const char *const *args, int input)
{
	const struct qemu_img_file files[] = { { t.a, true }, { t.b, true } };
	const struct qemu_img_request request = { .unit = "hvd-test", .description = "Test", .args = args,
						  .files = files, .n_files = ARRAY_SIZE(files),
						  .input = input };
	struct hvd_error err = { 0 };
	struct qemu_img *img;

	scene_write(t.scene, "b", "");
	t.done = false;
	if (qemu_img_start(t.scene->manager, &request, ops, &t, &img, &err) < 0)
		fail_msg("%s", err.msg);
	return img;
}

static void finish(struct qemu_img *img)
{
	while (!t.done)
		assert_true(sd_event_run(t.scene->event, UINT64_MAX) >= 0);
	qemu_img_free(img);
}

static void run(const struct qemu_img_ops *ops, const char *const *args, int input)
{
	finish(start(ops, args, input));
}

#define RUN(ops, ...) run(ops, (const char *const[]){ __VA_ARGS__, NULL }, -1)

static void test_create_and_info(void **state)
{
	scene_write(t.scene, "a", "");
	RUN(&quiet, "create", "-q", "-f", "qcow2", "{0}", "64M");
	assert_int_equal(t.r, 0);
	RUN(&quiet, "info", "-f", "qcow2", "--output=json", "{0}");
	assert_int_equal(t.r, 0);
	assert_non_null(strstr(t.output, "\"virtual-size\": 67108864"));
}

static void write_data(size_t size)
{
	AUTO(free) char *data = malloc(size);
	AUTO(close) int fd = open(t.a, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(data && fd >= 0);
	memset(data, 'x', size);
	assert_int_equal(write(fd, data, size), size);
}

static void test_progress(void **state)
{
	struct qemu_img *img;
	siginfo_t info;

	scene_write(t.scene, "a", "some data");
	assert_int_equal(truncate(t.a, 32 << 20), 0);
	RUN(&loud, "convert", "-p", "-f", "raw", "-O", "qcow2", "{0}", "{1}");
	assert_int_equal(t.r, 0);
	assert_int_equal(t.last, 10000);

	/* it says a lot, and has ended by the time that hvd comes to it */
	write_data(8 * MIB);
	t.last = 0;
	img = start(&loud, (const char *const[]){ "convert", "-p", "-f", "raw", "-O", "qcow2", "{0}", "{1}", NULL }, -1);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
	finish(img);
	assert_int_equal(t.r, 0);
	assert_int_equal(t.last, 10000);
}

static void test_input(void **state)
{
	AUTO(close) int fd = -1;
	struct stat st;

	scene_write(t.scene, "a", "some data");
	fd = open(t.a, O_RDONLY | O_CLOEXEC);
	assert_int_equal(unlink(t.a), 0);
	scene_write(t.scene, "a", "other");
	run(&quiet, (const char *const[]){ "convert", "-f", "raw", "-O", "raw", "{in}", "{1}", NULL }, fd);
	assert_int_equal(t.r, 0);
	assert_int_equal(stat(t.b, &st), 0);
	assert_int_equal(st.st_size, 512); /* of "some data": whole sectors */
}

/* Its last word, about the file by the host's name. */
static void test_errors(void **state)
{
	scene_write(t.scene, "a", "no image of this format");
	RUN(&quiet, "info", "-f", "qcow2", "{0}");
	assert_int_equal(t.r, -EINVAL);
	assert_non_null(strstr(t.err.msg, t.a));
	assert_non_null(strstr(t.err.msg, "not in qcow2 format"));
	assert_null(strstr(t.err.msg, "/proc/self"));
}

static void test_missing_file(void **state)
{
	const struct qemu_img_file file = { "/nonexistent", false };
	const struct qemu_img_request request = { .unit = "hvd-test", .description = "Test",
						  .args = (const char *const[]){ "info", "{0}", NULL },
						  .files = &file, .n_files = 1, .input = -1 };
	struct hvd_error err = { 0 };
	struct qemu_img *img;

	assert_int_equal(qemu_img_start(t.scene->manager, &request, &quiet, &t, &img, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent"));
}

/* Killed and reaped: nothing of it writes any more, and nobody is called. */
static void test_free_kills(void **state)
{
	scene_write(t.scene, "a", "x");
	assert_int_equal(truncate(t.a, 64LL << 30), 0);
	qemu_img_free(start(&loud, (const char *const[]){ "bench", "-f", "raw", "-c", "100000000", "{0}",
							  NULL }, -1));
	assert_false(t.done);
	assert_true(sd_event_run(t.scene->event, 0) >= 0);
	assert_false(t.done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create_and_info, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_progress, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_input, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_missing_file, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_free_kills, set_up, scene_tear_down),
	};

	return cmocka_run_group_tests_name("qemu_img", tests, NULL, NULL);
}
