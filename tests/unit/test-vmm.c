/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The façade on real KVM: a bare-metal guest in place of a kernel does one thing in each test.
 * Skipped where there is no /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "vmm/base/macro.h"
#include "vmm/vmm.h"

#define TIMEOUT_SECONDS 600
#define MODE_AT         32 /* in the header, unused by the boot protocol */

enum mode { SHUTDOWN, RESET, SPIN, UNDECODED, SECOND_CPU, BUTTON, STRAY, PANIC, DUMP, STUCK };

/*
 * The guest: an arm64 Image. Prints '!' on the PL011, then does what its header says in `mode`. Any
 * exception prints 'A' and turns the machine off.
 */
extern const uint8_t guest_start[] __attribute__((visibility("hidden")));
extern const uint8_t guest_end[] __attribute__((visibility("hidden")));
__asm__(".pushsection .rodata\n"
	".globl guest_start, guest_end\n"
	".balign 8\n"
	"guest_start:\n"
	"	b	1f\n"
	"	.word	0\n"
	"	.quad	0\n"                             /* text_offset */
	"	.quad	0x10000\n"                       /* image_size */
	"	.quad	0xa\n"                           /* flags */
	"	.quad	0, 0, 0\n"                       /* mode */
	"	.ascii	\"ARM\\x64\"\n"
	"	.word	0\n"
	"1:	adr	x9, guest_start + 0x800\n"
	"	msr	vbar_el1, x9\n"
	"	mov	x10, #0x09000000\n"              /* PL011 */
	"	mov	w11, #'!'\n"
	"	strb	w11, [x10]\n"
	"	adr	x9, guest_start\n"
	"	ldr	x9, [x9, #32]\n"
	"	cmp	x9, #1\n"
	"	b.eq	10f\n"
	"	cmp	x9, #2\n"
	"	b.eq	20f\n"
	"	cmp	x9, #3\n"
	"	b.eq	30f\n"
	"	cmp	x9, #4\n"
	"	b.eq	40f\n"
	"	cmp	x9, #5\n"
	"	b.eq	50f\n"
	"	cmp	x9, #6\n"
	"	b.eq	60f\n"
	"	mov	x12, #0x090d0000\n"              /* pvpanic */
	"	cmp	x9, #7\n"
	"	b.eq	70f\n"
	"	cmp	x9, #8\n"
	"	b.eq	80f\n"
	"	cmp	x9, #9\n"
	"	b.eq	90f\n"
	"9:	ldr	w0, =0x84000008\n"               /* SYSTEM_OFF */
	"	hvc	#0\n"
	"10:	ldr	w0, =0x84000009\n"               /* SYSTEM_RESET */
	"	hvc	#0\n"
	"20:	b	20b\n"
	"30:	ldp	x0, x1, [x10]\n"                 /* no syndrome: cannot be emulated */
	"	b	9b\n"
	"40:	ldr	w0, =0xc4000003\n"               /* CPU_ON */
	"	mov	x1, #1\n"
	"	adr	x2, 41f\n"
	"	mov	x3, #'2'\n"
	"	hvc	#0\n"
	"	b	20b\n"
	"41:	mov	x10, #0x09000000\n"              /* the second CPU, x0 = '2' */
	"	strb	w0, [x10]\n"
	"	b	9b\n"
	"50:	mov	x12, #0x09030000\n"              /* PL061: wait for line 3 */
	"51:	ldr	w13, [x12, #0x20]\n"
	"	cbz	w13, 51b\n"
	"	b	9b\n"
	"60:	mov	x12, #0x0b000000\n"              /* nothing there */
	"	str	x12, [x12]\n"
	"	ldr	x13, [x12]\n"
	"	cbz	x13, 9b\n"
	"	b	20b\n"
	"70:	mov	w13, #1\n"                      /* panic, and reboot at once */
	"	strb	w13, [x12]\n"
	"	b	10b\n"
	"80:	mov	w13, #2\n"                      /* panic, and off when the dump is written */
	"	strb	w13, [x12]\n"
	"	b	9b\n"
	"90:	mov	x12, #0x090f0000\n"              /* watchdog: a short period, and never again */
	"	mov	w13, #0x100\n"
	"	str	w13, [x12, #8]\n"
	"	mov	w13, #1\n"
	"	str	w13, [x12]\n"
	"	mov	w11, #'.'\n"
	"	strb	w11, [x10]\n"
	"	b	20b\n"
	"	.ltorg\n"
	"	.org	guest_start + 0xa00\n"           /* vector: synchronous, current EL with SPx */
	"	mov	w11, #'A'\n"
	"	strb	w11, [x10]\n"
	"	ldr	w0, =0x84000008\n"
	"	hvc	#0\n"
	"	.ltorg\n"
	"guest_end:\n"
	".popsection\n");

