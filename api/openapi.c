/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/access.h"
#include "api/errors.h"
#include "api/event.h"
#include "api/json.h"
#include "api/openapi_schema.h"
#include "api/operation.h"
#include "api/ops.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define PROBLEM_TYPE "application/problem+json"
#define JSON_TYPE    "application/json"
#define PATCH_TYPE   "application/merge-patch+json"

static int put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

/* Name of the resource that an operation answers with: its spec's without "Spec". */
static void resource_name(const struct op *op, char name[static 32])
{
	size_t len = strlen(op->result_schema->name);

	if (op->status_schema && len > 4 && !strcmp(op->result_schema->name + len - 4, "Spec"))
		len -= 4;
	snprintf(name, 32, "%.*s", (int)len, op->result_schema->name);
}

/* {"media/type": {"schema": …}} */
static json_t *content(const char *type, json_t *schema)
{
	return json_pack("{s:{s:o}}", type, "schema", schema);
}

static json_t *result_content(const struct op *op)
{
	char name[32];

	if (op->result == RESULT_DOCUMENT)
		return content(op->result_type,
			       json_pack("{s:s}", "type",
					 strstr(op->result_type, "json") ? "object" : "string"));
	resource_name(op, name);
	if (op->stream)
		return json_pack("{s:{s:o}, s:{s:{s:s}}}", JSON_TYPE, "schema",
				 openapi_ref("schemas", name, "List"), EVENT_STREAM_TYPE, "schema",
				 "type", "string");
	return content(JSON_TYPE,
		       openapi_ref("schemas", name, op->result == RESULT_LIST ? "List" : ""));
}

/* The resource, and the members of what is told beside it. */
static json_t *reported_content(const struct op *op, json_t *resource)
{
	AUTO(json_decref) json_t *members = json_object();
	int r = 0;

	for (size_t i = 0; i < op->report->n_fields && r == 0; i++)
		r = put(members, op->report->fields[i].name,
			openapi_field_type(&op->report->fields[i]));
	return r < 0 ? NULL : content(JSON_TYPE, json_pack("{s:[o, {s:s, s:O}]}", "allOf", resource, "type",
					    "object", "properties", members));
}

/* {"media/type": {"schema": …}} of the resource, or of the plan where there may be one. */
static json_t *object_content(const struct op *op)
{
	char name[32];

	if (op->report) {
		resource_name(op, name);
		return reported_content(op, openapi_ref("schemas", name, ""));
	}
	if (!op_is_update(op) || op->result_schema == &plan_schema || op_success_status(op) == 201)
		return result_content(op);
	resource_name(op, name);
	return content(JSON_TYPE, json_pack("{s:[o, o]}", "anyOf", openapi_ref("schemas", name, ""),
					    openapi_ref("schemas", plan_schema.name, "")));
}

static json_t *text_header(const char *help)
{
	return json_pack("{s:s, s:{s:s}}", "description", help, "schema", "type", "string");
}

/* Can an answer be told from another one? Lists of all that there is cannot. */
static bool has_etag(const struct op *op)
{
	return op->list || op->result == RESULT_OBJECT || op->result == RESULT_DOCUMENT;
}

static bool has_body(const struct op *op)
{
	return op->result != RESULT_NONE && op->result != RESULT_STREAM;
}

static bool changes(const struct op *op)
{
	return op->method != HTTP_GET;
}

static json_t *success(const struct op *op)
{
	AUTO(json_decref) json_t *headers = json_object();
	int r = 0;

	if (has_etag(op))
		r = put(headers, "ETag",
			text_header("Of the generation of the spec, for If-Match and If-None-Match"));
	if (r == 0 && op_success_status(op) == 201)
		r = put(headers, "Location", text_header("Path of what was made"));
	if (r < 0)
		return NULL;

	switch (op->result) {
	case RESULT_NONE:
		return json_pack("{s:s}", "description", "Done");
	case RESULT_STREAM:
		return json_pack("{s:s}", "description", "The connection becomes a WebSocket");
	default:
		return json_pack("{s:s, s:o, s:O}", "description", "Done", "content",
				 object_content(op), "headers", headers);
	}
}

/* It has not ended yet. */
static json_t *accepted(void)
{
	return json_pack("{s:s, s:o, s:{s:o}}", "description", "It goes on: the operation", "content",
			 content(JSON_TYPE, openapi_ref("schemas", operation_schema.name, "")),
			 "headers", "Location", text_header("Path of the operation"));
}

