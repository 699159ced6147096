/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/unit_properties.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

#define SYSTEMD                                                                                    \
	"org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"

#define NO_SUCH_UNIT "org.freedesktop.systemd1.NoSuchUnit"
/* How often, and when, a start is tried again while something is in its way. */
#define START_TRIES      20
#define START_AGAIN_USEC 100000ULL

#define UNIT_EXISTS "org.freedesktop.systemd1.UnitExists"
#define DESTRUCTIVE "org.freedesktop.systemd1.TransactionIsDestructive"

DEFINE_AUTO(sd_bus_message *, sd_bus_message_unref);

struct unit_query {
	sd_bus *bus;
	sd_bus_slot *call;
	unit_info_fn fn;
	void *ctx;
};

struct unit_job {
	char unit[UNIT_NAME_MAX];
	sd_bus_message *message;
	unsigned tries;
	sd_event_source *timer;
	sd_bus_slot *call, *removed;
	unit_done_fn fn;
	void *ctx;
};

void unit_name(const char *vm, char name[static UNIT_NAME_MAX])
{
	snprintf(name, UNIT_NAME_MAX, "hvd-vm-%s.service", vm);
}

void unit_storage_name(const char *vm, const char *disk, char name[static UNIT_NAME_MAX])
{
	snprintf(name, UNIT_NAME_MAX, "hvd-vm-%s.disk-%s.service", vm, disk);
}

/* What systemd answers is a failure of the host, but for values that it does not like. */
static int bus_error(struct hvd_error *err, const sd_bus_error *e)
{
	int errnum = sd_bus_error_get_errno(e);

	return hvd_err(err, errnum == EINVAL ? EINVAL : EIO, "systemd: %s",
		       e->message ? e->message : strerror(errnum));
}

static int call_failed(struct hvd_error *err, int r)
{
	return hvd_err(err, r == -ENOMEM ? ENOMEM : ENOTCONN, "system bus: %s", strerror(-r));
}

static void job_finish(struct unit_job *job, int r, const struct hvd_error *err)
{
	unit_done_fn fn = TAKE(job->fn);

	if (fn)
		fn(job->ctx, r, err);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct unit_job *job = userdata;
	struct hvd_error err = { 0 };
	const char *unit, *result;
	int r;

	r = sd_bus_message_read(m, "uoss", NULL, NULL, &unit, &result);
	if (r < 0 || strcmp(unit, job->unit) != 0)
		return 0;

	r = 0;
	if (strcmp(result, "done") != 0)
		r = hvd_err(&err, EIO, "systemd could not start %s: %s", unit, result);
	job_finish(job, r, r < 0 ? &err : NULL);
	return 0;
}

/* A unit that has gone meanwhile is what was wanted. */
static int on_forgotten_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (e && !sd_bus_error_has_name(e, NO_SUCH_UNIT))
		log_warning("systemd: %s", e->message ? e->message : e->name);
	return 0;
}

static void reset_failed(sd_bus *bus, const char *unit)
{
	int r = sd_bus_call_method_async(bus, NULL, SYSTEMD, "ResetFailedUnit", on_forgotten_reply,
					 NULL, "s", unit);

	if (r < 0)
		log_err("cannot reset %s: %s", unit, strerror(-r));
}

static int on_start_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

static int on_try_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct unit_job *job = userdata;
	sd_bus *bus = sd_bus_message_get_bus(job->message);
	struct hvd_error err = { 0 };
	int r;

	job->timer = sd_event_source_disable_unref(job->timer);
	job->call = sd_bus_slot_unref(job->call);
	r = sd_bus_call_async(bus, &job->call, job->message, on_start_reply, job, 0);
	if (r < 0)
		job_finish(job, call_failed(&err, r), &err);
	return 0;
}

/*
 * A failed unit that was left behind, or the slice of the VM's last life, is in the way: nobody else makes
 * units of these names. Such a slice is on its way out: it exists, or its stop would be undone.
 */
static int try_again(struct unit_job *job)
{
	sd_bus *bus = sd_bus_message_get_bus(job->message);

	reset_failed(bus, job->unit);
	if (job->tries++ == START_TRIES)
		return -EBUSY;
	return sd_event_add_time_relative(sd_bus_get_event(bus), &job->timer, CLOCK_MONOTONIC,
					  START_AGAIN_USEC, 0, on_try_again, job);
}

