/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a unit whose fate nobody asks for. One that does not end well stays loaded as failed, and the next of
 * its name could not be started: systemd is told to forget it, which it does only once the unit has ended.
 */
#pragma once

#include "daemon/manager.h"

/* Stop it, and forget it when it has ended. Nothing happens without a bus. */
void unit_farewell(struct manager *manager, const char *unit);

/* One of this name is about to be started: what becomes of it is somebody else's business. */
void unit_farewell_drop(struct manager *manager, const char *unit);

/* hvd ends. */
void unit_farewells_drop(struct manager *manager);
