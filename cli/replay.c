/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/macro.h"

static void remember(struct replay *replay, const uint8_t *data, size_t len)
{
	size_t keep = MIN(replay->n_tail, len < REPLAY_TAIL ? REPLAY_TAIL - len : 0);

	memmove(replay->tail, replay->tail + replay->n_tail - keep, keep);
	if (len > REPLAY_TAIL) {
		data += len - REPLAY_TAIL;
		len = REPLAY_TAIL;
	}
	memcpy(replay->tail + keep, data, len);
	replay->n_tail = keep + len;
}

static int show(struct replay *replay, const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	remember(replay, data, len);
	return replay->show(replay->ctx, data, len);
}

int replay_again(struct replay *replay)
{
	if (!replay->held)
		replay->held = malloc(REPLAY_HELD);
	replay->n_held = 0;
	return replay->held ? 0 : -ENOMEM;
}

/* Behind the last place where what was shown ends; 0 when that is not there. */
static size_t known(const struct replay *replay)
{
	for (size_t at = replay->n_held; at >= replay->n_tail && replay->n_tail; at--)
		if (!memcmp(replay->held + at - replay->n_tail, replay->tail, replay->n_tail))
			return at;
	return 0;
}

bool replay_is_found(const struct replay *replay)
{
	return !replay->n_tail || known(replay) > 0;
}

int replay_settle(struct replay *replay)
{
	uint8_t *held = replay->held;
	size_t at = held ? known(replay) : 0;
	int r;

	if (!held)
		return 0;
	replay->held = NULL;
	r = show(replay, held + at, replay->n_held - at);
	free(held);
	return r;
}

int replay_data(void *ctx, const uint8_t *data, size_t len)
{
	struct replay *replay = ctx;
	int r;

	if (replay->held && len <= REPLAY_HELD - replay->n_held) {
		memcpy(replay->held + replay->n_held, data, len);
		replay->n_held += len;
		return 0;
	}
	r = replay_settle(replay);
	return r < 0 ? r : show(replay, data, len);
}

void replay_clear(struct replay *replay)
{
	free(replay->held);
	replay->held = NULL;
}