struct rig {
	struct loop *main;
	struct vmm *vmm;
	int terminal;
	unsigned resets, stop_after;
	unsigned remarks; /* changes of state, or none, with a text */
	enum vmm_state state;
	enum vmm_reason reason;
	struct hvd_error err;
	struct vm_config config;
	unsigned descriptors; /* open before the test */
};

static unsigned open_descriptors(void)
{
	AUTO(closedir) DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	return n;
}

static void on_state(void *ctx, enum vmm_state state, enum vmm_reason reason,
		     const struct hvd_error *err)
{
	struct rig *rig = ctx;

	rig->state = state;
	rig->reason = reason;
	if (err) {
		rig->err = *err;
		rig->remarks++;
	}
	if (state == VMM_STOPPED || err)
		loop_quit(rig->main);
}

static void on_reset(void *ctx)
{
	struct rig *rig = ctx;

	if (++rig->resets == rig->stop_after)
		loop_quit(rig->main);
}

static const struct vmm_hooks hooks = { .state_changed = on_state, .was_reset = on_reset };

static int guest_file(enum mode mode)
{
	uint64_t value = mode;
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, guest_start, (size_t)(guest_end - guest_start)),
			 guest_end - guest_start);
	assert_int_equal(pwrite(fd, &value, sizeof(value), MODE_AT), sizeof(value));
	return fd;
}

static int create(struct rig *rig, int kernel, struct hvd_error *err)
{
	struct vm_files files = VM_FILES_INIT;

	files.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	files.kernel = kernel;
	return vmm_create(&rig->config, &files, rig->main, &hooks, rig, &rig->vmm, err);
}

