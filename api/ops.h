/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations table: the one description of everything that hvd can be asked to do.
 *
 * REST routes, D-Bus members, hvcli verbs, polkit actions, the OpenAPI document and the man page are
 * walks over it. Front ends hold no VM logic; daemon/handlers.c has one function per operation.
 */
#pragma once

#include "api/network_schema.h"
#include "api/schema.h"
#include "api/snapshot_schema.h"
#include "api/vm_schema.h"
#include "api/volume_schema.h"

enum op_id {
	OP_VM_CREATE,
	OP_VM_LIST,
	OP_VM_GET,
	OP_VM_PATCH,
	OP_VM_DELETE,
	OP_VM_START,
	OP_VM_SHUTDOWN,
	OP_VM_STOP,
	OP_VM_PAUSE,
	OP_VM_RESUME,
	OP_VM_REBOOT,
	OP_VM_RESET,
	OP_VM_XML,
	OP_VM_DEFINE_XML,
	OP_VM_CONSOLE,
	OP_VM_RESIZE_CONSOLE,
	OP_VM_METRICS,
	OP_METRICS_LIST,
	OP_DISK_LIST,
	OP_DISK_GET,
	OP_DISK_ATTACH,
	OP_DISK_PATCH,
	OP_DISK_DETACH,
	OP_NIC_LIST,
	OP_NIC_GET,
	OP_NIC_ATTACH,
	OP_NIC_PATCH,
	OP_NIC_DETACH,
	OP_SNAPSHOT_CREATE,
	OP_SNAPSHOT_LIST,
	OP_SNAPSHOT_GET,
	OP_SNAPSHOT_XML,
	OP_SNAPSHOT_REVERT,
	OP_SNAPSHOT_DELETE,
	OP_VCPUS_GET,
	OP_VCPUS_PATCH,
	OP_MEMORY_GET,
	OP_MEMORY_PATCH,
	OP_RESOURCES_GET,
	OP_RESOURCES_PATCH,
	OP_NETWORK_CREATE,
	OP_NETWORK_LIST,
	OP_NETWORK_GET,
	OP_NETWORK_PATCH,
	OP_NETWORK_DELETE,
	OP_NETWORK_START,
	OP_NETWORK_STOP,
	OP_NETWORK_LEASES,
	OP_NETWORK_XML,
	OP_NETWORK_DEFINE_XML,
	OP_IMAGE_IMPORT,
	OP_IMAGE_UPLOAD,
	OP_IMAGE_LIST,
	OP_IMAGE_GET,
	OP_IMAGE_DELETE,
	OP_VOLUME_CREATE,
	OP_VOLUME_LIST,
	OP_VOLUME_GET,
	OP_VOLUME_PATCH,
	OP_VOLUME_DELETE,
	OP_VOLUME_XML,
	OP_VOLUME_DEFINE_XML,
	OP_OPERATION_LIST,
	OP_OPERATION_GET,
	OP_OPERATION_CANCEL,
	OP_EVENT_LIST,
	OP_TOKEN_CREATE,
	OP_TOKEN_LIST,
	OP_TOKEN_DELETE,
	OP_CERTIFICATE_CREATE,
	OP_CERTIFICATE_GET,
	OP_CERTIFICATE_PEM,
	OP_HOST_GET,
	OP_METRICS,
	OP_OPENAPI,
	_OP_MAX
};

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, _HTTP_METHOD_MAX };
extern const char *const http_method_names[_HTTP_METHOD_MAX];

/* Who may: one polkit action per class; roles (api/access.h) are sets of them. */
enum access { ACCESS_READ, ACCESS_OPERATE, ACCESS_MANAGE, ACCESS_HOST, _ACCESS_MAX };
extern const char *const polkit_actions[_ACCESS_MAX]; /* "org.hvd1.read", … */

#define OP_STATE(s) (1u << (s))
#define OP_ANY_STATE 0u

enum op_result {
	RESULT_NONE,     /* 204 */
	RESULT_OBJECT,   /* one object of result_schema's resource */
	RESULT_LIST,     /* {"items": [...]} of such objects */
	RESULT_DOCUMENT, /* text of the type in result_type (XML, OpenAPI) */
	RESULT_STREAM,   /* the connection becomes a byte stream (console) */
};

/*
 * What an operation that may take more than a second has come to when it has succeeded. It is a resource
 * of its own while it is under way (daemon/operation.h); after a crash of hvd its effect tells what has
 * become of it.
 */
