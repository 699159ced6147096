/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML for hvd, which does not parse any: hvd-xml (daemon/xml_worker.c) does, a child that can only read, write
 * and allocate. Each document of a client has a process of its own, so that none can do anything to another.
 * Definitions of hvd's own, and what is made of objects, share one, which ends when it has not been used
 * for a while. What comes back is checked against the tables.
 *
 * On the event loop.
 */
#pragma once

#include <systemd/sd-event.h>

#include "api/schema.h"
#include "api/vm_schema.h"
#include "vmm/base/cleanup.h"

struct xml_client;

/* program: hvd-xml, which is started when it is needed. -EREMOTEIO: there is none that works. */
int xml_client_new(sd_event *event, const char *program, struct xml_client **ret, struct hvd_error *err);

/* What clients wait for ends with -ECANCELED. Definitions go on. */
void xml_client_stop(struct xml_client *xml);

/* Not before xml_client_stop(). */
struct xml_client *xml_client_free(struct xml_client *xml);
DEFINE_AUTO(struct xml_client *, xml_client_free);

/*
 * One of hvd's own documents to an object, which is uninitialised before and zero on failure. Errors of the
 * document as xml_to_obj() (api/xml.h) has them; -EREMOTEIO when hvd-xml fails.
 */
int xml_client_read(struct xml_client *xml, const struct schema *schema, const char *text, size_t len,
		    void *obj, struct hvd_error *err);

/* xml_from_obj(). */
int xml_client_write(struct xml_client *xml, const struct schema *schema, const void *obj, char **ret,
		     struct hvd_error *err);

/*
 * What a client's document has come to. r == 0: the members of obj are the callee's, report tells what of the
 * document was ignored. Else obj and report are NULL, and err as of xml_import(); -ETIMEDOUT and
 * -EREMOTEIO when the document was too much for hvd-xml.
 */
typedef void (*xml_imported_fn)(void *ctx, int r, void *obj, const struct import_report *report,
				const struct hvd_error *err);

/* text must stay until fn is called: once, perhaps before this returns. Some are read at a time, others wait. */
void xml_client_import(struct xml_client *xml, const struct schema *schema, const char *text, xml_imported_fn fn,
		       void *ctx);
