/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Definitions on disk: one XML file per VM or network, NAME.xml in a folder of their own, in the
 * dialect of api/xml.h, so that a person can read, compare and restore them. A trailing comment
 * keeps what the dialect has no place for: how many times the definition was changed.
 *
 * Writing is atomic and durable: temporary file, fsync, rename, fsync of the folder. Whoever loses
 * power finds the old definition or the new one. Files are never deleted because they cannot be
 * read. XML is read and written by hvd-xml (daemon/xml_client.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/schema.h"

struct xml_client;

/* Create the folder (mode 0700) and its missing parents (0755). 0 or -errno with err set. */
int store_make_folder(const char *folder, struct hvd_error *err);

int store_save(struct xml_client *xml, const char *folder, const char *name, const struct schema *schema,
	       const void *obj, uint64_t generation, struct hvd_error *err);

/*
 * The same in two steps, with something else between them that may fail: prepare writes all that
 * can fail for want of space, commit gives it its name; discard takes it back.
 */
int store_prepare(struct xml_client *xml, const char *folder, const char *name, const struct schema *schema,
		  const void *obj, uint64_t generation, struct hvd_error *err);
int store_commit(const char *folder, const char *name, struct hvd_error *err);
void store_discard(const char *folder, const char *name);

/* Give a definition another name, which may be taken. */
int store_rename(const char *folder, const char *name, const char *to, struct hvd_error *err);

/* obj is uninitialised; schema_clear() frees it. Errors name the file and the line. */
int store_load(struct xml_client *xml, const char *folder, const char *name, const struct schema *schema,
	       void *obj, uint64_t *generation, struct hvd_error *err);

/* No error when there is none. */
int store_remove(const char *folder, const char *name, struct hvd_error *err);

/* Cut it off the end of a file's name. False: that is not how it ends, or there is nothing else. */
bool store_cut_suffix(char *name, const char *suffix);

/*
 * Call fn with the name of each definition, in the order of names; left-over temporary files are
 * removed. Stops when fn returns a negative errno, and returns it. A missing folder is empty.
 */
int store_each(const char *folder, int (*fn)(void *ctx, const char *name), void *ctx);
