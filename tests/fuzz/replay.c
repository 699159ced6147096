/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzz target in ordinary builds: runs every file of its corpus once.
 * The corpus is $top_srcdir/tests/fuzz/corpus/NAME for a program called fuzz-NAME, or the files
 * given as arguments.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	AUTO(fclose) FILE *f = fopen(path, "re");
	AUTO(free) uint8_t *data = NULL;
	size_t size;

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	fseek(f, 0, SEEK_END);
	size = (size_t)ftell(f);
	rewind(f);

	/* exactly as large as the input, so that the sanitizer sees a read past its end */
	data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, f) != size)
		return -1;
	return LLVMFuzzerTestOneInput(data, size);
}

static int replay_folder(const char *dir)
{
	AUTO(closedir) DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d))) {
		AUTO(free) char *path = NULL;

		if (e->d_name[0] == '.')
			continue;
		if (asprintf(&path, "%s/%s", dir, e->d_name) < 0 || replay(path) < 0)
			return -1;
		n++;
	}
	return n;
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("top_srcdir");
	const char *name = strstr(argv[0], "fuzz-");
	char dir[PATH_MAX];
	int n;

	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) < 0)
			return EXIT_FAILURE;
	if (argc > 1)
		return EXIT_SUCCESS;

	/* the last one: the build folder may have it in its name */
	for (const char *p = name; p; p = strstr(p + 1, "fuzz-"))
		name = p;
	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".",
		 name ? name + strlen("fuzz-") : "");
	n = replay_folder(dir);
	if (n <= 0) {
		fprintf(stderr, "%s: no corpus: a fuzz target needs at least one input\n", dir);
		return EXIT_FAILURE;
	}
	printf("%d inputs\n", n);
	return EXIT_SUCCESS;
}
