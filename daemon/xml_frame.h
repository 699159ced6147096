/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hvd and hvd-xml say to one another: requests on its standard input, answers in their order on its
 * standard output. Both are a head of fixed size and what it says follows:
 *
 *	            request       answer
 *	XML_READ    a document    {"object": …, "report": …}, as the tables have them (api/json.h)
 *	XML_WRITE   the object    the document
 *	XML_PING    -             -
 *
 * An answer with an error (result < 0) has field and msg of struct hvd_error, and nothing follows.
 */
#pragma once

#include <stdint.h>

#include "vmm/base/err.h"

#define XML_FRAME_VERSION 1
#define XML_FRAME_MAX     (4 * 1024 * 1024) /* bytes that follow */

enum xml_frame_kind { XML_READ = 1, XML_WRITE, XML_PING };

struct xml_frame {
	uint32_t version, kind;
	int32_t result; /* 0 or negative errno */
	uint32_t len;   /* of what follows */
	char schema[32]; /* struct schema.name */
	char field[64];
	char msg[432];
};

/*
 * Each call waits up to timeout_ms for the other end, or, with -1, as long as the descriptor blocks. 0, or:
 * -EPIPE the other end has gone, -ETIMEDOUT, -EBADMSG no frame of this version, -ENOMEM, -errno. *ret is heap
 * memory with a NUL behind head->len bytes.
 */
int xml_frame_send(int fd, const struct xml_frame *head, const char *data, int timeout_ms);
int xml_frame_receive(int fd, struct xml_frame *head, char **ret, int timeout_ms);
