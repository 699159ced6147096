/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/metrics.h"
#include "tests/unit/exposition.h"
#include "vmm/base/cleanup.h"

/* Each row is of a field that there is, and the first of its name says what it is. */
static void test_table(void **state)
{
	for (const struct metric *m = metric_rows; m < metric_rows + n_metric_rows; m++) {
		const struct metric *first = m;
		const struct field *list = NULL, *field = metric_field(m, &list);

		while (first > metric_rows && strcmp(first[-1].name, m->name) == 0)
			first--;
		if (!field)
			fail_msg("%s: there is no %s", m->name, m->place);
		assert_int_equal(m->help != NULL, m == first);
		assert_int_equal(m->type, first->type);
		assert_true(m == first || (m->labels && first->labels));
		assert_int_equal(strstr(m->name, "seconds") != NULL,
				 field->unit && strcmp(field->unit, "microseconds") == 0);
		assert_int_equal(strstr(m->name, "bytes") != NULL,
				 field->unit && strcmp(field->unit, "bytes") == 0);
		/* what needs an answer, and nothing else, is in a list or counted by the process */
		assert_true(m->schema == &host_metrics_schema || !list || m->when == METRIC_UP);
	}
}

static bool has_row(const char *place)
{
	for (const struct metric *m = metric_rows; m < metric_rows + n_metric_rows; m++)
		if (strcmp(m->place, place) == 0)
			return true;
	return false;
}

static void each_number(const struct schema *schema, const char *prefix)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];
		char place[128];

		snprintf(place, sizeof(place), "%s%s", prefix, field->name);
		if (field->type == FIELD_STRUCT || field->type == FIELD_LIST) {
			strcat(place, ".");
			each_number(field->sub, place);
		} else if (field->type != FIELD_STR && field->type != FIELD_UUID && !has_row(place)) {
			/* labels, and when the guest told */
			assert_true(!strcmp(place, "vcpus.vcpu") || !strcmp(place, "codes.code") ||
				    !strcmp(place, "states.state") ||
				    !strcmp(place, "guest_memory.updated_usec"));
		}
	}
}

/* Whatever JSON has, Prometheus gets. */
static void test_complete(void **state)
{
	each_number(&vm_metrics_schema, "");
	each_number(&host_metrics_schema, "");
}

