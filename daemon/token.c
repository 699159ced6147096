/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/token.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/json.h"
#include "api/vm_rules.h"
#include "daemon/atomic_file.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

#define FILE_NAME    "tokens.json"
#define FILE_MAX     (1024 * 1024)
#define PREFIX       "hvd_" /* so that scanners for leaked secrets know one */
#define SECRET_BYTES 32
#define HASH_SIZE    32
#define USEC_PER_SEC 1000000ULL
#define USEC_PER_DAY (24 * 3600 * USEC_PER_SEC)

/* As on disk. */
struct record {
	struct token_info info; /* without days and token, which are made of the rest or not there */
	char *sha256;           /* hexadecimal */
};

struct file {
	struct record *tokens;
	size_t n_tokens;
};

struct tokens {
	struct file file;
	char folder[PATH_MAX];
	bool broken; /* the file is there and cannot be read */
};

static int check_hash(const char *text, struct hvd_error *err)
{
	if (strlen(text) == 2 * HASH_SIZE && strspn(text, "0123456789abcdef") == 2 * HASH_SIZE)
		return 0;
	return hvd_err(err, EINVAL, "is no SHA-256");
}

static const struct field record_fields[] = {
	{ "name", NULL, STR(struct record, info.name), .required = true, .check = vm_name_check },
	{ "role", NULL, ENUM(struct record, info.role), .names = role_names, .required = true },
	{ "created_usec", NULL, U64(struct record, info.created_usec) },
	{ "expires_usec", NULL, U64(struct record, info.expires_usec), .required = true },
	{ "sha256", NULL, STR(struct record, sha256), .required = true, .check = check_hash },
};
static const struct schema record_schema = {
	.name = "TokenRecord",
	.size = sizeof(struct record),
	SCHEMA_FIELDS(record_fields),
	.key = "name",
};

static const struct field file_fields[] = {
	{ "tokens", NULL, LIST(struct file, tokens, n_tokens, record_schema), .max = TOKENS_MAX },
};
static const struct schema file_schema = {
	.name = "TokenFile",
	.size = sizeof(struct file),
	SCHEMA_FIELDS(file_fields),
};

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* ---- the file ---- */

static void set_days(struct file *file)
{
	for (size_t i = 0; i < file->n_tokens; i++) {
		struct token_info *info = &file->tokens[i].info;

		info->days = (uint32_t)((info->expires_usec - info->created_usec) / USEC_PER_DAY);
	}
}

static int load(struct tokens *tokens, struct hvd_error *err)
{
	AUTO(json_decref) json_t *json = NULL;
	AUTO(free) char *text = NULL;
	char path[PATH_MAX];
	size_t len;
	int r;

	if (snprintf(path, sizeof(path), "%s/" FILE_NAME, tokens->folder) >= PATH_MAX)
		return hvd_err(err, ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
	r = atomic_read(path, FILE_MAX, &text, &len);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return hvd_err(err, -r, "%s", strerror(-r));
	r = json_parse(text, len, &json, err);
	if (r >= 0)
		r = json_to_obj(&file_schema, json, &tokens->file, err);
	if (r >= 0)
		set_days(&tokens->file);
	return r;
}

static int save(const struct tokens *tokens, const struct file *file, struct hvd_error *err)
{
	AUTO(json_decref) json_t *json = json_from_obj(&file_schema, file);
	AUTO(free) char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	int r;

	if (!text)
		return hvd_err(err, ENOMEM, "out of memory");
	r = atomic_write(tokens->folder, FILE_NAME, text, strlen(text), true);
	return r < 0 ? hvd_err(err, -r, "%s/" FILE_NAME ": %s", tokens->folder, strerror(-r)) : 0;
}

int tokens_new(const char *folder, struct tokens **ret, struct hvd_error *err)
{
	AUTO(tokens_free) struct tokens *tokens = calloc(1, sizeof(*tokens));
	struct hvd_error why = { 0 };

	if (!tokens)
		return hvd_err(err, ENOMEM, "out of memory");
	snprintf(tokens->folder, sizeof(tokens->folder), "%s", folder);
	if (load(tokens, &why) < 0) {
		log_err("%s/" FILE_NAME ": %s: no token is valid", folder, why.msg);
		tokens->broken = true;
	}
	*ret = TAKE(tokens);
	return 0;
}

struct tokens *tokens_free(struct tokens *tokens)
{
	if (!tokens)
		return NULL;
	schema_clear(&file_schema, &tokens->file);
	free(tokens);
	return NULL;
}

/* ---- changes: made in a copy, which counts when it is on disk ---- */

static int begin(const struct tokens *tokens, struct file *copy, struct hvd_error *err)
{
	if (tokens->broken)
		return hvd_err(err, EIO, "%s/" FILE_NAME " cannot be read (see hvd's log): mend or "
			       "remove it, then restart hvd", tokens->folder);
	return schema_copy(&file_schema, copy, &tokens->file) < 0
		       ? hvd_err(err, ENOMEM, "out of memory")
		       : 0;
}

/* Takes copy over. */
static int commit(struct tokens *tokens, struct file *copy, struct hvd_error *err)
{
	int r = save(tokens, copy, err);

	if (r < 0) {
		schema_clear(&file_schema, copy);
		return r;
	}
	schema_clear(&file_schema, &tokens->file);
	tokens->file = *copy;
	set_days(&tokens->file);
	return 0;
}

static int hash_secret(const char *secret, char hex[static 2 * HASH_SIZE + 1])
{
	unsigned char hash[HASH_SIZE];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, secret, strlen(secret), hash) < 0)
		return -EIO;
	for (size_t i = 0; i < HASH_SIZE; i++)
		sprintf(hex + 2 * i, "%02x", hash[i]);
	return 0;
}

