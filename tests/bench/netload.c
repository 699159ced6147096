/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netload serve PORT: in a guest, take connections and do what they ask for.
 * netload run NAME ADDRESS PORT KIND AMOUNT: on its host, have such a server receive (rx) or send (tx)
 * AMOUNT bytes, or answer AMOUNT requests of one byte (rr), and print what that took:
 *
 *	NAME_KIND_total N	instructions, of host and guest, by the virtual clock (2 ns each)
 *	NAME_KIND_host N	instructions of the host, user space and kernel, by its counters
 *
 * for each 1,000 bytes or for each request. rx and tx are as the guest sees it.
 *
 * One TCP connection, as large as it gets before the measurement begins: a first tenth is not counted.
 * The virtual clock also runs while everybody waits; the counters do not.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536
#define NS_PER_INSTRUCTION 2
#define MAX_CPUS 64
#define CONNECT_TRIES 5

/* What a client asks for, in one write: kind is the first letter of rx or tx, or e(cho) for rr. */
struct request {
	char kind;
	char pad[7];
	uint64_t amount; /* little-endian */
};

static char chunk[CHUNK];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_all(int fd, uint64_t amount)
{
	while (amount) {
		ssize_t n = write(fd, chunk, amount < CHUNK ? amount : CHUNK);

		if (n < 0)
			die("write");
		amount -= (uint64_t)n;
	}
}

static void read_all(int fd, uint64_t amount)
{
	while (amount) {
		ssize_t n = read(fd, chunk, amount < CHUNK ? amount : CHUNK);

		if (n <= 0)
			die("read");
		amount -= (uint64_t)n;
	}
}

/* Requests on one connection, until it ends. */
static void serve_connection(int fd)
{
	struct request request;

	while (read(fd, &request, sizeof(request)) == sizeof(request)) {
		uint64_t amount = le64toh(request.amount);

		if (request.kind == 't') {
			write_all(fd, amount);
		} else if (request.kind == 'r') {
			read_all(fd, amount);
			write_all(fd, 1);
		}
		for (; request.kind == 'e' && amount; amount--) {
			read_all(fd, 1);
			write_all(fd, 1);
		}
	}
}

static void no_delay(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
}

static void serve(const char *port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
	};
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(listener, 8) < 0)
		die("listen");
	printf("NETLOAD-SERVES\n");
	fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			die("accept");
		no_delay(fd);
		serve_connection(fd);
		close(fd);
	}
}

static void ask(int fd, const char *kind, uint64_t amount)
{
	struct request request = {
		.kind = strcmp(kind, "rr") == 0 ? 'e' : kind[0], .amount = htole64(amount),
	};

	if (write(fd, &request, sizeof(request)) != sizeof(request))
		die("write");
	if (request.kind == 'r') {
		write_all(fd, amount);
		read_all(fd, 1);
	} else if (request.kind == 't') {
		read_all(fd, amount);
	}
	for (; request.kind == 'e' && amount; amount--) {
		write_all(fd, 1);
		read_all(fd, 1);
	}
}

/* While nobody answers for the address, the kernel gives up after a while: the link may just be coming up. */
static int connect_to(const struct sockaddr_in *addr)
{
	for (int i = 0; i < CONNECT_TRIES; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
			return fd;
		if (errno != EHOSTUNREACH)
			break;
		close(fd);
	}
	die("connect");
	return -1;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Instructions of each CPU that are not a guest's; 0: there are no counters. */
static int open_counters(int counters[static MAX_CPUS])
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_guest = 1,
	};
	int n = (int)sysconf(_SC_NPROCESSORS_ONLN);

	for (int cpu = 0; cpu < n && cpu < MAX_CPUS; cpu++) {
		counters[cpu] = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0);
		if (counters[cpu] < 0) {
			perror("perf_event_open");
			return 0;
		}
	}
	return n;
}

static uint64_t read_counters(const int *counters, int n)
{
	uint64_t sum = 0, count;

	for (int i = 0; i < n; i++)
		if (read(counters[i], &count, sizeof(count)) == sizeof(count))
			sum += count;
	return sum;
}

static int run(char **args)
{
	const char *name = args[0], *kind = args[3];
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(args[2])),
	};
	uint64_t amount = strtoull(args[4], NULL, 10), time, count;
	double units = strcmp(kind, "rr") == 0 ? (double)amount : (double)amount / 1000;
	int fd, counters[MAX_CPUS], n;

	inet_pton(AF_INET, args[1], &addr.sin_addr);
	fd = connect_to(&addr);
	no_delay(fd);
	n = open_counters(counters);
	ask(fd, kind, amount / 10);
	count = read_counters(counters, n);
	time = now();
	ask(fd, kind, amount);
	time = now() - time;
	count = read_counters(counters, n) - count;
	printf("%s_%s_total %.0f\n", name, kind, (double)time / NS_PER_INSTRUCTION / units);
	if (n)
		printf("%s_%s_host %.0f\n", name, kind, (double)count / units);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2]);
	if (argc == 7 && strcmp(argv[1], "run") == 0)
		return run(argv + 2);
	fprintf(stderr, "usage: netload serve PORT | netload run NAME ADDRESS PORT rx|tx|rr AMOUNT\n");
	return 2;
}
