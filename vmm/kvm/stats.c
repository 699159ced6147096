/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/stats.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/base/macro.h"

#define NAME_MAX_SIZE 256
#define DATA_MAX      8192

int kvm_stats_open(int vcpu_fd)
{
	int fd = ioctl(vcpu_fd, KVM_GET_STATS_FD, NULL);

	return fd < 0 ? -errno : fd;
}

static int read_at(int fd, void *buf, size_t size, uint64_t offset)
{
	ssize_t n = pread(fd, buf, size, (off_t)offset);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EPROTO;
}

static void take(struct kvm_stats_layout *layout, const struct kvm_stats_desc *desc,
		 unsigned counter)
{
	if (layout->n == KVM_STATS_MAX || desc->offset > DATA_MAX - sizeof(uint64_t))
		return;
	layout->at[layout->n].offset = desc->offset;
	layout->at[layout->n++].counter = (uint8_t)counter;
	layout->size = MAX(layout->size, desc->offset + (uint32_t)sizeof(uint64_t));
}

int kvm_stats_find(int fd, const struct kvm_stats_name *names, unsigned n,
		   struct kvm_stats_layout *ret)
{
	struct kvm_stats_header header;
	struct kvm_stats_layout layout = { 0 };
	char entry[sizeof(struct kvm_stats_desc) + NAME_MAX_SIZE], *name = entry + sizeof(struct kvm_stats_desc);
	size_t size;
	int r = read_at(fd, &header, sizeof(header), 0);

	if (r < 0)
		return r;
	if (!header.name_size || header.name_size > NAME_MAX_SIZE)
		return -EPROTO;
	layout.data = header.data_offset;
	size = sizeof(struct kvm_stats_desc) + header.name_size;
	for (uint32_t i = 0; i < header.num_desc; i++) {
		struct kvm_stats_desc desc;

		r = read_at(fd, entry, size, header.desc_offset + (uint64_t)i * size);
		if (r < 0)
			return r;
		memcpy(&desc, entry, sizeof(desc));
		name[header.name_size - 1] = '\0';
		for (unsigned k = 0; k < n; k++)
			if (strcmp(name, names[k].name) == 0)
				take(&layout, &desc, names[k].counter);
	}
	*ret = layout;
	return 0;
}

int kvm_stats_add(int fd, const struct kvm_stats_layout *layout, uint64_t *values)
{
	uint8_t data[DATA_MAX];
	int r;

	if (!layout->size)
		return 0;
	r = read_at(fd, data, layout->size, layout->data);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < layout->n; i++) {
		uint64_t value;

		memcpy(&value, data + layout->at[i].offset, sizeof(value));
		values[layout->at[i].counter] += value;
	}
	return 0;
}
