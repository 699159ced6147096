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

#include "vmm/base/cleanup.h"
#include "vmm/firmware.h"
#include "vmm/hw/flash.h"

#define MARK "variables of the template"

/* A folder with an image and a template in it, and names of what is not there. */
struct rig {
	char dir[32], image[48], template[48], store[48], part[48], none[48];
	struct boot_config config;
	int code, vars;
};

static void make_file(const char *path, off_t size, const char *text)
{
	AUTO(close) int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite(fd, text, strlen(text), FLASH_BLOCK), strlen(text));
	assert_int_equal(ftruncate(fd, size), 0);
}

static int set_up(void **state)
{
	static struct rig rig;

	rig = (struct rig){ .dir = "firmware-XXXXXX", .code = -1, .vars = -1 };
	assert_non_null(mkdtemp(rig.dir));
	snprintf(rig.image, sizeof(rig.image), "%s/image", rig.dir);
	snprintf(rig.template, sizeof(rig.template), "%s/template", rig.dir);
	snprintf(rig.store, sizeof(rig.store), "%s/store", rig.dir);
	snprintf(rig.part, sizeof(rig.part), "%s/store.new", rig.dir);
	snprintf(rig.none, sizeof(rig.none), "%s/none/x", rig.dir);
	make_file(rig.image, 2 * MIB, "code");
	make_file(rig.template, FLASH_SIZE, MARK);
	rig.config = (struct boot_config){ .firmware = rig.image, .nvram = rig.store,
					   .nvram_template = rig.template };
	*state = &rig;
	return 0;
}

static void close_both(struct rig *rig)
{
	if (rig->code >= 0)
		close(rig->code);
	if (rig->vars >= 0)
		close(rig->vars);
	rig->code = rig->vars = -1;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	close_both(rig);
	unlink(rig->image);
	unlink(rig->template);
	unlink(rig->store);
	return rmdir(rig->dir); /* nothing else is left behind */
}

