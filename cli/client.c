/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <string.h>
#include <sys/random.h>

#include "api/errors.h"

struct client {
	const struct target *target;
	const char *prefer;
	char key[33]; /* Idempotency-Key of the request, "" */
	CURL *curl;
};

struct buffer {
	char *data;
	size_t len;
	bool too_big;
};

int client_new(const struct target *target, struct client **ret, struct hvd_error *err)
{
	AUTO(client_free) struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return hvd_err(err, ENOMEM, "out of memory");
	client->target = target;
	client->curl = curl_easy_init();
	if (!client->curl)
		return hvd_err(err, ENOMEM, "cannot set up libcurl");
	*ret = TAKE(client);
	return 0;
}

struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;
	curl_easy_cleanup(client->curl);
	free(client);
	return NULL;
}

const struct target *client_target(const struct client *client)
{
	return client->target;
}

void client_prefer(struct client *client, const char *prefer)
{
	client->prefer = prefer;
}

static size_t take_data(char *data, size_t size, size_t n, void *ctx)
{
	struct buffer *buffer = ctx;
	char *grown;

	n *= size;
	if (buffer->len + n > CLIENT_ANSWER_MAX) {
		buffer->too_big = true;
		return 0;
	}
	grown = realloc(buffer->data, buffer->len + n + 1);
	if (!grown)
		return 0;
	memcpy(grown + buffer->len, data, n);
	buffer->data = grown;
	buffer->len += n;
	grown[buffer->len] = '\0';
	return n;
}

int client_problem(unsigned status, const char *text, size_t len, struct hvd_error *err)
{
	AUTO(json_decref) json_t *json = NULL;
	struct hvd_error problem = { 0 };

	if (json_parse(text, len, &json, NULL) == 0)
		problem_from_json(json, &problem);
	if (!problem.code)
		return hvd_err(err, EIO, "the server answered HTTP status %u without a reason",
			       status);
	if (err)
		*err = problem;
	return problem.code;
}

static int transfer_error(struct client *client, CURLcode code, const struct buffer *buffer,
			  struct hvd_error *err)
{
	if (buffer->too_big)
		return hvd_err(err, EIO, "the answer is larger than %u MiB",
			       CLIENT_ANSWER_MAX / (1024 * 1024));
	return target_error(client->target, client->curl, code, err);
}

/* Everything about the request but its body. -ENOMEM. */
static int prepare(const struct client *client, enum http_method method, const char *path,
		   struct buffer *buffer)
{
	CURL *curl = client->curl;

	if (target_apply(client->target, curl, path) < 0)
		return -ENOMEM;
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, http_method_names[method]);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "hvcli/" PACKAGE_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, buffer);
	return 0;
}

/* 0 or -ENOMEM. */
static int add_header(struct curl_slist **headers, const char *name, const char *value)
{
	struct curl_slist *more;
	char text[128];

	/* "Content-Type:" alone takes back the one that libcurl gives to an empty POST. */
	snprintf(text, sizeof(text), "%s:%s%s", name, value ? " " : "", value ? value : "");
	more = curl_slist_append(*headers, text);
	if (!more)
		return -ENOMEM;
	*headers = more;
	return 0;
}

static int on_sent(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t total, curl_off_t done)
{
	const struct client_body *body = ctx;

	body->sent(body->ctx, (uint64_t)done, (uint64_t)total);
	return 0;
}

/* 0 or -ENOMEM. */
static int add_file(const struct client *client, const struct client_body *body, struct curl_slist **headers)
{
	CURL *curl = client->curl;
	struct stat st;

	rewind(body->file); /* a pipe is where it is */
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_READDATA, body->file);
	if (fstat(fileno(body->file), &st) == 0 && S_ISREG(st.st_mode))
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
	if (body->sent) {
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_sent);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, body);
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	}
	return add_header(headers, "Content-Type", body->type);
}

