/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the tree that are written from the tables and kept with the sources, so that nobody needs to run a
 * program to read them: a test fails when they are not what the tables say. With HVD_REFRESH=1 in
 * the environment it writes them instead.
 */
#pragma once

/* A file of the sources, heap memory; fails the test when there is none. */
char *fresh_load(const char *path);

/* Is the file text? */
void fresh_file(const char *path, const char *text);

/* Is what stands between the lines <!-- name --> and <!-- end of name --> of the file text? */
void fresh_section(const char *path, const char *name, const char *text);
