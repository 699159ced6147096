/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of remote clients, and the certificate that they see. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "api/json.h"
#include "daemon/handlers_private.h"
#include "daemon/tls.h"
#include "daemon/token.h"

static void finish(struct call *call, int r, const struct hvd_error *err)
{
	call_finish(call, r, r < 0 ? err : NULL);
}

void handle_token_create(struct manager *manager, struct vm *vm, struct call *call)
{
	struct token_info wanted, token;
	struct hvd_error err = { 0 };
	json_t *result;
	int r;

	r = json_to_obj(&token_schema, call->args, &wanted, &err);
	if (r >= 0) {
		r = tokens_create(manager->tokens, &wanted, &token, &err);
		schema_clear(&token_schema, &wanted);
	}
	if (r < 0) {
		finish(call, r, &err);
		return;
	}
	snprintf(call->name, sizeof(call->name), "%s", token.name);
	result = json_from_obj(&token_schema, &token);
	gnutls_memset(token.token, 0, strlen(token.token));
	schema_clear(&token_schema, &token);
	call_finish_json(call, result);
}

void handle_token_list(struct manager *manager, struct vm *vm, struct call *call)
{
	AUTO(json_decref) json_t *items = json_array();
	int r = items ? 0 : -ENOMEM;

	for (const struct token_info *token = tokens_next(manager->tokens, NULL); token && r >= 0;
	     token = tokens_next(manager->tokens, token))
		r = json_array_append_new(items, json_from_obj(&token_schema, token));
	call_finish_json(call, r < 0 ? NULL : TAKE(items));
}

void handle_token_delete(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	int r = tokens_delete(manager->tokens, call->name, &err);

	if (r >= 0)
		manager_access_changed(manager);
	finish(call, r, &err);
}

static void answer_certificate(struct manager *manager, struct call *call)
{
	struct certificate_info info = { 0 };
	struct hvd_error err = { 0 };
	int r = tls_describe(manager->tls, &info, &err);

	if (r < 0)
		finish(call, r, &err);
	else
		call_finish_json(call, json_from_obj(&certificate_schema, &info));
	schema_clear(&certificate_schema, &info);
}

void handle_certificate_create(struct manager *manager, struct vm *vm, struct call *call)
{
	struct certificate_info wanted;
	struct hvd_error err = { 0 };
	int r;

	r = json_to_obj(&certificate_schema, call->args, &wanted, &err);
	if (r >= 0) {
		r = tls_create(manager->tls, &wanted, &err);
		schema_clear(&certificate_schema, &wanted);
	}
	if (r < 0) {
		finish(call, r, &err);
		return;
	}
	manager_access_changed(manager);
	answer_certificate(manager, call);
}

void handle_certificate_get(struct manager *manager, struct vm *vm, struct call *call)
{
	answer_certificate(manager, call);
}

void handle_certificate_pem(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	char *text = NULL;
	int r = tls_pem(manager->tls, &text, &err);

	if (r < 0)
		finish(call, r, &err);
	else
		call_finish_text(call, text);
}
