/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/hw/fw_cfg.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "vmm/base/macro.h"

enum {
	DATA = 0x00, /* … 0x07 */
	SELECTOR = 0x08,
	DMA_HIGH = 0x10,
	DMA_LOW = 0x14,
};

#define KEY_WRITE 0x4000 /* of the selector: of no meaning any more */

#define ID_TRADITIONAL 1
#define ID_DMA         2

#define DMA_ERROR  (1u << 0)
#define DMA_READ   (1u << 1)
#define DMA_SKIP   (1u << 2)
#define DMA_SELECT (1u << 3) /* the key in the upper half */
#define DMA_WRITE  (1u << 4)

/* Those of enum fw_cfg_key below the files. */
#define MAX_ITEMS (FW_CFG_MAX_FILES + 8)

/* What the DMA register points to; big-endian. */
struct descriptor {
	uint32_t control, length;
	uint64_t address;
};

struct directory_entry {
	uint32_t size;
	uint16_t key, reserved;
	char name[FW_CFG_NAME_MAX];
};

/* The item FW_CFG_FILE_DIR; big-endian. */
struct directory {
	uint32_t n_files;
	struct directory_entry files[FW_CFG_MAX_FILES];
};

struct item {
	uint16_t key;
	size_t len;
	uint8_t *data;
};

struct fw_cfg {
	struct mmio_region region;
	const struct guest_mem *mem;
	struct item items[MAX_ITEMS];
	unsigned n_items, n_files;
	struct directory directory;

	pthread_mutex_t lock; /* for what follows */
	const uint8_t *data;  /* what is left of the selected item */
	size_t left;
	uint32_t dma_high;
};

static const struct item *find(const struct fw_cfg *cfg, uint16_t key)
{
	for (unsigned i = 0; i < cfg->n_items; i++)
		if (cfg->items[i].key == key)
			return &cfg->items[i];
	return NULL;
}

static size_t directory_size(const struct fw_cfg *cfg)
{
	return offsetof(struct directory, files) + cfg->n_files * sizeof(struct directory_entry);
}

static void select_item(struct fw_cfg *cfg, uint16_t key)
{
	const struct item *item;

	key &= (uint16_t)~KEY_WRITE;
	if (key == FW_CFG_FILE_DIR) {
		cfg->data = (const uint8_t *)&cfg->directory;
		cfg->left = directory_size(cfg);
		return;
	}
	item = find(cfg, key);
	cfg->data = item ? item->data : NULL;
	cfg->left = item ? item->len : 0;
}

/* The next len bytes of the item; zeros past its end. dst NULL: skip them. */
static void take(struct fw_cfg *cfg, uint8_t *dst, size_t len)
{
	size_t n = MIN(len, cfg->left);

	if (!n) {
		if (dst)
			memset(dst, 0, len);
		return;
	}
	if (dst) {
		memcpy(dst, cfg->data, n);
		memset(dst + n, 0, len - n);
	}
	cfg->data += n;
	cfg->left -= n;
}

static int read_into_guest(struct fw_cfg *cfg, uint64_t address, uint32_t len)
{
	uint8_t *dst;

	if (!len)
		return 0;
	if (len > FW_CFG_DMA_MAX)
		return -E2BIG;
	dst = guest_mem_ptr(cfg->mem, address, len);
	if (!dst)
		return -EFAULT;
	take(cfg, dst, len);
	return 0;
}

static int run(struct fw_cfg *cfg, uint32_t control, uint32_t len, uint64_t address)
{
	if (control & DMA_SELECT)
		select_item(cfg, (uint16_t)(control >> 16));
	if (control & DMA_READ)
		return read_into_guest(cfg, address, len);
	if (control & DMA_WRITE)
		return -EROFS;
	if (control & DMA_SKIP)
		take(cfg, NULL, len);
	return 0;
}

/* A descriptor that is not in RAM has no place for an answer. */
static void start_dma(struct fw_cfg *cfg, uint64_t ipa)
{
	uint8_t *guest = guest_mem_ptr(cfg->mem, ipa, sizeof(struct descriptor));
	struct descriptor d;
	uint32_t result = 0;

	if (!guest)
		return;
	memcpy(&d, guest, sizeof(d));
	if (run(cfg, be32toh(d.control), be32toh(d.length), be64toh(d.address)) < 0)
		result = htobe32(DMA_ERROR);
	/* whoever polls for it sees the bytes too */
	atomic_thread_fence(memory_order_release);
	memcpy(guest + offsetof(struct descriptor, control), &result, sizeof(result));
}