static char *write_text(const struct host_metrics *host, const struct vm_metrics *vms, size_t n)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(metrics_write(f, host, vms, n), 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void assert_sample(const char *text, const char *series, const char *value)
{
	const char *found = exposition_find(text, series);

	if (!found)
		fail_msg("no %s in:\n%s", series, text);
	assert_int_equal(strncmp(found, value, strlen(value)), 0);
	assert_int_equal(found[strlen(value)], '\n');
}

static struct state_metrics states[] = { { VM_SHUTOFF, 1 }, { VM_RUNNING, 2 } };
static struct code_metrics codes[] = { { 200, 7 }, { 404, 1 } };
static const struct host_metrics host = {
	.version = "1 \"x\\y\"\n", .cpus = 4, .memory = 1ULL << 40,
	.states = states, .n_states = 2, .codes = codes, .n_codes = 2,
	.started_usec = 1700000000000001,
};

static void test_text(void **state)
{
	struct vcpu_metrics vcpus[] = { { .vcpu = 0, .cpu_usec = 1500000, .exits = 12 },
					{ .vcpu = 1, .steal_usec = 7 } };
	struct disk_metrics disks[] = { { .disk = "vda", .reads = 3, .read_bytes = 4096 } };
	struct nic_metrics nics[] = { { .nic = "net0", .rx = { .packets = 5 },
					.tx = { .bytes = UINT64_MAX } } };
	const struct vm_metrics vms[] = {
		{ .name = "off", .state = VM_SHUTOFF },
		{ .name = "deaf", .state = VM_RUNNING, .has_process = true, .memory = 9 },
		{ .name = "up", .state = VM_RUNNING, .has_process = true, .up = true, .resets = 2,
		  .vcpus = vcpus, .n_vcpus = 2, .disks = disks, .n_disks = 1, .nics = nics,
		  .n_nics = 1 },
	};
	AUTO(free) char *text = write_text(&host, vms, 3);

	assert_true(exposition_check(text) > 50);
	assert_sample(text, "hvd_build_info{version=\"1 \\\"x\\\\y\\\"\\n\"}", "1");
	assert_sample(text, "hvd_host_cpus", "4");
	assert_sample(text, "hvd_vms{state=\"running\"}", "2");
	assert_sample(text, "hvd_http_requests_total{code=\"404\"}", "1");
	assert_sample(text, "process_start_time_seconds", "1700000000.000001");
	assert_sample(text, "hvd_vm_up{vm=\"off\"}", "0");
	assert_sample(text, "hvd_vm_up{vm=\"deaf\"}", "0");
	assert_sample(text, "hvd_vm_up{vm=\"up\"}", "1");
	assert_sample(text, "hvd_vm_state{vm=\"off\",state=\"shutoff\"}", "1");
	assert_sample(text, "hvd_vm_memory_bytes{vm=\"deaf\"}", "9");
	assert_null(exposition_find(text, "hvd_vm_memory_bytes{vm=\"off\"}"));
	assert_sample(text, "hvd_vm_resets_total{vm=\"up\"}", "2");
	assert_null(exposition_find(text, "hvd_vm_resets_total{vm=\"deaf\"}"));
	assert_sample(text, "hvd_vm_vcpu_cpu_seconds_total{vm=\"up\",vcpu=\"0\"}", "1.500000");
	assert_sample(text, "hvd_vm_vcpu_steal_seconds_total{vm=\"up\",vcpu=\"1\"}", "0.000007");
	assert_sample(text, "hvd_vm_vcpu_exits_total{vm=\"up\",vcpu=\"0\"}", "12");
	assert_sample(text, "hvd_vm_disk_requests_total{vm=\"up\",disk=\"vda\",kind=\"read\"}", "3");
	assert_sample(text, "hvd_vm_nic_packets_total{vm=\"up\",nic=\"net0\",direction=\"rx\"}", "5");
	assert_sample(text, "hvd_vm_nic_bytes_total{vm=\"up\",nic=\"net0\",direction=\"tx\"}",
		      "18446744073709551615");
}

static void test_no_vms(void **state)
{
	AUTO(free) char *text = write_text(&host, NULL, 0);

	assert_true(exposition_check(text) > 10);
}

/* Each family has its line, and no other has one. */
static void test_documented_only(void **state)
{
	const char *top = getenv("top_srcdir");
	size_t rows = 0, families = 0;
	char path[256], line[1024];
	FILE *f;

	snprintf(path, sizeof(path), "%s/docs/metrics.md", top ? top : ".");
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		rows += strncmp(line, "| `", 3) == 0;
	fclose(f);
	for (size_t i = 0; i < n_metric_rows; i++)
		families += metric_rows[i].help != NULL;
	assert_int_equal(rows, families);
}

/* The line of the table that docs/metrics.md has for a family. */
static void test_documented(void **state)
{
	const char *top = getenv("top_srcdir");
	char path[256], line[1024], row[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/docs/metrics.md", top ? top : ".");
	for (const struct metric *m = metric_rows; m < metric_rows + n_metric_rows; m++) {
		bool found = false;

		if (!m->help)
			continue;
		snprintf(row, sizeof(row), "| `%s` | %s | %s |", m->name, metric_type_names[m->type],
			 m->help);
		f = fopen(path, "re");
		assert_non_null(f);
		while (!found && fgets(line, sizeof(line), f))
			found = strncmp(line, row, strlen(row)) == 0;
		fclose(f);
		if (!found)
			fail_msg("docs/metrics.md has no line\n%s", row);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table), cmocka_unit_test(test_complete),
		cmocka_unit_test(test_text),  cmocka_unit_test(test_no_vms),
		cmocka_unit_test(test_documented),
		cmocka_unit_test(test_documented_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
