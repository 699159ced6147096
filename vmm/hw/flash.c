/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/hw/flash.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Commands (P30 datasheet, "Device Command Bus Cycles"). */
enum {
	CMD_LOCK_BLOCK = 0x01, /* second cycle */
	CMD_PROGRAM_ALTERNATE = 0x10,
	CMD_ERASE = 0x20,
	CMD_PROGRAM = 0x40,
	CMD_CLEAR_STATUS = 0x50,
	CMD_LOCK = 0x60,
	CMD_READ_STATUS = 0x70,
	CMD_READ_ID = 0x90,
	CMD_READ_CFI = 0x98,
	CMD_CONFIRM = 0xd0, /* second cycle; of CMD_LOCK: unlock */
	CMD_PROGRAM_BUFFER = 0xe8,
	CMD_READ_ARRAY = 0xff,
};

/* Status register. */
enum {
	SR_BLOCK_LOCKED = 0x02,
	SR_PROGRAM_ERROR = 0x10,
	SR_ERASE_ERROR = 0x20,
	SR_SEQUENCE_ERROR = SR_PROGRAM_ERROR | SR_ERASE_ERROR,
	SR_READY = 0x80,
};

/* Of one chip. */
#define CHIPS            2
#define CHIP_SIZE_LOG2   25
#define CHIP_BLOCK       (FLASH_BLOCK / CHIPS)
#define CHIP_BUFFER_LOG2 11
#define ID_MANUFACTURER  0x89 /* Intel */
#define ID_DEVICE        0x18
#define BUS_WIDTH        4u /* bytes, both chips */

_Static_assert(CHIPS << CHIP_SIZE_LOG2 == FLASH_SIZE, "size of a chip");
_Static_assert(CHIPS << CHIP_BUFFER_LOG2 == FLASH_BUFFER, "program buffer of a chip");

/* CFI query (JESD68.01 §2.3 … §2.5), from word 0x10 on. */
#define CFI_FIRST 0x10
static const uint8_t cfi[] = {
	'Q', 'R', 'Y',
	0x01, 0x00, /* primary command set: Intel/Sharp extended */
	0x31, 0x00, /* where its table is */
	0x00, 0x00, 0x00, 0x00, /* no alternative one */
	/* 0x1b: supply of 1.7 … 2.0 V, none for programming */
	0x17, 0x20, 0x00, 0x00,
	/* typical times, 2^n: of a word and of a buffer (µs), of a block (ms); at most 2^n of that */
	0x07, 0x07, 0x0a, 0x00,
	0x04, 0x04, 0x04, 0x00,
	CHIP_SIZE_LOG2,
	0x01, 0x00, /* x16 interface */
	CHIP_BUFFER_LOG2, 0x00,
	/* 0x2c: one region of equal blocks: their number less one, their size in units of 256 bytes */
	0x01,
	(FLASH_SIZE / FLASH_BLOCK - 1) & 0xff, (FLASH_SIZE / FLASH_BLOCK - 1) >> 8,
	CHIP_BLOCK / 256 & 0xff, CHIP_BLOCK / 256 >> 8,
	/* 0x31: table of the command set, version 1.0 */
	'P', 'R', 'I', '1', '0',
	0x20, 0x00, 0x00, 0x00, /* blocks are locked one by one; nothing can be suspended */
	0x00,
	0x01, 0x00, /* word 2 of a block: its lock bit */
	0x18, 0x00, /* best at 1.8 V */
	0x00, /* no protection registers */
};

static unsigned block_of(uint64_t offset)
{
	return (unsigned)(offset / FLASH_BLOCK);
}

/* A window that cannot be shut leaves the array to be read, one that cannot be opened costs exits. */
static void set_output(struct flash *flash, enum flash_output output)
{
	bool open = output == FLASH_ARRAY;

	flash->output = output;
	if (open != flash->open && flash->window->set(flash->window, open ? flash->array : NULL) == 0)
		flash->open = open;
}

/* --- the array */

