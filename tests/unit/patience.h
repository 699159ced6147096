/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a test waits for what must come: far more than anything takes on a machine with better things to do.
 * Reached only when it never comes.
 */
#pragma once

#define PATIENCE_SEC 240
#define PATIENCE_MS  (PATIENCE_SEC * 1000)