/* "hvd_" and 256 bits in base64url (RFC 4648 §5); heap. */
static int make_secret(char **ret)
{
	unsigned char bytes[SECRET_BYTES];
	gnutls_datum_t in = { bytes, sizeof(bytes) }, out;
	int r;

	if (gnutls_rnd(GNUTLS_RND_KEY, bytes, sizeof(bytes)) < 0)
		return -EIO;
	r = gnutls_base64_encode2(&in, &out);
	gnutls_memset(bytes, 0, sizeof(bytes));
	if (r < 0)
		return -ENOMEM;
	for (unsigned i = 0; i < out.size; i++)
		out.data[i] = out.data[i] == '+' ? '-' : out.data[i] == '/' ? '_' : out.data[i];
	r = asprintf(ret, PREFIX "%.*s", (int)strcspn((char *)out.data, "="), out.data);
	gnutls_memset(out.data, 0, out.size);
	gnutls_free(out.data);
	return r < 0 ? -ENOMEM : 0;
}

static int fill(struct record *record, const struct token_info *wanted, const char *secret)
{
	char hex[2 * HASH_SIZE + 1];

	if (hash_secret(secret, hex) < 0)
		return -EIO;
	record->info.name = strdup(wanted->name);
	record->info.role = wanted->role;
	record->info.created_usec = now_usec();
	record->info.expires_usec = record->info.created_usec + wanted->days * USEC_PER_DAY;
	record->sha256 = strdup(hex);
	return record->info.name && record->sha256 ? 0 : -ENOMEM;
}

/* The new one into file. */
static int append(struct file *file, const struct token_info *wanted, const char *secret,
		  struct hvd_error *err)
{
	struct record *record;
	int r;

	if (field_list_find(&file_fields[0], file, wanted->name))
		return hvd_err_field(err, EEXIST, "name", "there is a token %s already; hvcli token "
				     "delete %s takes it back", wanted->name, wanted->name);
	record = field_list_append(&file_fields[0], file);
	if (!record)
		return hvd_err(err, ENOSPC, "there are %zu tokens already", file->n_tokens);
	r = fill(record, wanted, secret);
	return r < 0 ? hvd_err(err, -r, "cannot make a token: %s", strerror(-r)) : 0;
}

int tokens_create(struct tokens *tokens, const struct token_info *wanted, struct token_info *ret,
		  struct hvd_error *err)
{
	AUTO(free) char *secret = NULL;
	struct file copy;
	int r;

	r = begin(tokens, &copy, err);
	if (r < 0)
		return r;
	r = make_secret(&secret);
	r = r < 0 ? hvd_err(err, -r, "cannot make a token: %s", strerror(-r))
		  : append(&copy, wanted, secret, err);
	if (r < 0) {
		schema_clear(&file_schema, &copy);
		return r;
	}
	r = commit(tokens, &copy, err);
	if (r < 0)
		return r;
	if (schema_copy(&token_schema, ret, &tokens->file.tokens[tokens->file.n_tokens - 1].info) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	ret->token = TAKE(secret);
	return 0;
}

int tokens_delete(struct tokens *tokens, const char *name, struct hvd_error *err)
{
	struct file copy;
	int r;

	r = begin(tokens, &copy, err);
	if (r < 0)
		return r;
	if (!field_list_find(&file_fields[0], &copy, name)) {
		schema_clear(&file_schema, &copy);
		return hvd_err(err, ENOENT, "there is no token %s; see hvcli token list", name);
	}
	field_list_remove(&file_fields[0], &copy, name);
	return commit(tokens, &copy, err);
}

/* ---- looking ---- */

const struct token_info *tokens_next(const struct tokens *tokens, const struct token_info *token)
{
	const struct file *file = &tokens->file;
	/* without a token there is no array, and nothing may be added to a pointer to it */
	size_t next = token ? (size_t)(container_of(token, struct record, info) - file->tokens) + 1 : 0;

	return next < file->n_tokens ? &file->tokens[next].info : NULL;
}

bool tokens_have(const struct tokens *tokens, const char *name, uint64_t created_usec)
{
	for (const struct token_info *token = tokens_next(tokens, NULL); token;
	     token = tokens_next(tokens, token))
		if (!strcmp(token->name, name) && token->created_usec == created_usec)
			return true;
	return false;
}

int tokens_check(const struct tokens *tokens, const char *secret, const struct token_info **ret,
		 struct hvd_error *err)
{
	const struct record *found = NULL;
	char hex[2 * HASH_SIZE + 1];

	if (hash_secret(secret, hex) < 0)
		return hvd_err(err, EIO, "cannot compute a SHA-256");
	for (size_t i = 0; i < tokens->file.n_tokens; i++)
		if (gnutls_memcmp(tokens->file.tokens[i].sha256, hex, 2 * HASH_SIZE) == 0)
			found = &tokens->file.tokens[i];
	if (!found || found->info.expires_usec <= now_usec())
		return hvd_err(err, EKEYREJECTED, "the token is not known, or has expired");
	*ret = &found->info;
	return 0;
}