static int write_file(struct flash *flash, uint64_t offset, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = pwrite(flash->fd, data, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Status of what is to change [offset, offset + len), within one block; 0: it can be done. */
static uint8_t check_protection(const struct flash *flash, uint64_t offset, uint64_t len)
{
	if (flash->fd < 0 || offset + len > flash->store_size ||
	    flash->locked[block_of(offset)])
		return SR_BLOCK_LOCKED;
	return 0;
}

/* Bits go from 1 to 0 only. data is changed to what the array has then. */
static void program(struct flash *flash, uint64_t offset, uint8_t *data, size_t len)
{
	uint8_t error = check_protection(flash, offset, len);

	if (!error) {
		for (size_t i = 0; i < len; i++)
			data[i] &= flash->array[offset + i];
		if (write_file(flash, offset, data, len) == 0 && fdatasync(flash->fd) == 0)
			return;
	}
	flash->status |= error | SR_PROGRAM_ERROR;
}

static void erase(struct flash *flash, uint64_t offset)
{
	uint64_t block = ALIGN_DOWN(offset, FLASH_BLOCK);
	uint8_t error = check_protection(flash, block, FLASH_BLOCK);
	int r = 0;

	if (!error) {
		memset(flash->buffer, 0xff, sizeof(flash->buffer));
		for (uint64_t at = 0; r == 0 && at < FLASH_BLOCK; at += FLASH_BUFFER)
			r = write_file(flash, block + at, flash->buffer, FLASH_BUFFER);
		if (r == 0 && fdatasync(flash->fd) == 0)
			return;
	}
	flash->status |= error | SR_ERASE_ERROR;
}

/* --- commands */

static void end(struct flash *flash, uint8_t errors)
{
	flash->state = FLASH_READY;
	flash->status |= errors;
}

static void first_cycle(struct flash *flash, uint8_t command)
{
	enum flash_state next = FLASH_READY;

	switch (command) {
	case CMD_READ_ARRAY:
		set_output(flash, FLASH_ARRAY);
		return;
	case CMD_CLEAR_STATUS:
		flash->status = SR_READY;
		set_output(flash, FLASH_ARRAY);
		return;
	case CMD_READ_ID:
		set_output(flash, FLASH_ID);
		return;
	case CMD_READ_CFI:
		set_output(flash, FLASH_CFI);
		return;
	case CMD_READ_STATUS:
		break;
	case CMD_PROGRAM:
	case CMD_PROGRAM_ALTERNATE:
		next = FLASH_PROGRAM;
		break;
	case CMD_ERASE:
		next = FLASH_ERASE;
		break;
	case CMD_LOCK:
		next = FLASH_LOCK;
		break;
	case CMD_PROGRAM_BUFFER:
		next = FLASH_BUFFER_COUNT;
		break;
	default:
		return; /* of other chips, by software that looks for them */
	}
	flash->state = next;
	set_output(flash, FLASH_STATUS);
}

static void lock_cycle(struct flash *flash, uint64_t offset, uint8_t command)
{
	bool known = command == CMD_LOCK_BLOCK || command == CMD_CONFIRM;

	if (known)
		flash->locked[block_of(offset)] = command == CMD_LOCK_BLOCK;
	end(flash, known ? 0 : SR_SEQUENCE_ERROR);
}

/* Both chips get a count of words less one. */
static void buffer_count(struct flash *flash, uint32_t value)
{
	unsigned words = (value & 0xffff) + 1;

	if (words > FLASH_BUFFER / BUS_WIDTH) {
		end(flash, SR_SEQUENCE_ERROR);
		return;
	}
	flash->words_left = words;
	flash->buffer_at = UINT64_MAX;
	memset(flash->buffer, 0xff, sizeof(flash->buffer));
	flash->state = FLASH_BUFFER_DATA;
}

static void buffer_data(struct flash *flash, uint64_t offset, uint32_t value, unsigned len)
{
	uint64_t at = ALIGN_DOWN(offset, FLASH_BUFFER);

	if (flash->buffer_at == UINT64_MAX)
		flash->buffer_at = at;
	if (flash->buffer_at != at) {
		end(flash, SR_SEQUENCE_ERROR);
		return;
	}
	memcpy(flash->buffer + (offset - at), &value, len);
	if (--flash->words_left == 0)
		flash->state = FLASH_BUFFER_CONFIRM;
}

static void write_cycle(struct flash *flash, uint64_t offset, uint32_t value, unsigned len)
{
	uint8_t command = (uint8_t)value;

	switch (flash->state) {
	case FLASH_READY:
		first_cycle(flash, command);
		break;
	case FLASH_PROGRAM:
		program(flash, offset, (uint8_t *)&value, len);
		end(flash, 0);
		break;
	case FLASH_ERASE:
		if (command == CMD_CONFIRM)
			erase(flash, offset);
		end(flash, command == CMD_CONFIRM ? 0 : SR_SEQUENCE_ERROR);
		break;
	case FLASH_LOCK:
		lock_cycle(flash, offset, command);
		break;
	case FLASH_BUFFER_COUNT:
		buffer_count(flash, value);
		break;
	case FLASH_BUFFER_DATA:
		buffer_data(flash, offset, value, len);
		break;
	case FLASH_BUFFER_CONFIRM:
		if (command == CMD_CONFIRM)
			program(flash, flash->buffer_at, flash->buffer, FLASH_BUFFER);
		end(flash, command == CMD_CONFIRM ? 0 : SR_SEQUENCE_ERROR);
		break;
	}
}

/* --- what is read */

/* Of one chip, by its word address within a block. */
static uint8_t identification(const struct flash *flash, uint64_t offset)
{
	switch (offset % FLASH_BLOCK / BUS_WIDTH & 0xff) {
	case 0:
		return ID_MANUFACTURER;
	case 1:
		return ID_DEVICE;
	case 2:
		return flash->locked[block_of(offset)];
	default:
		return 0;
	}
}

static uint8_t cfi_byte(uint64_t offset)
{
	uint64_t word = offset / BUS_WIDTH & 0xff;

	return word >= CFI_FIRST && word - CFI_FIRST < sizeof(cfi) ? cfi[word - CFI_FIRST] : 0;
}

static uint32_t read_cycle(const struct flash *flash, uint64_t offset, unsigned len)
{
	uint32_t value = 0, both;
	uint8_t answer;

	switch (flash->output) {
	case FLASH_STATUS:
		answer = flash->status;
		break;
	case FLASH_ID:
		answer = identification(flash, offset);
		break;
	case FLASH_CFI:
		answer = cfi_byte(offset);
		break;
	default:
		memcpy(&value, flash->array + offset, len);
		return value;
	}
	/* each chip answers on its own half of the bus */
	both = ((uint32_t)answer | (uint32_t)answer << 16) >> 8 * (offset % BUS_WIDTH);
	memcpy(&value, &both, len);
	return value;
}

static uint64_t flash_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct flash *flash = container_of(region, struct flash, region);
	uint64_t value;

	pthread_mutex_lock(&flash->lock);
	value = read_cycle(flash, offset, MIN(len, BUS_WIDTH));
	if (len > BUS_WIDTH)
		value |= (uint64_t)read_cycle(flash, offset + BUS_WIDTH, BUS_WIDTH) << 32;
	pthread_mutex_unlock(&flash->lock);
	return value;
}

static void flash_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct flash *flash = container_of(region, struct flash, region);

	/* no bus has such a cycle */
	if (!IS_ALIGNED(offset, (uint64_t)len))
		return;
	pthread_mutex_lock(&flash->lock);
	write_cycle(flash, offset, (uint32_t)value, MIN(len, BUS_WIDTH));
	if (len > BUS_WIDTH)
		write_cycle(flash, offset + BUS_WIDTH, (uint32_t)(value >> 32), BUS_WIDTH);
	pthread_mutex_unlock(&flash->lock);
}

