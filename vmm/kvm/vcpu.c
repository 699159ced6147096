/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KICK_SIGNAL SIGRTMIN

#define PSTATE_EL1H_DAIF 0x3c5 /* EL1 with SP_EL1; D, A, I, F masked */

#define REG_CORE(member)                                                                           \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(member))
#define REG_MPIDR ARM64_SYS_REG(3, 0, 0, 0, 5)

struct kvm_vcpu_features kvm_vcpu_features_offered(struct kvm_vm *vm)
{
	return (struct kvm_vcpu_features){
		.pmu = kvm_cap(vm->fd, KVM_CAP_ARM_PMU_V3),
		.sve = kvm_cap(vm->fd, KVM_CAP_ARM_SVE),
		.pauth = kvm_cap(vm->fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
			 kvm_cap(vm->fd, KVM_CAP_ARM_PTRAUTH_GENERIC),
		.steal_time = kvm_cap(vm->fd, KVM_CAP_STEAL_TIME),
	};
}

static int init(struct kvm_vm *vm, struct kvm_vcpu *vcpu, const struct kvm_vcpu_features *features,
		bool powered_off, struct hvd_error *err)
{
	struct kvm_vcpu_init init;
	int sve = KVM_ARM_VCPU_SVE;

	if (ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init) < 0)
		return hvd_err(err, errno, "KVM_ARM_PREFERRED_TARGET: %s", strerror(errno));

	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (powered_off)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	if (features->pmu)
		init.features[0] |= 1u << KVM_ARM_VCPU_PMU_V3;
	if (features->sve)
		init.features[0] |= 1u << KVM_ARM_VCPU_SVE;
	if (features->pauth)
		init.features[0] |= 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS |
				    1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;

	if (ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init) < 0)
		return hvd_err(err, errno, "KVM_ARM_VCPU_INIT with features 0x%x: %s",
			       init.features[0], strerror(errno));
	if (features->sve && ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &sve) < 0)
		return hvd_err(err, errno, "KVM_ARM_VCPU_FINALIZE of SVE: %s", strerror(errno));
	return 0;
}

int kvm_vcpu_create(struct kvm_vm *vm, unsigned id, const struct kvm_vcpu_features *features,
		    bool powered_off, struct kvm_vcpu *ret, struct hvd_error *err)
{
	struct kvm_vcpu vcpu = { .id = id, .stats_fd = -1, .run_size = vm->run_size };
	int r;

	vcpu.fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (vcpu.fd < 0)
		return hvd_err(err, errno, "KVM_CREATE_VCPU %u: %s", id, strerror(errno));

	vcpu.run = mmap(NULL, vcpu.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.fd, 0);
	if (vcpu.run == MAP_FAILED) {
		r = hvd_err(err, errno, "vCPU %u: cannot map its kvm_run: %s", id, strerror(errno));
		close(vcpu.fd);
		return r;
	}

	r = init(vm, &vcpu, features, powered_off, err);
	if (r < 0) {
		kvm_vcpu_destroy(&vcpu);
		return r;
	}
	*ret = vcpu;
	return 0;
}

void kvm_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	if (!vcpu->run)
		return;
	munmap(vcpu->run, vcpu->run_size);
	if (vcpu->stats_fd >= 0)
		close(vcpu->stats_fd);
	close(vcpu->fd);
	vcpu->run = NULL;
}

static int set_attr(const struct kvm_vcpu *vcpu, uint32_t group, uint64_t attr, const void *value)
{
	return kvm_device_set(vcpu->fd, group, attr, value);
}

int kvm_vcpu_init_pmu(struct kvm_vcpu *vcpu, unsigned intid, struct hvd_error *err)
{
	int irq = (int)intid, r;

	r = set_attr(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &irq);
	if (r < 0)
		return hvd_err(err, -r, "KVM_ARM_VCPU_PMU_V3_IRQ: %s", strerror(-r));
	r = set_attr(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, NULL);
	if (r < 0)
		return hvd_err(err, -r, "KVM_ARM_VCPU_PMU_V3_INIT: %s", strerror(-r));
	return 0;
}

int kvm_vcpu_init_steal_time(struct kvm_vcpu *vcpu, uint64_t ipa, struct hvd_error *err)
{
	int r = set_attr(vcpu, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &ipa);

	return r < 0 ? hvd_err(err, -r, "KVM_ARM_VCPU_PVTIME_IPA: %s", strerror(-r)) : 0;
}

int kvm_vcpu_get_reg(const struct kvm_vcpu *vcpu, uint64_t id, uint64_t *ret)
{
	uint64_t value;
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	if (ioctl(vcpu->fd, KVM_GET_ONE_REG, &reg) < 0)
		return -errno;
	*ret = value;
	return 0;
}

int kvm_vcpu_set_reg(const struct kvm_vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	return ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg) < 0 ? -errno : 0;
}

int kvm_vcpu_mpidr(const struct kvm_vcpu *vcpu, uint64_t *ret)
{
	return kvm_vcpu_get_reg(vcpu, REG_MPIDR, ret);
}

int kvm_vcpu_pc(const struct kvm_vcpu *vcpu, uint64_t *ret)
{
	return kvm_vcpu_get_reg(vcpu, REG_CORE(regs.pc), ret);
}

int kvm_vcpu_counter(const struct kvm_vcpu *vcpu, uint64_t *ret)
{
	return kvm_vcpu_get_reg(vcpu, KVM_REG_ARM_TIMER_CNT, ret);
}

int kvm_vcpu_set_entry(const struct kvm_vcpu *vcpu, uint64_t pc, uint64_t arg)
{
	const struct {
		uint64_t id, value;
	} regs[] = {
		{ REG_CORE(regs.regs[0]), arg },
		{ REG_CORE(regs.regs[1]), 0 },
		{ REG_CORE(regs.regs[2]), 0 },
		{ REG_CORE(regs.regs[3]), 0 },
		{ REG_CORE(regs.pc), pc },
		{ REG_CORE(regs.pstate), PSTATE_EL1H_DAIF },
	};

	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		int r = kvm_vcpu_set_reg(vcpu, regs[i].id, regs[i].value);

		if (r < 0)
			return r;
	}
	return 0;
}

int kvm_vcpu_inject_abort(const struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_events events = { .exception.ext_dabt_pending = 1 };

	return ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events) < 0 ? -errno : 0;
}

int kvm_vcpu_run(const struct kvm_vcpu *vcpu)
{
	return ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
}

void kvm_vcpu_kick(struct kvm_vcpu *vcpu, pthread_t thread)
{
	/* The flag stops an entry that is about to happen, the signal one that has happened. */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(thread, KICK_SIGNAL);
}

void kvm_vcpu_clear_kick(struct kvm_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

static void on_kick(int signal)
{
	/* only there so that KVM_RUN returns */
}

void kvm_kick_signal_install(void)
{
	struct sigaction action = { .sa_handler = on_kick };

	sigaction(KICK_SIGNAL, &action, NULL);
}

void kvm_kick_signal_unblock(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
