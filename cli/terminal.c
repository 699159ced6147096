/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/text.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define ERASE_LINE      "\r\033[K"
#define PROSE_WIDTH     80
#define PROSE_WIDTH_MAX 100

struct winsize terminal_size(int fd)
{
	struct winsize size = { 0 };

	ioctl(fd, TIOCGWINSZ, &size);
	return size;
}

unsigned terminal_width(FILE *f)
{
	if (!isatty(fileno(f)))
		return 0;
	return terminal_size(fileno(f)).ws_col ?: PROSE_WIDTH;
}

unsigned terminal_prose_width(FILE *f)
{
	unsigned width = terminal_width(f);

	return width ? MIN(width, (unsigned)PROSE_WIDTH_MAX) : PROSE_WIDTH;
}

bool terminal_colour(FILE *f)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(f)) && !(no_color && *no_color) && term && strcmp(term, "dumb");
}

/* The handler is reset by then: the second time SIGINT ends the program, as if nobody had handled it. */
static void on_interrupt(int number)
{
	if (write(STDERR_FILENO, ERASE_LINE, sizeof(ERASE_LINE) - 1) < 0)
		_exit(128 + number);
	raise(number);
}

void terminal_show_line(const char *text)
{
	const struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };
	AUTO(free) char *clean = NULL;

	if (!isatty(STDERR_FILENO))
		return;
	sigaction(SIGINT, &action, NULL);
	clean = text_clean(text);
	/* a line that goes on below could not be written over */
	fprintf(stderr, ERASE_LINE "%.*s",
		clean ? (int)text_fit(clean, MAX(terminal_width(stderr), 2u) - 1) : 0, clean ? clean : "");
}

void terminal_clear_line(void)
{
	if (!isatty(STDERR_FILENO))
		return;
	fputs(ERASE_LINE, stderr);
	signal(SIGINT, SIG_DFL);
}

int terminal_raw_enter(struct terminal_raw *raw, int fd)
{
	struct termios t;

	if (tcgetattr(fd, &raw->saved) < 0)
		return -errno;
	t = raw->saved;
	cfmakeraw(&t);
	if (tcsetattr(fd, TCSADRAIN, &t) < 0)
		return -errno;
	raw->fd = fd;
	return 0;
}

void terminal_raw_leave(struct terminal_raw *raw)
{
	if (raw->fd < 0)
		return;
	tcsetattr(raw->fd, TCSADRAIN, &raw->saved);
	raw->fd = -1;
}
