/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/atomic_file.h"
#include "daemon/event.h"
#include "daemon/qcow2.h"
#include "daemon/store.h"
#include "vmm/base/log.h"

#define USEC_PER_SEC 1000000ULL

struct pool {
	struct manager *manager;
	const char *noun;
	const struct schema *schema;
	char folder[PATH_MAX - 128]; /* names of files are shorter than the rest */
	struct list items; /* struct pool_item, by name */
	struct list makings;
};

struct pool_item {
	struct list node; /* in pool->items, or makings */
	struct pool *pool;
	struct volume_config config;
	uint64_t told_size; /* by events */
	unsigned holds;
	bool making;
	char path[PATH_MAX];
};

/* By enum disk_format: what the name of the data's file ends in. */
static const char *const suffixes[] = {
	[DISK_FORMAT_RAW] = ".raw",
	[DISK_FORMAT_QCOW2] = ".qcow2",
};
#define DEFINITION ".xml"

static struct pool_item *item_free(struct pool_item *item)
{
	list_remove(&item->node);
	schema_clear(item->pool->schema, &item->config);
	free(item);
	return NULL;
}

static void set_path(struct pool_item *item, bool making)
{
	item->making = making;
	snprintf(item->path, sizeof(item->path), "%s/%s%s%s", item->pool->folder, item->config.name,
		 suffixes[item->config.format], making ? ATOMIC_SUFFIX : "");
}

static struct pool_item *item_new(struct pool *pool)
{
	struct pool_item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	list_init(&item->node);
	item->pool = pool;
	return item;
}

static void insert(struct pool_item *item)
{
	struct pool *pool = item->pool;
	struct list *after = pool->items.prev;

	while (after != &pool->items &&
	       strcmp(list_entry(after, struct pool_item, node)->config.name, item->config.name) > 0)
		after = after->prev;
	list_append(after->next, &item->node);
	item->told_size = item->config.size;
}

struct pool_item *pool_next(const struct pool *pool, const struct pool_item *item)
{
	const struct list *next = item ? item->node.next : pool->items.next;

	return next == &pool->items ? NULL : list_entry(next, struct pool_item, node);
}

struct pool_item *pool_find(const struct pool *pool, const char *name)
{
	for (struct pool_item *item = pool_next(pool, NULL); item; item = pool_next(pool, item))
		if (strcmp(item->config.name, name) == 0)
			return item;
	return NULL;
}

const struct volume_config *pool_config(const struct pool_item *item)
{
	return &item->config;
}

struct manager *pool_manager(const struct pool_item *item)
{
	return item->pool->manager;
}

const char *pool_noun(const struct pool_item *item)
{
	return item->pool->noun;
}

const char *pool_path(const struct pool_item *item)
{
	return item->path;
}

bool pool_has_path(const struct pool *pool, const char *path)
{
	size_t len = strlen(pool->folder);

	return strncmp(path, pool->folder, len) == 0 && path[len] == '/';
}

void pool_hold(struct pool_item *item)
{
	item->holds++;
}

void pool_release(struct pool_item *item)
{
	item->holds--;
}

bool pool_is_held(const struct pool_item *item)
{
	return item->holds > 0;
}

/* --- the data */

static int open_data(const struct pool_item *item, struct stat *st)
{
	AUTO(close) int fd = open(item->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	return S_ISREG(st->st_mode) ? TAKE_FD(fd) : -EINVAL;
}

static int read_size(struct pool_item *item, int fd, const struct stat *st)
{
	if (item->config.format == DISK_FORMAT_QCOW2)
		return qcow2_check(fd, item->config.backed, &item->config.size, NULL);
	item->config.size = (uint64_t)st->st_size;
	return 0;
}

static uint64_t birth_of(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) < 0 || !(stx.stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)stx.stx_btime.tv_sec * USEC_PER_SEC + stx.stx_btime.tv_nsec / 1000;
}

int pool_look(struct pool_item *item, struct volume_status *status)
{
	struct stat st;
	AUTO(close) int fd = open_data(item, &st);
	int r = fd < 0 ? fd : read_size(item, fd, &st);

	if (r < 0)
		return r;
	status->allocation = (uint64_t)st.st_blocks * 512;
	status->created_usec = birth_of(fd);
	return 0;
}

#define SCRATCH "scratch" ATOMIC_SUFFIX /* while it has a name */

