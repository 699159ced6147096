/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/virtqueue.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little-endian, and so is hvd");

#define FEATURE(features, bit) (((features) >> (bit)) & 1)

static int ring_broken(struct virtqueue *vq, const char *why)
{
	vq->broken = why;
	return -EBADMSG;
}

/* The driver's event index and the device's stand behind the rings' last entries (§2.7.10). */
static uint16_t *used_event(struct virtqueue *vq)
{
	return &vq->avail_ring->ring[vq->size];
}

static uint16_t *avail_event(struct virtqueue *vq)
{
	return (uint16_t *)&vq->used_ring->ring[vq->size];
}

static bool is_held(const struct virtqueue *vq, uint16_t head)
{
	return vq->held[head / 64] >> (head % 64) & 1;
}

static void flip_held(struct virtqueue *vq, uint16_t head)
{
	vq->held[head / 64] ^= 1ULL << (head % 64);
}

int vq_activate(struct virtqueue *vq, const struct guest_mem *mem, uint64_t features)
{
	size_t n = vq->size;

	if (!n || n > VQ_MAX_SIZE || n & (n - 1))
		return ring_broken(vq, "size is no power of two or too large");
	if (vq->desc % VRING_DESC_ALIGN_SIZE || vq->avail % VRING_AVAIL_ALIGN_SIZE ||
	    vq->used % VRING_USED_ALIGN_SIZE)
		return ring_broken(vq, "a ring is not aligned");

	vq->desc_ring = guest_mem_ptr(mem, vq->desc, n * sizeof(struct vring_desc));
	vq->used_ring = guest_mem_ptr(mem, vq->used, sizeof(struct vring_used) +
						     n * sizeof(struct vring_used_elem) + 2);
	vq->avail_ring = guest_mem_ptr(mem, vq->avail, sizeof(struct vring_avail) + n * 2 + 2);
	if (!vq->desc_ring || !vq->used_ring || !vq->avail_ring) {
		vq->avail_ring = NULL;
		return ring_broken(vq, "a ring is not in guest RAM");
	}

	vq->mem = mem;
	vq->event_idx = FEATURE(features, VIRTIO_RING_F_EVENT_IDX);
	vq->indirect = FEATURE(features, VIRTIO_RING_F_INDIRECT_DESC);
	return 0;
}

void vq_reset(struct virtqueue *vq)
{
	*vq = (struct virtqueue){ .size = VQ_MAX_SIZE };
}

/*
 * One descriptor, copied once: after the barrier the compiler may not read guest memory again in
 * place of the copy.
 */
static struct vring_desc copy_desc(const uint8_t *table, uint32_t i)
{
	struct vring_desc desc;

	memcpy(&desc, table + i * sizeof(desc), sizeof(desc));
	__asm__ volatile("" ::: "memory");
	return desc;
}

static int add_segment(struct virtqueue *vq, struct vq_chain *chain, const struct vring_desc *desc)
{
	unsigned n = chain->n_out + chain->n_in;
	void *p;

	/* also what ends a loop */
	if (n == VQ_MAX_SEGS)
		return ring_broken(vq, "a chain loops or has too many descriptors");
	if (!desc->len)
		return ring_broken(vq, "a descriptor of zero length");
	if ((uint64_t)chain->out_len + chain->in_len + desc->len > UINT32_MAX)
		return ring_broken(vq, "a chain of 4 GiB or more");

	p = guest_mem_ptr(vq->mem, desc->addr, desc->len);
	if (!p)
		return ring_broken(vq, "a buffer that is not in guest RAM");
	chain->iov[n] = (struct iovec){ .iov_base = p, .iov_len = desc->len };

	if (desc->flags & VRING_DESC_F_WRITE) {
		chain->n_in++;
		chain->in_len += desc->len;
		return 0;
	}
	if (chain->n_in)
		return ring_broken(vq, "a readable descriptor behind a writable one");
	chain->n_out++;
	chain->out_len += desc->len;
	return 0;
}

/* Where descriptors are being read from: the ring's table or an indirect one, aligned or not. */
struct desc_table {
	const uint8_t *desc;
	uint32_t n;
	bool indirect;
};

static int enter_indirect(struct virtqueue *vq, const struct vring_desc *desc,
			  struct desc_table *table)
{
	if (!vq->indirect)
		return ring_broken(vq, "an indirect descriptor that was not negotiated");
	if (table->indirect)
		return ring_broken(vq, "an indirect descriptor in an indirect table");
	if (desc->flags & VRING_DESC_F_NEXT)
		return ring_broken(vq, "a descriptor behind an indirect one");
	if (!desc->len || desc->len % sizeof(struct vring_desc))
		return ring_broken(vq, "an indirect table of odd length");

	table->desc = guest_mem_ptr(vq->mem, desc->addr, desc->len);
	if (!table->desc)
		return ring_broken(vq, "an indirect table that is not in guest RAM");
	table->n = desc->len / sizeof(struct vring_desc);
	table->indirect = true;
	return 0;
}