static int on_start_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct unit_job *job = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	bool in_the_way = sd_bus_error_has_name(e, UNIT_EXISTS) || sd_bus_error_has_name(e, DESTRUCTIVE);
	struct hvd_error err = { 0 };

	if (!e) {
		/* with it go copies of descriptors, of which systemd has its own by now */
		job->message = sd_bus_message_unref(job->message);
		return 0;
	}
	if (in_the_way && try_again(job) >= 0)
		return 0;
	if (in_the_way)
		hvd_err(&err, EBUSY, "%s is still there; try again", job->unit);
	else
		bus_error(&err, e);
	job_finish(job, err.code, &err);
	return 0;
}

/* The slice of the VM, for StartTransientUnit to make with the unit; none where it has no own. */
static int append_slice(sd_bus_message *m, const struct vm_config *config)
{
	char slice[UNIT_NAME_MAX];
	int r;

	if (!config->shared_memory)
		return sd_bus_message_append(m, "a(sa(sv))", 0);
	unit_slice(config, slice);
	r = sd_bus_message_open_container(m, 'a', "(sa(sv))");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sa(sv)");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", slice);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "StopWhenUnneeded", "b", 1);
	if (r >= 0)
		r = unit_append_limits(m, &config->resources, false);
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int open_start(sd_bus *bus, const char *unit, sd_bus_message **m)
{
	int r;

	r = sd_bus_message_new_method_call(bus, m, SYSTEMD, "StartTransientUnit");
	if (r >= 0)
		r = sd_bus_message_append(*m, "ss", unit, "fail");
	return r < 0 ? r : sd_bus_message_open_container(*m, 'a', "(sv)");
}

/* Takes job over. */
static int send_start(sd_bus *bus, sd_bus_message *m, struct unit_job *job, struct unit_job **ret,
		      struct hvd_error *err)
{
	AUTO(unit_job_free) struct unit_job *owned = job;
	int r;

	job->message = sd_bus_message_ref(m);
	r = sd_bus_match_signal_async(bus, &job->removed, SYSTEMD, "JobRemoved", on_job_removed, NULL,
				      job);
	if (r >= 0)
		r = sd_bus_call_async(bus, &job->call, m, on_start_reply, job, 0);
	if (r < 0)
		return call_failed(err, r);
	*ret = TAKE(owned);
	return 0;
}

static struct unit_job *new_job(unit_done_fn fn, void *ctx)
{
	struct unit_job *job = calloc(1, sizeof(*job));

	if (job) {
		job->fn = fn;
		job->ctx = ctx;
	}
	return job;
}

int unit_start(sd_bus *bus, const struct vm_config *config, const struct manager_paths *paths,
	       int stdin_fd, unit_done_fn fn, void *ctx, struct unit_job **ret, struct hvd_error *err)
{
	AUTO(unit_job_free) struct unit_job *job = new_job(fn, ctx);
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	int r;

	if (!job)
		return hvd_err(err, ENOMEM, "out of memory");
	unit_name(config->name, job->unit);

	r = open_start(bus, job->unit, &m);
	if (r >= 0)
		r = unit_append_service(m, config, paths, stdin_fd);
	if (r >= 0)
		r = unit_append_limits(m, &config->resources, false);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = append_slice(m, config);
	return r < 0 ? call_failed(err, r) : send_start(bus, m, TAKE(job), ret, err);
}

int unit_start_storage(sd_bus *bus, const struct vm_config *config,
		       const struct manager_paths *paths, const struct unit_storage *storage,
		       unit_done_fn fn, void *ctx, struct unit_job **ret, struct hvd_error *err)
{
	AUTO(unit_job_free) struct unit_job *job = new_job(fn, ctx);
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	int r;

	if (!job)
		return hvd_err(err, ENOMEM, "out of memory");
	unit_storage_name(config->name, storage->disk, job->unit);

	r = open_start(bus, job->unit, &m);
	if (r >= 0)
		r = unit_append_storage(m, config, paths, storage);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	/* the slice is there, with the VM's service */
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	return r < 0 ? call_failed(err, r) : send_start(bus, m, TAKE(job), ret, err);
}

int unit_start_tool(sd_bus *bus, const char *unit, const struct manager_paths *paths,
		    const struct unit_tool *tool, unit_done_fn fn, void *ctx, struct unit_job **ret,
		    struct hvd_error *err)
{
	AUTO(unit_job_free) struct unit_job *job = new_job(fn, ctx);
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	int r;

	if (!job)
		return hvd_err(err, ENOMEM, "out of memory");
	snprintf(job->unit, sizeof(job->unit), "%s", unit);

	r = open_start(bus, job->unit, &m);
	if (r >= 0)
		r = unit_append_tool(m, paths, tool);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	return r < 0 ? call_failed(err, r) : send_start(bus, m, TAKE(job), ret, err);
}