static bool takes_generation(const struct op *op)
{
	return op->options && schema_field(op->options, "generation");
}

/* Does a change of this reach the VM's process while it runs? */
static bool any_live(const struct schema *schema)
{
	for (size_t i = 0; i < schema->n_fields; i++)
		if (schema->fields[i].applies == APPLIES_LIVE && !schema->fields[i].host)
			return true;
	return false;
}

/* Is the VM's process asked? */
static bool asks_process(const struct op *op)
{
	if (op_is_update(op))
		return any_live(op->args ? op->args : &vm_schema);
	return op->states & OP_STATE(VM_RUNNING) && op->effect == EFFECT_NONE;
}

/* Which problems an operation may answer with, by what it is. Any other is in "default". */
static bool may_fail_with(const struct op *op, unsigned status)
{
	bool about_vm = changes(op) && strstr(op->path, "{vm}"), update = op_is_update(op);
	bool body = op->args || op->body_type, stores = update || (body && !op->states);
	bool undefines = op == &ops[OP_VM_DELETE] || op == &ops[OP_NETWORK_DELETE] ||
			 op == &ops[OP_SNAPSHOT_DELETE] || op == &ops[OP_TOKEN_DELETE] ||
			 op == &ops[OP_IMAGE_DELETE] || op == &ops[OP_VOLUME_DELETE];

	switch (status) {
	case 400:
	case 401:
	case 403:
	case 422:
	case 429:
	case 503:
		return true;
	case 404:
		return (strchr(op->path, '{') && !op->upload) || op == &ops[OP_CERTIFICATE_GET] ||
		       op == &ops[OP_CERTIFICATE_PEM];
	case 406:
		return has_body(op);
	case 409:
		return about_vm || op->states || (body && op != &ops[OP_CERTIFICATE_CREATE]) ||
		       op == &ops[OP_NETWORK_DELETE] ||
		       op == &ops[OP_IMAGE_DELETE] || op == &ops[OP_VOLUME_DELETE] ||
		       op == &ops[OP_NETWORK_STOP] || op == &ops[OP_OPERATION_CANCEL];
	case 412:
		return takes_generation(op);
	case 413:
		return body && !op->upload;
	case 415:
		return body;
	case 426:
		return op->result == RESULT_STREAM;
	case 500:
		return stores || undefines || asks_process(op);
	case 501:
		return op->effect == EFFECT_RUNS || asks_process(op);
	case 504:
		return asks_process(op);
	case 507:
		return stores && op->effect != EFFECT_SIZE;
	default:
		return false;
	}
}

static json_t *responses(const struct op *op)
{
	AUTO(json_decref) json_t *all = json_object();
	char status[8];
	int r;

	snprintf(status, sizeof(status), "%u", op_success_status(op));
	r = put(all, status, success(op));
	if (r == 0 && op_is_update(op) && op_success_status(op) == 201)
		r = put(all, "200",
			json_pack("{s:s, s:o}", "description", "With dry_run: the plan", "content",
				  content(JSON_TYPE,
					  openapi_ref("schemas", plan_schema.name, ""))));
	if (r == 0 && op->effect != EFFECT_NONE)
		r = put(all, "202", accepted());
	if (r == 0 && !changes(op) && has_etag(op))
		r = put(all, "304", json_pack("{s:s}", "description", "As the client has it already"));
	for (size_t i = 0; i < n_error_classes && r == 0; i++) {
		if (!may_fail_with(op, error_classes[i].status))
			continue;
		snprintf(status, sizeof(status), "%u", error_classes[i].status);
		r = put(all, status, openapi_ref("responses", "Problem", status));
	}
	if (r == 0)
		r = put(all, "default", openapi_ref("responses", "Problem", ""));
	return r == 0 ? TAKE(all) : NULL;
}

static json_t *request_body(const struct op *op)
{
	json_t *by_type;

	if (op->upload) /* JSON has no type for it */
		by_type = content(op->body_type, json_object());
	else if (op->body_type)
		by_type = content(op->body_type, json_pack("{s:s}", "type", "string"));
	else if (op->args_partial)
		by_type =
			json_pack("{s:{s:o}, s:{s:o}}", PATCH_TYPE, "schema",
				  openapi_ref("schemas", op->args->name, OPENAPI_PATCH), JSON_TYPE,
				  "schema", openapi_ref("schemas", op->args->name, OPENAPI_PATCH));
	else
		by_type = content(JSON_TYPE, openapi_ref("schemas", op->args->name, ""));
	return json_pack("{s:b, s:o}", "required", 1, "content", by_type);
}

