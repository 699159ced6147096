/* SPDX-License-Identifier: Apache-2.0 */
/* What hvd measures of the host and of itself. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/kernel_text.h"
#include "daemon/metrics.h"
#include "daemon/operation.h"
#include "vmm/base/macro.h"

#define USEC_PER_SEC ((uint64_t)1000000)

static uint64_t usec_of(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * USEC_PER_SEC + (uint64_t)tv->tv_usec;
}

static uint32_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t n = 0;

	if (!dir)
		return 0;
	for (const struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n - 1; /* the folder itself */
}

static void measure_process(struct host_metrics *ret)
{
	char text[KERNEL_TEXT_SIZE];
	struct rusage usage;

	if (kernel_text_read("/proc/self/statm", text))
		ret->resident = kernel_text_number(text, 1) * (uint64_t)sysconf(_SC_PAGESIZE);
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		ret->process_cpu_usec = usec_of(&usage.ru_utime) + usec_of(&usage.ru_stime);
	ret->open_fds = count_fds();
	if (kernel_text_read("/proc/meminfo", text))
		ret->memory_available = kernel_text_value(text, "MemAvailable") * KIB;
}

static int count_vms(const struct manager *manager, struct host_metrics *ret)
{
	ret->states = calloc(_VM_STATE_MAX, sizeof(*ret->states));
	if (!ret->states)
		return -ENOMEM;
	ret->n_states = _VM_STATE_MAX;
	for (unsigned state = 0; state < _VM_STATE_MAX; state++)
		ret->states[state].state = state;
	for (const struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		ret->states[vm_state(vm)].vms++;
	return 0;
}

static int count_answers(const struct manager *manager, struct host_metrics *ret)
{
	const struct traffic *traffic = &manager->traffic;

	ret->codes = calloc(ARRAY_SIZE(traffic->answers), sizeof(*ret->codes));
	if (!ret->codes)
		return -ENOMEM;
	for (uint32_t code = 0; code < ARRAY_SIZE(traffic->answers); code++)
		if (traffic->answers[code])
			ret->codes[ret->n_codes++] =
				(struct code_metrics){ code, traffic->answers[code] };
	ret->http_connections = traffic->connections;
	ret->dbus_calls = traffic->dbus_calls;
	return 0;
}

static uint32_t count_operations(const struct manager *manager)
{
	uint32_t n = 0;

	for (struct operation *o = operation_next(manager->operations, NULL); o;
	     o = operation_next(manager->operations, o))
		n += operation_info(o)->state == OUTCOME_RUNNING;
	return n;
}

int metrics_host(const struct manager *manager, struct host_metrics *ret)
{
	ret->version = strdup(PACKAGE_VERSION);
	if (!ret->version || count_vms(manager, ret) < 0 || count_answers(manager, ret) < 0)
		return -ENOMEM;
	ret->cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	ret->memory = manager->host.memory;
	ret->operations = count_operations(manager);
	ret->events = event_log_seq(manager->events);
	ret->started_usec = manager->traffic.since_usec;
	measure_process(ret);
	return 0;
}