static void boot(struct rig *rig, enum mode mode)
{
	struct hvd_error err = { 0 };
	int ends[2];

	if (create(rig, guest_file(mode), &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(vmm_state(rig->vmm), VMM_CREATED);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(console_attach(vmm_console(rig->vmm), ends[0], false, NULL), 0);
	rig->terminal = ends[1];
	assert_int_equal(vmm_start(rig->vmm, NULL), 0);
	assert_int_equal(rig->state, VMM_RUNNING);
}

/* Stops the main loop when the guest has printed something. */
struct watch {
	struct loop_source src;
	struct rig *rig;
};

static void on_output(struct loop_source *src, uint32_t events)
{
	loop_quit(container_of(src, struct watch, src)->rig->main);
}

/* What the guest says, at least this much; returns the length. */
static size_t read_output(struct rig *rig, char *buf, size_t size, size_t at_least)
{
	struct watch watch = { .src = { .fd = rig->terminal, .fn = on_output }, .rig = rig };
	size_t have = 0;

	assert_int_equal(loop_add(rig->main, &watch.src, EPOLLIN), 0);
	while (have < at_least) {
		ssize_t n;

		loop_run(rig->main);
		n = recv(rig->terminal, buf + have, size - have, MSG_DONTWAIT);
		have += n > 0 ? (size_t)n : 0;
	}
	loop_remove(&watch.src);
	return have;
}

static void expect_output(struct rig *rig, const char *text)
{
	char buf[64];

	assert_int_equal(read_output(rig, buf, sizeof(buf), strlen(text)), strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static int set_up(void **state)
{
	static struct rig rig;

	alarm(TIMEOUT_SECONDS);
	rig = (struct rig){ .terminal = -1, .descriptors = open_descriptors() };
	rig.config = (struct vm_config){ .vcpus = 2, .memory = 32 * MIB, .io_threads = 2,
					   .rng = true };
	assert_int_equal(loop_new(&rig.main), 0);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	vmm_free(rig->vmm);
	loop_free(rig->main);
	if (rig->terminal >= 0)
		close(rig->terminal);
	assert_int_equal(open_descriptors(), rig->descriptors);
	return 0;
}

static void run_to_end(struct rig *rig, enum vmm_reason reason)
{
	while (rig->state != VMM_STOPPED)
		loop_run(rig->main);
	assert_int_equal(rig->reason, reason);
	assert_int_equal(vmm_state(rig->vmm), VMM_STOPPED);
}

static void guest_shuts_down(void **state)
{
	struct rig *rig = *state;

	boot(rig, SHUTDOWN);
	run_to_end(rig, VMM_REASON_GUEST_SHUTDOWN);
	/* what it said last is still there to read */
	expect_output(rig, "!");
	assert_int_equal(vmm_reset(rig->vmm, NULL), -EINVAL);
}

/* It goes on with that: once more may have come before the loop has ended. */
static void guest_resets_and_runs_again(void **state)
{
	struct rig *rig = *state;
	char said[3];

	rig->stop_after = 3;
	boot(rig, RESET);
	loop_run(rig->main);
	assert_true(rig->resets >= 3);
	assert_int_equal(vmm_state(rig->vmm), VMM_RUNNING);
	assert_int_equal(read_output(rig, said, sizeof(said), sizeof(said)), sizeof(said));
	assert_memory_equal(said, "!!!", sizeof(said));
	vmm_stop(rig->vmm);
	assert_int_equal(rig->reason, VMM_REASON_HOST_STOP);
}

static void guest_reset_may_be_the_end(void **state)
{
	struct rig *rig = *state;

	rig->config.on_reboot = ON_REBOOT_STOP;
	boot(rig, RESET);
	run_to_end(rig, VMM_REASON_GUEST_REBOOT);
	assert_int_equal(rig->resets, 0);
}

static void second_cpu_starts_by_psci(void **state)
{
	struct rig *rig = *state;

	boot(rig, SECOND_CPU);
	run_to_end(rig, VMM_REASON_GUEST_SHUTDOWN);
	expect_output(rig, "!2");
}

/* More than there are redistributors below RAM. */
static void many_cpus(void **state)
{
	struct rig *rig = *state;

	rig->config.vcpus = 130;
	boot(rig, SECOND_CPU);
	run_to_end(rig, VMM_REASON_GUEST_SHUTDOWN);
	expect_output(rig, "!2");
}

static void access_without_syndrome_is_the_guests_abort(void **state)
{
	struct rig *rig = *state;

	boot(rig, UNDECODED);
	run_to_end(rig, VMM_REASON_GUEST_SHUTDOWN);
	expect_output(rig, "!A");
}

static void access_to_nothing_reads_as_zero(void **state)
{
	struct rig *rig = *state;

	boot(rig, STRAY);
	run_to_end(rig, VMM_REASON_GUEST_SHUTDOWN);
	expect_output(rig, "!");
}

static void power_button_reaches_the_guest(void **state)
{
	struct rig *rig = *state;

	boot(rig, BUTTON);
	expect_output(rig, "!");
	assert_int_equal(vmm_power_button(rig->vmm, NULL), 0);
	run_to_end(rig, VMM_REASON_GUEST_SHUTDOWN);
}

/* The guest's own reset comes right behind, and has to wait. */
static void a_panic_pauses_the_guest(void **state)
{
	struct rig *rig = *state;

	rig->config.profile = PROFILE_MICRO;
	rig->config.pvpanic = true;
	rig->config.on_reboot = ON_REBOOT_STOP;
	boot(rig, PANIC);
	loop_run(rig->main);
	assert_int_equal(vmm_state(rig->vmm), VMM_PAUSED);
	assert_int_equal(rig->reason, VMM_REASON_PANIC);
	assert_non_null(strstr(rig->err.msg, "the guest panicked"));
	assert_int_equal(rig->resets, 0);

	assert_int_equal(vmm_resume(rig->vmm, NULL), 0);
	run_to_end(rig, VMM_REASON_GUEST_REBOOT);
}

static void a_panic_may_be_the_end(void **state)
{
	struct rig *rig = *state;

	rig->config.profile = PROFILE_MICRO;
	rig->config.pvpanic = true;
	rig->config.on_crash = ON_CRASH_STOP;
	boot(rig, PANIC);
	run_to_end(rig, VMM_REASON_PANIC);
	assert_int_equal(rig->resets, 0);
	assert_int_equal(rig->remarks, 1);
}

static void a_panic_may_restart_the_guest(void **state)
{
	struct rig *rig = *state;

	rig->config.profile = PROFILE_MICRO;
	rig->config.pvpanic = true;
	rig->config.on_crash = ON_CRASH_RESTART;
	boot(rig, PANIC);
	while (rig->remarks < 3)
		loop_run(rig->main);
	assert_int_equal(vmm_state(rig->vmm), VMM_RUNNING);
	assert_int_equal(rig->reason, VMM_REASON_PANIC);
	assert_true(rig->resets >= 3);
}

static void a_guest_that_writes_a_dump_is_left_alone(void **state)
{
	struct rig *rig = *state;

	rig->config.profile = PROFILE_MICRO;
	rig->config.pvpanic = true;
	rig->config.on_crash = ON_CRASH_STOP;
	boot(rig, DUMP);
	while (rig->state != VMM_STOPPED)
		loop_run(rig->main);
	assert_int_equal(rig->reason, VMM_REASON_GUEST_SHUTDOWN);
	assert_int_equal(rig->resets, 0);
}

/* Where there is no device, there is nothing that a guest could write to. */
static void without_pvpanic_nobody_is_told(void **state)
{
	struct rig *rig = *state;

	rig->config.profile = PROFILE_MICRO;
	rig->config.on_crash = ON_CRASH_STOP;
	rig->config.on_reboot = ON_REBOOT_STOP;
	boot(rig, PANIC);
	run_to_end(rig, VMM_REASON_GUEST_REBOOT);
	assert_int_equal(rig->remarks, 0);
}

static void the_watchdog_fires(void **state)
{
	static const struct {
		enum watchdog watchdog;
		enum vmm_state state;
		bool resets; /* again and again */
	} cases[] = {
		{ WATCHDOG_NONE, VMM_RUNNING, false },
		{ WATCHDOG_RESET, VMM_RUNNING, true },
		{ WATCHDOG_SHUTDOWN, VMM_RUNNING, false },
		{ WATCHDOG_STOP, VMM_STOPPED, false },
		{ WATCHDOG_PAUSE, VMM_PAUSED, false },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		rig->config.watchdog = cases[i].watchdog;
		rig->remarks = rig->resets = 0;
		boot(rig, STUCK);
		while (!rig->remarks)
			loop_run(rig->main);
		assert_int_equal(vmm_state(rig->vmm), cases[i].state);
		assert_int_equal(rig->reason, VMM_REASON_WATCHDOG);
		assert_int_equal(rig->resets > 0, cases[i].resets);
		assert_non_null(strstr(rig->err.msg, "watchdog"));
		rig->vmm = vmm_free(rig->vmm);
		close(TAKE_FD(rig->terminal));
	}
}

static void no_watchdog_no_bite(void **state)
{
	struct rig *rig = *state;

	boot(rig, STUCK);
	expect_output(rig, "!.");
	assert_int_equal(rig->remarks, 0);
	assert_int_equal(vmm_state(rig->vmm), VMM_RUNNING);
}

static void pauses_and_goes_on(void **state)
{
	struct rig *rig = *state;

	boot(rig, SPIN);
	expect_output(rig, "!");
	for (int i = 0; i < 50; i++) {
		assert_int_equal(vmm_pause(rig->vmm, NULL), 0);
		assert_int_equal(rig->state, VMM_PAUSED);
		assert_int_equal(vmm_resume(rig->vmm, NULL), 0);
		assert_int_equal(rig->state, VMM_RUNNING);
	}
	vmm_stop(rig->vmm);
}

static void reset_keeps_it_paused(void **state)
{
	struct rig *rig = *state;

	boot(rig, BUTTON);
	expect_output(rig, "!");
	assert_int_equal(vmm_pause(rig->vmm, NULL), 0);
	assert_int_equal(vmm_reset(rig->vmm, NULL), 0);
	assert_int_equal(vmm_state(rig->vmm), VMM_PAUSED);
	assert_int_equal(rig->resets, 1);
	assert_int_equal(vmm_resume(rig->vmm, NULL), 0);
	expect_output(rig, "!");
	assert_int_equal(vmm_reset(rig->vmm, NULL), 0);
	expect_output(rig, "!");
	vmm_stop(rig->vmm);
}

static void refuses_what_the_state_does_not_allow(void **state)
{
	struct rig *rig = *state;
	struct hvd_error err = { 0 };

	boot(rig, SPIN);
	assert_int_equal(vmm_start(rig->vmm, &err), -EINVAL);
	assert_string_equal(err.msg, "cannot start a VM that is running");
	assert_int_equal(vmm_resume(rig->vmm, NULL), -EINVAL);
	assert_int_equal(vmm_pause(rig->vmm, NULL), 0);
	assert_int_equal(vmm_pause(rig->vmm, NULL), -EINVAL);
	assert_int_equal(vmm_power_button(rig->vmm, NULL), -EINVAL);
	vmm_stop(rig->vmm);
	assert_int_equal(vmm_resume(rig->vmm, NULL), -EINVAL);
	vmm_stop(rig->vmm);
}

/* Freed in every state that it can be in. */
static void may_be_freed_at_any_time(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(create(rig, guest_file(SPIN), NULL), 0);
	rig->vmm = vmm_free(rig->vmm);
	boot(rig, SPIN);
	rig->vmm = vmm_free(rig->vmm);
	close(rig->terminal);
	boot(rig, SPIN);
	assert_int_equal(vmm_pause(rig->vmm, NULL), 0);
}

static void bad_configurations_leave_nothing_behind(void **state)
{
	struct rig *rig = *state;
	struct hvd_error err = { 0 };
	int elf = memfd_create("elf", MFD_CLOEXEC);
	char name[] = "vmlinux";

	assert_int_equal(write(elf, "\x7f" "ELF", 4), 4);
	rig->config.boot.kernel = name;
	assert_int_equal(create(rig, elf, &err), -ENOEXEC);
	assert_string_equal(err.field, "boot.kernel");

	rig->config.vcpus = 4096;
	assert_int_equal(create(rig, guest_file(SPIN), &err), -ERANGE);
	assert_string_equal(err.field, "vcpus");

	rig->config.vcpus = 1;
	rig->config.memory = 1ULL << 52;
	assert_int_equal(create(rig, guest_file(SPIN), &err), -ERANGE);
	assert_string_equal(err.field, "memory");
}

static void kvm_must_be_kvm(void **state)
{
	struct rig *rig = *state;
	struct vm_files files = VM_FILES_INIT;
	struct hvd_error err = { 0 };

	files.kvm = open("/dev/null", O_RDWR | O_CLOEXEC);
	files.kernel = guest_file(SPIN);
	assert_int_equal(vmm_create(&rig->config, &files, rig->main, &hooks, rig, &rig->vmm, &err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "KVM"));
}

static void probes_the_host(void **state)
{
	AUTO(close) int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct vmm_host host = { 0 };

	assert_int_equal(vmm_probe(kvm, &host, NULL), 0);
	assert_in_range(host.max_vcpus, 1, 512);
	assert_in_range(host.ipa_bits, 32, 52);
	/* the machine of the other tests needs both */
	assert_true(host.gicv3);
	assert_true(host.its);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(guest_shuts_down),
		TEST(guest_resets_and_runs_again),
		TEST(guest_reset_may_be_the_end),
		TEST(second_cpu_starts_by_psci),
		TEST(many_cpus),
		TEST(access_without_syndrome_is_the_guests_abort),
		TEST(access_to_nothing_reads_as_zero),
		TEST(power_button_reaches_the_guest),
		TEST(a_panic_pauses_the_guest),
		TEST(a_panic_may_be_the_end),
		TEST(a_panic_may_restart_the_guest),
		TEST(a_guest_that_writes_a_dump_is_left_alone),
		TEST(without_pvpanic_nobody_is_told),
		TEST(the_watchdog_fires),
		TEST(no_watchdog_no_bite),
		TEST(pauses_and_goes_on),
		TEST(reset_keeps_it_paused),
		TEST(refuses_what_the_state_does_not_allow),
		TEST(may_be_freed_at_any_time),
		TEST(bad_configurations_leave_nothing_behind),
		TEST(kvm_must_be_kvm),
		cmocka_unit_test(probes_the_host),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		print_message("skipped: /dev/kvm: %s\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
