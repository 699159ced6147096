/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the log of events; daemon/event_log.h tells what is in them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

struct event_file {
	char *folder;
	int fd;            /* of `log`; -1: to be opened */
	uint64_t size;     /* of it */
	uint64_t reserved; /* what `seq` says: no event has this number or a higher one */
	bool failing;      /* and it was said */
};

/*
 * Make the folder and call fn with each line that is there, from the old to the new; it returns the
 * number of a line's event, or 0 when there is none in it. *ret_seq gets the last number
 * that may have been used. Only a folder that cannot be made is an error.
 */
int event_file_open(struct event_file *file, const char *folder,
		    uint64_t (*fn)(void *ctx, const char *line, size_t len), void *ctx,
		    uint64_t *ret_seq, struct hvd_error *err);
/* seq: the last number that was used. */
void event_file_close(struct event_file *file, uint64_t seq);

/* Write one line: the event of this number. What goes wrong is logged, once. */
void event_file_add(struct event_file *file, uint64_t seq, const char *line, size_t len);