/* 0 or -ENOMEM. *headers is to be freed after the transfer. */
static int add_body(const struct client *client, enum http_method method,
		    const struct client_body *body, struct curl_slist **headers)
{
	CURL *curl = client->curl;
	int r = 0;

	if (client->prefer)
		r = add_header(headers, "Prefer", client->prefer);
	if (r == 0 && client->key[0])
		r = add_header(headers, "Idempotency-Key", client->key);
	if (r == 0 && body && body->file) {
		r = add_file(client, body, headers);
	} else if (r == 0 && (body || method == HTTP_POST)) {
		r = add_header(headers, "Content-Type", body ? body->type : NULL);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body->text : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE,
				 (long)(body ? strlen(body->text) : 0));
	}
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
	return r;
}

/* hvd was there, and has gone before it answered. */
static bool is_broken(CURLcode code)
{
	return code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
	       code == CURLE_PARTIAL_FILE;
}

/* -ECONNRESET: whether it was done is not known. */
static int transfer(struct client *client, enum http_method method, const char *path,
		    const struct client_body *body, struct buffer *buffer, long *status,
		    struct hvd_error *err)
{
	struct curl_slist *headers = NULL;
	CURLcode code;

	if (prepare(client, method, path, buffer) < 0 ||
	    add_body(client, method, body, &headers) < 0) {
		curl_slist_free_all(headers);
		return hvd_err(err, ENOMEM, "out of memory");
	}

	code = curl_easy_perform(client->curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK) {
		int r = transfer_error(client, code, buffer, err);

		return is_broken(code) && !buffer->too_big ? -ECONNRESET : r;
	}
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, status);
	return 0;
}

/*
 * When hvd ends in the middle (it is upgraded, or has crashed), the next one is asked again. What changes
 * something has a key, so that it is not done twice.
 */
static int transfer_again(struct client *client, enum http_method method, const char *path,
			  const struct client_body *body, struct buffer *buffer, long *status,
			  struct hvd_error *err)
{
	struct hvd_error first = { 0 };
	unsigned char random[16];
	int r;

	if (method != HTTP_GET && getrandom(random, sizeof(random), 0) == sizeof(random))
		for (size_t i = 0; i < sizeof(random); i++)
			snprintf(client->key + 2 * i, 3, "%02x", random[i]);
	r = transfer(client, method, path, body, buffer, status, &first);
	if (r == -ECONNRESET && (method == HTTP_GET || client->key[0])) {
		free(buffer->data);
		*buffer = (struct buffer){ 0 };
		first = (struct hvd_error){ 0 };
		r = transfer(client, method, path, body, buffer, status, &first);
	}
	client->key[0] = '\0';
	if (r < 0 && err)
		*err = first;
	return r == -ECONNRESET ? first.code : r;
}

/* Type and content of a good answer. */
static int take_answer(struct client *client, struct buffer *buffer, struct client_answer *ret,
		       struct hvd_error *err)
{
	const char *type = NULL;
	json_t *json = NULL;
	int r;

	curl_easy_getinfo(client->curl, CURLINFO_CONTENT_TYPE, &type);
	if (type && !strncmp(type, "application/json", 16)) {
		r = json_parse(buffer->data ? buffer->data : "", buffer->len, &json, err);
		if (r < 0)
			return hvd_err_prefix(err, r, "the server's answer");
	}
	ret->json = json;
	ret->text = TAKE(buffer->data);
	return 0;
}

int client_call(struct client *client, enum http_method method, const char *path,
		const struct client_body *body, struct client_answer *ret, struct hvd_error *err)
{
	struct buffer buffer = { 0 };
	long status = 0;
	int r;

	r = transfer_again(client, method, path, body, &buffer, &status, err);
	if (r == 0 && status >= 400)
		r = client_problem((unsigned)status, buffer.data ? buffer.data : "", buffer.len,
				   err);
	if (r == 0 && ret)
		r = take_answer(client, &buffer, ret, err);
	if (r == 0 && ret)
		ret->status = (unsigned)status;
	free(buffer.data);
	return r;
}

/* ---- streams ---- */

#define LINE_MAX_BYTES (64 * 1024)

