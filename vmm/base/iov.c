/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/iov.h"

#include <string.h>

#include "vmm/base/macro.h"

size_t iov_gather(const struct iovec *iov, unsigned n, void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part = MIN(iov[i].iov_len, len - done);

		memcpy((char *)buf + done, iov[i].iov_base, part);
		done += part;
	}
	return done;
}

size_t iov_scatter(const struct iovec *iov, unsigned n, const void *buf, size_t len)
{
	return iov_scatter_at(iov, n, 0, buf, len);
}

size_t iov_scatter_at(const struct iovec *iov, unsigned n, size_t offset, const void *buf,
		      size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t skip = MIN(offset, iov[i].iov_len);
		size_t part = MIN(iov[i].iov_len - skip, len - done);

		memcpy((char *)iov[i].iov_base + skip, (const char *)buf + done, part);
		offset -= skip;
		done += part;
	}
	return done;
}

void iov_advance(struct iovec **iov, unsigned *n, size_t len)
{
	while (*n && len >= (*iov)->iov_len) {
		len -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (*n && len) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + len;
		(*iov)->iov_len -= len;
	}
}

void iov_truncate(struct iovec *iov, unsigned *n, size_t len)
{
	unsigned kept = 0;

	while (kept < *n && len) {
		iov[kept].iov_len = MIN(iov[kept].iov_len, len);
		len -= iov[kept++].iov_len;
	}
	*n = kept;
}

size_t iov_len(const struct iovec *iov, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}
