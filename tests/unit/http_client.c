/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/http_client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/patience.h"

void http_connect(struct http_conn *conn, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = PATIENCE_SEC };

	strcpy(addr.sun_path, path);
	conn->n = 0;
	conn->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(conn->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	/* so that a server which does not answer is a failure and not a hang */
	setsockopt(conn->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(conn->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

void http_close(struct http_conn *conn)
{
	close(conn->fd);
	conn->fd = -1;
}

bool http_write(struct http_conn *conn, const void *data, size_t n)
{
	return send(conn->fd, data, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* Until want bytes are there, or the text "\r\n\r\n" when want is 0. */
static bool fill(struct http_conn *conn, size_t want)
{
	for (;;) {
		ssize_t n;

		conn->buf[conn->n] = '\0';
		if (want ? conn->n >= want : strstr(conn->buf, "\r\n\r\n") != NULL)
			return true;
		assert_true(conn->n < sizeof(conn->buf) - 1);
		n = recv(conn->fd, conn->buf + conn->n, sizeof(conn->buf) - 1 - conn->n, 0);
		if (n < 0 && errno == EAGAIN)
			fail_msg("nothing more comes, nor an end, after: %s", conn->buf);
		if (n <= 0)
			return false;
		conn->n += (size_t)n;
	}
}

static void take(struct http_conn *conn, char *out, size_t n)
{
	memcpy(out, conn->buf, n);
	out[n] = '\0';
	conn->n -= n;
	memmove(conn->buf, conn->buf + n, conn->n);
}

const char *http_header(struct http_conn *conn, const char *name)
{
	static char value[512];
	size_t n = strlen(name);

	for (const char *p = conn->answer.head; (p = strstr(p, "\r\n"));) {
		p += 2;
		if (strncasecmp(p, name, n) || p[n] != ':')
			continue;
		p += n + 1;
		p += strspn(p, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, "\r"), p);
		return value;
	}
	return NULL;
}

unsigned http_read(struct http_conn *conn, bool no_body)
{
	struct http_received *answer = &conn->answer;
	const char *length;
	size_t n;

	*answer = (struct http_received){ 0 };
	if (!fill(conn, 0))
		return 0;
	n = (size_t)(strstr(conn->buf, "\r\n\r\n") + 4 - conn->buf);
	assert_true(n < sizeof(answer->head));
	take(conn, answer->head, n);
	assert_int_equal(sscanf(answer->head, "HTTP/1.%*1[01] %u ", &answer->status), 1);

	length = http_header(conn, "Content-Length");
	if (!length || no_body || answer->status == 304)
		return answer->status;
	n = strtoul(length, NULL, 10);
	assert_true(n < sizeof(answer->body));
	assert_true(fill(conn, n));
	take(conn, answer->body, n);
	answer->n_body = n;
	return answer->status;
}

unsigned http_ask(struct http_conn *conn, const char *method, const char *path, const char *headers,
		  const char *body)
{
	char head[4096];
	int n;

	n = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: hvd\r\n%s", method, path,
		     headers ? headers : "");
	if (body)
		n += snprintf(head + n, sizeof(head) - (size_t)n, "Content-Length: %zu\r\n",
			      strlen(body));
	n += snprintf(head + n, sizeof(head) - (size_t)n, "\r\n");
	if (!http_write(conn, head, (size_t)n))
		return 0;
	if (body)
		http_write(conn, body, strlen(body)); /* the answer tells, if it was cut off */
	return http_read(conn, !strcmp(method, "HEAD"));
}
