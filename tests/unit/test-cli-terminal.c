/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvcli on a real terminal, beside a real hvd: width and colour, ^C, an editor, and completion by the shells
 * that people have. Without a system bus hvd defines VMs, which is all that this needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/pty.h"
#include "vmm/base/macro.h"

#define LONG_NAME "a-vm-whose-name-is-as-long-as-names-may-be-three-and-sixty-by-0"

static char dir[64], top[PATH_MAX];
static pid_t hvd;

static void path_in(const char *folder, const char *name, char path[static PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
		fail_msg("%s is too long", folder);
}

static void start_hvd(void)
{
	const char *build = getenv("top_builddir");
	char program[PATH_MAX], xml[PATH_MAX], state[PATH_MAX], run[PATH_MAX], log[PATH_MAX];

	path_in(build ? build : ".", "hvd", program);
	path_in(build ? build : ".", "hvd-xml", xml);
	path_in(dir, "state", state);
	path_in(dir, "run", run);
	path_in(dir, "log", log);
	hvd = fork();
	assert_true(hvd >= 0);
	if (hvd)
		return;
	if (!freopen(log, "w", stderr))
		_exit(126);
	execl(program, program, "--no-bus", "--xml", xml, "--state-dir", state, "--runtime-dir", run, NULL);
	_exit(127);
}

/* A command line without a terminal; its wait status. */
static int run(const char *command)
{
	return system(command);
}

static int make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	return fd < 0 || ftruncate(fd, 1 << 20) < 0 ? -1 : close(fd);
}

static int load(void **state)
{
	char path[PATH_MAX], folder[PATH_MAX], env[PATH_MAX * 2];
	const char *build = getenv("top_builddir"), *source = getenv("top_srcdir");
	unsigned tries = 0;

	if (!realpath(build ? build : ".", folder) || !realpath(source ? source : ".", top))
		return -1;
	strcpy(dir, "/tmp/hvd-test-terminal-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	path_in(dir, "run", path);
	mkdir(path, 0755);
	path_in(dir, "run/hvd.sock", path);
	setenv("HVD_SOCKET", path, 1);
	snprintf(env, sizeof(env), "%s:%s", folder, getenv("PATH"));
	setenv("PATH", env, 1);
	setenv("TERM", "dumb", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	path_in(dir, "only-one.img", path);
	assert_int_equal(make_file(path), 0);
	path_in(dir, "a.img", path);
	assert_int_equal(make_file(path), 0);
	start_hvd();
	while (run("hvcli vm list >/dev/null 2>&1") != 0) {
		if (++tries > 1200)
			return -1;
		usleep(100000);
	}
	return run("hvcli vm create demo --kernel /bin/sh >/dev/null &&"
		   "hvcli vm create " LONG_NAME " --kernel /bin/sh >/dev/null");
}

static int unload(void **state)
{
	char command[128];

	kill(hvd, SIGTERM);
	waitpid(hvd, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return run(command);
}

#define HVCLI(...) ((const char *const[]){ "hvcli", __VA_ARGS__, NULL })

static void assert_columns(const struct pty *pty, size_t columns)
{
	size_t widest = 0;

	for (const char *line = pty->text; *line; line += strcspn(line, "\n") + 1) {
		size_t len = strcspn(line, "\r\n");

		/* the names are ASCII; "…" is three bytes */
		if (memmem(line, len, "…", 3))
			len -= 2;
		widest = MAX(widest, len);
		if (!line[strcspn(line, "\n")])
			break;
	}
	if (widest > columns)
		fail_msg("%zu columns in:\n%s", widest, pty->text);
}

static void test_width(void **state)
{
	struct pty pty;

	pty_start(&pty, HVCLI("vm", "list"), 120);
	assert_int_equal(pty_end(&pty), 0);
	assert_non_null(strstr(pty.text, LONG_NAME));
	assert_columns(&pty, 120);
	pty_free(&pty);

	pty_start(&pty, HVCLI("vm", "list"), 80);
	assert_int_equal(pty_end(&pty), 0);
	assert_null(strstr(pty.text, LONG_NAME));
	assert_non_null(strstr(pty.text, "…"));
	assert_columns(&pty, 80);
	pty_free(&pty);

	pty_start(&pty, HVCLI("vm", "create", "--help"), 50);
	assert_int_equal(pty_end(&pty), 0);
	pty_free(&pty);
}

static void test_colour(void **state)
{
	struct pty pty;

	setenv("TERM", "xterm", 1);
	pty_start(&pty, HVCLI("vm", "list"), 80);
	assert_int_equal(pty_end(&pty), 0);
	assert_non_null(strstr(pty.text, "\033[1mNAME"));
	pty_free(&pty);

	/* piped, on a terminal */
	pty_start(&pty, (const char *const[]){ "sh", "-c", "hvcli vm list | cat", NULL }, 60);
	assert_int_equal(pty_end(&pty), 0);
	assert_null(strchr(pty.text, '\033'));
	assert_non_null(strstr(pty.text, LONG_NAME));
	pty_free(&pty);

	setenv("NO_COLOR", "1", 1);
	pty_start(&pty, HVCLI("vm", "list"), 80);
	assert_int_equal(pty_end(&pty), 0);
	assert_null(strchr(pty.text, '\033'));
	pty_free(&pty);
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
}

/* A list that is cut says how to go on. */
static void test_more(void **state)
{
	struct pty pty;

	pty_start(&pty, HVCLI("events", "--since", "0", "--limit", "1"), 80);
	pty_expect(&pty, "hvd started");
	pty_expect(&pty, "There is more: go on with --cursor 1");
	assert_int_equal(pty_end(&pty), 0);
	pty_free(&pty);
	pty_start(&pty, HVCLI("events", "--cursor", "1", "--limit", "1"), 80);
	pty_expect(&pty, "There is more: go on with --cursor 2");
	assert_int_equal(pty_end(&pty), 0);
	pty_free(&pty);
	/* data is whole by itself, and there is no more than all */
	assert_int_equal(run("test -z \"$(hvcli events --since 0 --limit 1 -o json 2>&1 >/dev/null)\""), 0);
	assert_int_equal(run("test -z \"$(hvcli vm list --limit 100 2>&1 >/dev/null)\""), 0);
}

/* ^C ends a command that waits, at once and as ^C ends anything; the line that told so is erased. */
static void test_interrupt(void **state)
{
	struct pty pty;
	int status;

	pty_start(&pty, HVCLI("vm", "wait", "demo"), 80);
	pty_expect(&pty, "Waiting for VM demo to be running (is shutoff)");
	pty_resize(&pty, 40);
	pty_expect(&pty, "\033[KWaiting for VM demo to be running (is s\r");
	pty_type(&pty, "\003");
	status = pty_end(&pty);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	assert_true(pty.len > 4);
	assert_string_equal(pty.text + pty.len - 4, "\r\033[K");
	pty_free(&pty);

	pty_start(&pty, HVCLI("events", "--follow", "--since", "1"), 80);
	pty_expect(&pty, "vms/demo");
	assert_int_equal(run("hvcli vm set demo --description x >/dev/null"), 0);
	pty_expect(&pty, "vm.patch");
	pty_type(&pty, "\003");
	status = pty_end(&pty);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	pty_free(&pty);
}

/* An hvd in which starting a VM goes on for ever: one request on each connection. */
static void serve_endless_start(int listener)
{
	static const char operation[] =
		"{\"id\": \"0123456789ab\", \"kind\": \"vm.start\", \"resource\": \"/v1/vms/demo\","
		" \"state\": \"running\", \"created_usec\": 1, \"cancellable\": true,"
		" \"progress\": {\"done\": 1, \"total\": 4, \"unit\": \"steps\"}}";
	char request[4096], answer[1024];

	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nConnection: close\r\n"
		 "Content-Length: %zu\r\n\r\n%s", strlen(operation), operation);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 || read(fd, request, sizeof(request)) <= 0 ||
		    write(fd, answer, strlen(answer)) != (ssize_t)strlen(answer))
			_exit(1);
		close(fd);
	}
}