/* --- making it */

static int check_size(const struct stat *st, bool writable)
{
	if (st->st_size > (off_t)FLASH_SIZE)
		return -EFBIG;
	if (st->st_size <= 0 || (writable && (uint64_t)st->st_size % FLASH_BLOCK))
		return -EINVAL;
	return 0;
}

/* The whole bank is mapped: zeroes, and the file over them. */
static int map_array(int fd, size_t size, const uint8_t **ret)
{
	void *array = mmap(NULL, FLASH_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			   -1, 0);
	int r;

	if (array == MAP_FAILED)
		return -errno;
	if (mmap(array, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
		r = -errno;
		munmap(array, FLASH_SIZE);
		return r;
	}
	*ret = array;
	return 0;
}

int flash_init(struct flash *flash, const char *name, uint64_t base, int fd, bool writable,
	       struct flash_window *window)
{
	const uint8_t *array = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = check_size(&st, writable);
	if (r < 0)
		return r;
	r = map_array(fd, (size_t)st.st_size, &array);
	if (r < 0)
		return r;

	*flash = (struct flash){
		.region = { name, base, FLASH_SIZE, flash_read, flash_write },
		.window = window,
		.array = array,
		.fd = writable ? fd : -1,
		.store_size = (uint64_t)st.st_size,
		.status = SR_READY,
	};
	pthread_mutex_init(&flash->lock, NULL);
	r = window->set(window, array);
	if (r < 0) {
		flash_destroy(flash);
		return r;
	}
	flash->open = true;
	return 0;
}

void flash_destroy(struct flash *flash)
{
	if (!flash->array)
		return;
	munmap((void *)flash->array, FLASH_SIZE);
	pthread_mutex_destroy(&flash->lock);
	*flash = (struct flash){ 0 };
}
