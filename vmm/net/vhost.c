/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/vhost.h"

#include <errno.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>

static int set_memory(int fd, const struct guest_mem *mem)
{
	uint64_t base = guest_mem_base(mem), size = guest_mem_size(mem);
	union {
		struct vhost_memory memory;
		uint8_t room[sizeof(struct vhost_memory) + sizeof(struct vhost_memory_region)];
	} table = { .memory.nregions = 1 };

	table.memory.regions[0] = (struct vhost_memory_region){
		.guest_phys_addr = base,
		.memory_size = size,
		.userspace_addr = (uintptr_t)guest_mem_ptr(mem, base, size),
	};
	return ioctl(fd, VHOST_SET_MEM_TABLE, &table);
}

int vhost_setup(int fd, const struct guest_mem *mem, struct vhost *ret, struct hvd_error *err)
{
	uint64_t features;

	/* after a reset of the VM it is ours already; if it were another's, the next step would fail */
	if ((ioctl(fd, VHOST_SET_OWNER) < 0 && errno != EBUSY) || set_memory(fd, mem) < 0 ||
	    ioctl(fd, VHOST_GET_FEATURES, &features) < 0)
		return hvd_err(err, errno, "vhost-net: %s", strerror(errno));
	*ret = (struct vhost){ .fd = fd, .features = features };
	return 0;
}

int vhost_set_features(const struct vhost *vhost, uint64_t features)
{
	return ioctl(vhost->fd, VHOST_SET_FEATURES, &features) < 0 ? -errno : 0;
}

static int set_eventfd(const struct vhost *vhost, unsigned long request, unsigned ring, int fd)
{
	struct vhost_vring_file file = { .index = ring, .fd = fd };

	return ioctl(vhost->fd, request, &file);
}

static int set_backend(const struct vhost *vhost, unsigned ring, int tap)
{
	return set_eventfd(vhost, VHOST_NET_SET_BACKEND, ring, tap);
}

int vhost_start(const struct vhost *vhost, unsigned ring, const struct vhost_ring *args, int tap)
{
	struct vhost_vring_state size = { ring, args->size }, base = { ring, args->next_avail };
	struct vhost_vring_addr addr = {
		.index = ring,
		.desc_user_addr = (uintptr_t)args->desc,
		.avail_user_addr = (uintptr_t)args->avail,
		.used_user_addr = (uintptr_t)args->used,
	};

	if (ioctl(vhost->fd, VHOST_SET_VRING_NUM, &size) < 0 ||
	    ioctl(vhost->fd, VHOST_SET_VRING_BASE, &base) < 0 ||
	    ioctl(vhost->fd, VHOST_SET_VRING_ADDR, &addr) < 0 ||
	    set_eventfd(vhost, VHOST_SET_VRING_CALL, ring, args->call) < 0 ||
	    set_eventfd(vhost, VHOST_SET_VRING_ERR, ring, args->error) < 0 ||
	    set_eventfd(vhost, VHOST_SET_VRING_KICK, ring, args->kick) < 0 ||
	    set_backend(vhost, ring, tap) < 0)
		return -errno;
	return 0;
}

/* Neither can fail for a ring that was started. */
uint16_t vhost_stop(const struct vhost *vhost, unsigned ring)
{
	struct vhost_vring_state base = { .index = ring };

	set_backend(vhost, ring, -1);
	(void)!ioctl(vhost->fd, VHOST_GET_VRING_BASE, &base);
	return (uint16_t)base.num;
}

void vhost_set_call(const struct vhost *vhost, unsigned ring, int call)
{
	(void)!set_eventfd(vhost, VHOST_SET_VRING_CALL, ring, call);
}