/* ^C in the middle of what takes time: it is told how to come back to it. */
static void test_interrupted_wait(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status;
	struct pty pty;
	pid_t server;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/endless", dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 8), 0);
	server = fork();
	assert_true(server >= 0);
	if (!server)
		serve_endless_start(listener);
	pty_start(&pty, HVCLI("--socket", addr.sun_path, "vm", "start", "demo"), 80);
	pty_expect(&pty, "[#####...............] 1 of 4 steps, ");
	pty_type(&pty, "\003");
	pty_expect(&pty, "It goes on. To wait again: hvcli operation wait 0123456789ab");
	pty_expect(&pty, "To end it: hvcli operation cancel 0123456789ab");
	status = pty_end(&pty);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	pty_free(&pty);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	close(listener);
}

/* What cannot be read is shown, and the editor opened again. */
static void test_edit_again(void **state)
{
	struct pty pty;
	char editor[PATH_MAX];
	const char *kept;
	FILE *f;

	path_in(dir, "editor", editor);
	f = fopen(editor, "w");
	assert_non_null(f);
	fputs("#!/bin/sh\n[ -e $1.again ] && { rm $1.again; sed -i -e 's/,broken/,/' -e 's/536870912/268435456/' $1; "
	      "exit; }\ntouch $1.again\nsed -i 's/536870912,/536870912,broken/' $1\n", f);
	fclose(f);
	chmod(editor, 0755);
	setenv("EDITOR", editor, 1);
	pty_start(&pty, HVCLI("vm", "edit", "demo"), 80);
	pty_expect(&pty, "Edit again? [Y/n] ");
	pty_type(&pty, "\n");
	pty_expect(&pty, "VM demo changed");
	assert_int_equal(pty_end(&pty), 0);
	pty_free(&pty);
	assert_int_equal(run("hvcli vm show demo -o json | grep -q '\"memory\": 268435456'"), 0);

	setenv("EDITOR", "sed -i s/268435456/1/", 1);
	pty_start(&pty, HVCLI("vm", "edit", "demo"), 80);
	pty_expect(&pty, "memory");
	pty_expect(&pty, "Edit again? [Y/n] ");
	pty_type(&pty, "n\n");
	pty_expect(&pty, "your text is kept in ");
	assert_int_equal(WEXITSTATUS(pty_end(&pty)), 1);
	kept = pty.text + pty.seen;
	snprintf(editor, sizeof(editor), "%.*s", (int)strcspn(kept, ":"), kept);
	assert_int_equal(unlink(editor), 0);
	pty_free(&pty);
	unsetenv("EDITOR");
}

