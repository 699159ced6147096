/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "api/json.h"
#include "api/vm_schema.h"
#include "daemon/control.h"
#include "vmm/base/log.h"

#define CONFIG_SIZE_MAX (256 * 1024)

static void usage(void)
{
	puts("Usage: hvd-vmm --config FILE\n"
	     "\n"
	     "Run a VM in the foreground. FILE is its spec in JSON: the member \"spec\" of what\n"
	     "hvcli vm show -o json prints. The terminal is the guest's console: ^A x ends the VM,\n"
	     "^A h shows the keys.\n"
	     "\n"
	     "hvd starts this program too, with a control socket as standard input (hvd-vmm(8)).\n"
	     "\n"
	     "  --config FILE      the VM\n"
	     "  --vm NAME          ignored; makes the VM's name visible in ps(1)\n"
	     "  --debug            log more\n"
	     "  --version, --help");
}

int worker_read_config(int fd, struct vm_config *config, struct hvd_error *err)
{
	AUTO(free) char *text = malloc(CONFIG_SIZE_MAX + 1);
	AUTO(json_decref) json_t *json = NULL;
	size_t len = 0;
	ssize_t n;
	int r;

	if (!text)
		return hvd_err(err, ENOMEM, "out of memory");
	while (len <= CONFIG_SIZE_MAX && (n = read(fd, text + len, CONFIG_SIZE_MAX + 1 - len)) != 0) {
		if (n < 0)
			return hvd_err(err, errno, "%s", strerror(errno));
		len += (size_t)n;
	}
	if (len > CONFIG_SIZE_MAX)
		return hvd_err(err, EFBIG, "the spec is larger than %d bytes", CONFIG_SIZE_MAX);

	r = json_parse(text, len, &json, err);
	return r < 0 ? r : json_to_obj(&vm_schema, json, config, err);
}

int worker_signals(const int *signals, int *ret)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

int worker_exit_status(enum vmm_reason reason)
{
	switch (reason) {
	case VMM_REASON_PANIC:
		return CONTROL_EXIT_PANIC;
	case VMM_REASON_WATCHDOG:
		return CONTROL_EXIT_WATCHDOG;
	default:
		return EXIT_FAILURE;
	}
}

void worker_enter_sandbox(const struct sandbox *sandbox, enum vmm_thread kind)
{
	int r = sandbox_enter(sandbox, kind);

	if (r < 0) {
		log_err("sandbox: %s: the kernel needs CONFIG_SECCOMP_FILTER", strerror(-r));
		_exit(EXIT_FAILURE);
	}
}

/* Either mode; returns the exit status. */
static int run(const char *config)
{
	AUTO(sandbox_free) struct sandbox *sandbox = NULL;
	struct hvd_error err = { 0 };
	size_t seed = 0;

	/* Left alone, jansson would open /dev/urandom for this when it makes its first object. */
	if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
		json_object_seed(seed);

	if (sandbox_new(&sandbox, &err) < 0) {
		log_err("%s", err.msg);
		return EXIT_FAILURE;
	}
	return config ? worker_foreground(config, sandbox) : worker_control(STDIN_FILENO, sandbox);
}

static bool is_control_socket(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "vm", required_argument, NULL, 'n' },
		{ "debug", no_argument, NULL, 'd' },        { "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },         { 0 },
	};
	const char *config = NULL;
	int level = LOG_INFO;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			config = optarg;
			break;
		case 'n':
			break;
		case 'd':
			level = LOG_DEBUG;
			break;
		case 'v':
			puts("hvd-vmm " PACKAGE_VERSION);
			return 0;
		case 'h':
			usage();
			return 0;
		default:
			return 2;
		}
	}
	log_open(level);
	umask(0077);
	signal(SIGPIPE, SIG_IGN);

	/* Threads hardly allocate: an arena of its own for each would only cost memory. */
	mallopt(M_ARENA_MAX, 1);

	if (optind == argc && (config || is_control_socket(STDIN_FILENO)))
		return run(config);
	fputs("hvd-vmm: --config FILE is needed; see hvd-vmm --help\n", stderr);
	return 2;
}
