/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/atomic_file.h"
#include "daemon/xml_client.h"
#include "vmm/base/cleanup.h"

#define SUFFIX ".xml"
#define TEMPORARY_SUFFIX ".xml.new"
#define DEFINITION_MAX (1024 * 1024)
#define GENERATION_COMMENT "<!-- hvd: generation "

static int make_folder(const char *path, mode_t mode)
{
	return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

int store_make_folder(const char *folder, struct hvd_error *err)
{
	char path[PATH_MAX];
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s", folder) >= sizeof(path))
		return hvd_err(err, ENAMETOOLONG, "%s: %s", folder, strerror(ENAMETOOLONG));

	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = make_folder(path, 0755);
		if (r < 0)
			return hvd_err(err, -r, "%s: %s", path, strerror(-r));
		*slash = '/';
	}
	r = make_folder(path, 0700);
	return r < 0 ? hvd_err(err, -r, "%s: %s", path, strerror(-r)) : 0;
}

static int path_of(char path[static PATH_MAX], const char *folder, const char *name,
		   const char *suffix)
{
	return snprintf(path, PATH_MAX, "%s/%s%s", folder, name, suffix) >= PATH_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

static int write_file(const char *path, const char *text, uint64_t generation)
{
	char comment[80];
	AUTO(close) int fd = -1;
	int r;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;

	snprintf(comment, sizeof(comment), GENERATION_COMMENT "%" PRIu64 " -->\n", generation);
	r = file_write_all(fd, text, strlen(text));
	if (r >= 0)
		r = file_write_all(fd, comment, strlen(comment));
	if (r >= 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int fail(struct hvd_error *err, int r, const char *folder, const char *name)
{
	return hvd_err(err, -r, "%s/%s" SUFFIX ": %s", folder, name, strerror(-r));
}

int store_prepare(struct xml_client *xml, const char *folder, const char *name, const struct schema *schema,
		  const void *obj, uint64_t generation, struct hvd_error *err)
{
	char path[PATH_MAX];
	AUTO(free) char *text = NULL;
	int r;

	r = path_of(path, folder, name, TEMPORARY_SUFFIX);
	if (r < 0)
		return fail(err, r, folder, name);
	r = xml_client_write(xml, schema, obj, &text, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "%s/%s" SUFFIX, folder, name);
	r = write_file(path, text, generation);
	if (r >= 0)
		return 0;
	unlink(path);
	return fail(err, r, folder, name);
}

static int move(const char *folder, const char *name, const char *suffix, const char *to,
		struct hvd_error *err)
{
	char from_path[PATH_MAX], to_path[PATH_MAX];
	int r;

	r = path_of(from_path, folder, name, suffix);
	if (r >= 0)
		r = path_of(to_path, folder, to, SUFFIX);
	if (r >= 0 && rename(from_path, to_path) < 0)
		r = -errno;
	if (r >= 0)
		r = folder_sync(folder);
	return r < 0 ? fail(err, r, folder, to) : 0;
}

int store_commit(const char *folder, const char *name, struct hvd_error *err)
{
	int r = move(folder, name, TEMPORARY_SUFFIX, name, err);

	if (r < 0)
		store_discard(folder, name);
	return r;
}

void store_discard(const char *folder, const char *name)
{
	char path[PATH_MAX];

	if (path_of(path, folder, name, TEMPORARY_SUFFIX) >= 0)
		unlink(path);
}

int store_rename(const char *folder, const char *name, const char *to, struct hvd_error *err)
{
	return move(folder, name, SUFFIX, to, err);
}

int store_save(struct xml_client *xml, const char *folder, const char *name, const struct schema *schema,
	       const void *obj, uint64_t generation, struct hvd_error *err)
{
	int r = store_prepare(xml, folder, name, schema, obj, generation, err);

	return r < 0 ? r : store_commit(folder, name, err);
}

/* The last such comment: the one that store_save() has put behind everything else. */
static uint64_t find_generation(const char *text)
{
	const char *found = NULL;
	uint64_t generation;

	for (const char *p = text; (p = strstr(p, GENERATION_COMMENT)); p++)
		found = p + strlen(GENERATION_COMMENT);
	return found && sscanf(found, "%" SCNu64, &generation) == 1 ? generation : 1;
}

int store_load(struct xml_client *xml, const char *folder, const char *name, const struct schema *schema,
	       void *obj, uint64_t *generation, struct hvd_error *err)
{
	char path[PATH_MAX];
	AUTO(free) char *text = NULL;
	size_t len = 0;
	int r;

	r = path_of(path, folder, name, SUFFIX);
	if (r >= 0)
		r = atomic_read(path, DEFINITION_MAX, &text, &len);
	if (r < 0)
		return hvd_err(err, -r, "%s/%s" SUFFIX ": %s", folder, name, strerror(-r));

	r = xml_client_read(xml, schema, text, len, obj, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "%s", path);
	*generation = find_generation(text);
	return 0;
}

int store_remove(const char *folder, const char *name, struct hvd_error *err)
{
	char path[PATH_MAX];
	int r;

	r = path_of(path, folder, name, SUFFIX);
	if (r >= 0 && unlink(path) < 0)
		r = -errno;
	if (r >= 0)
		r = folder_sync(folder);
	return r < 0 && r != -ENOENT ? hvd_err(err, -r, "%s: %s", path, strerror(-r)) : 0;
}

bool store_cut_suffix(char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	if (len <= n || strcmp(name + len - n, suffix) != 0)
		return false;
	name[len - n] = '\0';
	return true;
}

int store_each(const char *folder, int (*fn)(void *ctx, const char *name), void *ctx)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int n, r = 0;

	n = scandir(folder, &entries, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;

	for (int i = 0; i < n; i++) {
		char *name = entries[i]->d_name;

		if (r >= 0 && store_cut_suffix(name, TEMPORARY_SUFFIX)) {
			if (path_of(path, folder, name, TEMPORARY_SUFFIX) >= 0)
				unlink(path);
		} else if (r >= 0 && store_cut_suffix(name, SUFFIX)) {
			r = fn(ctx, name);
		}
		free(entries[i]);
	}
	free(entries);
	return r;
}
