/* SPDX-License-Identifier: Apache-2.0 */
/* The document is sound in itself and says what the tables say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/access.h"
#include "api/errors.h"
#include "api/json.h"
#include "api/openapi.h"
#include "api/ops.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

static json_t *document;

static int setup(void **state)
{
	document = openapi_document();
	return document ? 0 : -1;
}

static int teardown(void **state)
{
	json_decref(document);
	return 0;
}

/* "#/components/schemas/Vm"; keys of paths with '/' are not needed. */
static json_t *resolve(const char *ref)
{
	json_t *at = document;
	char copy[128];

	assert_int_equal(strncmp(ref, "#/", 2), 0);
	snprintf(copy, sizeof(copy), "%s", ref + 2);
	for (char *key = strtok(copy, "/"); key; key = strtok(NULL, "/"))
		at = json_object_get(at, key);
	return at;
}

static json_t *get(json_t *at, const char *key)
{
	json_t *value = json_object_get(at, key);

	if (!value)
		fail_msg("no member '%s'", key);
	return value;
}

static unsigned check_refs(json_t *at)
{
	const char *ref = json_string_value(json_object_get(at, "$ref"));
	unsigned n = 0;
	const char *key;
	json_t *value;
	size_t i;

	if (ref && !resolve(ref))
		fail_msg("%s does not resolve", ref);
	n += ref != NULL;
	json_object_foreach(at, key, value) n += check_refs(value);
	json_array_foreach(at, i, value) n += check_refs(value);
	return n;
}

static void test_refs(void **state)
{
	assert_true(check_refs(document) > _OP_MAX);
}

static void count_refs(json_t *at, const char *want, unsigned *n)
{
	const char *ref = json_string_value(json_object_get(at, "$ref"));
	const char *key;
	json_t *value;
	size_t i;

	*n += ref && strcmp(ref, want) == 0;
	json_object_foreach(at, key, value) count_refs(value, want, n);
	json_array_foreach(at, i, value) count_refs(value, want, n);
}

/* Nothing is there that nothing refers to. */
static void test_no_orphans(void **state)
{
	const char *kind, *name;
	json_t *things, *thing;

	json_object_foreach(get(document, "components"), kind, things)
	{
		if (strcmp(kind, "responses") == 0 || strcmp(kind, "securitySchemes") == 0)
			continue;
		json_object_foreach(things, name, thing)
		{
			char ref[128];
			unsigned n = 0;

			snprintf(ref, sizeof(ref), "#/components/%s/%s", kind, name);
			count_refs(document, ref, &n);
			if (!n)
				fail_msg("%s is not used", ref);
		}
	}
}

static json_t *find(const struct op *op)
{
	static const char *const keys[] = { "get", "post", "put", "patch", "delete" };

	return get(get(get(document, "paths"), op->path), keys[op->method]);
}

static void test_every_operation(void **state)
{
	size_t n = 0;
	const char *path;
	json_t *methods;

	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		json_t *o = find(op);
		char status[8];

		assert_string_equal(json_string_value(get(o, "operationId")), op->name);
		assert_string_equal(json_string_value(get(o, "summary")), op->help);
		snprintf(status, sizeof(status), "%u", op_success_status(op));
		get(get(get(o, "responses"), status), "description");
		get(get(o, "responses"), "default");
		get(get(o, "responses"), "401");
		assert_string_equal(json_string_value(get(o, "x-hvd-role")),
				    role_names[role_for(op->access)]);
		assert_int_equal(json_object_get(o, "requestBody") != NULL,
				 op->args || op->body_type);
		if (strchr(op->path, '{') && !op->upload)
			get(get(o, "responses"), "404");
		assert_int_equal(json_object_get(o, "x-hvd-states") != NULL, op->states != 0);
	}
	json_object_foreach(get(document, "paths"), path, methods) n += json_object_size(methods);
	assert_int_equal(n, _OP_MAX);
}

static json_t *parameter_at(json_t *declared, size_t i)
{
	return resolve(json_string_value(get(json_array_get(declared, i), "$ref")));
}

static void check_parameter(json_t *parameter, const char *name, const char *in)
{
	assert_string_equal(json_string_value(get(parameter, "name")), name);
	assert_string_equal(json_string_value(get(parameter, "in")), in);
	get(parameter, "schema");
	get(parameter, "description");
}