static void expect_open(struct rig *rig)
{
	struct hvd_error err = { 0 };

	if (firmware_open(&rig->config, &rig->code, &rig->vars, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
}

static void expect_failure(struct rig *rig, int r, const char *field, const char *says)
{
	struct hvd_error err = { 0 };

	assert_int_equal(firmware_open(&rig->config, &rig->code, &rig->vars, &err), r);
	assert_string_equal(err.field, field);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
	assert_int_equal(rig->code, -1);
	assert_int_equal(rig->vars, -1);
}

static void assert_content(int fd, const char *text)
{
	char back[sizeof(MARK)] = "";

	assert_int_equal(pread(fd, back, strlen(text), FLASH_BLOCK), strlen(text));
	assert_string_equal(back, text);
}

static void a_store_is_made_from_its_template(void **state)
{
	struct rig *rig = *state;
	struct stat st;

	expect_open(rig);
	assert_content(rig->code, "code");
	assert_content(rig->vars, MARK);
	assert_int_equal(fstat(rig->vars, &st), 0);
	assert_int_equal(st.st_size, FLASH_SIZE);
	assert_true((uint64_t)st.st_blocks * 512 < MIB); /* holes stay holes */
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fcntl(rig->code, F_GETFL) & O_ACCMODE, O_RDONLY);
}

static void a_store_that_is_there_is_used(void **state)
{
	struct rig *rig = *state;

	expect_open(rig);
	assert_int_equal(pwrite(rig->vars, "changed", 7, FLASH_BLOCK), 7);
	close_both(rig);
	rig->config.nvram_template = rig->none; /* of no interest any more */
	expect_open(rig);
	assert_content(rig->vars, "changed");
}

static void without_a_template_it_is_blank(void **state)
{
	struct rig *rig = *state;
	struct stat st;

	rig->config.nvram_template = NULL;
	expect_open(rig);
	assert_int_equal(fstat(rig->vars, &st), 0);
	assert_int_equal(st.st_size, FLASH_SIZE);
	assert_int_equal(st.st_blocks, 0);
}

static void without_a_path_it_has_no_name(void **state)
{
	struct rig *rig = *state;

	rig->config.nvram = NULL;
	expect_open(rig);
	assert_content(rig->vars, MARK);
	assert_int_equal(access(rig->store, F_OK), -1);
}

static void a_store_has_one_user(void **state)
{
	struct rig *rig = *state;
	struct rig second = *rig;

	expect_open(rig);
	expect_failure(&second, -EBUSY, "boot.nvram", "in use by another VM");
	close_both(rig);
	expect_open(&second);
	close_both(&second);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct rig *rig = *state;

	make_file(rig->image, FLASH_SIZE + 1, "");
	expect_failure(rig, -EFBIG, "boot.firmware", "flash has 64 MiB");
	make_file(rig->image, 0, "");
	expect_failure(rig, -EINVAL, "boot.firmware", "it is empty");
	make_file(rig->image, 4096, "");

	make_file(rig->template, FLASH_BLOCK + 1, "");
	expect_failure(rig, -EINVAL, "boot.nvram_template", "a multiple of 256 KiB");
	assert_int_equal(access(rig->store, F_OK), -1);
	make_file(rig->store, FLASH_SIZE + FLASH_BLOCK, "");
	expect_failure(rig, -EINVAL, "boot.nvram", "at most 64 MiB");
	make_file(rig->store, FLASH_BLOCK, "");
	expect_open(rig);
}

static void what_is_not_there_is_named(void **state)
{
	struct rig *rig = *state;

	rig->config.nvram_template = rig->none;
	expect_failure(rig, -ENOENT, "boot.nvram_template", "none/x: No such file");
	rig->config.nvram = rig->none;
	expect_failure(rig, -ENOENT, "boot.nvram", "none/x: No such file");
	rig->config.nvram = rig->dir;
	expect_failure(rig, -EISDIR, "boot.nvram", "Is a directory");
	rig->config.firmware = rig->none;
	expect_failure(rig, -ENOENT, "boot.firmware", "none/x: No such file");
	rig->config.firmware = rig->dir;
	expect_failure(rig, -EISDIR, "boot.firmware", "is a directory");
}

/* What this host has depends on the host. */
static void a_word_is_the_hosts_own_image(void **state)
{
	struct boot_config config = { .firmware = strdup("auto") };
	struct hvd_error err = { 0 };
	int r = firmware_find(&config, &err);

	if (r < 0) {
		assert_int_equal(r, -ENOENT);
		assert_string_equal(err.field, "boot.firmware");
		assert_non_null(strstr(err.msg, "install qemu-efi-aarch64"));
		assert_string_equal(config.firmware, "auto");
	} else {
		assert_int_equal(config.firmware[0], '/');
		assert_int_equal(access(config.firmware, R_OK), 0);
	}
	free(config.firmware);
	free(config.nvram_template);
}

static void a_path_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct hvd_error err = { 0 };

	rig->config.firmware = strdup("/srv/own.fd");
	rig->config.nvram_template = NULL;
	assert_int_equal(firmware_find(&rig->config, NULL), 0);
	assert_string_equal(rig->config.firmware, "/srv/own.fd");
	assert_null(rig->config.nvram_template);

	rig->config.kernel = rig->image;
	assert_int_equal(firmware_find(&rig->config, &err), -EINVAL);
	assert_string_equal(err.field, "boot.firmware");
	free(rig->config.firmware);
	rig->config.firmware = NULL;
	assert_int_equal(firmware_find(&rig->config, NULL), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_store_is_made_from_its_template),
		TEST(a_store_that_is_there_is_used),
		TEST(without_a_template_it_is_blank),
		TEST(without_a_path_it_has_no_name),
		TEST(a_store_has_one_user),
		TEST(what_does_not_fit_is_refused),
		TEST(what_is_not_there_is_named),
		TEST(a_word_is_the_hosts_own_image),
		TEST(a_path_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