struct unit_job *unit_job_free(struct unit_job *job)
{
	if (!job)
		return NULL;
	sd_bus_slot_unref(job->call);
	sd_bus_slot_unref(job->removed);
	sd_event_source_disable_unref(job->timer);
	sd_bus_message_unref(job->message);
	free(job);
	return NULL;
}

static const struct {
	const char *name;
	char type; /* 's' and 'o' into a buffer of size bytes */
	size_t offset, size;
} info_properties[] = {
	{ "MainPID", 'u', offsetof(struct unit_info, pid), 0 },
	{ "ControlGroup", 's', offsetof(struct unit_info, cgroup), sizeof(((struct unit_info *)0)->cgroup) },
	{ "ExecMainStartTimestamp", 't', offsetof(struct unit_info, started_usec), 0 },
	{ "Result", 's', offsetof(struct unit_info, result), sizeof(((struct unit_info *)0)->result) },
	{ "ExecMainCode", 'i', offsetof(struct unit_info, exec_code), 0 },
	{ "ExecMainStatus", 'i', offsetof(struct unit_info, exec_status), 0 },
};

static enum unit_state state_of(const char *active)
{
	if (strcmp(active, "failed") == 0)
		return UNIT_FAILED;
	return strcmp(active, "inactive") == 0 ? UNIT_GONE : UNIT_ALIVE;
}

/* The value of one property, of which the name has been read. */
static int read_property(sd_bus_message *m, const char *name, struct unit_info *info)
{
	const char *text;
	int r;

	if (strcmp(name, "ActiveState") == 0) {
		r = sd_bus_message_read(m, "v", "s", &text);
		if (r >= 0)
			info->state = state_of(text);
		return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(info_properties); i++) {
		char type[] = { info_properties[i].type, '\0' };
		void *value = (char *)info + info_properties[i].offset;

		if (strcmp(name, info_properties[i].name) != 0)
			continue;
		if (type[0] != 's')
			return sd_bus_message_read(m, "v", type, value);
		r = sd_bus_message_read(m, "v", "s", &text);
		if (r >= 0)
			snprintf(value, info_properties[i].size, "%s", text);
		return r;
	}
	return sd_bus_message_skip(m, "v");
}

static int read_info(sd_bus_message *m, struct unit_info *info)
{
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const char *name;

		r = sd_bus_message_read(m, "s", &name);
		if (r >= 0)
			r = read_property(m, name, info);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r;
}

static void query_finish(struct unit_query *query, int r, const struct unit_info *info,
			 const struct hvd_error *err)
{
	query->fn(query->ctx, r, info, err);
}

static int on_info_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct unit_query *query = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	struct unit_info info = { 0 };
	struct hvd_error err = { 0 };
	int r;

	r = e ? bus_error(&err, e) : read_info(m, &info);
	if (r < 0 && !e)
		hvd_err(&err, EIO, "systemd: answer not understood: %s", strerror(-r));
	query_finish(query, r < 0 ? err.code : 0, &info, r < 0 ? &err : NULL);
	return 0;
}

static int on_unit_found(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct unit_query *query = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	struct unit_info gone = { .state = UNIT_GONE };
	struct hvd_error err = { 0 };
	const char *path;
	int r;

	if (e && sd_bus_error_has_name(e, NO_SUCH_UNIT)) {
		query_finish(query, 0, &gone, NULL);
		return 0;
	}
	if (e) {
		query_finish(query, bus_error(&err, e), NULL, &err);
		return 0;
	}
	/* "": the properties of the interfaces Unit and Service at once. */
	query->call = sd_bus_slot_unref(query->call);
	r = sd_bus_message_read(m, "o", &path);
	if (r >= 0)
		r = sd_bus_call_method_async(query->bus, &query->call, "org.freedesktop.systemd1",
					     path, "org.freedesktop.DBus.Properties", "GetAll",
					     on_info_reply, query, "s", "");
	if (r < 0)
		query_finish(query, call_failed(&err, r), NULL, &err);
	return 0;
}

/* GetUnit first: asking the object of a unit that has gone makes systemd look for its file. */
int unit_query_name(sd_bus *bus, const char *name, unit_info_fn fn, void *ctx,
		    struct unit_query **ret, struct hvd_error *err)
{
	AUTO(unit_query_free) struct unit_query *query = calloc(1, sizeof(*query));
	int r;

	if (!query)
		return hvd_err(err, ENOMEM, "out of memory");
	query->bus = sd_bus_ref(bus);
	query->fn = fn;
	query->ctx = ctx;

	r = sd_bus_call_method_async(bus, &query->call, SYSTEMD, "GetUnit", on_unit_found, query,
				     "s", name);
	if (r < 0)
		return call_failed(err, r);
	*ret = TAKE(query);
	return 0;
}

