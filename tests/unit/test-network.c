/* SPDX-License-Identifier: Apache-2.0 */
/* Networks as hvd keeps them; there is no bus, so that none can be made. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/network.h"
#include "tests/unit/scene.h"

static void spec(const char *name, const char *address, struct network_config *ret)
{
	assert_int_equal(schema_init(&network_schema, ret), 0);
	ret->name = strdup(name);
	ret->address = address ? strdup(address) : NULL;
}

static struct network *define(struct scene *scene, const char *name, const char *address)
{
	struct hvd_error err = { 0 };
	struct network_config config;
	struct network *network = NULL;

	spec(name, address, &config);
	if (network_define(scene->manager, &config, &network, &err) < 0)
		fail_msg("network_define: %s: %s", err.field, err.msg);
	assert_null(config.name);
	return network;
}

static void refused(struct scene *scene, struct network_config *config, int r, const char *field,
		    const char *says)
{
	struct hvd_error err = { 0 };
	struct network *network;

	assert_int_equal(network_define(scene->manager, config, &network, &err), r);
	assert_string_equal(err.field, field);
	if (!strstr(err.msg, says))
		fail_msg("no \"%s\" in \"%s\"", says, err.msg);
	schema_clear(&network_schema, config);
}

static void names(const struct manager *manager, char *buf)
{
	*buf = '\0';
	for (struct network *n = network_next(manager, NULL); n; n = network_next(manager, n))
		sprintf(buf + strlen(buf), "%s ", network_config(n)->name);
}

static void test_chosen(void **state)
{
	struct scene *scene = *state;
	const struct network_config *a = network_config(define(scene, "zoo", NULL));
	const struct network_config *b = network_config(define(scene, "lab", NULL));
	static const uint8_t unset[16];
	char list[64];

	assert_string_equal(a->bridge, "hvdbr1");
	assert_string_equal(b->bridge, "hvdbr2");
	assert_string_not_equal(a->address, b->address);
	assert_memory_not_equal(a->uuid, unset, 16);
	assert_memory_not_equal(a->uuid, b->uuid, 16);
	assert_true(a->autostart && a->dhcp);
	names(scene->manager, list);
	assert_string_equal(list, "default lab zoo ");
}

static void test_kept(void **state)
{
	struct scene *scene = *state;
	struct network *network = define(scene, "lab", "10.201.0.1/24");
	uint8_t uuid[16];
	char list[64];

	memcpy(uuid, network_config(network)->uuid, sizeof(uuid));
	assert_true(scene_exists(scene, "state/networks/lab.xml"));
	scene_restart(scene);
	names(scene->manager, list);
	assert_string_equal(list, "default lab ");
	network = manager_find_network(scene->manager, "lab");
	assert_memory_equal(network_config(network)->uuid, uuid, sizeof(uuid));
	assert_string_equal(network_config(network)->address, "10.201.0.1/24");
	assert_int_equal(network_generation(network), 1);
}

static void test_conflicts(void **state)
{
	struct scene *scene = *state;
	struct network_config config;

	define(scene, "lab", "10.201.0.1/24");
	spec("lab", NULL, &config);
	refused(scene, &config, -EEXIST, "name", "exists already");
	spec("other", "10.201.0.129/25", &config);
	refused(scene, &config, -EBUSY, "address", "network lab, which has 10.201.0.1/24");
	spec("other", "10.202.0.1/24", &config);
	config.bridge = strdup("hvdbr1");
	refused(scene, &config, -EEXIST, "bridge", "network lab has bridge hvdbr1");
	assert_false(scene_exists(scene, "state/networks/other.xml"));
}

struct outcome {
	int r;
	struct hvd_error err;
};

static void on_done(void *ctx, int r, const struct hvd_error *err)
{
	*(struct outcome *)ctx = (struct outcome){ .r = r, .err = err ? *err : (struct hvd_error){ 0 } };
}

static struct outcome update(struct network *network, uint64_t generation, const char *field,
			     const char *text)
{
	struct outcome outcome = { .r = 1 };
	struct network_config config;

	assert_int_equal(schema_copy(&network_schema, &config, network_config(network)), 0);
	assert_int_equal(field_set_text(schema_field(&network_schema, field), &config, text, NULL), 0);
	network_update(network, &config, generation, on_done, &outcome);
	assert_null(config.name);
	return outcome;
}

static void test_changes(void **state)
{
	struct scene *scene = *state;
	struct network *network = define(scene, "lab", "10.201.0.1/24");
	struct outcome o;

	o = update(network, 1, "dhcp_start", "10.201.0.100");
	assert_int_equal(o.r, 0);
	assert_int_equal(network_generation(network), 2);
	o = update(network, 1, "dhcp_end", "10.201.0.200");
	assert_int_equal(o.r, -ESTALE);
	o = update(network, 0, "name", "bal");
	assert_int_equal(o.r, -EINVAL);
	assert_string_equal(o.err.field, "name");
	o = update(network, 0, "address", network_config(manager_find_network(
						  scene->manager, "default"))->address);
	assert_int_equal(o.r, -EBUSY);
	o = update(network, 0, "bridge", "lab0");
	assert_int_equal(o.r, 0);

	/* nothing has changed: no new generation */
	o = update(network, 3, "bridge", "lab0");
	assert_int_equal(o.r, 0);
	assert_int_equal(network_generation(network), 3);

	scene_restart(scene);
	network = manager_find_network(scene->manager, "lab");
	assert_string_equal(network_config(network)->dhcp_start, "10.201.0.100");
	assert_string_equal(network_config(network)->bridge, "lab0");
	assert_int_equal(network_generation(network), 3);
}

