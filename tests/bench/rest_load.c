/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest_load SOCKET PID CONNECTIONS REQUESTS PATH: ask hvd for PATH so many times, over so many kept
 * connections with one request on each, and print
 *
 *	requests  bytes of the last answer  seconds  seconds of CPU of process PID
 *
 * The time of hvd's own CPU is what counts on a machine that does other things as well.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (64 * 1024 * 1024)

struct connection {
	int fd;
	char *buf;
	size_t n, want; /* of the whole answer; 0: its head has not come */
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int dial(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die(path);
	return fd;
}

static void ask(struct connection *c, const char *request, size_t len)
{
	c->n = c->want = 0;
	if (write(c->fd, request, len) != (ssize_t)len)
		die("write");
}

/* True when the answer is complete. */
static bool take(struct connection *c)
{
	ssize_t n = read(c->fd, c->buf + c->n, ANSWER_MAX - 1 - c->n);
	const char *end, *length;

	if (n <= 0)
		die("read");
	c->n += (size_t)n;
	c->buf[c->n] = '\0';
	if (!c->want) {
		end = strstr(c->buf, "\r\n\r\n");
		if (!end)
			return false;
		length = strstr(c->buf, "Content-Length: ");
		if (strncmp(c->buf, "HTTP/1.1 200", 12) != 0 || !length) {
			fprintf(stderr, "%.400s\n", c->buf);
			exit(1);
		}
		c->want = (size_t)(end + 4 - c->buf) + strtoul(length + 16, NULL, 10);
	}
	return c->n >= c->want;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* In nanoseconds' resolution: the first number of /proc/PID/schedstat. */
static double cpu_of(const char *pid)
{
	char path[64];
	double ns = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/schedstat", pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lf", &ns) != 1)
		die(path);
	fclose(f);
	return ns / 1e9;
}

int main(int argc, char **argv)
{
	unsigned connections, left, pending = 0;
	struct connection *all;
	struct pollfd *polls;
	double begun, cpu;
	char request[512];
	size_t len;

	if (argc != 6) {
		fprintf(stderr, "usage: rest_load SOCKET PID CONNECTIONS REQUESTS PATH\n");
		return 2;
	}
	connections = (unsigned)atoi(argv[3]);
	left = (unsigned)atoi(argv[4]);
	len = (size_t)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", argv[5]);
	all = calloc(connections, sizeof(*all));
	polls = calloc(connections, sizeof(*polls));
	for (unsigned i = 0; i < connections; i++) {
		all[i] = (struct connection){ .fd = dial(argv[1]), .buf = malloc(ANSWER_MAX) };
		polls[i] = (struct pollfd){ .fd = all[i].fd, .events = POLLIN };
	}
	printf("%u", left);
	begun = now();
	cpu = cpu_of(argv[2]);
	for (unsigned i = 0; i < connections && left; i++, left--, pending++)
		ask(&all[i], request, len);
	while (pending) {
		if (poll(polls, connections, -1) < 0)
			die("poll");
		for (unsigned i = 0; i < connections; i++) {
			if (!polls[i].revents || !take(&all[i]))
				continue;
			if (left) {
				ask(&all[i], request, len);
				left--;
			} else {
				pending--;
			}
		}
	}
	printf(" %zu %.6f %.6f\n", all[0].n, now() - begun, cpu_of(argv[2]) - cpu);
	return 0;
}