/* OpenAPI demands that each {name} of a path is declared, once, and required. */
static void test_parameters(void **state)
{
	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		json_t *declared = json_object_get(find(op), "parameters");
		bool guarded = false;
		char name[16];
		size_t n = 0;

		for (unsigned i = 0; i < OP_MAX_PARAMETERS; i++) {
			op_parameter(op, i, name);
			if (!name[0])
				continue;
			check_parameter(parameter_at(declared, n), name, "path");
			assert_true(json_is_true(get(parameter_at(declared, n), "required")));
			n++;
		}
		for (size_t i = 0; op->options && i < op->options->n_fields; i++) {
			check_parameter(parameter_at(declared, n++), op->options->fields[i].name,
					"query");
			guarded |= strcmp(op->options->fields[i].name, "generation") == 0;
		}
		if (guarded)
			check_parameter(parameter_at(declared, n++), "If-Match", "header");
		if (json_object_get(get(find(op), "responses"), "304"))
			check_parameter(parameter_at(declared, n++), "If-None-Match", "header");
		if (op->method != HTTP_GET)
			check_parameter(parameter_at(declared, n++), "Idempotency-Key", "header");
		if (op->effect)
			check_parameter(parameter_at(declared, n++), "Prefer", "header");
		assert_int_equal(json_object_get(get(find(op), "responses"), "202") != NULL,
				 op->effect != EFFECT_NONE);
		if (op->stream)
			check_parameter(parameter_at(declared, n++), "Last-Event-ID", "header");
		assert_int_equal(json_object_get(get(find(op), "responses"), "412") != NULL, guarded);
		assert_int_equal(json_array_size(declared), n);
	}
}

static void test_problems(void **state)
{
	json_t *codes = get(get(get(resolve("#/components/schemas/Problem"), "properties"), "code"),
			    "enum");

	assert_int_equal(json_array_size(codes), n_error_classes);
	for (size_t i = 0; i < n_error_classes; i++) {
		char ref[64];

		snprintf(ref, sizeof(ref), "#/components/responses/Problem%u",
			 error_classes[i].status);
		get(get(resolve(ref), "content"), "application/problem+json");
	}
}

static void check_schema(const struct schema *schema, const char *suffix)
{
	char ref[96];
	json_t *s, *properties;

	snprintf(ref, sizeof(ref), "#/components/schemas/%s%s", schema->name, suffix);
	s = resolve(ref);
	if (!s)
		fail_msg("no %s", ref);
	properties = get(s, "properties");
	assert_int_equal(json_object_size(properties), schema->n_fields);
	assert_true(json_is_false(get(s, "additionalProperties")));
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *f = &schema->fields[i];
		json_t *property = get(properties, f->name);
		const char *text = json_string_value(get(property, "description"));

		assert_int_equal(strncmp(text, f->help, strlen(f->help)), 0);
		assert_int_equal(json_object_get(property, "readOnly") != NULL, f->read_only);
		assert_int_equal(json_object_get(property, "default") != NULL, f->def != NULL);
		if (f->sub)
			check_schema(f->sub, f->type == FIELD_STRUCT ? suffix : "");
	}
}

static void test_schemas(void **state)
{
	check_schema(&vm_schema, "");
	check_schema(&vm_schema, "Patch");
	check_schema(&vm_status_schema, "");
	check_schema(&host_schema, "");
	check_schema(&network_schema, "");
	check_schema(&image_schema, "");
	check_schema(&volume_schema, "Patch");
	check_schema(&volume_status_schema, "");
	check_schema(&snapshot_schema, "");
	check_schema(&disk_schema, "");
	check_schema(&disk_schema, "Patch");
	check_schema(&nic_schema, "Patch");
	check_schema(&plan_schema, "");
}

static json_t *property(const char *schema, const char *name)
{
	char ref[96];

	snprintf(ref, sizeof(ref), "#/components/schemas/%s", schema);
	return get(get(resolve(ref), "properties"), name);
}

static void expect(json_t *property, const char *json)
{
	AUTO(json_decref) json_t *want = json_loads(json, 0, NULL);
	const char *key;
	json_t *value;

	assert_non_null(want);
	json_object_foreach(want, key, value) if (!json_equal(get(property, key), value))
		fail_msg("'%s' is not as in %s", key, json);
}

static void test_details(void **state)
{
	AUTO(json_decref) json_t *required = json_loads("[\"name\"]", 0, NULL);

	expect(property("VmSpec", "vcpus"),
	       "{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 512, \"default\": 1, "
	       "\"x-hvd-applies\": \"next-boot\"}");
	expect(property("VmSpec", "memory"),
	       "{\"type\": [\"integer\", \"string\"], \"multipleOf\": 2097152, "
	       "\"default\": 536870912}");
	expect(property("VmSpec", "name"), "{\"x-hvd-applies\": \"immutable\"}");
	expect(property("Resources", "cpu_weight"),
	       "{\"minimum\": 0, \"maximum\": 10000, \"x-hvd-applies\": \"live\"}");
	expect(property("Disk", "cache"),
	       "{\"enum\": [\"none\", \"writeback\", \"unsafe\"], \"default\": \"writeback\"}");
	expect(property("VmSpecPatch", "vcpus"), "{\"type\": [\"integer\", \"null\"]}");
	expect(property("VmStatus", "state"), "{\"readOnly\": true}");
	expect(property("Host", "memory"), "{\"type\": \"integer\"}");

	assert_true(json_equal(get(resolve("#/components/schemas/VmSpec"), "required"), required));
	assert_null(json_object_get(resolve("#/components/schemas/VmSpecPatch"), "required"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refs),
		cmocka_unit_test(test_no_orphans),
		cmocka_unit_test(test_every_operation),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_schemas),
		cmocka_unit_test(test_details),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
