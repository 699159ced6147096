/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvd-xml: the XML of hvd, read and written by libxml2 in a process that can do nothing else. hvd starts it
 * (daemon/xml_client.h); it answers what comes on its standard input until that ends.
 *
 * Before it reads the first byte it has given up every privilege, and may from then on read, write and
 * allocate: what a document makes of it can at most give wrong answers, and hvd checks those against the
 * tables as it does with what any client sends.
 */
#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/json.h"
#include "api/json_text.h"
#include "api/network_schema.h"
#include "api/snapshot_schema.h"
#include "api/vm_schema.h"
#include "api/volume_schema.h"
#include "api/xml.h"
#include "daemon/xml_frame.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define MEMORY_MAX (256 * MIB) /* beside what it has when it begins */

DEFINE_AUTO(scmp_filter_ctx, seccomp_release);

static const struct schema *const schemas[] = {
	&vm_schema, &network_schema, &snapshot_schema, &image_schema, &volume_schema,
};

/* ---- confinement ---- */

/* What the C library does for memory and locks, and the two descriptors. */
static int allow_little(void)
{
	static const int allowed[] = {
		SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(exit_group),
		SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
		SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(getrandom), SCMP_SYS(restart_syscall),
		SCMP_SYS(rt_sigreturn),
	};
	AUTO(seccomp_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(allowed); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	return r < 0 ? r : seccomp_load(filter);
}

/* Of address space, from here on. */
static int limit_memory(void)
{
	struct rlimit limit;
	uint64_t pages;
	FILE *f = fopen("/proc/self/statm", "re");
	int n = f ? fscanf(f, "%" SCNu64, &pages) : 0;

	if (f)
		fclose(f);
	if (n != 1)
		return -EIO;
	limit.rlim_cur = limit.rlim_max = pages * (uint64_t)getpagesize() + MEMORY_MAX;
	return setrlimit(RLIMIT_AS, &limit) < 0 ? -errno : 0;
}

static int confine(void)
{
	struct __user_cap_header_struct caps = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[2] = { 0 };
	const struct rlimit answers = { sizeof(struct xml_frame) + XML_FRAME_MAX,
					sizeof(struct xml_frame) + XML_FRAME_MAX };
	const struct rlimit no_core = { 0 };
	int r;

	r = limit_memory();
	if (r < 0)
		return r;
	if (setrlimit(RLIMIT_FSIZE, &answers) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &caps, none) < 0)
		return -errno;
	return allow_little();
}

/* ---- requests ---- */

static const struct schema *find_schema(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++)
		if (strcmp(schemas[i]->name, name) == 0)
			return schemas[i];
	return NULL;
}

static int answer_object(const struct schema *schema, const void *obj, const struct import_report *report,
			 char **ret)
{
	struct json_text text = { 0 };
	bool begun = false;

	json_text_raw(&text, "{", 1);
	json_text_member(&text, "object", &begun);
	json_text_obj(&text, schema, obj, NULL);
	json_text_member(&text, "report", &begun);
	json_text_obj(&text, &import_report_schema, report, NULL);
	json_text_raw(&text, "}", 1);
	*ret = json_text_take(&text);
	return *ret ? 0 : -ENOMEM;
}

static int read_document(const struct schema *schema, const char *text, size_t len, char **ret,
			 struct hvd_error *err)
{
	AUTO(free) void *obj = calloc(1, schema->size);
	struct import_report report;
	int r;

	if (!obj)
		return hvd_err(err, ENOMEM, "out of memory");
	r = xml_import(schema, text, len, obj, &report, err);
	if (r < 0)
		return r;
	r = answer_object(schema, obj, &report, ret);
	schema_clear(schema, obj);
	schema_clear(&import_report_schema, &report);
	return r < 0 ? hvd_err(err, -r, "%s", strerror(-r)) : 0;
}

static int write_document(const struct schema *schema, const char *text, size_t len, char **ret,
			  struct hvd_error *err)
{
	AUTO(free) void *obj = calloc(1, schema->size);
	AUTO(json_decref) json_t *json = NULL;
	int r;

	if (!obj)
		return hvd_err(err, ENOMEM, "out of memory");
	r = json_parse(text, len, &json, err);
	if (r >= 0)
		r = json_to_whole_obj(schema, json, obj, err);
	if (r < 0)
		return r;
	r = xml_from_obj(schema, obj, ret);
	schema_clear(schema, obj);
	return r < 0 ? hvd_err(err, -r, "%s", strerror(-r)) : 0;
}

static int handle(const struct xml_frame *request, const char *data, char **ret, struct hvd_error *err)
{
	const struct schema *schema = find_schema(request->schema);

	if (request->kind == XML_PING)
		return 0;
	if (!schema)
		return hvd_err(err, EINVAL, "hvd-xml knows no '%s'", request->schema);
	switch (request->kind) {
	case XML_READ:
		return read_document(schema, data, request->len, ret, err);
	case XML_WRITE:
		return write_document(schema, data, request->len, ret, err);
	default:
		return hvd_err(err, EINVAL, "hvd-xml knows no request %u", request->kind);
	}
}

static int serve(void)
{
	AUTO(free) char *data = NULL, *answer = NULL;
	struct xml_frame head, reply = { .version = XML_FRAME_VERSION };
	struct hvd_error err = { 0 };
	size_t len;
	int r;

	r = xml_frame_receive(STDIN_FILENO, &head, &data, -1);
	if (r < 0)
		return r;
	reply.kind = head.kind;
	memcpy(reply.schema, head.schema, sizeof(reply.schema));
	reply.result = handle(&head, data, &answer, &err);
	len = answer ? strlen(answer) : 0;
	if (len > XML_FRAME_MAX)
		reply.result = hvd_err(&err, EFBIG, "the document becomes too large");
	if (reply.result < 0) {
		strcpy(reply.field, err.field);
		strcpy(reply.msg, err.msg);
	} else {
		reply.len = (uint32_t)len;
	}
	return xml_frame_send(STDOUT_FILENO, &reply, answer, -1);
}

static bool started_by_hvd(void)
{
	struct stat st;

	return fstat(STDIN_FILENO, &st) == 0 && (S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode));
}

int main(int argc, char **argv)
{
	int r;

	if (argc > 1 || !started_by_hvd()) {
		fprintf(stderr, "hvd-xml reads and writes XML for hvd, which starts it. See hvd(8).\n");
		return EXIT_FAILURE;
	}
	LIBXML_TEST_VERSION
	xmlInitParser();
	json_object_seed(0); /* from /dev/urandom, which cannot be opened later */
	r = confine();
	if (r < 0) {
		fprintf(stderr, "hvd-xml: cannot confine itself: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	do {
		r = serve();
	} while (r >= 0);
	/* By itself: what sanitizers do before a function that does not return is not allowed. */
	syscall(SYS_exit_group, r == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
	return EXIT_FAILURE;
}