/* Type keys at the shell's prompt; the command that they become prints this. */
static void command_in(struct pty *pty, const char *keys, const char *printed)
{
	pty_expect(pty, "ready> ");
	pty_type(pty, keys);
	pty_expect(pty, printed);
}

/* What each shell makes of words that have been begun. */
static void complete_in(const char *const *argv, const char *setup)
{
	struct pty pty;
	char line[PATH_MAX * 2];

	pty_start(&pty, argv, 200);
	snprintf(line, sizeof(line), setup, top);
	pty_type(&pty, line);

	command_in(&pty, "hvcli vm sho\tde\t-o json\n", "\"name\": \"demo\"");
	snprintf(line, sizeof(line),
		 "hvcli disk attach demo %s/only-one.img --format=r\t--cache un\t-o json\n", dir);
	command_in(&pty, line, "\"cache\": \"unsafe\"");
	snprintf(line, sizeof(line),
		 "hvcli vm create other --ker\t/bin/sh --disk path=%s/a.img,cache=un\t-o json\n", dir);
	command_in(&pty, line, "\"cache\": \"unsafe\"");
	snprintf(line, sizeof(line), "hvcli vm create more --kernel %s/only-o\t-o json\n", dir);
	command_in(&pty, line, "/only-one.img\",");
	pty_expect(&pty, "ready> ");
	pty_type(&pty, "exit\n");
	pty_end(&pty);
	pty_free(&pty);
	assert_int_equal(run("hvcli disk detach demo vda >/dev/null &&"
			     "hvcli vm delete other && hvcli vm delete more"), 0);
}

static bool is_there(const char *program)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	if (run(command) == 0)
		return true;
	print_message("no %s here\n", program);
	return false;
}

static void test_bash(void **state)
{
	if (!is_there("bash"))
		skip();
	complete_in((const char *const[]){ "bash", "--norc", "--noprofile", "-i", NULL },
		    ". %s/cli/completion/hvcli; PS1=$(printf 'rea%%s> ' dy)\n");
}

static void test_zsh(void **state)
{
	if (!is_there("zsh"))
		skip();
	complete_in((const char *const[]){ "zsh", "-f", "-i", NULL },
		    "fpath=(%s/cli/completion $fpath); autoload -Uz compinit; compinit -u -D; PS1=$(printf 'rea%%s> ' dy)\n");
}

/* fish tells what it would offer without a terminal. */
static void test_fish(void **state)
{
	char command[PATH_MAX * 2];

	if (!is_there("fish"))
		skip();
	snprintf(command, sizeof(command),
		 "HOME=%s fish --no-config -c 'source %s/cli/completion/hvcli.fish;"
		 " complete -C \"hvcli vm show de\"; complete -C \"hvcli vm list --output=ya\";"
		 " complete -C \"hvcli vm define /bin/s\"' >%s/fish", dir, top, dir);
	assert_int_equal(run(command), 0);
	snprintf(command, sizeof(command), "grep -qx 'demo.shutoff' %s/fish", dir);
	assert_int_equal(run(command), 0);
	snprintf(command, sizeof(command), "grep -qx -e --output=yaml %s/fish", dir);
	assert_int_equal(run(command), 0);
	snprintf(command, sizeof(command), "grep -q '^/bin/sh' %s/fish", dir);
	assert_int_equal(run(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_width),	  cmocka_unit_test(test_colour),
		cmocka_unit_test(test_more),	  cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_edit_again), cmocka_unit_test(test_interrupted_wait),
		cmocka_unit_test(test_bash),
		cmocka_unit_test(test_zsh),	  cmocka_unit_test(test_fish),
	};
	const char *build = getenv("top_builddir");
	char program[PATH_MAX];

	snprintf(program, sizeof(program), "%s/hvd", build ? build : ".");
	if (access(program, X_OK) < 0) {
		puts("hvd is not built here");
		return 77;
	}
	return cmocka_run_group_tests(tests, load, unload);
}