static void define_vm_on(struct scene *scene, const char *name, const char *network)
{
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct vm *vm;

	scene_spec(scene, name, &config);
	config.nics = calloc(1, sizeof(*config.nics));
	config.n_nics = 1;
	assert_int_equal(schema_init(&nic_schema, &config.nics[0]), 0);
	config.nics[0].network = strdup(network);
	if (vm_define(scene->manager, &config, &vm, &err) < 0)
		fail_msg("vm_define: %s: %s", err.field, err.msg);
}

static void test_users(void **state)
{
	struct scene *scene = *state;
	struct network *network = define(scene, "lab", "10.201.0.1/24");
	struct delete_options options = { 0 };
	struct network_status status = { 0 };
	struct hvd_error err = { 0 };

	define_vm_on(scene, "one", "lab");
	define_vm_on(scene, "two", "lab");
	define_vm_on(scene, "three", "default");
	assert_int_equal(network_get_status(network, &status), 0);
	assert_int_equal(status.n_vms, 2);
	assert_string_equal(status.vms[0].vm, "one");
	assert_int_equal(status.state, NETWORK_INACTIVE);
	schema_clear(&network_status_schema, &status);

	assert_int_equal(network_undefine(network, 0, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "VMs one, two"));
	assert_true(scene_exists(scene, "state/networks/lab.xml"));

	assert_int_equal(vm_undefine(manager_find_vm(scene->manager, "one"), &options, &err), 0);
	assert_int_equal(vm_undefine(manager_find_vm(scene->manager, "two"), &options, &err), 0);
	assert_int_equal(network_undefine(network, 7, &err), -ESTALE);
	assert_int_equal(network_undefine(network, 1, &err), 0);
	assert_null(manager_find_network(scene->manager, "lab"));
	assert_false(scene_exists(scene, "state/networks/lab.xml"));
}

/* Who has removed it does not get it back. */
static void test_default_goes(void **state)
{
	struct scene *scene = *state;
	struct hvd_error err = { 0 };

	assert_int_equal(network_undefine(manager_find_network(scene->manager, "default"), 0, &err), 0);
	scene_restart(scene);
	assert_null(network_next(scene->manager, NULL));
}

static void test_without_bus(void **state)
{
	struct scene *scene = *state;
	struct network *network = define(scene, "lab", "10.201.0.1/24");
	struct network_status status = { 0 };
	struct outcome o = { .r = 1 };
	struct hvd_error err = { 0 };

	network_start(network, on_done, &o);
	assert_int_equal(o.r, -ENOTCONN);
	assert_int_equal(network_get_status(network, &status), 0);
	assert_int_equal(status.state, NETWORK_FAILED);
	assert_string_equal(status.reason, o.err.msg);
	schema_clear(&network_status_schema, &status);
	assert_int_equal(network_stop(network, &err), 0);
	assert_int_equal(network_get_status(network, &status), 0);
	assert_int_equal(status.state, NETWORK_INACTIVE);
	assert_null(status.reason);
	schema_clear(&network_status_schema, &status);
}

/* A bridge of the host, which is not there. */
static void test_foreign_bridge(void **state)
{
	struct scene *scene = *state;
	struct network_config config;
	struct outcome o = { .r = 1 };
	struct hvd_error err = { 0 };
	struct network *network;

	spec("ext", NULL, &config);
	config.mode = NETWORK_BRIDGE;
	config.bridge = strdup("nowhere0");
	assert_int_equal(network_define(scene->manager, &config, &network, &err), 0);
	assert_false(network_config(network)->dhcp);
	assert_null(network_config(network)->address);
	network_start(network, on_done, &o);
	assert_int_equal(o.r, -ENODEV);
	assert_string_equal(o.err.field, "bridge");
	assert_int_equal(network_stop(network, &err), -EINVAL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scene_set_up, scene_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chosen), TEST(test_kept),         TEST(test_conflicts),   TEST(test_changes),
		TEST(test_users),  TEST(test_default_goes), TEST(test_without_bus),
		TEST(test_foreign_bridge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
