/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/top_rates.h"

#define CTRL_C 0x03
#define HEIGHT 24 /* of a terminal that does not say */

/* The other screen, without a cursor, and back. */
#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"

struct top {
	struct client *client;
	const struct invocation *inv;
	char *path;
	struct top_view view;
	enum top_sort sort;
	json_t *before, *now; /* lists of metrics */
	struct timespec taken; /* when `now` was */
	double seconds;        /* between the two */
	unsigned looks;
};

static double since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

/* One more look. */
static int look(struct top *top, struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	json_t *items;
	int r;

	r = client_call(top->client, HTTP_GET, top->path, NULL, &answer, err);
	if (r < 0)
		return r;
	items = json_object_get(answer.json, "items");
	if (!json_is_array(items))
		return hvd_err(err, EIO, "the server's answer is no list");
	json_decref(top->before);
	top->before = top->now;
	top->now = json_incref(items);
	top->looks++;
	top->seconds = since(&top->taken);
	clock_gettime(CLOCK_MONOTONIC, &top->taken);
	return 0;
}

static json_t *rates(const struct top *top, struct hvd_error *err)
{
	json_t *list = top_rates(top->before, top->now, top->seconds, top->sort);

	if (!list)
		hvd_err(err, ENOMEM, "out of memory");
	return list;
}

/* ---- tables one behind the other ---- */

static int print_rates(const struct top *top, const json_t *list)
{
	size_t i;
	json_t *vm;
	int r = 0;

	switch (top->inv->options.format) {
	case OUTPUT_JSON:
	case OUTPUT_YAML:
		r = output_data(top->inv->options.format, list, stdout);
		break;
	case OUTPUT_NAME:
		json_array_foreach(list, i, vm) {
			AUTO(free) char *clean =
				text_clean(json_string_value(json_object_get(vm, "name")));

			printf("%s\n", clean ? clean : "?");
		}
		break;
	default:
		r = top_print(list, &top->view, stdout);
	}
	return r < 0 ? r : fflush(stdout) != 0 ? -errno : 0;
}

static int run_batch(struct top *top, struct hvd_error *err)
{
	unsigned count = top->inv->options.count ? top->inv->options.count : 1;

	for (unsigned n = 0; n < count; n++) {
		AUTO(json_decref) json_t *list = NULL;
		int r;

		if (n)
			puts(top->inv->options.format == OUTPUT_YAML ? "---" : "");
		sleep(top->inv->options.interval);
		r = look(top, err);
		if (r >= 0)
			list = rates(top, err);
		if (r < 0 || !list)
			return r < 0 ? r : -ENOMEM;
		r = print_rates(top, list);
		if (r < 0)
			return hvd_err(err, -r, "cannot show the answer: %s", strerror(-r));
	}
	return 0;
}

/* ---- a screen ---- */

