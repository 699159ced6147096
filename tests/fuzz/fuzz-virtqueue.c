/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring itself: flags, size, features, then guest memory as the fuzzer wants it. Whatever
 * vq_pop() hands out must lie in guest RAM and add up.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/virtio_fuzz.h"
#include "vmm/virtio/virtqueue.h"

#define RAM_SIZE (64 * KIB)

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_chain(const struct vq_chain *chain, const uint8_t *ram)
{
	uint64_t out = 0, in = 0;

	check(chain->n_out + chain->n_in <= VQ_MAX_SEGS);
	for (unsigned i = 0; i < chain->n_out + chain->n_in; i++) {
		const uint8_t *base = chain->iov[i].iov_base;
		size_t len = chain->iov[i].iov_len;

		check(len > 0 && base >= ram && len <= RAM_SIZE);
		check(base + len <= ram + RAM_SIZE);
		*(i < chain->n_out ? &out : &in) += len;
	}
	check(out == chain->out_len && in == chain->in_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest_mem *mem;
	static struct vq_chain chain;
	struct fuzz_input in = { data, size };
	struct virtqueue vq = { 0 };
	unsigned held = 0, how;
	uint8_t *ram;
	int r;

	if (!mem && guest_mem_new(FUZZ_RAM_BASE, RAM_SIZE, &mem) < 0)
		abort();
	ram = guest_mem_ptr(mem, FUZZ_RAM_BASE, RAM_SIZE);

	how = (unsigned)fuzz_take(&in, 1);
	vq_reset(&vq);
	vq.size = (uint16_t)(1U << (how & 15));
	vq.desc = FUZZ_RAM_BASE + fuzz_take(&in, 2);
	vq.avail = FUZZ_RAM_BASE + fuzz_take(&in, 2);
	vq.used = FUZZ_RAM_BASE + fuzz_take(&in, 2);
	memset(ram, 0, RAM_SIZE);
	memcpy(ram, in.data, in.size < RAM_SIZE ? in.size : RAM_SIZE);
	if (vq_activate(&vq, mem, (uint64_t)(how >> 4) << VIRTIO_RING_F_INDIRECT_DESC) < 0)
		return 0;

	for (unsigned i = 0; i < 1000; i++) {
		r = vq_pop(&vq, &chain);
		if (r <= 0)
			break;
		check_chain(&chain, ram);
		check(++held <= vq.size);
		if (i % 3 == 0) {
			vq_unpop(&vq, chain.head);
			check(vq_pop(&vq, &chain) == 1);
		}
		if (i % 5) {
			vq_push(&vq, chain.head, chain.in_len);
			held--;
		}
		if (i % 7 == 0)
			vq_flush(&vq);
		vq_enable_kick(&vq);
	}
	vq_flush(&vq);
	vq_disable_kick(&vq);
	r = vq_pop(&vq, &chain);
	check((r == -EBADMSG) == (vq.broken != NULL));
	return 0;
}