static json_t *states_of(const struct op *op)
{
	AUTO(json_decref) json_t *states = json_array();

	for (unsigned i = 0; i < _VM_STATE_MAX; i++)
		if (op->states & OP_STATE(i) &&
		    json_array_append_new(states, json_string(vm_state_names[i])) < 0)
			return NULL;
	return TAKE(states);
}

/* Options of different operations may have the same name. */
static void option_key(const struct schema *options, const struct field *field, char key[static 64])
{
	snprintf(key, 64, "%s.%s", options->name, field->name);
}

/* Of the path, of the query, and headers. */
static json_t *parameters_of(const struct op *op)
{
	AUTO(json_decref) json_t *all = json_array();
	char name[16], key[64];
	int r = 0;

	for (unsigned i = 0; r == 0 && i < OP_MAX_PARAMETERS; i++) {
		op_parameter(op, i, name);
		if (name[0])
			r = json_array_append_new(all, openapi_ref("parameters", name, ""));
	}
	for (size_t i = 0; r == 0 && op->options && i < op->options->n_fields; i++) {
		option_key(op->options, &op->options->fields[i], key);
		r = json_array_append_new(all, openapi_ref("parameters", key, ""));
	}
	if (r == 0 && takes_generation(op))
		r = json_array_append_new(all, openapi_ref("parameters", "If-Match", ""));
	if (r == 0 && !changes(op) && has_etag(op))
		r = json_array_append_new(all, openapi_ref("parameters", "If-None-Match", ""));
	if (r == 0 && changes(op))
		r = json_array_append_new(all, openapi_ref("parameters", "Idempotency-Key", ""));
	if (r == 0 && op->effect != EFFECT_NONE)
		r = json_array_append_new(all, openapi_ref("parameters", "Prefer", ""));
	if (r == 0 && op->stream)
		r = json_array_append_new(all, openapi_ref("parameters", "Last-Event-ID", ""));
	return r == 0 ? TAKE(all) : NULL;
}

static json_t *operation(const struct op *op)
{
	AUTO(json_decref) json_t *o = NULL;
	int noun = (int)strcspn(op->name, ".");
	int r;

	o = json_pack("{s:s, s:s, s:[s#], s:o, s:s, s:s, s:s, s:s}", "operationId", op->name, "summary",
		      op->help, "tags", op->name, noun, "responses", responses(op), "x-hvd-verb",
		      op->verb, "x-hvd-member", op->member, "x-hvd-action",
		      polkit_actions[op->access], "x-hvd-role", role_names[role_for(op->access)]);
	if (!o)
		return NULL;
	r = put(o, "parameters", parameters_of(op));
	if (r == 0 && (op->args || op->body_type))
		r = put(o, "requestBody", request_body(op));
	if (r == 0 && op->states)
		r = put(o, "x-hvd-states", states_of(op));
	return r == 0 ? TAKE(o) : NULL;
}

static void method_key(const struct op *op, char key[static 16])
{
	snprintf(key, 16, "%s", http_method_names[op->method]);
	for (char *p = key; *p; p++)
		*p = (char)(*p - 'A' + 'a');
}

static json_t *paths(void)
{
	AUTO(json_decref) json_t *all = json_object();
	char key[16];

	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		json_t *path = json_object_get(all, op->path);

		if (!path) {
			if (put(all, op->path, json_object()) < 0)
				return NULL;
			path = json_object_get(all, op->path);
		}
		method_key(op, key);
		if (put(path, key, operation(op)) < 0)
			return NULL;
	}
	return TAKE(all);
}

static const struct {
	const char *name, *help;
} path_parameters[] = {
	{ "vm", "Name or UUID of a VM" },
	{ "network", "Name of a network" },
	{ "image", "Name of an image" },
	{ "volume", "Name of a volume" },
	{ "disk", "Id of a disk" },
	{ "nic", "Id of a network interface" },
	{ "snapshot", "Name of a snapshot of the VM" },
	{ "operation", "Id of an operation" },
	{ "token", "Name of a token" },
};

