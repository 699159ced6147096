/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/gic.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/macro.h"

/* Fields of KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION. */
#define REDIST_COUNT_SHIFT 52

#define PRIVATE_IRQS 32

static int failed(struct hvd_error *err, int r, const char *what)
{
	return hvd_err(err, -r, "GICv3: %s: %s", what, strerror(-r));
}

/* Regions with an index, the n-th the n-th. */
static int set_redist(int fd, const struct gic_places *places)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(places->redist); i++) {
		uint64_t region = (uint64_t)places->redist[i].n << REDIST_COUNT_SHIFT |
				  places->redist[i].base | i;

		if (places->redist[i].n)
			r = kvm_device_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
					   KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, &region);
	}
	return r;
}

static int set_up_gic(int fd, const struct gic_places *places, struct hvd_error *err)
{
	uint64_t dist = places->dist;
	uint32_t n_irqs = PRIVATE_IRQS + places->n_spis;
	int r;

	r = kvm_device_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist);
	if (r < 0)
		return failed(err, r, "KVM_VGIC_V3_ADDR_TYPE_DIST");
	r = set_redist(fd, places);
	if (r < 0)
		return failed(err, r, "KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION");
	r = kvm_device_set(fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &n_irqs);
	if (r < 0)
		return failed(err, r, "KVM_DEV_ARM_VGIC_GRP_NR_IRQS");
	r = kvm_device_set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	if (r < 0)
		return failed(err, r, "KVM_DEV_ARM_VGIC_CTRL_INIT");
	return 0;
}

static int set_up_its(int fd, uint64_t base, struct hvd_error *err)
{
	int r;

	r = kvm_device_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, &base);
	if (r < 0)
		return failed(err, r, "KVM_VGIC_ITS_ADDR_TYPE");
	r = kvm_device_set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	if (r < 0)
		return failed(err, r, "KVM_DEV_ARM_VGIC_CTRL_INIT of the ITS");
	return 0;
}

static int create_both(struct kvm_vm *vm, const struct gic_places *places, struct gic *gic,
		       struct hvd_error *err)
{
	int r;

	r = kvm_device_create(vm, KVM_DEV_TYPE_ARM_VGIC_V3, &gic->fd);
	if (r == -ENODEV)
		return hvd_err(err, EOPNOTSUPP, "KVM of this host offers no GICv3 "
			       "(KVM_DEV_TYPE_ARM_VGIC_V3): hvd needs a host with a GICv3 or GICv4");
	if (r < 0)
		return failed(err, r, "KVM_CREATE_DEVICE");
	r = set_up_gic(gic->fd, places, err);
	if (r < 0)
		return r;
	if (!places->its)
		return 0;

	r = kvm_device_create(vm, KVM_DEV_TYPE_ARM_VGIC_ITS, &gic->its_fd);
	if (r < 0)
		return failed(err, r, "KVM_CREATE_DEVICE of the ITS");
	return set_up_its(gic->its_fd, places->its, err);
}

int gic_create(struct kvm_vm *vm, const struct gic_places *places, struct gic *ret,
	       struct hvd_error *err)
{
	struct gic gic = GIC_INIT;
	int r;

	r = create_both(vm, places, &gic, err);
	if (r < 0) {
		gic_destroy(&gic);
		return r;
	}
	*ret = gic;
	return 0;
}

void gic_destroy(struct gic *gic)
{
	if (gic->its_fd >= 0)
		close(gic->its_fd);
	if (gic->fd >= 0)
		close(gic->fd);
	gic->fd = gic->its_fd = -1;
}
