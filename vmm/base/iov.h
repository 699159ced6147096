/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scatter lists: the few operations on arrays of struct iovec that devices and backends share.
 *
 * The bytes may be guest memory and change under the reader: what is read is copied once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Copy the first len bytes of the list into buf, or buf into them. Returns the bytes copied. */
size_t iov_gather(const struct iovec *iov, unsigned n, void *buf, size_t len);
size_t iov_scatter(const struct iovec *iov, unsigned n, const void *buf, size_t len);

/* The same from byte `offset` of the list on. */
size_t iov_scatter_at(const struct iovec *iov, unsigned n, size_t offset, const void *buf,
		      size_t len);

/* Consume len bytes from the front: entries are skipped, the first one left is shortened. */
void iov_advance(struct iovec **iov, unsigned *n, size_t len);

/* Keep the first len bytes: entries beyond are left out, the last one is shortened. */
void iov_truncate(struct iovec *iov, unsigned *n, size_t len);

/* Bytes in the list. */
size_t iov_len(const struct iovec *iov, unsigned n);
