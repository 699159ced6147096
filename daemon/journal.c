/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/journal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include "api/vm_schema.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

#define FIELDS_MAX 20

static const char *const message_ids[_EVENT_TYPE_MAX] = {
	[EVENT_STARTED] = "9016ada0454d43e28e8ff75c640d7ca7",
	[EVENT_ADDED] = "1e90fb2994074037b3df335d98ff9471",
	[EVENT_CHANGED] = "021dc461b5c64ff29a539e4a44a9d14b",
	[EVENT_REMOVED] = "2b9d899484844be3a9a0bf67ccf9d7f4",
	[EVENT_STATE] = "3003fdf016fd4b4182c7c476e46d5762",
	[EVENT_OPERATION] = "9ce17e3fa324485cbabc1f8456adbfcc",
};

/* systemd sets this when standard error goes to the journal. */
static bool have_journal(void)
{
	return getenv("JOURNAL_STREAM") != NULL;
}

static bool is(const char *text, const char *other)
{
	return text && strcmp(text, other) == 0;
}

static int priority_of(const struct event *event)
{
	if (is(event->state, vm_state_names[VM_FAILED]))
		return LOG_ERR;
	return is(event->outcome, outcome_names[OUTCOME_FAILED]) ? LOG_WARNING : LOG_INFO;
}

/* "uid 0 pid 812 (rest)", "token:ci (rest)" */
static void describe_actor(const struct actor *by, char *buf, size_t size)
{
	if (by->name)
		snprintf(buf, size, "%s (%s)", by->name, by->front);
	else if (by->pid)
		snprintf(buf, size, "uid %u pid %u (%s)", by->uid, by->pid, by->front);
	else
		snprintf(buf, size, "uid %u (%s)", by->uid, by->front);
}

/* A line for a person. */
static void describe(const struct event *event, char *buf, size_t size)
{
	const char *detail = event->detail ? event->detail : "";
	const char *colon = event->detail ? ": " : "";
	char who[128];

	switch (event->type) {
	case EVENT_STARTED:
		snprintf(buf, size, "hvd %s runs", detail);
		return;
	case EVENT_STATE:
		snprintf(buf, size, "%s%s: %s%s%s", event->vm ? "VM " : "",
			 event->vm ? event->vm : event->resource, event->state, colon, detail);
		return;
	case EVENT_OPERATION:
		describe_actor(&event->by, who, sizeof(who));
		snprintf(buf, size, "%s %s by %s: %s%s%s", event->operation, event->resource, who,
			 event->outcome, colon, detail);
		return;
	default:
		snprintf(buf, size, "%s %s", event->resource, event_type_names[event->type]);
		return;
	}
}

/* The fields of an entry, each "NAME=value" on the heap. */
struct entry {
	struct iovec iov[FIELDS_MAX];
	int n;
};

static void put(struct entry *entry, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct entry *entry, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0 || entry->n == FIELDS_MAX) {
		if (n >= 0)
			free(text);
		return;
	}
	entry->iov[entry->n++] = (struct iovec){ text, (size_t)n };
}

static void put_text(struct entry *entry, const char *name, const char *value)
{
	if (value)
		put(entry, "%s=%s", name, value);
}

static void put_event(struct entry *entry, const struct event *event)
{
	static const uint8_t none[16];
	char uuid[UUID_TEXT_SIZE];

	put(entry, "HVD_EVENT=%s", event_type_names[event->type]);
	put(entry, "HVD_SEQ=%" PRIu64, event->seq);
	put_text(entry, "HVD_RESOURCE", event->resource);
	put_text(entry, "HVD_VM", event->vm);
	if (memcmp(event->vm_uuid, none, sizeof(none)) != 0) {
		uuid_format(event->vm_uuid, uuid);
		put(entry, "HVD_VM_UUID=%s", uuid);
	}
	put_text(entry, "HVD_STATE", event->state);
	put_text(entry, event->type == EVENT_STATE ? "HVD_REASON" : "HVD_DETAIL", event->detail);
	if (event->generation)
		put(entry, "HVD_GENERATION=%" PRIu64, event->generation);
	put_text(entry, "HVD_OPERATION", event->operation);
	put_text(entry, "HVD_OPERATION_ID", event->operation_id);
	put_text(entry, "HVD_OUTCOME", event->outcome);
	put_text(entry, "HVD_CODE", event->code);
	if (!event->by.front)
		return;
	put(entry, "HVD_FRONT=%s", event->by.front);
	if (event->by.name) {
		put_text(entry, "HVD_PEER", event->by.name);
		return;
	}
	put(entry, "HVD_UID=%u", event->by.uid);
	put(entry, "HVD_PID=%u", event->by.pid);
}

void journal_event(const struct event *event)
{
	int priority = priority_of(event);
	struct entry entry = { .n = 0 };
	char message[1024];

	if (!log_enabled(priority))
		return;
	describe(event, message, sizeof(message));
	if (!have_journal()) {
		log_line(priority, "%s", message);
		return;
	}
	put(&entry, "MESSAGE=%s", message);
	put_text(&entry, "MESSAGE_ID", message_ids[event->type]);
	put(&entry, "PRIORITY=%d", priority);
	put_event(&entry, event);
	sd_journal_sendv(entry.iov, entry.n);
	for (int i = 0; i < entry.n; i++)
		free(entry.iov[i].iov_base);
}
