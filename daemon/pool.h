/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where hvd keeps images, and where volumes: a folder with two files for each, NAME.FORMAT with the data and
 * NAME.xml with the definition (daemon/store.h), which is written last and removed first. So whoever finds
 * data without a definition, or data that is named NAME.FORMAT.new, has found what was being made or removed
 * when hvd ended: loading removes it. A definition that cannot be read keeps its data.
 *
 *	pool_begin() -> qemu-img writes the data -> pool_commit() -> pool_remove()
 *
 * Links in the folder are not followed, and nothing but regular files is opened.
 */
#pragma once

#include <limits.h>

#include "api/volume_schema.h"
#include "daemon/manager.h"

struct pool;
struct pool_item;

/* noun: "image". Makes STATE/folder, and loads what is there; what cannot be read is logged and left out. */
int pool_new(struct manager *manager, const char *noun, const char *folder, const struct schema *schema,
	     struct pool **ret, struct hvd_error *err);
struct pool *pool_free(struct pool *pool);
DEFINE_AUTO(struct pool *, pool_free);

/* In the order of names; NULL: the first. What is being made is not among them. */
struct pool_item *pool_next(const struct pool *pool, const struct pool_item *item);
struct pool_item *pool_find(const struct pool *pool, const char *name);
const struct volume_config *pool_config(const struct pool_item *item);
struct manager *pool_manager(const struct pool_item *item);
const char *pool_noun(const struct pool_item *item);

/*
 * Take a name, and make the file that the data is to be written to, which is empty. Takes config over (zeroed)
 * on success. -EEXIST: there is one of this name, or one is being made.
 */
int pool_begin(struct pool *pool, struct volume_config *config, struct pool_item **ret, struct hvd_error *err);
/* The data is complete: it gets its name. On failure the item is still to be discarded. */
int pool_commit(struct pool_item *item, struct hvd_error *err);
/* What pool_begin() has made goes. Frees item. */
void pool_discard(struct pool_item *item);
/* The data of one that there is may have another size now: whoever listens is told if so. */
void pool_changed(struct pool_item *item);
/* Definition and data go. Frees item on success. */
int pool_remove(struct pool_item *item, struct hvd_error *err);

/* Somebody reads or changes the data: it cannot be removed, nor be changed by another. */
void pool_hold(struct pool_item *item);
void pool_release(struct pool_item *item);
bool pool_is_held(const struct pool_item *item);

/* A file without a name on the pool's file system, for what somebody sends; its descriptor, or -errno. */
int pool_scratch(const struct pool *pool);
/* Bytes that are free there for it. */
uint64_t pool_room(const struct pool *pool);

/* The file with the data, or that it is written to before it is committed; lent. */
const char *pool_path(const struct pool_item *item);
/* Does path name a file of the pool's folder? */
bool pool_has_path(const struct pool *pool, const char *path);

/* Its size, as it is now, goes into the config too; for the data's own part of status. -errno. */
int pool_look(struct pool_item *item, struct volume_status *status);
