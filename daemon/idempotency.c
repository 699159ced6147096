/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/idempotency.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/json.h"
#include "api/operation.h"
#include "daemon/atomic_file.h"
#include "daemon/store.h"
#include "vmm/base/list.h"
#include "vmm/base/log.h"

#define SUFFIX       ".json"
#define FILE_MAX     (1024 * 1024)
#define USEC_PER_SEC 1000000ULL

struct idempotency {
	char *folder;
	struct list list; /* struct idempotent, the oldest first */
	unsigned n;
};

struct idempotent {
	struct list node;
	struct idempotency *store;
	char *client, *key;
	uint64_t hash;
	uint64_t created_usec; /* unique: names the file */
	char operation[OPERATION_ID_SIZE];
	bool pending;  /* this hvd is at it */
	bool answered; /* the answer is in the file */
};

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* ---- files ---- */

static void file_name(const struct idempotent *request, char name[static 32])
{
	snprintf(name, 32, "%016" PRIx64 SUFFIX, request->created_usec);
}

static int file_path(const struct idempotent *request, char path[static PATH_MAX])
{
	char name[32];

	file_name(request, name);
	return snprintf(path, PATH_MAX, "%s/%s", request->store->folder, name) < PATH_MAX
		       ? 0
		       : -ENAMETOOLONG;
}

static json_t *answer_to_json(const struct http_answer *answer)
{
	return json_pack("{s:i, s:s*, s:s, s:s, s:b}", "status", (int)answer->status, "body",
			 answer->body, "etag", answer->etag, "location", answer->location, "async",
			 (int)answer->async);
}

/* answer may be NULL. */
static int save(const struct idempotent *request, const struct http_answer *answer)
{
	AUTO(json_decref) json_t *json = NULL;
	AUTO(free) char *text = NULL;
	char name[32], hash[20];

	snprintf(hash, sizeof(hash), "%016" PRIx64, request->hash);
	json = json_pack("{s:s, s:s, s:s, s:s, s:o*}", "client", request->client, "key",
			 request->key, "request", hash, "operation", request->operation, "answer",
			 answer ? answer_to_json(answer) : NULL);
	text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	file_name(request, name);
	return text ? atomic_write(request->store->folder, name, text, strlen(text), false)
		    : -ENOMEM;
}

static int read_file(const char *path, json_t **ret)
{
	AUTO(free) char *text = NULL;
	size_t len = 0;
	int r;

	r = atomic_read(path, FILE_MAX, &text, &len);
	return r < 0 ? r : json_parse(text, len, ret, NULL);
}

int idempotent_answer(const struct idempotent *request, struct http_answer *ret)
{
	AUTO(json_decref) json_t *json = NULL;
	const char *body = NULL, *etag, *location;
	char path[PATH_MAX];
	int status, async, r;

	r = file_path(request, path);
	if (r >= 0)
		r = request->answered ? read_file(path, &json) : -ENOENT;
	if (r < 0)
		return r;
	if (json_unpack(json, "{s:{s:i, s?s, s:s, s:s, s:b}}", "answer", "status", &status, "body",
			&body, "etag", &etag, "location", &location, "async", &async) < 0)
		return -ENOENT;
	*ret = (struct http_answer){ .status = (unsigned)status, .async = async, .replayed = true,
				     .type = status < 400 ? HTTP_JSON_TYPE : HTTP_PROBLEM_TYPE };
	snprintf(ret->etag, sizeof(ret->etag), "%s", etag);
	snprintf(ret->location, sizeof(ret->location), "%s", location);
	ret->body = body ? strdup(body) : NULL;
	return body && !ret->body ? -ENOMEM : 0;
}

/* ---- the list ---- */

static struct idempotent *request_free(struct idempotent *request)
{
	list_remove(&request->node);
	request->store->n--;
	free(request->client);
	free(request->key);
	free(request);
	return NULL;
}

static void forget(struct idempotent *request)
{
	char path[PATH_MAX];

	if (file_path(request, path) >= 0 && unlink(path) < 0 && errno != ENOENT)
		log_warning("%s: %s", path, strerror(errno));
	request_free(request);
}

/* The last of the list. NULL: out of memory. */
static struct idempotent *add(struct idempotency *store, const char *client, const char *key,
			      uint64_t hash, uint64_t created_usec)
{
	struct idempotent *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->store = store;
	list_append(&store->list, &request->node);
	store->n++;
	request->client = strdup(client);
	request->key = strdup(key);
	request->hash = hash;
	request->created_usec = created_usec;
	return request->client && request->key ? request : request_free(request);
}

/* Make room for one more of the client, and drop what is too old. */
static void forget_old(struct idempotency *store, const char *client)
{
	uint64_t now = now_usec();
	struct idempotent *request;
	unsigned n = 0;

	list_for_each(request, &store->list, node)
		n += strcmp(request->client, client) == 0;
	list_for_each(request, &store->list, node) {
		bool own = strcmp(request->client, client) == 0;
		bool old = request->created_usec + IDEMPOTENCY_SECONDS * USEC_PER_SEC < now;

		if (request->pending)
			continue;
		if (old || store->n >= IDEMPOTENCY_MAX || (own && n >= IDEMPOTENCY_PER_CLIENT)) {
			n -= own;
			forget(request);
		}
	}
}

