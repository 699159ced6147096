/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "vmm/base/macro.h"

#if defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#elif defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64 /* for the unit tests */
#endif

#define MAIN (1u << VMM_THREAD_MAIN)
#define IO   (1u << VMM_THREAD_IO)
#define VCPU (1u << VMM_THREAD_VCPU)
#define ALL  (MAIN | IO | VCPU)

/*
 * A thread inherits the list of the main thread, which therefore holds all of the others'. Grouped by
 * what they are for.
 */
static const struct {
	uint32_t number;
	unsigned threads;
} allowed[] = {
	/* the vCPU loop, and eventfds */
	{ SYS_ioctl, ALL },
	{ SYS_read, ALL },
	{ SYS_write, ALL },

	/* locks, signals, time, the end of a thread: what the C library does by itself */
	{ SYS_futex, ALL },
	{ SYS_rt_sigreturn, ALL },
	{ SYS_rt_sigprocmask, ALL },
	{ SYS_restart_syscall, ALL },
	{ SYS_clock_gettime, ALL },
	{ SYS_gettid, ALL },
	{ SYS_getpid, ALL },
	{ SYS_tgkill, ALL },
	{ SYS_madvise, ALL },
	{ SYS_munmap, ALL },
	{ SYS_exit, ALL },
	{ SYS_exit_group, ALL },

	/* the alarm of the PL031 */
	{ SYS_timerfd_settime, ALL },

	/* what the guest programs into flash */
	{ SYS_pwrite64, MAIN | VCPU },
	{ SYS_fdatasync, MAIN | VCPU },

	/* event loops, and memory for a device that its driver starts */
	{ SYS_epoll_pwait, MAIN | IO },
#ifdef SYS_epoll_wait
	{ SYS_epoll_wait, MAIN | IO }, /* what x86_64 has instead, for the unit tests */
#endif
	{ SYS_epoll_ctl, MAIN | IO },
	{ SYS_sched_yield, MAIN | IO },
	{ SYS_mmap, MAIN | IO },
	{ SYS_mprotect, MAIN | IO },
	{ SYS_mremap, MAIN | IO },
	{ SYS_brk, MAIN | IO },
	{ SYS_close, MAIN | IO },

	/* storage daemons: waiting for what they answer, memory that they share */
	{ SYS_ppoll, MAIN | IO },
#ifdef SYS_poll
	{ SYS_poll, MAIN | IO }, /* what x86_64 has instead */
#endif
	{ SYS_memfd_create, MAIN },

	/* disks, taps, entropy */
	{ SYS_io_uring_enter, MAIN | IO },
	{ SYS_io_uring_setup, MAIN | IO },
	{ SYS_io_uring_register, MAIN | IO },
	{ SYS_readv, MAIN | IO },
	{ SYS_writev, MAIN | IO },
	{ SYS_getrandom, MAIN | IO },

	/* connections of virtio-vsock */
	{ SYS_socket, MAIN | IO }, /* see write_socket() */
	{ SYS_connect, MAIN | IO },
	{ SYS_accept4, MAIN | IO },
	{ SYS_shutdown, MAIN | IO },

	/* the main thread: control socket, console, building and resetting the machine */
	{ SYS_recvmsg, MAIN | IO }, /* IO: vhost-user */
	{ SYS_sendmsg, MAIN | IO },
	{ SYS_recvfrom, MAIN },
	{ SYS_sendto, MAIN },
	{ SYS_socketpair, MAIN },
	{ SYS_getsockopt, MAIN },
	{ SYS_fcntl, MAIN },
	{ SYS_pread64, MAIN },
	{ SYS_lseek, MAIN },
	{ SYS_newfstatat, MAIN | IO }, /* the size of a disk */
	{ SYS_ftruncate, MAIN | IO },
	{ SYS_statx, MAIN },
	{ SYS_eventfd2, MAIN },
	{ SYS_epoll_create1, MAIN },
	{ SYS_timerfd_create, MAIN },
	{ SYS_rt_sigaction, MAIN },
	{ SYS_clone, MAIN },
	{ SYS_clone3, MAIN },

	/* the start of a thread: its name and its own filter */
	{ SYS_set_robust_list, MAIN },
	{ SYS_rseq, MAIN },
	{ SYS_prctl, MAIN },
};

