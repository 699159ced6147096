/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/qemu_img.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/child.h"
#include "daemon/qemu_text.h"
#include "daemon/unit.h"
#include "daemon/unit_properties.h"
#include "vmm/base/macro.h"

#define CHILD_ADDRESS_SPACE (4 * GIB)
#define ARGS_MAX     32
#define ERROR_MAX    4096 /* the last of what it writes to standard error */
#define PROGRESS_MAX 64   /* "    (12.34/100%)\r" */
#define INPUT_NAME   "/proc/self/fd/0"
#define NAME_SIZE    32

/* What it writes to one of its descriptors: all of it up to max bytes, or the last of it. */
struct output {
	struct qemu_img *img;
	int fd;
	sd_event_source *io;
	char *text; /* terminated */
	size_t len, max;
	bool last, too_much;
};

struct qemu_img {
	struct manager *manager;
	const struct qemu_img_ops *ops;
	void *ctx;

	char unit[UNIT_NAME_MAX];
	struct unit_job *job;
	struct child *child; /* without a bus */
	bool ended;

	char *argv[ARGS_MAX];
	size_t n_args;
	char *paths[QEMU_IMG_FILES_MAX], *input_path;
	char names[QEMU_IMG_FILES_MAX][NAME_SIZE]; /* by which it knows them */
	size_t n_files;

	struct output out, err;
	unsigned told; /* progress */
};

static void output_close(struct output *output)
{
	output->io = sd_event_source_disable_unref(output->io);
	if (output->fd >= 0)
		close(TAKE_FD(output->fd));
}

struct qemu_img *qemu_img_free(struct qemu_img *img)
{
	if (!img)
		return NULL;
	if (img->job && !img->ended)
		unit_stop_name(img->manager->bus, img->unit);
	unit_job_free(img->job);
	child_free(img->child);
	output_close(&img->out);
	output_close(&img->err);
	free(img->out.text);
	free(img->err.text);
	for (size_t i = 0; i < img->n_args; i++)
		free(img->argv[i]);
	for (size_t i = 0; i < img->n_files; i++)
		free(img->paths[i]);
	free(img->input_path);
	free(img);
	return NULL;
}

/* --- what it writes */

/* Room for some more. */
static size_t make_room(struct output *output)
{
	size_t half = output->max / 2;

	if (output->len < output->max)
		return output->max - output->len;
	if (output->last) {
		output->len -= half;
		memmove(output->text, output->text + half, output->len);
	} else {
		output->too_much = true;
		output->len = 0;
	}
	return output->max - output->len;
}

/* True: there may be more. */
static bool output_read(struct output *output)
{
	size_t room = make_room(output);
	ssize_t n;

	do
		n = read(output->fd, output->text + output->len, room);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? false : (output_close(output), false);
	for (ssize_t i = 0; i < n; i++) /* it is text */
		if (!output->text[output->len + (size_t)i])
			output->text[output->len + (size_t)i] = '?';
	output->len += (size_t)n;
	output->text[output->len] = '\0';
	return true;
}

/* The last "(12.34/" of it. */
static void tell_progress(struct qemu_img *img)
{
	unsigned percent, hundredths, done = 0;

	for (const char *at = img->out.text; (at = strchr(at, '(')); at++) {
		int len = 0;

		sscanf(at, "(%3u.%2u/%n", &percent, &hundredths, &len);
		if (len)
			done = MIN(percent * 100 + hundredths, 10000u);
	}
	if (done <= img->told)
		return;
	img->told = done;
	img->ops->progress(img->ctx, done);
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct output *output = userdata;
	struct qemu_img *img = output->img;

	if (output_read(output) && output == &img->out && img->ops->progress)
		tell_progress(img);
	return 0;
}