struct stream {
	CURL *curl;
	struct buffer line; /* what has come of it */
	client_line_fn fn;
	void *ctx;
	int r;
};

static size_t take_lines(char *data, size_t size, size_t n, void *ctx)
{
	struct stream *stream = ctx;
	long status = 0;
	char *end;

	curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &status);
	if (take_data(data, size, n, &stream->line) != size * n ||
	    stream->line.len > LINE_MAX_BYTES + size * n)
		return 0;
	while (status < 400 && stream->r == 0 &&
	       (end = memchr(stream->line.data, '\n', stream->line.len))) {
		*end = '\0';
		stream->r = stream->fn(stream->ctx, stream->line.data,
				       (size_t)(end - stream->line.data));
		stream->line.len -= (size_t)(end + 1 - stream->line.data);
		memmove(stream->line.data, end + 1, stream->line.len + 1);
	}
	return stream->r == 0 ? size * n : 0;
}

/* Without a word, in the middle of an answer: none of the ways in which one ends. */
static bool is_broken_off(CURLcode code)
{
	return code == CURLE_RECV_ERROR || code == CURLE_PARTIAL_FILE || code == CURLE_GOT_NOTHING;
}

int client_follow(struct client *client, const char *path, client_line_fn fn, void *ctx,
		  struct hvd_error *err)
{
	struct stream stream = { .curl = client->curl, .fn = fn, .ctx = ctx };
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: text/event-stream");
	CURLcode code;
	long status = 0;
	int r = 0;

	if (!headers || prepare(client, HTTP_GET, path, &stream.line) < 0) {
		curl_slist_free_all(headers);
		return hvd_err(err, ENOMEM, "out of memory");
	}
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_lines);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &stream);
	code = curl_easy_perform(client->curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (stream.r < 0)
		r = stream.r;
	else if (status == 200 && is_broken_off(code))
		r = hvd_err(err, EIO, "hvd has ended the stream: it was stopped, or the token or certificate "
			    "is good no more");
	else if (code != CURLE_OK)
		r = transfer_error(client, code, &stream.line, err);
	else if (status >= 400)
		r = client_problem((unsigned)status, stream.line.data ? stream.line.data : "",
				   stream.line.len, err);
	free(stream.line.data);
	return r;
}

void client_answer_clear(struct client_answer *answer)
{
	free(answer->text);
	json_decref(answer->json);
	*answer = (struct client_answer){ 0 };
}

static int put_escaped(FILE *f, const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);

	if (!escaped)
		return -ENOMEM;
	fputs(escaped, f);
	curl_free(escaped);
	return 0;
}

static int put_template(FILE *f, const char *template, const char *name, const char *item)
{
	const char *open;
	int r = 0;

	while (r == 0 && (open = strchr(template, '{'))) {
		fwrite(template, 1, (size_t)(open - template), f);
		r = put_escaped(f, name);
		name = item ? item : "";
		template = strchr(open, '}') + 1;
	}
	fputs(template, f);
	return r;
}

static int put_query(FILE *f, const json_t *query)
{
	char separator = '?';
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)query, key, value) {
		fprintf(f, "%c%s=", separator, key);
		separator = '&';
		if (json_is_string(value))
			r = r < 0 ? r : put_escaped(f, json_string_value(value));
		else if (json_is_boolean(value))
			fputs(json_is_true(value) ? "true" : "false", f);
		else
			fprintf(f, "%lld", (long long)json_integer_value(value));
	}
	return r;
}

int client_path(const char *template, const char *name, const char *item, const json_t *query,
		char **ret, struct hvd_error *err)
{
	char *path = NULL;
	size_t len;
	FILE *f = open_memstream(&path, &len);
	int r;

	if (!f)
		return hvd_err(err, ENOMEM, "out of memory");
	r = put_template(f, template, name, item);
	if (r == 0)
		r = put_query(f, query);
	if (fclose(f) != 0 || r < 0) {
		free(path);
		return hvd_err(err, ENOMEM, "out of memory");
	}
	*ret = path;
	return 0;
}

