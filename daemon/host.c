/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"
#include "vmm/vmm.h"

#define TEXT_MAX (1024 * 1024)
#define KMSG_RECORD_MAX 8192

const char *const host_mode_names[_HOST_MODE_MAX] = {
	[HOST_NONE] = "none",
	[HOST_VHE] = "vhe",
	[HOST_NVHE] = "nvhe",
	[HOST_PROTECTED] = "protected",
	[HOST_VHE_NV] = "vhe+nv",
};

/* Arm BSA, "PPI assignments": the timers that a kernel may take for its own clock. */
static const struct {
	unsigned intid;
	enum host_mode mode;
} clock_interrupts[] = {
	{ 26, HOST_VHE },  /* CNTHP, EL2 physical */
	{ 28, HOST_VHE },  /* CNTHV, EL2 virtual */
	{ 30, HOST_NVHE }, /* CNTP, EL1 physical */
	{ 27, HOST_NONE }, /* CNTV, EL1 virtual: EL2 was not ours */
};

static const struct {
	const char *text;
	enum host_mode mode;
} log_messages[] = {
	{ "Protected nVHE mode initialized successfully", HOST_PROTECTED },
	{ "Protected hVHE mode initialized successfully", HOST_PROTECTED },
	{ "Hyp nVHE mode initialized successfully", HOST_NVHE },
	{ "Hyp mode initialized successfully", HOST_NVHE },
	{ "VHE mode initialized successfully", HOST_VHE },
	{ "HYP mode not available", HOST_NONE },
};

/* One line: " 11:  100  200  GICv3  26 Level  arch_timer", its number of the controller or -1. */
static int clock_intid(const char *line, size_t len)
{
	char buf[4096];
	const char *chip;
	int intid;

	if (len >= sizeof(buf))
		return -1;
	memcpy(buf, line, len);
	buf[len] = '\0';

	chip = strstr(buf, "GIC");
	if (!chip || !strstr(chip, " arch_timer"))
		return -1;
	return sscanf(chip, "%*s %d", &intid) == 1 ? intid : -1;
}

int host_mode_from_interrupts(const char *text)
{
	for (const char *line = text; *line; line += strspn(line, "\n")) {
		size_t len = strcspn(line, "\n");
		int intid = clock_intid(line, len);

		for (size_t i = 0; i < ARRAY_SIZE(clock_interrupts); i++)
			if (intid == (int)clock_interrupts[i].intid)
				return (int)clock_interrupts[i].mode;
		line += len;
	}
	return -1;
}

int host_mode_from_log(const char *text)
{
	const char *line = strstr(text, "kvm [");

	if (!line)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(log_messages); i++)
		if (strstr(line, log_messages[i].text))
			return (int)log_messages[i].mode;
	return -1;
}

bool host_cmdline_protected(const char *cmdline)
{
	static const char option[] = "kvm-arm.mode=";
	bool is_protected = false;

	/* The last one counts, as in the kernel. */
	for (const char *p = cmdline; (p = strstr(p, option)); p += strlen(option))
		is_protected = strncmp(p + strlen(option), "protected", 9) == 0;
	return is_protected;
}

/* A file of /proc, whose size stat(2) does not tell. */
static int read_text(const char *path, char **ret)
{
	AUTO(free) char *text = malloc(TEXT_MAX + 1);
	AUTO(fclose) FILE *f = NULL;
	size_t len;

	if (!text)
		return -ENOMEM;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	len = fread(text, 1, TEXT_MAX, f);
	if (ferror(f))
		return -EIO;
	text[len] = '\0';
	*ret = TAKE(text);
	return 0;
}

/* Walks the kernel log; every read(2) returns one record. */
static int mode_from_kmsg(void)
{
	char record[KMSG_RECORD_MAX + 1];
	AUTO(close) int fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	for (;;) {
		ssize_t len = read(fd, record, sizeof(record) - 1);
		int mode;

		if (len < 0 && errno == EPIPE)
			continue; /* the record was overwritten meanwhile: the next one comes */
		if (len <= 0)
			return -1;
		record[len] = '\0';
		mode = host_mode_from_log(record);
		if (mode >= 0)
			return mode;
	}
}

