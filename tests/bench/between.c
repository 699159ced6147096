/* SPDX-License-Identifier: Apache-2.0 */
/*
 * between BEGIN END -- CMD...: what the host does from the moment CMD, a VMM, writes BEGIN until it writes
 * END. Then CMD is ended. One line "NAME VALUE" each:
 *
 *	host_instructions	of all CPUs, of user space and kernel, without those of guests
 *	ns			of CLOCK_MONOTONIC
 *	exits, mmio_exit_user, mmio_exit_kernel	of the VM, by KVM's statistics in debugfs
 *
 * CMD's output goes to standard error. A program and not a shell: it must cost next to nothing in the
 * machine that it measures in.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS 64
#define KVM_DIR  "/sys/kernel/debug/kvm"

static const char *const kvm_stats[] = { "exits", "mmio_exit_user", "mmio_exit_kernel" };
#define N_STATS (sizeof(kvm_stats) / sizeof(kvm_stats[0]))

struct sample {
	uint64_t ns, instructions, kvm[N_STATS];
};

static int counters[MAX_CPUS];
static int n_counters;

static int start(char **argv, pid_t *pid)
{
	int fds[2];

	if (pipe(fds) < 0)
		return -1;
	*pid = fork();
	if (*pid == 0) {
		dup2(open("/dev/null", O_RDWR), 0);
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	close(fds[1]);
	return *pid < 0 ? -1 : fds[0];
}

static int open_counters(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_guest = 1,
	};
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	for (n_counters = 0; n_counters < n && n_counters < MAX_CPUS; n_counters++) {
		counters[n_counters] = (int)syscall(SYS_perf_event_open, &attr, -1, n_counters, -1,
						    PERF_FLAG_FD_CLOEXEC);
		if (counters[n_counters] < 0) {
			perror("between: perf_event_open");
			return -1;
		}
	}
	return 0;
}

static uint64_t read_stat(pid_t pid, const char *name)
{
	char prefix[32], path[512];
	uint64_t sum = 0, value;
	struct dirent *entry;
	DIR *dir = opendir(KVM_DIR);
	FILE *file;

	snprintf(prefix, sizeof(prefix), "%d-", (int)pid);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof(path), KVM_DIR "/%s/%s", entry->d_name, name);
		file = fopen(path, "re");
		if (file && fscanf(file, "%lu", &value) == 1)
			sum += value;
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return sum;
}

static void take_counts(struct sample *sample)
{
	struct timespec t;
	uint64_t value;

	clock_gettime(CLOCK_MONOTONIC, &t);
	sample->ns = t.tv_sec * 1000000000ull + t.tv_nsec;
	sample->instructions = 0;
	for (int i = 0; i < n_counters; i++)
		if (read(counters[i], &value, sizeof(value)) == sizeof(value))
			sample->instructions += value;
}

static void take_stats(struct sample *sample, pid_t pid)
{
	for (size_t i = 0; i < N_STATS; i++)
		sample->kvm[i] = read_stat(pid, kvm_stats[i]);
}

/* Until text is in the output, behind what was found before. */
static int wait_for(int fd, const char *text)
{
	static char seen[1 << 20];
	static size_t len, from;
	const char *found;
	ssize_t n;

	while (!(found = strstr(seen + from, text))) {
		n = len < sizeof(seen) - 1 ? read(fd, seen + len, sizeof(seen) - 1 - len) : 0;
		if (n <= 0) {
			fprintf(stderr, "%s\nbetween: no \"%s\"\n", seen, text);
			return -1;
		}
		len += (size_t)n;
		seen[len] = '\0';
	}
	from = (size_t)(found - seen) + strlen(text);
	return 0;
}

int main(int argc, char **argv)
{
	struct sample before, after;
	int out, status = 1;
	pid_t pid;

	if (argc < 5 || strcmp(argv[3], "--") != 0) {
		fprintf(stderr, "usage: between BEGIN END -- CMD...\n");
		return 2;
	}
	if (open_counters() < 0)
		return 1;
	out = start(argv + 4, &pid);
	if (out < 0)
		return 1;
	if (wait_for(out, argv[1]) == 0) {
		take_stats(&before, pid);
		take_counts(&before);
		status = wait_for(out, argv[2]) < 0;
		take_counts(&after);
		take_stats(&after, pid);
	}
	if (!status) {
		printf("host_instructions %lu\nns %lu\n", after.instructions - before.instructions,
		       after.ns - before.ns);
		for (size_t i = 0; i < N_STATS; i++)
			printf("%s %lu\n", kvm_stats[i], after.kvm[i] - before.kvm[i]);
	}
	kill(pid, SIGTERM);
	close(out);
	waitpid(pid, NULL, 0);
	return status;
}