/* The frame line by line, each to the end of the terminal's, as many as it has. */
static void draw(const char *frame, unsigned height)
{
	fputs("\033[H", stdout);
	for (unsigned line = 0; *frame && line < height; line++) {
		size_t len = strcspn(frame, "\n");

		printf("%s%.*s\033[K", line ? "\r\n" : "", (int)len, frame);
		frame += len + (frame[len] == '\n');
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

static void write_title(const struct top *top, FILE *f)
{
	time_t now = time(NULL);
	AUTO(free) char *line = NULL;
	struct tm tm;
	char clock[16] = "";

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	if (asprintf(&line, "%s  %zu VMs, every %u s, by %s   q quit  v vCPUs  by: c s m d n e, N name",
		     clock, json_array_size(top->now), top->inv->options.interval,
		     top_sort_names[top->sort]) < 0) {
		line = NULL;
		return;
	}
	fprintf(f, "%.*s\n", (int)text_fit(line, top->view.width), line);
}

static int show_screen(struct top *top, struct hvd_error *err)
{
	AUTO(json_decref) json_t *list = rates(top, err);
	AUTO(free) char *frame = NULL;
	unsigned height = terminal_size(STDOUT_FILENO).ws_row;
	size_t size;
	FILE *f = list ? open_memstream(&frame, &size) : NULL;
	int r;

	if (!f)
		return hvd_err(err, ENOMEM, "out of memory");
	top->view.width = terminal_width(stdout);
	write_title(top, f);
	r = top_print(list, &top->view, f);
	if (fclose(f) != 0 || r < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	draw(frame, height ? height : HEIGHT);
	return 0;
}

/* False: leave. */
static bool take_key(struct top *top, char key)
{
	if (key == 'q' || key == CTRL_C)
		return false;
	if (key == 'v')
		top->view.vcpus = !top->view.vcpus;
	else if (key == 'N')
		top->sort = TOP_NAME;
	for (unsigned sort = 0; sort < TOP_NAME; sort++)
		if (key == top_sort_names[sort][0])
			top->sort = sort;
	return true;
}

/* Everything that was typed. False: leave. */
static bool take_keys(struct top *top)
{
	char keys[32];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	/* what the arrow keys send is no choice of ours */
	if (n > 1 && keys[0] == '\033')
		return true;
	for (ssize_t i = 0; i < n; i++)
		if (!take_key(top, keys[i]))
			return false;
	return n > 0 || errno == EINTR;
}

/* 1: leave. */
static int wait_and_show(struct top *top, int signals, struct hvd_error *err)
{
	struct pollfd fds[] = { { STDIN_FILENO, POLLIN, 0 }, { signals, POLLIN, 0 } };
	double left = top->inv->options.interval - since(&top->taken);
	struct signalfd_siginfo si;
	int r;

	r = poll(fds, 2, left > 0 ? (int)(left * 1000) + 1 : 0);
	if (r < 0 && errno != EINTR)
		return hvd_err(err, errno, "poll: %s", strerror(errno));
	if (r > 0 && fds[1].revents && read(signals, &si, sizeof(si)) == sizeof(si) &&
	    si.ssi_signo != SIGWINCH)
		return 1;
	if (r > 0 && fds[0].revents && !take_keys(top))
		return 1;
	r = since(&top->taken) >= top->inv->options.interval ? look(top, err) : 0;
	return r < 0 ? r : show_screen(top, err);
}

static int open_signals(struct hvd_error *err)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? hvd_err(err, errno, "cannot take signals: %s", strerror(errno)) : fd;
}

static int run_screen(struct top *top, struct hvd_error *err)
{
	struct terminal_raw raw = TERMINAL_RAW_NONE;
	AUTO(close) int signals = open_signals(err);
	unsigned count = top->inv->options.count;
	int r;

	if (signals < 0)
		return signals;
	r = terminal_raw_enter(&raw, STDIN_FILENO);
	if (r < 0)
		return hvd_err(err, -r, "terminal: %s", strerror(-r));
	fputs(SCREEN_ENTER, stdout);
	r = show_screen(top, err);
	/* the first look shows nothing yet */
	while (r == 0 && (!count || top->looks <= count))
		r = wait_and_show(top, signals, err);
	fputs(SCREEN_LEAVE, stdout);
	fflush(stdout);
	terminal_raw_leave(&raw);
	return r < 0 ? r : 0;
}

int top_run(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	const struct options *options = &inv->options;
	bool screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !options->batch &&
		      !output_is_data(options->format) && options->format != OUTPUT_NAME;
	struct top top = { .client = client, .inv = inv, .sort = options->sort };
	int r;

	top.view = (struct top_view){ .vcpus = options->vcpus, .wide = options->format == OUTPUT_WIDE,
				      .width = terminal_width(stdout),
				      .colour = terminal_colour(stdout) };
	r = client_path(inv->command->op->path, "", NULL, NULL, &top.path, err);
	if (r >= 0)
		r = look(&top, err);
	if (r >= 0)
		r = screen ? run_screen(&top, err) : run_batch(&top, err);
	json_decref(top.before);
	json_decref(top.now);
	free(top.path);
	return r;
}
