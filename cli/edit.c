/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/errors.h"
#include "cli/body.h"
#include "cli/output.h"
#include "cli/operation.h"
#include "cli/text.h"
#include "cli/value.h"
#include "cli/vm_state.h"

static int diff_member(json_t *patch, const char *name, const json_t *from, json_t *to)
{
	if (json_equal(from, to))
		return 0;
	if (json_is_object(from) && json_is_object(to))
		return json_object_set_new(patch, name, edit_diff(from, to));
	return json_object_set(patch, name, to);
}

json_t *edit_diff(const json_t *from, const json_t *to)
{
	AUTO(json_decref) json_t *patch = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)to, name, value)
		if (diff_member(patch, name, json_object_get(from, name), value) < 0)
			return NULL;
	json_object_foreach((json_t *)from, name, value)
		if (!json_object_get(to, name) && json_object_set_new(patch, name, json_null()) < 0)
			return NULL;
	return TAKE(patch);
}

/* A new file that only the user can read, with the settings in it. */
static int write_settings(const json_t *spec, char path[static 64], struct hvd_error *err)
{
	AUTO(fclose) FILE *f = NULL;
	int fd;

	strcpy(path, "/tmp/hvcli-edit-XXXXXX.json");
	fd = mkostemps(path, 5, O_CLOEXEC);
	if (fd < 0)
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		return hvd_err(err, ENOMEM, "out of memory");
	}
	if (json_dumpf(spec, f, JSON_INDENT(2)) < 0 || fputc('\n', f) < 0 || fflush(f) < 0)
		return hvd_err(err, EIO, "%s: cannot write", path);
	return 0;
}

static int run_editor(const char *path, struct hvd_error *err)
{
	const char *editor = getenv("VISUAL");
	AUTO(free) char *command = NULL;
	int status;

	if (!editor || !*editor)
		editor = getenv("EDITOR");
	if (!editor || !*editor)
		editor = "vi";
	/* Through a shell, as git and crontab do: the variable may hold options. */
	if (asprintf(&command, "%s %s", editor, path) < 0) {
		command = NULL;
		return hvd_err(err, ENOMEM, "out of memory");
	}
	status = system(command);
	if (status != 0)
		return hvd_err(err, EIO, "the editor \"%s\" failed; set EDITOR to one that works",
			       editor);
	return 0;
}

static int read_settings(const char *path, json_t **ret, struct hvd_error *err)
{
	AUTO(free) char *text = NULL;
	AUTO(json_decref) json_t *json = NULL;
	int r;

	r = file_read(path, &text, err);
	if (r == 0)
		r = json_parse(text, strlen(text), &json, err);
	if (r < 0)
		return r;
	if (!json_is_object(json))
		return hvd_err(err, EINVAL, "the settings are no JSON object any more");
	*ret = TAKE(json);
	return 0;
}

/* Send what has changed, unless vm has been changed meanwhile. 1: sent, 0: nothing has changed. */
static int send_changes(struct client *client, const struct invocation *inv, const json_t *vm,
			const char *path, struct hvd_error *err)
{
	const json_t *spec = json_object_get(vm, "spec");
	AUTO(json_decref) json_t *edited = NULL, *patch = NULL, *query = NULL;
	AUTO(free) char *text = NULL, *url = NULL;
	struct client_body body = { .type = "application/merge-patch+json" };
	int r;

	r = read_settings(path, &edited, err);
	if (r < 0)
		return r;
	patch = edit_diff(spec, edited);
	if (!patch)
		return hvd_err(err, ENOMEM, "out of memory");
	if (!json_object_size(patch))
		return 0;
	body.text = text = json_dumps(patch, JSON_COMPACT);
	if (!text)
		return hvd_err(err, ENOMEM, "out of memory");
	query = json_pack("{sO*}", "generation", value_at(vm, "status.generation"));
	r = client_path(ops[OP_VM_PATCH].path, inv->operand, NULL, query, &url, err);
	if (r == 0)
		r = operation_call(client, &ops[OP_VM_PATCH], url, &body, false, NULL, err);
	return r < 0 ? r : 1;
}

/* What can be mended in the text that was written. */
static bool is_in_text(int r)
{
	return r == -EBADMSG || r == -EINVAL || r == -ERANGE;
}

/* On a terminal: show what is wrong, and let the user go on with the text. */
static bool edit_again(const struct hvd_error *err)
{
	char text[ERROR_TEXT_SIZE], answer[16];
	AUTO(free) char *clean = NULL;

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	error_text(err, text);
	clean = text_clean(text);
	fprintf(stderr, "%s\nEdit again? [Y/n] ", clean ? clean : "");
	return fgets(answer, sizeof(answer), stdin) && answer[0] != 'n' && answer[0] != 'N';
}

/* Until the text can be sent or the user gives up. 1: sent, 0: nothing has changed. */
static int edit(struct client *client, const struct invocation *inv, const json_t *vm,
		const char *path, struct hvd_error *err)
{
	for (;;) {
		struct hvd_error why = { 0 };
		int r = run_editor(path, err);

		if (r < 0)
			return r;
		r = send_changes(client, inv, vm, path, &why);
		if (r >= 0)
			return r;
		if (is_in_text(r) && edit_again(&why))
			continue;
		*err = why;
		return r;
	}
}

int vm_edit(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	AUTO(json_decref) json_t *vm = NULL;
	char path[64];
	int r;

	r = vm_get(client, inv->operand, &vm, err);
	if (r < 0)
		return r;
	r = write_settings(json_object_get(vm, "spec"), path, err);
	if (r < 0)
		return r;

	r = edit(client, inv, vm, path, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "your text is kept in %s", path);
	unlink(path);
	printf("VM %s %s\n", inv->operand, r ? inv->command->done : "not changed");
	return 0;
}
