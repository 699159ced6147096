/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of remote clients (api/access.h), in STATE/tokens.json.
 *
 * What is kept of a token is its SHA-256. That is enough, where a password would need a slow hash
 * with salt: the token is 256 random bits, so that there is nothing to guess and no two are alike.
 */
#pragma once

#include "api/access.h"
#include "vmm/base/cleanup.h"

#define TOKENS_MAX 1024

struct tokens;

/*
 * A file that cannot be read is logged and left alone: there are no tokens then, and none can be made.
 * -ENOMEM.
 */
int tokens_new(const char *folder, struct tokens **ret, struct hvd_error *err);
struct tokens *tokens_free(struct tokens *tokens);
DEFINE_AUTO(struct tokens *, tokens_free);

/*
 * Make one of wanted's name, role and days, and write it down; it counts from then on. *ret is to be
 * cleared by schema_clear(), which wipes nothing: the secret is for the answer. -EEXIST, -ENOSPC, …
 */
int tokens_create(struct tokens *tokens, const struct token_info *wanted, struct token_info *ret,
		  struct hvd_error *err);
/* -ENOENT */
int tokens_delete(struct tokens *tokens, const char *name, struct hvd_error *err);

/* In the order of their creation, without the secret; valid until the next change. NULL: the end. */
const struct token_info *tokens_next(const struct tokens *tokens, const struct token_info *token);

/* Is there still the one of this name that was created then? */
bool tokens_have(const struct tokens *tokens, const char *name, uint64_t created_usec);

/*
 * The token with this secret. -EKEYREJECTED: there is none, or it has expired, which err does not
 * tell the client apart from the other.
 */
int tokens_check(const struct tokens *tokens, const char *secret, const struct token_info **ret,
		 struct hvd_error *err);