static enum host_mode find_mode(bool nested)
{
	AUTO(free) char *interrupts = NULL, *cmdline = NULL;
	int mode = -1;

	if (read_text("/proc/interrupts", &interrupts) >= 0)
		mode = host_mode_from_interrupts(interrupts);
	if (mode < 0)
		mode = mode_from_kmsg();
	if (mode == HOST_NVHE && read_text("/proc/cmdline", &cmdline) >= 0 &&
	    host_cmdline_protected(cmdline))
		return HOST_PROTECTED;
	if (mode == HOST_VHE && nested)
		return HOST_VHE_NV;
	return mode < 0 ? HOST_NONE : (enum host_mode)mode;
}

static const char *mode_detail(enum host_mode mode)
{
	switch (mode) {
	case HOST_NVHE:
		return "KVM runs in nVHE mode: every exit of a guest costs more; VHE needs a CPU "
		       "with Armv8.1 VHE and no kvm-arm.mode=nvhe on the kernel command line";
	case HOST_PROTECTED:
		return "KVM runs in protected mode: every exit of a guest costs more; remove "
		       "kvm-arm.mode=protected from the kernel command line for VHE";
	case HOST_NONE:
		return "the kernel does not say in which mode KVM runs";
	default:
		return NULL;
	}
}

static int set_detail(struct host_info *info, const char *detail)
{
	if (!detail)
		return 0;
	info->virt_detail = strdup(detail);
	return info->virt_detail ? 0 : -ENOMEM;
}

static void set_features(struct host_info *info, const struct vmm_host *host)
{
	info->max_vcpus = MIN(host->max_vcpus, (uint32_t)VM_MAX_VCPUS);
	info->ipa_bits = host->ipa_bits;
	info->gicv3 = host->gicv3;
	info->its = host->its;
	info->aarch32 = host->aarch32;
	info->pmu = host->pmu;
	info->sve = host->sve;
	info->pauth = host->pauth;
	info->mte = host->mte;
	info->el2 = host->el2;
	info->steal_time = host->steal_time;
}

/* Returns the mode; where VMs cannot run, why not in info->virt_detail. */
static int probe_kvm(struct host_info *info, enum host_mode *ret)
{
	struct hvd_error err = { 0 };
	struct vmm_host host = { 0 };
	AUTO(close) int kvm = -1;
	char detail[512];

	if (strcmp(info->arch, "aarch64") != 0) {
		snprintf(detail, sizeof(detail), "hvd runs VMs on arm64 hosts only, this is %s",
			 info->arch);
		return set_detail(info, detail);
	}

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) {
		snprintf(detail, sizeof(detail),
			 "/dev/kvm: %s: the kernel needs CONFIG_KVM and must be entered at EL2",
			 strerror(errno));
		return set_detail(info, detail);
	}

	if (vmm_probe(kvm, &host, &err) < 0)
		return set_detail(info, err.msg);

	set_features(info, &host);
	*ret = find_mode(host.el2);
	return set_detail(info, mode_detail(*ret));
}

int host_probe(struct host_info *ret)
{
	struct host_info info = { 0 };
	enum host_mode mode = HOST_NONE;
	struct utsname uts;
	int r;

	uname(&uts);
	info.hostname = strdup(uts.nodename);
	info.kernel = strdup(uts.release);
	info.arch = strdup(uts.machine);
	info.hvd_version = strdup(PACKAGE_VERSION);
	info.cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	info.memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	if (!info.hostname || !info.kernel || !info.arch || !info.hvd_version) {
		r = -ENOMEM;
		goto fail;
	}

	r = probe_kvm(&info, &mode);
	if (r < 0)
		goto fail;
	info.virt_mode = strdup(host_mode_names[mode]);
	if (!info.virt_mode) {
		r = -ENOMEM;
		goto fail;
	}
	*ret = info;
	return 0;
fail:
	schema_clear(&host_schema, &info);
	return r;
}