static int output_open(struct qemu_img *img, struct output *output, size_t max, bool last, int *ret_write)
{
	int pipe[2];

	output->img = img;
	output->max = max;
	output->last = last;
	output->text = calloc(1, max + 1);
	if (!output->text)
		return -ENOMEM;
	if (pipe2(pipe, O_CLOEXEC) < 0)
		return -errno;
	output->fd = pipe[0];
	*ret_write = pipe[1];
	if (fcntl(output->fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return sd_event_add_io(img->manager->event, &output->io, output->fd, EPOLLIN, on_output, output);
}

/* --- its end */

static void explain(const struct qemu_img *img, char *buf, size_t size)
{
	struct qemu_path paths[QEMU_IMG_FILES_MAX + 1];
	size_t n = 0;

	for (; n < img->n_files; n++)
		paths[n] = (struct qemu_path){ img->names[n], img->paths[n] };
	paths[n++] = (struct qemu_path){ INPUT_NAME, img->input_path };
	qemu_explain(img->err.text, "qemu-img: ", paths, n, buf, size);
}

/* What is wrong with the host, not with what it was given. */
static int host_error(const char *text)
{
	static const int errors[] = { ENOSPC, EDQUOT, EROFS, EIO };

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (strstr(text, strerror(errors[i])))
			return errors[i] == EDQUOT ? ENOSPC : errors[i];
	return 0;
}

static int why(const struct qemu_img *img, const struct hvd_error *end, struct hvd_error *err)
{
	char text[300];
	int errnum;

	explain(img, text, sizeof(text));
	errnum = host_error(text);
	if (text[0])
		return hvd_err(err, errnum ? errnum : EINVAL, "qemu-img: %s", text);
	return hvd_err(err, EIO, "qemu-img: %s", end->msg);
}

/* What is left in the pipes belongs to it. */
static void on_end(void *ctx, int r, const struct hvd_error *end)
{
	struct qemu_img *img = ctx;
	struct hvd_error err = { 0 };

	img->ended = true;
	while (img->out.fd >= 0 && output_read(&img->out))
		;
	if (img->ops->progress)
		tell_progress(img);
	while (img->err.fd >= 0 && output_read(&img->err))
		;
	output_close(&img->out);
	output_close(&img->err);
	if (r < 0) {
		r = why(img, end, &err);
	} else if (img->out.too_much) {
		r = hvd_err(&err, EFBIG, "qemu-img: has written more than is reasonable");
	}
	img->ops->done(img->ctx, r, img->out.text, r < 0 ? &err : NULL);
}

/* --- its start */

/* text with the names of files in place of "{0}". NULL: out of memory. */
static char *substitute(const struct qemu_img *img, const char *text)
{
	char *result = NULL;
	size_t size;
	FILE *f = open_memstream(&result, &size);

	if (!f)
		return NULL;
	while (*text) {
		unsigned i = (unsigned)(text[1] - '0');

		if (strncmp(text, "{in}", 4) == 0) {
			fputs(INPUT_NAME, f);
			text += 4;
		} else if (text[0] == '{' && i < img->n_files && text[2] == '}') {
			fputs(img->names[i], f);
			text += 3;
		} else {
			fputc(*text++, f);
		}
	}
	if (fclose(f) == 0)
		return result;
	free(result);
	return NULL;
}

static int set_args(struct qemu_img *img, const char *const *args)
{
	img->argv[0] = strdup(QEMU_IMG);
	img->n_args = img->argv[0] ? 1 : 0;
	for (; img->n_args && *args && img->n_args < ARGS_MAX - 1; args++) {
		img->argv[img->n_args] = substitute(img, *args);
		if (!img->argv[img->n_args])
			return -ENOMEM;
		img->n_args++;
	}
	if (!img->n_args)
		return -ENOMEM;
	return *args ? -E2BIG : 0;
}

static int start_unit(struct qemu_img *img, const struct qemu_img_request *request, const int stdio[3],
		      struct hvd_error *err)
{
	struct unit_storage_file files[QEMU_IMG_FILES_MAX];
	struct unit_tool tool = { .description = request->description, .argv = img->argv, .files = files,
				  .n_files = img->n_files, .timeout_sec = request->timeout_sec,
				  .stdin_fd = stdio[0], .stdout_fd = stdio[1], .stderr_fd = stdio[2] };
	int r;

	for (size_t i = 0; i < img->n_files; i++) {
		snprintf(img->names[i], NAME_SIZE, "/image%zu", i);
		files[i] = (struct unit_storage_file){ img->paths[i], img->names[i],
						       request->files[i].writable };
	}
	r = set_args(img, request->args);
	if (r < 0)
		return hvd_err(err, -r, "qemu-img: %s", strerror(-r));
	return unit_start_tool(img->manager->bus, img->unit, &img->manager->paths, &tool, on_end, img,
			       &img->job, err);
}

static int start_child(struct qemu_img *img, const struct qemu_img_request *request, const int stdio[3],
		       struct hvd_error *err)
{
	int fds[QEMU_IMG_FILES_MAX], r = 0;
	size_t n = 0;

	for (; n < img->n_files && r >= 0; n++) {
		fds[n] = open(img->paths[n], (request->files[n].writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
		if (fds[n] < 0)
			r = hvd_err(err, errno, "%s: %s", img->paths[n], strerror(errno));
		snprintf(img->names[n], NAME_SIZE, "/proc/self/fd/%d", fds[n]);
	}
	if (r >= 0) {
		r = set_args(img, request->args);
		if (r >= 0)
			r = child_start(img->manager->event,
					&(struct child_program){ .argv = img->argv,
								 .stdio = { stdio[0], stdio[1], stdio[2] },
								 .fds = fds, .n_fds = n,
								 .address_space = CHILD_ADDRESS_SPACE,
								 .timeout_sec = request->timeout_sec },
					on_end, img, &img->child);
		if (r < 0)
			hvd_err(err, -r, "qemu-img: %s", strerror(-r));
	}
	while (n--)
		if (fds[n] >= 0)
			close(fds[n]);
	return r;
}

static int launch(struct qemu_img *img, const struct qemu_img_request *request, struct hvd_error *err)
{
	AUTO(close) int null = -1, out = -1, errors = -1;
	int r;

	r = null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (r < 0)
		r = -errno;
	if (r >= 0)
		r = output_open(img, &img->out, img->ops->progress ? PROGRESS_MAX : QEMU_IMG_OUTPUT_MAX,
				img->ops->progress != NULL, &out);
	if (r >= 0)
		r = output_open(img, &img->err, ERROR_MAX, true, &errors);
	if (r < 0)
		return hvd_err(err, -r, "qemu-img: %s", strerror(-r));
	return (img->manager->has_systemd ? start_unit : start_child)(
		img, request, (int[]){ request->input >= 0 ? request->input : null, out, errors }, err);
}

int qemu_img_start(struct manager *manager, const struct qemu_img_request *request,
		   const struct qemu_img_ops *ops, void *ctx, struct qemu_img **ret, struct hvd_error *err)
{
	AUTO(qemu_img_free) struct qemu_img *img = calloc(1, sizeof(*img));
	int r;

	if (!img)
		return hvd_err(err, ENOMEM, "out of memory");
	img->manager = manager;
	img->ops = ops;
	img->ctx = ctx;
	img->out.fd = img->err.fd = -1;
	if (access(QEMU_IMG, X_OK) < 0)
		return hvd_err(err, ENOTSUP, "the host has no %s: install qemu-utils", QEMU_IMG);
	if (snprintf(img->unit, sizeof(img->unit), "%s.service", request->unit) >= (int)sizeof(img->unit) ||
	    request->n_files > QEMU_IMG_FILES_MAX)
		return hvd_err(err, ENAMETOOLONG, "qemu-img: %s", strerror(ENAMETOOLONG));
	for (; img->n_files < request->n_files; img->n_files++) {
		img->paths[img->n_files] = strdup(request->files[img->n_files].path);
		if (!img->paths[img->n_files])
			return hvd_err(err, ENOMEM, "out of memory");
	}
	img->input_path = request->input_path ? strdup(request->input_path) : NULL;
	r = launch(img, request, err);
	if (r < 0)
		return r;
	*ret = TAKE(img);
	return 0;
}