static uint64_t fw_cfg_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	static const char dma_signature[8] = "QEMU CFG";
	struct fw_cfg *cfg = container_of(region, struct fw_cfg, region);
	uint8_t bytes[8] = { 0 };
	uint64_t value;

	if (offset >= DMA_HIGH) {
		memcpy(bytes, dma_signature + (offset - DMA_HIGH), len);
	} else if (offset < SELECTOR) {
		pthread_mutex_lock(&cfg->lock);
		take(cfg, bytes, len);
		pthread_mutex_unlock(&cfg->lock);
	}
	memcpy(&value, bytes, sizeof(value));
	return le64toh(value);
}

static void fw_cfg_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct fw_cfg *cfg = container_of(region, struct fw_cfg, region);

	pthread_mutex_lock(&cfg->lock);
	if (offset == SELECTOR && len == 2) {
		select_item(cfg, __builtin_bswap16((uint16_t)value));
	} else if (offset == DMA_HIGH && len == 8) {
		start_dma(cfg, __builtin_bswap64(value));
	} else if (offset == DMA_HIGH && len == 4) {
		cfg->dma_high = __builtin_bswap32((uint32_t)value);
	} else if (offset == DMA_LOW && len == 4) {
		uint64_t high = cfg->dma_high;

		cfg->dma_high = 0;
		start_dma(cfg, high << 32 | __builtin_bswap32((uint32_t)value));
	}
	pthread_mutex_unlock(&cfg->lock);
}

static int add(struct fw_cfg *cfg, uint16_t key, const void *data, size_t len,
	       struct hvd_error *err)
{
	uint8_t *copy;

	if (find(cfg, key))
		return hvd_err(err, EEXIST, "fw_cfg: there is an item 0x%x", key);
	if (cfg->n_items == MAX_ITEMS)
		return hvd_err(err, ENOSPC, "fw_cfg: too many items");
	copy = malloc(MAX(len, (size_t)1));
	if (!copy)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	if (len)
		memcpy(copy, data, len);
	cfg->items[cfg->n_items++] = (struct item){ key, len, copy };
	return 0;
}

int fw_cfg_add_item(struct fw_cfg *cfg, enum fw_cfg_key key, const void *data, size_t len,
		    struct hvd_error *err)
{
	return add(cfg, (uint16_t)key, data, len, err);
}

int fw_cfg_add_file(struct fw_cfg *cfg, const char *name, const void *data, size_t len,
		    struct hvd_error *err)
{
	struct directory_entry *entry = &cfg->directory.files[cfg->n_files];
	int r;

	if (cfg->n_files == FW_CFG_MAX_FILES)
		return hvd_err(err, ENOSPC, "fw_cfg: %s: too many files", name);
	if (strlen(name) >= FW_CFG_NAME_MAX)
		return hvd_err(err, ENAMETOOLONG, "fw_cfg: %s: the name is too long", name);
	for (unsigned i = 0; i < cfg->n_files; i++)
		if (strcmp(cfg->directory.files[i].name, name) == 0)
			return hvd_err(err, EEXIST, "fw_cfg: there is a file %s", name);

	r = add(cfg, (uint16_t)(FW_CFG_FILE_FIRST + cfg->n_files), data, len, err);
	if (r < 0)
		return r;
	entry->size = htobe32((uint32_t)len);
	entry->key = htobe16((uint16_t)(FW_CFG_FILE_FIRST + cfg->n_files));
	strcpy(entry->name, name);
	cfg->directory.n_files = htobe32(++cfg->n_files);
	return 0;
}

struct mmio_region *fw_cfg_region(struct fw_cfg *cfg)
{
	return &cfg->region;
}

int fw_cfg_new(uint64_t base, const struct guest_mem *mem, struct fw_cfg **ret)
{
	const uint32_t id = htole32(ID_TRADITIONAL | ID_DMA);
	AUTO(fw_cfg_free) struct fw_cfg *cfg = calloc(1, sizeof(*cfg));
	int r;

	if (!cfg)
		return -ENOMEM;
	cfg->region = (struct mmio_region){ "fw_cfg", base, FW_CFG_SIZE, fw_cfg_read,
					    fw_cfg_write };
	cfg->mem = mem;
	pthread_mutex_init(&cfg->lock, NULL);
	r = add(cfg, FW_CFG_SIGNATURE, "QEMU", 4, NULL);
	if (r < 0)
		return r;
	r = add(cfg, FW_CFG_ID, &id, sizeof(id), NULL);
	if (r < 0)
		return r;
	select_item(cfg, FW_CFG_SIGNATURE);
	*ret = TAKE(cfg);
	return 0;
}

struct fw_cfg *fw_cfg_free(struct fw_cfg *cfg)
{
	if (!cfg)
		return NULL;
	for (unsigned i = 0; i < cfg->n_items; i++)
		free(cfg->items[i].data);
	pthread_mutex_destroy(&cfg->lock);
	free(cfg);
	return NULL;
}