#define CODE_MAX (2 * ARRAY_SIZE(allowed) + 10)

_Static_assert(CODE_MAX <= UINT8_MAX, "a jump has eight bits");

struct sandbox {
	struct code {
		unsigned short len;
		struct sock_filter at[CODE_MAX];
	} filters[_VMM_THREAD_MAX];
};

static void put(struct code *code, uint16_t what, uint32_t value)
{
	code->at[code->len++] = (struct sock_filter){ .code = what, .k = value };
}

static void load(struct code *code, size_t offset)
{
	put(code, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

#define EXPECT (BPF_JMP | BPF_JEQ | BPF_K)

/* What was loaded is this, and then the call is allowed or the next instruction's turn; else it is refused. */
static void expect(struct code *code, uint32_t value, bool allow)
{
	put(code, EXPECT, value);
	code->at[code->len - 1].jt = allow; /* until resolve() knows where that is */
}

/* To connect to what is in the VM's own folder, which is all that there is. */
static void write_socket(struct code *code)
{
	const size_t domain = offsetof(struct seccomp_data, args[0]);

	expect(code, SYS_socket, false);
	load(code, domain); /* the lower half: both architectures are little-endian */
	expect(code, AF_UNIX, false);
	load(code, domain + 4);
	expect(code, 0, true);
}

/*
 * A binary tree: the kernel tries every system call there is when a filter is installed, to remember those
 * that it always allows, and three filters are part of each start of a VM.
 */
static void write_tree(struct code *code, const uint32_t *numbers, unsigned n)
{
	unsigned half = n / 2, fork = code->len;

	if (n == 1) {
		if (numbers[0] == SYS_socket)
			write_socket(code);
		else
			expect(code, numbers[0], true);
		return;
	}
	put(code, BPF_JMP | BPF_JGE | BPF_K, numbers[half]);
	write_tree(code, numbers, half);
	code->at[fork].jt = (uint8_t)(code->len - fork - 1);
	write_tree(code, numbers + half, n - half);
}

/* The two ends, and the jumps to them. */
static void resolve(struct code *code)
{
	unsigned allow = code->len, refuse = allow + 1;

	for (unsigned i = 0; i < allow; i++) {
		if (code->at[i].code != EXPECT)
			continue;
		if (code->at[i].jt)
			code->at[i].jt = (uint8_t)(allow - i - 1);
		code->at[i].jf = (uint8_t)(refuse - i - 1);
	}
	put(code, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	put(code, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void write_filter(struct code *code, enum vmm_thread kind)
{
	uint32_t numbers[ARRAY_SIZE(allowed)];
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (allowed[i].threads & (1u << kind))
			numbers[n++] = allowed[i].number;
	qsort(numbers, n, sizeof(numbers[0]), compare);

	load(code, offsetof(struct seccomp_data, arch));
	expect(code, OWN_ARCH, false);
	load(code, offsetof(struct seccomp_data, nr));
	write_tree(code, numbers, n);
	resolve(code);
}

int sandbox_new(struct sandbox **ret, struct hvd_error *err)
{
	struct sandbox *sandbox = calloc(1, sizeof(*sandbox));

	if (!sandbox)
		return hvd_err(err, ENOMEM, "sandbox: %s", strerror(ENOMEM));
	for (unsigned kind = 0; kind < _VMM_THREAD_MAX; kind++)
		write_filter(&sandbox->filters[kind], kind);
	*ret = sandbox;
	return 0;
}

struct sandbox *sandbox_free(struct sandbox *sandbox)
{
	free(sandbox);
	return NULL;
}

int sandbox_enter(const struct sandbox *sandbox, enum vmm_thread kind)
{
	const struct code *code = &sandbox->filters[kind];
	/* the kernel only reads it */
	const struct sock_fprog program = { code->len, (struct sock_filter *)code->at };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return 0;
}
