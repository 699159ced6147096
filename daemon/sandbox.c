/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "vmm/base/macro.h"

struct sandbox {
	struct sock_fprog filters[_VMM_THREAD_MAX];
};

DEFINE_AUTO(scmp_filter_ctx, seccomp_release);

#define MAIN (1u << VMM_THREAD_MAIN)
#define IO   (1u << VMM_THREAD_IO)
#define VCPU (1u << VMM_THREAD_VCPU)
#define ALL  (MAIN | IO | VCPU)

/*
 * A thread inherits the list of the main thread, which therefore holds all of the others'. Grouped by
 * what they are for.
 */
static const struct {
	int number;
	unsigned threads;
} allowed[] = {
	/* the vCPU loop, and eventfds */
	{ SCMP_SYS(ioctl), ALL },
	{ SCMP_SYS(read), ALL },
	{ SCMP_SYS(write), ALL },

	/* locks, signals, time, the end of a thread: what the C library does by itself */
	{ SCMP_SYS(futex), ALL },
	{ SCMP_SYS(rt_sigreturn), ALL },
	{ SCMP_SYS(rt_sigprocmask), ALL },
	{ SCMP_SYS(restart_syscall), ALL },
	{ SCMP_SYS(clock_gettime), ALL },
	{ SCMP_SYS(gettid), ALL },
	{ SCMP_SYS(getpid), ALL },
	{ SCMP_SYS(tgkill), ALL },
	{ SCMP_SYS(madvise), ALL },
	{ SCMP_SYS(munmap), ALL },
	{ SCMP_SYS(exit), ALL },
	{ SCMP_SYS(exit_group), ALL },

	/* the alarm of the PL031 */
	{ SCMP_SYS(timerfd_settime), ALL },

	/* what the guest programs into flash */
	{ SCMP_SYS(pwrite64), MAIN | VCPU },
	{ SCMP_SYS(fdatasync), MAIN | VCPU },

	/* event loops, and memory for a device that its driver starts */
	{ SCMP_SYS(epoll_pwait), MAIN | IO },
	{ SCMP_SYS(epoll_wait), MAIN | IO }, /* what x86_64 has instead, for the unit tests */
	{ SCMP_SYS(epoll_ctl), MAIN | IO },
	{ SCMP_SYS(sched_yield), MAIN | IO },
	{ SCMP_SYS(mmap), MAIN | IO },
	{ SCMP_SYS(mprotect), MAIN | IO },
	{ SCMP_SYS(mremap), MAIN | IO },
	{ SCMP_SYS(brk), MAIN | IO },
	{ SCMP_SYS(close), MAIN | IO },

	/* storage daemons: waiting for what they answer, memory that they share */
	{ SCMP_SYS(ppoll), MAIN | IO },
	{ SCMP_SYS(poll), MAIN | IO }, /* what x86_64 has instead */
	{ SCMP_SYS(memfd_create), MAIN },

	/* disks, taps, entropy */
	{ SCMP_SYS(io_uring_enter), MAIN | IO },
	{ SCMP_SYS(io_uring_setup), MAIN | IO },
	{ SCMP_SYS(io_uring_register), MAIN | IO },
	{ SCMP_SYS(readv), MAIN | IO },
	{ SCMP_SYS(writev), MAIN | IO },
	{ SCMP_SYS(getrandom), MAIN | IO },

	/* connections of virtio-vsock; and see allow_unix_sockets() */
	{ SCMP_SYS(connect), MAIN | IO },
	{ SCMP_SYS(accept4), MAIN | IO },
	{ SCMP_SYS(shutdown), MAIN | IO },

	/* the main thread: control socket, console, building and resetting the machine */
	{ SCMP_SYS(recvmsg), MAIN | IO }, /* IO: vhost-user */
	{ SCMP_SYS(sendmsg), MAIN | IO },
	{ SCMP_SYS(recvfrom), MAIN },
	{ SCMP_SYS(sendto), MAIN },
	{ SCMP_SYS(socketpair), MAIN },
	{ SCMP_SYS(getsockopt), MAIN },
	{ SCMP_SYS(fcntl), MAIN },
	{ SCMP_SYS(pread64), MAIN },
	{ SCMP_SYS(lseek), MAIN },
	{ SCMP_SYS(newfstatat), MAIN | IO }, /* the size of a disk */
	{ SCMP_SYS(ftruncate), MAIN | IO },
	{ SCMP_SYS(statx), MAIN },
	{ SCMP_SYS(eventfd2), MAIN },
	{ SCMP_SYS(epoll_create1), MAIN },
	{ SCMP_SYS(timerfd_create), MAIN },
	{ SCMP_SYS(rt_sigaction), MAIN },
	{ SCMP_SYS(clone), MAIN },
	{ SCMP_SYS(clone3), MAIN },

	/* the start of a thread: its name and its own filter */
	{ SCMP_SYS(set_robust_list), MAIN },
	{ SCMP_SYS(rseq), MAIN },
	{ SCMP_SYS(prctl), MAIN },
};

/* libseccomp writes a program to a descriptor only. */
static int export(scmp_filter_ctx filter, struct sock_fprog *ret)
{
	AUTO(close) int fd = memfd_create("seccomp", MFD_CLOEXEC);
	AUTO(free) struct sock_filter *code = NULL;
	off_t size;
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(filter, fd);
	if (r < 0)
		return r;

	size = lseek(fd, 0, SEEK_END);
	code = malloc((size_t)size);
	if (!code)
		return -ENOMEM;
	if (pread(fd, code, (size_t)size, 0) != size)
		return -EIO;
	ret->len = (unsigned short)((size_t)size / sizeof(*code));
	ret->filter = TAKE(code);
	return 0;
}

/* To connect to what is in the VM's own folder, which is all that there is. */
static int allow_unix_sockets(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp domain = { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX };

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &domain);
}

static int make_filter(enum vmm_thread kind, struct sock_fprog *ret)
{
	AUTO(seccomp_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!filter)
		return -ENOMEM;
	/*
	 * As a binary tree: the kernel tries every system call there is when a filter is installed, to
	 * remember those that it always allows, and three filters are part of each start of a VM.
	 */
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		if (!(allowed[i].threads & (1u << kind)))
			continue;
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i].number, 0);
		if (r < 0)
			return r;
	}
	if ((MAIN | IO) & (1u << kind)) {
		r = allow_unix_sockets(filter);
		if (r < 0)
			return r;
	}
	return export(filter, ret);
}

int sandbox_new(struct sandbox **ret, struct hvd_error *err)
{
	AUTO(sandbox_free) struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
	int r;

	if (!sandbox)
		return hvd_err(err, ENOMEM, "sandbox: %s", strerror(ENOMEM));
	for (unsigned kind = 0; kind < _VMM_THREAD_MAX; kind++) {
		r = make_filter(kind, &sandbox->filters[kind]);
		if (r < 0)
			return hvd_err(err, -r, "sandbox: %s", strerror(-r));
	}
	*ret = TAKE(sandbox);
	return 0;
}

struct sandbox *sandbox_free(struct sandbox *sandbox)
{
	if (!sandbox)
		return NULL;
	for (unsigned kind = 0; kind < _VMM_THREAD_MAX; kind++)
		free(sandbox->filters[kind].filter);
	free(sandbox);
	return NULL;
}

int sandbox_enter(const struct sandbox *sandbox, enum vmm_thread kind)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &sandbox->filters[kind]) < 0)
		return -errno;
	return 0;
}