/* Each turn adds a segment, enters the one indirect table or returns, so the loop ends. */
static int follow(struct virtqueue *vq, struct vq_chain *chain)
{
	struct desc_table table = { .desc = (uint8_t *)vq->desc_ring, .n = vq->size };
	uint32_t i = chain->head;
	int r;

	for (;;) {
		struct vring_desc desc = copy_desc(table.desc, i);

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			r = enter_indirect(vq, &desc, &table);
			i = 0;
		} else {
			r = add_segment(vq, chain, &desc);
			if (!r && !(desc.flags & VRING_DESC_F_NEXT))
				return 0;
			i = desc.next;
		}
		if (r < 0)
			return r;
		if (i >= table.n)
			return ring_broken(vq, "a next field out of range");
	}
}

int vq_pop(struct virtqueue *vq, struct vq_chain *chain)
{
	uint16_t head;
	int r;

	if (vq->broken)
		return -EBADMSG;
	if (!vq->avail_ring)
		return 0;

	if (vq->last_avail == vq->seen_avail) {
		/* acquire: entries and descriptors are read after the index that covers them */
		vq->seen_avail = __atomic_load_n(&vq->avail_ring->idx, __ATOMIC_ACQUIRE);
		if (vq->last_avail == vq->seen_avail)
			return 0;
		if ((uint16_t)(vq->seen_avail - vq->last_avail) > vq->size)
			return ring_broken(vq, "the available index jumps by more than the size");
	}

	head = __atomic_load_n(&vq->avail_ring->ring[vq->last_avail & (vq->size - 1)],
			       __ATOMIC_RELAXED);
	if (head >= vq->size)
		return ring_broken(vq, "a head out of range");
	if (is_held(vq, head))
		return ring_broken(vq, "a head that is still in use");

	chain->head = head;
	chain->n_out = chain->n_in = 0;
	chain->out_len = chain->in_len = 0;
	r = follow(vq, chain);
	if (r < 0)
		return r;

	flip_held(vq, head);
	vq->last_avail++;
	return 1;
}

void vq_unpop(struct virtqueue *vq, uint16_t head)
{
	flip_held(vq, head);
	vq->last_avail--;
}

void vq_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct vring_used_elem *elem = &vq->used_ring->ring[vq->next_used & (vq->size - 1)];

	elem->id = head;
	elem->len = written;
	flip_held(vq, head);
	vq->next_used++;
}

bool vq_flush(struct virtqueue *vq)
{
	uint16_t old = vq->flushed_used, flags;

	if (vq->next_used == old)
		return false;

	/* release: the entries and the data come before the index */
	__atomic_store_n(&vq->used_ring->idx, vq->next_used, __ATOMIC_RELEASE);
	vq->flushed_used = vq->next_used;

	/*
	 * The driver writes its event index (or flag), then looks for used entries once more; here
	 * it is the other way round. With a full barrier on both sides, one of the two sees the
	 * other's write.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq->event_idx)
		return vring_need_event(__atomic_load_n(used_event(vq), __ATOMIC_RELAXED),
					vq->next_used, old);
	flags = __atomic_load_n(&vq->avail_ring->flags, __ATOMIC_RELAXED);
	return !(flags & VRING_AVAIL_F_NO_INTERRUPT);
}

void vq_disable_kick(struct virtqueue *vq)
{
	/* With EVENT_IDX, an event index that is left behind already asks for nothing. */
	if (vq->avail_ring && !vq->event_idx)
		__atomic_store_n(&vq->used_ring->flags, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}

bool vq_enable_kick(struct virtqueue *vq)
{
	if (!vq->avail_ring || vq->broken)
		return false;

	if (vq->event_idx)
		__atomic_store_n(avail_event(vq), vq->last_avail, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&vq->used_ring->flags, 0, __ATOMIC_RELAXED);

	/* Buffers added before the driver saw this come without a kick: look again, as vq_flush. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&vq->avail_ring->idx, __ATOMIC_RELAXED) != vq->last_avail;
}

void vq_lend(const struct virtqueue *vq, struct vq_ring *ret)
{
	*ret = (struct vq_ring){
		.desc = vq->desc_ring,
		.avail = vq->avail_ring,
		.used = vq->used_ring,
		.size = vq->size,
		.next_avail = vq->last_avail,
	};
}

uint16_t vq_avail_index(const struct virtqueue *vq)
{
	return __atomic_load_n(&vq->avail_ring->idx, __ATOMIC_ACQUIRE);
}

uint16_t vq_used_index(const struct virtqueue *vq)
{
	return __atomic_load_n(&vq->used_ring->idx, __ATOMIC_ACQUIRE);
}

/* The used index is where the guest can have changed it, to its own harm. */
void vq_take_back(struct virtqueue *vq, uint16_t next_avail)
{
	vq->last_avail = vq->seen_avail = next_avail;
	vq->next_used = vq->flushed_used = vq_used_index(vq);
}