enum op_effect {
	EFFECT_NONE, /* it takes no time */
	EFFECT_RUNS, /* the VM has a process */
	EFFECT_OFF,  /* it has none */
	EFFECT_SPEC, /* its spec is of a higher generation */
	EFFECT_MADE, /* the image or volume is there */
	EFFECT_SIZE, /* nobody knows until he looks: it has failed */
	EFFECT_SNAPSHOT,    /* it has the snapshot */
	EFFECT_NO_SNAPSHOT, /* it does not have it any more */
	EFFECT_REVERTED,    /* its disks have been reverted to it since */
};

struct op {
	const char *name;   /* "vm.pause": stable; journal, errors, tests */
	enum http_method method;
	const char *path;   /* "/v1/vms/{vm}/actions/pause" */
	const char *member; /* D-Bus method, of the object that the path names, or of the manager */
	const char *verb;   /* hvcli: "vm pause" */
	enum access access;
	unsigned states;                 /* OP_STATE() bits in which it is allowed; OP_ANY_STATE */
	enum op_effect effect;
	const struct schema *args;       /* body, or NULL */
	bool args_partial;               /* the body is a merge patch (RFC 7396) of args */
	const struct schema *options;    /* query, or NULL: how it is to be done */
	const char *list;                /* the member of the spec whose items it is about, or NULL */
	const char *items;               /* what else of a VM, such as "snapshots"; or NULL */
	/* It may be done while a snapshot is made or removed, or the disks are reverted to one. */
	bool any_time;
	bool part;                       /* result_schema is of some members of the spec, or of one */
	enum op_result result;
	const struct schema *result_schema; /* spec part of the resource, or NULL */
	/*
	 * Status part, or NULL. With one, the resource is {"name", "uuid", "spec", "status"}; without,
	 * it is result_schema's object itself.
	 */
	const struct schema *status_schema;
	const char *result_type;         /* media type of RESULT_DOCUMENT, or NULL */
	bool stream;                     /* RESULT_LIST: its items also come as server-sent events */
	/* What is told beside the resource: its members are members of the answer too; or NULL. */
	const struct schema *report;
	const char *body_type;           /* media type of a text body (then args is NULL), or NULL */
	bool upload;                     /* the body is data of any size: a file, for those on this host */
	bool secret;                     /* its answer is for nobody but who asked: it is not kept */
	const char *help;                /* one line */
};

extern const struct op ops[_OP_MAX];

/* What the {parameters} of a path stand for, "" where there is none. */
#define OP_NAME_SIZE 64
struct op_names {
	char name[OP_NAME_SIZE]; /* {vm}, name or UUID, {network}, {image}, … */
	char item[OP_NAME_SIZE]; /* {disk} or {nic}: its id; {snapshot}: its name */
};

/*
 * Match a request path against the table. On success *ret is the operation and *names what the path
 * names. -ENOENT: no such path; -ENOTSUP: the path exists, not with this method, and *allow (a bit
 * per http_method) says with which.
 */
int op_route(const char *method, const char *path, const struct op **ret, struct op_names *names,
	     unsigned *allow);

/* verb may be NULL: "host" and "openapi" are verbs of one word. NULL: no such operation. */
const struct op *op_by_verb(const char *noun, const char *verb);

/* The i-th {parameter} of the path without braces ("vm"), or "" when it has none. */
#define OP_MAX_PARAMETERS 2
void op_parameter(const struct op *op, unsigned i, char name[static 16]);

/*
 * The path of what a call is about: "/v1/vms/demo", "/v1/vms/demo/disks/vda", or the collection
 * when there are no names. name and item are as in struct op_names.
 */
#define OP_RESOURCE_SIZE 256
void op_resource(const struct op *op, const char *name, const char *item,
		 char buf[static OP_RESOURCE_SIZE]);

/* Is {name} of op_resource() that of a VM? */
bool op_is_about_vm(const struct op *op);

/*
 * A change of a spec: with its option dry_run it answers with a plan (plan_schema). Whatever takes
 * the option generation takes If-Match.
 */
static inline bool op_is_update(const struct op *op)
{
	return op->options == &update_options_schema;
}

/* The part of the path of what it is about, below the VM's: "disks"; or NULL. */
static inline const char *op_items(const struct op *op)
{
	return op->list ? op->list : op->items;
}

/* Is its result a VM, which has tables and D-Bus objects of its own? */
static inline bool op_gives_vm(const struct op *op)
{
	return op->result_schema == &vm_schema;
}

/* HTTP status of success: 200, 201 (created), 204 (nothing to tell), 101 (a stream). */
unsigned op_success_status(const struct op *op);

static inline enum op_id op_id(const struct op *op)
{
	return (enum op_id)(op - ops);
}