static int add_path_parameters(json_t *all)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(path_parameters); i++)
		r = put(all, path_parameters[i].name,
			json_pack("{s:s, s:s, s:b, s:s, s:{s:s, s:i, s:s}}", "name",
				  path_parameters[i].name, "in", "path", "required", 1,
				  "description", path_parameters[i].help, "schema", "type",
				  "string", "maxLength", OP_NAME_SIZE - 1, "pattern",
				  "^[A-Za-z0-9._-]+$"));
	return r;
}

static const struct {
	const char *name, *help;
} headers[] = {
	{ "If-Match", "Only if the spec is of this generation still: an ETag, or *" },
	{ "If-None-Match", "Only if the answer is another than that of this ETag: 304 else" },
	{ "Idempotency-Key",
	  "Chosen by the client, anew for each change: a request that comes again with its key within "
	  "24 hours gets the answer of the first time, and is not done again. 409 while that is under "
	  "way, 422 when the key was that of another request" },
	{ "Prefer", "wait=SECONDS: how long the answer may take (60); respond-async: it may not" },
	{ "Last-Event-ID", "Of a stream: go on behind the event of this number" },
};

static int add_options(json_t *all, const struct schema *options)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->n_fields; i++) {
		const struct field *field = &options->fields[i];
		char key[64];

		option_key(options, field, key);
		if (!json_object_get(all, key))
			r = put(all, key,
				json_pack("{s:s, s:s, s:s, s:o}", "name", field->name, "in",
					  "query", "description", field->help, "schema",
					  openapi_field_type(field)));
	}
	return r;
}

static json_t *parameters(void)
{
	AUTO(json_decref) json_t *all = json_object();
	int r;

	r = add_path_parameters(all);
	for (const struct op *op = ops; op < ops + _OP_MAX && r == 0; op++)
		if (op->options)
			r = add_options(all, op->options);
	for (size_t i = 0; i < ARRAY_SIZE(headers) && r == 0; i++)
		r = put(all, headers[i].name,
			json_pack("{s:s, s:s, s:s, s:{s:s}}", "name", headers[i].name, "in", "header",
				  "description", headers[i].help, "schema", "type", "string"));
	return r == 0 ? TAKE(all) : NULL;
}

/* Of what is short for a moment. */
static json_t *retry_header(unsigned status)
{
	if (status != 429 && status != 503)
		return NULL;
	return json_pack("{s:{s:s, s:{s:s}}}", "Retry-After", "description",
			 "Seconds after which to try again", "schema", "type", "integer");
}

/* Titles and codes of a status: several may share one. */
static void describe_status(unsigned status, char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < n_error_classes && used < size; i++)
		if (error_classes[i].status == status)
			used += (size_t)snprintf(text + used, size - used, "%s%s (code %s)",
						 used ? "; " : "", error_classes[i].title,
						 error_classes[i].name);
}

/* One response per HTTP status: "Problem404". */
static json_t *problem_responses(void)
{
	AUTO(json_decref) json_t *all = json_object();
	char name[16], text[256];

	for (size_t i = 0; i < n_error_classes; i++) {
		unsigned status = error_classes[i].status;

		snprintf(name, sizeof(name), "Problem%u", status);
		describe_status(status, text, sizeof(text));
		if (put(all, name,
			json_pack("{s:s, s:o, s:o*}", "description", text, "content",
				  content(PROBLEM_TYPE, openapi_ref("schemas", "Problem", "")),
				  "headers", retry_header(status))) < 0)
			return NULL;
	}
	if (put(all, "Problem",
		json_pack("{s:s, s:o}", "description", "Any other problem", "content",
			  content(PROBLEM_TYPE, openapi_ref("schemas", "Problem", "")))) < 0)
		return NULL;
	return TAKE(all);
}

static json_t *problem_schema(void)
{
	AUTO(json_decref) json_t *codes = json_array();

	for (size_t i = 0; i < n_error_classes; i++)
		if (json_array_append_new(codes, json_string(error_classes[i].name)) < 0)
			return NULL;

	return json_pack("{s:s, s:s, s:[s, s, s, s, s], s:{s:{s:s, s:s}, s:{s:s}, s:{s:s}, "
			 "s:{s:s, s:O, s:s}, s:{s:s, s:s}, s:{s:s, s:s, s:{s:s, s:[s, s], "
			 "s:{s:{s:s}, s:{s:s}}}}}}",
			 "type", "object", "description", "RFC 9457", "required", "type", "title",
			 "status", "code", "detail", "properties", "type", "type", "string",
			 "format", "uri", "title", "type", "string", "status", "type", "integer",
			 "code", "type", "string", "enum", codes, "description",
			 "Stable: what programs compare", "detail", "type", "string", "description",
			 "What went wrong, for a person", "fields", "type", "array", "description",
			 "The settings at fault", "items", "type", "object", "required", "field",
			 "detail", "properties", "field", "type", "string", "detail", "type",
			 "string");
}

