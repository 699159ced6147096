/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a console has shown, so that the scrollback with which a new connection begins is not shown again.
 *
 * The end of what has been shown is looked for in what comes first on the new connection, and only what is
 * behind it is shown; all of it when it is not there, because more has gone by than scrollback holds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_TAIL 512            /* bytes that are looked for */
#define REPLAY_HELD (128 * 1024)   /* more than hvd keeps of a console */

typedef int (*replay_fn)(void *ctx, const uint8_t *data, size_t len);

struct replay {
	replay_fn show; /* 0 or -errno */
	void *ctx;
	uint8_t tail[REPLAY_TAIL];
	size_t n_tail;
	uint8_t *held; /* what has come on a new connection, as long as it is not looked at; or NULL */
	size_t n_held;
};

/* A new connection: what comes is held until replay_settle(). 0 or -ENOMEM. */
int replay_again(struct replay *replay);

/* Is something held, so that the scrollback's end is to be told by replay_settle()? */
static inline bool replay_holds(const struct replay *replay)
{
	return replay->held != NULL;
}

/* Has the end of what was shown come again? More of the scrollback may be behind it. */
bool replay_is_found(const struct replay *replay);

/* Bytes that came: a websocket_data_fn. */
int replay_data(void *replay, const uint8_t *data, size_t len);

/* Nothing more of the scrollback is to come: show what is new of it. 0, or what show returned. */
int replay_settle(struct replay *replay);

void replay_clear(struct replay *replay);