int pool_scratch(const struct pool *pool)
{
	AUTO(close) int folder = open(pool->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (folder < 0 || (unlinkat(folder, SCRATCH, 0) < 0 && errno != ENOENT))
		return -errno;
	fd = openat(folder, SCRATCH, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	unlinkat(folder, SCRATCH, 0);
	return fd;
}

uint64_t pool_room(const struct pool *pool)
{
	struct statvfs fs;

	return statvfs(pool->folder, &fs) < 0 ? 0 : (uint64_t)fs.f_bavail * fs.f_frsize;
}

/* --- made and removed */

static int check_free(const struct pool *pool, const char *name, struct hvd_error *err)
{
	struct pool_item *making;

	if (pool_find(pool, name))
		return hvd_err_field(err, EEXIST, "name", "%s %s exists already", pool->noun, name);
	list_for_each(making, &pool->makings, node)
		if (strcmp(making->config.name, name) == 0)
			return hvd_err_field(err, EEXIST, "name", "%s %s is being made", pool->noun, name);
	return 0;
}

int pool_begin(struct pool *pool, struct volume_config *config, struct pool_item **ret, struct hvd_error *err)
{
	struct pool_item *item;
	AUTO(close) int fd = -1;
	int r = check_free(pool, config->name, err);

	if (r < 0)
		return r;
	item = item_new(pool);
	if (!item)
		return hvd_err(err, ENOMEM, "out of memory");
	item->config = *config;
	set_path(item, true);
	fd = open(item->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = hvd_err(err, errno, "%s: %s", item->path, strerror(errno));
		item->config = (struct volume_config){ 0 };
		item_free(item);
		return r;
	}
	*config = (struct volume_config){ 0 };
	list_append(&pool->makings, &item->node);
	*ret = item;
	return 0;
}

static int give_name(struct pool_item *item)
{
	char making[PATH_MAX];
	struct stat st;
	AUTO(close) int fd = open_data(item, &st);
	int r;

	if (fd < 0)
		return fd;
	r = read_size(item, fd, &st);
	if (r < 0)
		return r;
	/* qemu-img has flushed what was much */
	if (fsync(fd) < 0)
		return -errno;
	strcpy(making, item->path);
	set_path(item, false);
	if (rename(making, item->path) < 0) {
		r = -errno;
		set_path(item, true);
		return r;
	}
	return folder_sync(item->pool->folder);
}

int pool_commit(struct pool_item *item, struct hvd_error *err)
{
	struct pool *pool = item->pool;
	int r = give_name(item);

	if (r < 0)
		return hvd_err(err, -r, "%s: %s", item->path, strerror(-r));
	r = store_save(pool->manager->xml, pool->folder, item->config.name, pool->schema, &item->config, 1, err);
	if (r < 0)
		return r;
	list_remove(&item->node);
	insert(item);
	event_volume(item, EVENT_ADDED);
	return 0;
}

void pool_discard(struct pool_item *item)
{
	if (unlink(item->path) < 0 && errno != ENOENT)
		log_warning("%s: %s", item->path, strerror(errno));
	item_free(item);
}

void pool_changed(struct pool_item *item)
{
	pool_look(item, &(struct volume_status){ 0 });
	if (item->config.size == item->told_size)
		return;
	item->told_size = item->config.size;
	event_volume(item, EVENT_CHANGED);
}

int pool_remove(struct pool_item *item, struct hvd_error *err)
{
	struct pool *pool = item->pool;
	int r = store_remove(pool->folder, item->config.name, err);

	if (r < 0)
		return r;
	event_volume(item, EVENT_REMOVED);
	pool_discard(item);
	return 0;
}

/* --- after a start */

static int load(void *ctx, const char *name)
{
	struct pool *pool = ctx;
	struct pool_item *item = item_new(pool);
	struct hvd_error err = { 0 };
	uint64_t generation;
	int r;

	if (!item)
		return -ENOMEM;
	r = store_load(pool->manager->xml, pool->folder, name, pool->schema, &item->config, &generation, &err);
	if (r >= 0 && (!item->config.name || strcmp(item->config.name, name) != 0))
		r = hvd_err(&err, EINVAL, "the name in it is another");
	if (r < 0) {
		log_err("%s %s is left out: %s", pool->noun, name, err.msg);
		item_free(item);
		return 0;
	}
	set_path(item, false);
	if (pool_look(item, &(struct volume_status){ 0 }) < 0)
		log_warning("%s %s: %s cannot be read", pool->noun, name, item->path);
	insert(item);
	return 0;
}

/* Was it being made, or being removed? */
static bool is_left_over(int folder, const char *file)
{
	char name[NAME_MAX + 1 + sizeof(DEFINITION)];
	bool data = false, making;

	snprintf(name, sizeof(name), "%s", file);
	making = store_cut_suffix(name, ATOMIC_SUFFIX);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]) && !data; i++)
		data = store_cut_suffix(name, suffixes[i]);
	strcat(name, DEFINITION);
	return data && (making || (faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT));
}

static void remove_left_over(const struct pool *pool)
{
	AUTO(closedir) DIR *dir = opendir(pool->folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (!is_left_over(dirfd(dir), entry->d_name))
			continue;
		log_warning("%s/%s was not complete, and is removed", pool->folder, entry->d_name);
		unlinkat(dirfd(dir), entry->d_name, 0);
	}
}

int pool_new(struct manager *manager, const char *noun, const char *folder, const struct schema *schema,
	     struct pool **ret, struct hvd_error *err)
{
	AUTO(pool_free) struct pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return hvd_err(err, ENOMEM, "out of memory");
	pool->manager = manager;
	pool->noun = noun;
	pool->schema = schema;
	list_init(&pool->items);
	list_init(&pool->makings);
	if (snprintf(pool->folder, sizeof(pool->folder), "%s/%s", manager->paths.state, folder) >=
	    (int)sizeof(pool->folder))
		return hvd_err(err, ENAMETOOLONG, "%s: %s", manager->paths.state, strerror(ENAMETOOLONG));
	r = store_make_folder(pool->folder, err);
	if (r < 0)
		return r;
	remove_left_over(pool);
	r = store_each(pool->folder, load, pool);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", pool->folder, strerror(-r));
	*ret = TAKE(pool);
	return 0;
}

struct pool *pool_free(struct pool *pool)
{
	if (!pool)
		return NULL;
	while (!list_empty(&pool->items))
		item_free(pool_next(pool, NULL));
	while (!list_empty(&pool->makings))
		pool_discard(list_entry(pool->makings.next, struct pool_item, node));
	free(pool);
	return NULL;
}