static struct idempotent *find(struct idempotency *store, const char *client, const char *key)
{
	struct idempotent *request;

	list_for_each(request, &store->list, node)
		if (!strcmp(request->key, key) && !strcmp(request->client, client))
			return request;
	return NULL;
}

static uint64_t new_time(const struct idempotency *store)
{
	uint64_t now = now_usec(), last = 0;

	if (!list_empty(&store->list))
		last = list_entry(store->list.prev, struct idempotent, node)->created_usec;
	return now > last ? now : last + 1;
}

int idempotency_begin(struct idempotency *store, const char *client, const char *key, uint64_t hash,
		      struct idempotent **ret, struct hvd_error *err)
{
	struct idempotent *request;

	forget_old(store, client);
	request = find(store, client, key);
	if (request && request->hash != hash)
		return hvd_err_field(err, EINVAL, "Idempotency-Key",
				     "was that of another request: choose a new one for each");
	if (request && request->pending)
		return hvd_err(err, EBUSY,
			       "the request of this Idempotency-Key is under way%s%s: ask again later",
			       request->operation[0] ? " as operation " : "", request->operation);
	if (request) {
		*ret = request;
		return 1;
	}
	if (store->n >= IDEMPOTENCY_MAX) /* all are under way */
		return hvd_err(err, EAGAIN, "%u requests with an Idempotency-Key are under way",
			       store->n);
	request = add(store, client, key, hash, new_time(store));
	if (!request)
		return hvd_err(err, ENOMEM, "out of memory");
	request->pending = true;
	*ret = request;
	return 0;
}

/* ---- a request ---- */

static void keep(struct idempotent *request, const struct http_answer *answer)
{
	int r = save(request, answer);

	if (r < 0)
		log_warning("%s: the answer to a request is not kept: %s", request->store->folder,
			    strerror(-r));
	request->answered = r >= 0 && answer;
}

void idempotent_operation(struct idempotent *request, const char *id)
{
	snprintf(request->operation, sizeof(request->operation), "%s", id);
	keep(request, NULL);
}

const char *idempotent_operation_id(const struct idempotent *request)
{
	return request->operation;
}

void idempotent_end(struct idempotent *request, const struct http_answer *answer)
{
	request->pending = false;
	if (answer)
		keep(request, answer);
	else if (!request->operation[0])
		forget(request);
}

/* ---- a former hvd's ---- */

/* -EINVAL: it is of no use. */
static int load_one(struct idempotency *store, const char *name)
{
	AUTO(json_decref) json_t *json = NULL;
	const char *client, *key, *hash, *operation;
	struct idempotent *request;
	uint64_t created_usec;
	char path[PATH_MAX];
	json_t *answer = NULL;

	/* others are of a write that was cut off */
	if (snprintf(path, sizeof(path), "%s/%s", store->folder, name) >= PATH_MAX ||
	    strlen(name) != 16 + strlen(SUFFIX) || strcmp(name + 16, SUFFIX) != 0 ||
	    sscanf(name, "%16" SCNx64, &created_usec) != 1)
		return -EINVAL;
	if (read_file(path, &json) < 0 ||
	    json_unpack(json, "{s:s, s:s, s:s, s:s, s?o}", "client", &client, "key", &key, "request",
			&hash, "operation", &operation, "answer", &answer) < 0 ||
	    (!answer && !*operation))
		return -EINVAL;
	request = add(store, client, key, strtoull(hash, NULL, 16), created_usec);
	if (!request)
		return -ENOMEM;
	snprintf(request->operation, sizeof(request->operation), "%s", operation);
	request->answered = answer != NULL;
	return 0;
}

static int load(struct idempotency *store)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int n, r = 0;

	n = scandir(store->folder, &entries, NULL, alphasort);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (r >= 0 && name[0] != '.')
			r = load_one(store, name);
		if (r == -EINVAL) {
			if (snprintf(path, sizeof(path), "%s/%s", store->folder, name) < PATH_MAX)
				unlink(path);
			r = 0;
		}
		free(entries[i]);
	}
	free(entries);
	return r;
}

int idempotency_new(const char *folder, struct idempotency **ret, struct hvd_error *err)
{
	AUTO(idempotency_free) struct idempotency *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return hvd_err(err, ENOMEM, "out of memory");
	list_init(&store->list);
	r = store_make_folder(folder, err);
	if (r < 0)
		return r;
	store->folder = strdup(folder);
	r = store->folder ? load(store) : -ENOMEM;
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", folder, strerror(-r));
	*ret = TAKE(store);
	return 0;
}

struct idempotency *idempotency_free(struct idempotency *store)
{
	struct idempotent *request;

	if (!store)
		return NULL;
	list_for_each(request, &store->list, node)
		request_free(request);
	free(store->folder);
	free(store);
	return NULL;
}