/* {"name", "uuid", "spec", "status"}; uuid of those that have one */
static json_t *resource_schema(const struct op *op)
{
	json_t *schema = json_pack("{s:s, s:[s, s, s], s:{s:{s:s}, s:o, s:o}}", "type", "object", "required",
				   "name", "spec", "status", "properties", "name", "type", "string", "spec",
				   openapi_ref("schemas", op->result_schema->name, ""), "status",
				   openapi_ref("schemas", op->status_schema->name, ""));

	if (!schema || !schema_field(op->result_schema, "uuid"))
		return schema;
	if (json_array_append_new(json_object_get(schema, "required"), json_string("uuid")) < 0 ||
	    json_object_set_new(json_object_get(schema, "properties"), "uuid",
				json_pack("{s:s, s:s}", "type", "string", "format", "uuid")) < 0) {
		json_decref(schema);
		return NULL;
	}
	return schema;
}

static int add_resource(json_t *schemas, const struct op *op)
{
	char name[32], list[40];
	int r;

	r = openapi_add_schema(schemas, op->result_schema, false);
	if (r == 0 && op->status_schema)
		r = openapi_add_schema(schemas, op->status_schema, false);
	if (r < 0)
		return r;

	resource_name(op, name);
	if (op->status_schema && put(schemas, name, resource_schema(op)) < 0)
		return -ENOMEM;
	if (op->result != RESULT_LIST)
		return 0;
	snprintf(list, sizeof(list), "%sList", name);
	return put(schemas, list,
		   json_pack("{s:s, s:[s], s:{s:{s:s, s:o}, s:{s:s, s:s}}}", "type", "object",
			     "required", "items", "properties", "items", "type", "array", "items",
			     openapi_ref("schemas", name, ""), "next", "type", "string",
			     "description", "The cursor of what was over the limit"));
}

static json_t *schemas(void)
{
	AUTO(json_decref) json_t *all = json_object();
	int r;

	r = put(all, "Problem", problem_schema());
	for (const struct op *op = ops; op < ops + _OP_MAX && r == 0; op++) {
		if (op->args)
			r = openapi_add_schema(all, op->args, op->args_partial);
		if (r == 0 && op->result_schema)
			r = add_resource(all, op);
		for (size_t i = 0; r == 0 && op->report && i < op->report->n_fields; i++)
			if (op->report->fields[i].sub)
				r = openapi_add_schema(all, op->report->fields[i].sub, false);
		if (r == 0 && op_is_update(op))
			r = openapi_add_schema(all, &plan_schema, false);
	}
	return r == 0 ? TAKE(all) : NULL;
}

/* Over the unix socket neither: the kernel says who is calling. */
static json_t *security_schemes(void)
{
	return json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:s}}", "token", "type", "http", "scheme",
			 "bearer", "description", "Over TLS: a token, as hvcli token create makes it",
			 "certificate", "type", "mutualTLS", "description",
			 "Over TLS: a client's certificate, whose organizational unit is hvd-ROLE");
}

json_t *openapi_document(void)
{
	return json_pack("{s:s, s:{s:s, s:s, s:s, s:{s:s, s:s}}, s:[{s:s, s:s}], "
			 "s:[{}, {s:[]}, {s:[]}], s:o, s:{s:o, s:o, s:o, s:o}}",
			 "openapi", "3.1.0", "info", "title", "hvd", "version", "1", "description",
			 "Virtual machines on Arm servers", "license", "name", "Apache-2.0",
			 "identifier", "Apache-2.0", "servers", "url", "/", "description",
			 "unix socket /run/hvd/hvd.sock, or https with hvd --listen",
			 "security", "token", "certificate", "paths", paths(), "components", "schemas",
			 schemas(), "parameters", parameters(), "responses", problem_responses(),
			 "securitySchemes", security_schemes());
}
