/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/qemu_text.h"

#include <stdio.h>
#include <string.h>

#include "vmm/base/macro.h"

/* The path of the host for one of the program's, at text; its length, or 0. */
static size_t own_path(const char *text, const struct qemu_path *paths, size_t n_paths, const char **ret)
{
	for (size_t i = 0; i < n_paths; i++) {
		size_t len = strlen(paths[i].at);

		if (!paths[i].path || strncmp(text, paths[i].at, len) != 0 ||
		    (text[len] && !strchr("' :]\"", text[len])))
			continue;
		*ret = paths[i].path;
		return len;
	}
	return 0;
}

static const char *last_line(const char *output, size_t *len)
{
	const char *end = output + strlen(output), *start;

	while (end > output && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	/* "Failed to get lock" is explained by a question on the next line, which is dropped */
	start = strstr(output, "Failed to get");
	if (start && strchr(start, '\n'))
		end = strchr(start, '\n');
	for (start = end; start > output && start[-1] != '\n'; start--)
		;
	*len = (size_t)(end - start);
	return start;
}

void qemu_explain(const char *output, const char *program, const struct qemu_path *paths, size_t n_paths,
		  char *buf, size_t size)
{
	size_t len, done = 0;
	const char *text = last_line(output, &len), *end = text + len, *json;

	/* "qemu-storage-daemon: --blockdev {…}: what is wrong", "qemu-img: Could not open 'json:{…}': what is wrong" */
	for (json = end; json > text + 3 && strncmp(json - 2, "}: ", 3) != 0 && strncmp(json - 3, "}': ", 4) != 0;
	     json--)
		;
	if (json > text + 3)
		text = json + 1;
	else if (strncmp(text, program, strlen(program)) == 0)
		text += strlen(program);

	while (text < end && done + 1 < size) {
		const char *path = NULL;
		size_t n = own_path(text, paths, n_paths, &path);

		if (n) {
			int w = snprintf(buf + done, size - done, "%s", path);

			done = MIN(done + (size_t)w, size - 1);
			text += n;
		} else {
			buf[done++] = *text >= ' ' && *text <= '~' ? *text : '?';
			text++;
		}
	}
	buf[done] = '\0';
}
