/* SPDX-License-Identifier: Apache-2.0 */
/* From a command line to a request: commands, options, settings, bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/body.h"
#include "cli/command.h"
#include "cli/edit.h"
#include "vmm/base/macro.h"

#define ARGS_MAX 32

/* One command line, taken apart as main() does it. */
struct line {
	struct commands commands;
	struct invocation inv;
	struct hvd_error err;
	char text[512];
	char *argv[ARGS_MAX];
	int argc;
};

/* Words are separated by single blanks. 0 or what parsing returned. */
static int parse(struct line *line, const char *text)
{
	char *save;
	int used, r;

	memset(line, 0, sizeof(*line));
	commands_init(&line->commands);
	snprintf(line->text, sizeof(line->text), "%s", text);
	for (char *word = strtok_r(line->text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		line->argv[line->argc++] = word;

	line->inv.options = options_default();
	r = command_find(&line->commands, line->argc, line->argv, &line->inv.command, &used,
			 &line->err);
	if (r < 0)
		return r;
	line->inv.body = json_object();
	line->inv.query = json_object();
	return command_parse(&line->inv, line->argc - used, line->argv + used, &line->err);
}

static void done(struct line *line)
{
	json_decref(line->inv.body);
	json_decref(line->inv.query);
}

static void assert_body(struct line *line, const char *expected)
{
	json_t *json, *wanted = json_loads(expected, 0, NULL);
	char *text = NULL;

	assert_non_null(wanted);
	assert_int_equal(body_build(&line->inv, &text, &line->err), 0);
	json = json_loads(text, 0, NULL);
	if (!json_equal(json, wanted))
		fail_msg("%s is not %s", text, expected);
	free(text);
	json_decref(json);
	json_decref(wanted);
}

static void assert_usage(const char *text, const char *message)
{
	struct line line;
	int r = parse(&line, text);

	assert_int_equal(r, -EINVAL);
	if (!strstr(line.err.msg, message))
		fail_msg("\"%s\" is not in \"%s\"", message, line.err.msg);
	done(&line);
}

static void test_every_op_is_a_command(void **state)
{
	struct line line;

	commands_init(&line.commands);
	for (size_t i = 0; i < _OP_MAX; i++) {
		const struct command *command = NULL;
		char name[40], *argv[2], *save;
		int used, argc = 1;

		snprintf(name, sizeof(name), "%s", ops[i].verb);
		argv[0] = strtok_r(name, " ", &save);
		argv[1] = strtok_r(NULL, " ", &save);
		argc += argv[1] != NULL;
		assert_int_equal(command_find(&line.commands, argc, argv, &command, &used, NULL),
				 0);
		assert_ptr_equal(command->op, &ops[i]);
		assert_int_equal(used, argc);
		assert_true(!strchr(ops[i].path, '{') == !strcmp(command->operand, "") ||
			    ops[i].method == HTTP_POST);
	}
}

/* A noun's commands stand together: help and completion rely on it. */
static void test_nouns_stand_together(void **state)
{
	struct line line;

	commands_init(&line.commands);
	for (size_t i = 0; i < line.commands.n; i++)
		for (size_t j = i + 1; j < line.commands.n; j++)
			if (!strcmp(line.commands.list[i].noun, line.commands.list[j].noun))
				assert_string_equal(line.commands.list[j - 1].noun,
						    line.commands.list[i].noun);
}

static void test_create(void **state)
{
	struct line line;

	assert_int_equal(parse(&line, "vm create demo --kernel /k --initrd=/i --memory 512M "
				      "--vcpus 2 --disk /root.img,read_only --disk /b "
				      "--nic network=default --start --console"),
			 0);
	assert_ptr_equal(line.inv.command->op, &ops[OP_VM_CREATE]);
	assert_string_equal(line.inv.operand, "demo");
	assert_true(line.inv.options.start && line.inv.options.console);
	assert_body(&line, "{\"name\": \"demo\", \"vcpus\": 2, \"memory\": \"512M\","
			   " \"boot\": {\"kernel\": \"/k\", \"initrd\": \"/i\"},"
			   " \"disks\": [{\"path\": \"/root.img\", \"read_only\": true},"
			   " {\"path\": \"/b\"}], \"nics\": [{\"network\": \"default\"}]}");
	done(&line);
}

static void test_set(void **state)
{
	struct line line;

	assert_int_equal(parse(&line, "vm set demo --cpu-quota 50 --memory-max 1G --no-autostart"),
			 0);
	assert_body(&line, "{\"resources\": {\"cpu_quota\": 50, \"memory_max\": \"1G\"},"
			   " \"autostart\": false}");
	done(&line);
}

static void test_relative_paths(void **state)
{
	char cwd[PATH_MAX], expected[2 * PATH_MAX + 128];
	struct line line;

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(parse(&line, "vm create demo --kernel vmlinuz --disk sub/a.img"), 0);
	snprintf(expected, sizeof(expected),
		 "{\"name\": \"demo\", \"boot\": {\"kernel\": \"%s/vmlinuz\"},"
		 " \"disks\": [{\"path\": \"%s/sub/a.img\"}]}",
		 cwd, cwd);
	assert_body(&line, expected);
	done(&line);

	assert_int_equal(parse(&line, "vm create demo --firmware fw.fd"), 0);
	snprintf(expected, sizeof(expected),
		 "{\"name\": \"demo\", \"boot\": {\"firmware\": \"%s/fw.fd\"}}", cwd);
	assert_body(&line, expected);
	done(&line);
	/* no path, but a word in its place */
	assert_int_equal(parse(&line, "vm create demo --firmware auto"), 0);
	assert_body(&line, "{\"name\": \"demo\", \"boot\": {\"firmware\": \"auto\"}}");
	done(&line);
}

/* Returns the path of a new file with this text; the caller unlinks it. */
static char *make_file(const char *text)
{
	static char path[64];
	FILE *f;
	int fd;

	strcpy(path, "/tmp/hvd-test-cli-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static void test_file(void **state)
{
	char cwd[PATH_MAX], text[128], expected[PATH_MAX + 256];
	const char *path;
	struct line line;

	path = make_file("{\"vcpus\": 4, \"boot\": {\"kernel\": \"/a\", \"initrd\": \"i\"}}");
	snprintf(text, sizeof(text), "vm create demo -f %s --kernel /b", path);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(expected, sizeof(expected),
		 "{\"name\": \"demo\", \"vcpus\": 4, \"boot\": {\"kernel\": \"/b\","
		 " \"initrd\": \"%s/i\"}}",
		 cwd);
	assert_int_equal(parse(&line, text), 0);
	assert_body(&line, expected);
	unlink(path);
	done(&line);
}

static void test_bad_file(void **state)
{
	static const struct {
		const char *content;
		int r;
	} rows[] = {
		{ "{\"vcpus\": 4", -EBADMSG },
		{ "{\"vcpus\": 4, \"vcpus\": 5}", -EBADMSG },
		{ "[]", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *path = make_file(rows[i].content);
		char text[128], *body = NULL;
		struct line line;

		snprintf(text, sizeof(text), "vm create demo --file=%s", path);
		assert_int_equal(parse(&line, text), 0);
		assert_int_equal(body_build(&line.inv, &body, &line.err), rows[i].r);
		assert_non_null(strstr(line.err.msg, path));
		unlink(path);
		done(&line);
	}
}

static void test_usage(void **state)
{
	assert_usage("vm strat demo", "did you mean \"vm start\"?");
	assert_usage("start demo", "did you mean \"vm start\"?");
	assert_usage("networks list", "did you mean \"network\"?");
	assert_usage("vm", "vm what?");
	assert_usage("vm start", "VM is missing");
	assert_usage("vm start a b", "one word too many");
	assert_usage("host x", "one word too many");
	assert_usage("vm create demo --vcpu 2", "did you mean --vcpus?");
	assert_usage("vm create demo --strat", "did you mean --start?");
	assert_usage("vm start demo --start", "no option --start");
	assert_usage("vm set demo", "nothing to change");
	assert_usage("vm set -f patch.json", "VM is missing");
	assert_usage("vm create", "NAME is missing");
	assert_usage("vm list -o toml", "\"toml\" is none of table, wide, json, yaml, name");
	assert_usage("vm list -o", "needs a value");
	assert_usage("vm wait demo --for happy", "none of shutoff");
	assert_usage("vm wait demo --timeout -1", "no number");
	assert_usage("vm wait demo --timeout 1x", "no number");
	assert_usage("vm top --count 0", "no number from 1");
	assert_usage("vm top --interval 1.5", "no number of seconds from 1");
	assert_usage("vm top --sort size", "none of cpu, steal");
	assert_usage("vm top demo", "one word too many");
	assert_usage("vm start demo --wait=yes", "takes no value");
	assert_usage("vm show demo --vcpus 2", "no option --vcpus");
}

static void test_options(void **state)
{
	struct line line;

	assert_int_equal(parse(&line, "vm wait --for=shutoff demo --timeout 7 -ojson --socket /s"),
			 0);
	assert_string_equal(line.inv.operand, "demo");
	assert_string_equal(line.inv.options.until, "shutoff");
	assert_string_equal(line.inv.options.socket, "/s");
	assert_int_equal(line.inv.options.timeout, 7);
	assert_int_equal(line.inv.options.format, OUTPUT_JSON);
	done(&line);

	assert_int_equal(parse(&line, "vm show -- -x"), 0);
	assert_string_equal(line.inv.operand, "-x");
	done(&line);

	assert_int_equal(parse(&line, "vm define -"), 0);
	assert_string_equal(line.inv.operand, "-");
	done(&line);

	assert_int_equal(parse(&line, "vm start --help"), 0);
	assert_true(line.inv.options.help);
	done(&line);
}

static void test_items(void **state)
{
	struct line line;
	char *path;

	assert_int_equal(parse(&line, "disk attach demo /b.img --cache none --next-boot"), 0);
	assert_string_equal(line.inv.operand, "demo");
	assert_body(&line, "{\"path\": \"/b.img\", \"cache\": \"none\"}");
	assert_int_equal(client_path(line.inv.command->op->path, "demo", line.inv.item,
				     line.inv.query, &path, NULL), 0);
	assert_string_equal(path, "/v1/vms/demo/disks?next_boot=true");
	free(path);
	done(&line);

	/* a setting may take the place of the first one */
	assert_int_equal(parse(&line, "nic attach demo --tap tap0"), 0);
	assert_body(&line, "{\"tap\": \"tap0\"}");
	done(&line);

	assert_int_equal(parse(&line, "disk set demo vda --no-read-only --generation 7"), 0);
	assert_body(&line, "{\"read_only\": false}");
	assert_int_equal(client_path(line.inv.command->op->path, "demo", line.inv.item,
				     line.inv.query, &path, NULL), 0);
	assert_string_equal(path, "/v1/vms/demo/disks/vda?generation=7");
	free(path);
	done(&line);

	assert_usage("disk detach demo", "DISK is missing");
	assert_usage("disk attach", "VM is missing");
	assert_usage("disk detach demo vda vdb", "one word too many, after DISK");
	assert_usage("nic set demo net0", "nothing to change");
	assert_usage("disk detach demo vda --dry-rum", "did you mean --dry-run?");
	assert_usage("disk list demo --dry-run", "no option --dry-run");
}

static void test_socket_of_environment(void **state)
{
	assert_int_equal(setenv("HVD_SOCKET", "/env.sock", 1), 0);
	assert_string_equal(options_default().socket, "/env.sock");
	assert_int_equal(setenv("HVD_SOCKET", "", 1), 0);
	assert_string_equal(options_default().socket, OPTIONS_SOCKET);
	unsetenv("HVD_SOCKET");
}

static void test_path(void **state)
{
	char *path;

	assert_int_equal(client_path("/v1/vms/{vm}/xml", "demo", NULL, NULL, &path, NULL), 0);
	assert_string_equal(path, "/v1/vms/demo/xml");
	free(path);
	assert_int_equal(client_path("/v1/vms/{vm}", "../host?x=1#", NULL, NULL, &path, NULL), 0);
	assert_string_equal(path, "/v1/vms/..%2Fhost%3Fx%3D1%23");
	free(path);
	assert_int_equal(client_path("/v1/host", "", NULL, NULL, &path, NULL), 0);
	assert_string_equal(path, "/v1/host");
	free(path);
}

static void test_diff(void **state)
{
	static const struct {
		const char *from, *to, *patch;
	} rows[] = {
		{ "{\"a\": 1}", "{\"a\": 1}", "{}" },
		{ "{\"a\": 1}", "{\"a\": 2, \"b\": [1]}", "{\"a\": 2, \"b\": [1]}" },
		{ "{\"a\": 1, \"b\": 2}", "{\"b\": 2}", "{\"a\": null}" },
		{ "{\"r\": {\"x\": 1, \"y\": 2}}", "{\"r\": {\"x\": 3, \"y\": 2}}",
		  "{\"r\": {\"x\": 3}}" },
		{ "{\"l\": [1, 2]}", "{\"l\": [1]}", "{\"l\": [1]}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *from = json_loads(rows[i].from, 0, NULL);
		json_t *to = json_loads(rows[i].to, 0, NULL);
		json_t *wanted = json_loads(rows[i].patch, 0, NULL);
		json_t *patch = edit_diff(from, to);

		assert_true(json_equal(patch, wanted));
		json_decref(from);
		json_decref(to);
		json_decref(wanted);
		json_decref(patch);
	}
}

/* A setting goes before an option of all commands that has its name. */
static void test_setting_before_option(void **state)
{
	struct line line;

	assert_int_equal(parse(&line, "disk attach demo --socket /run/nbd.sock --output json"), 0);
	assert_body(&line, "{\"nbd\": {\"socket\": \"/run/nbd.sock\"}}");
	assert_string_equal(line.inv.options.socket, options_default().socket);
	for (size_t i = 0; i < n_option_specs; i++)
		if (!strcmp(option_specs[i].flag, "--socket"))
			assert_false(command_takes(line.inv.command, &option_specs[i]));
	done(&line);

	assert_int_equal(parse(&line, "disk detach demo vda --socket /run/hvd.sock"), 0);
	assert_string_equal(line.inv.options.socket, "/run/hvd.sock");
	done(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_setting_before_option),
		cmocka_unit_test(test_every_op_is_a_command),
		cmocka_unit_test(test_nouns_stand_together),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_relative_paths),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_bad_file),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_socket_of_environment),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_diff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