int unit_query(sd_bus *bus, const char *vm, unit_info_fn fn, void *ctx, struct unit_query **ret,
	       struct hvd_error *err)
{
	char name[UNIT_NAME_MAX];

	unit_name(vm, name);
	return unit_query_name(bus, name, fn, ctx, ret, err);
}

struct unit_query *unit_query_free(struct unit_query *query)
{
	if (!query)
		return NULL;
	sd_bus_slot_unref(query->call);
	sd_bus_unref(query->bus);
	free(query);
	return NULL;
}

/* The callback and its argument hang on the slot of the call and go with it. */
struct limits_call {
	unit_done_fn fn;
	void *ctx;
};

static int on_limits_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct limits_call call = *(struct limits_call *)userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	struct hvd_error err = { 0 };
	int r = e ? bus_error(&err, e) : 0;

	call.fn(call.ctx, r, r < 0 ? &err : NULL);
	return 0;
}

static int send_limits(sd_bus *bus, sd_bus_message *m, unit_done_fn fn, void *ctx,
		       sd_bus_slot **ret)
{
	struct limits_call *call = malloc(sizeof(*call));
	sd_bus_slot *slot;
	int r;

	if (!call)
		return -ENOMEM;
	*call = (struct limits_call){ .fn = fn, .ctx = ctx };

	r = sd_bus_call_async(bus, &slot, m, on_limits_reply, call, 0);
	if (r < 0) {
		free(call);
		return r;
	}
	sd_bus_slot_set_destroy_callback(slot, free);
	*ret = slot;
	return 0;
}

static int new_limits(sd_bus *bus, const struct vm_config *config, const char *unit,
		      sd_bus_message **m)
{
	int r;

	r = sd_bus_message_new_method_call(bus, m, SYSTEMD, "SetUnitProperties");
	if (r >= 0)
		r = sd_bus_message_append(*m, "sb", unit, 1);
	if (r >= 0)
		r = sd_bus_message_open_container(*m, 'a', "(sv)");
	if (r >= 0)
		r = unit_append_limits(*m, &config->resources, true);
	return r < 0 ? r : sd_bus_message_close_container(*m);
}

static int on_slice_limits_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (e)
		log_warning("systemd: limits of a slice: %s", e->message ? e->message : e->name);
	return 0;
}

/* On the slice, then on the service, in one stream of messages: the second answer is for both. */
int unit_set_limits(sd_bus *bus, const struct vm_config *config, unit_done_fn fn, void *ctx,
		    sd_bus_slot **ret, struct hvd_error *err)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL, *of_slice = NULL;
	char name[UNIT_NAME_MAX];
	int r = 0;

	if (config->shared_memory) {
		unit_slice(config, name);
		r = new_limits(bus, config, name, &of_slice);
		if (r >= 0)
			r = sd_bus_call_async(bus, NULL, of_slice, on_slice_limits_reply, NULL, 0);
	}
	unit_name(config->name, name);
	if (r >= 0)
		r = new_limits(bus, config, name, &m);
	if (r >= 0)
		r = send_limits(bus, m, fn, ctx, ret);
	return r < 0 ? call_failed(err, r) : 0;
}

void unit_kill_name(sd_bus *bus, const char *unit)
{
	int r = sd_bus_call_method_async(bus, NULL, SYSTEMD, "KillUnit", on_forgotten_reply, NULL,
					 "ssi", unit, "all", (int32_t)SIGKILL);

	if (r < 0)
		log_err("cannot kill %s: %s", unit, strerror(-r));
}

void unit_kill(sd_bus *bus, const char *vm)
{
	char name[UNIT_NAME_MAX];

	unit_name(vm, name);
	unit_kill_name(bus, name);
}

void unit_reset_failed(sd_bus *bus, const char *vm)
{
	char name[UNIT_NAME_MAX];

	unit_name(vm, name);
	reset_failed(bus, name);
}

void unit_reset_failed_name(sd_bus *bus, const char *unit)
{
	reset_failed(bus, unit);
}

void unit_stop_name(sd_bus *bus, const char *unit)
{
	int r = sd_bus_call_method_async(bus, NULL, SYSTEMD, "StopUnit", on_forgotten_reply, NULL,
					 "ss", unit, "replace");

	if (r < 0)
		log_err("cannot stop %s: %s", unit, strerror(-r));
}

void unit_stop_slice(sd_bus *bus, const struct vm_config *config)
{
	char slice[UNIT_NAME_MAX];

	if (!config->shared_memory)
		return;
	unit_slice(config, slice);
	unit_stop_name(bus, slice);
}
