/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/qcow2.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MAGIC              0x514649fb
#define INCOMPATIBLE_DATA  (1ULL << 2) /* the guest's data is in another file */

/* As on the disk: big endian. */
struct header {
	uint32_t magic, version;
	uint64_t backing_offset;
	uint32_t backing_size, cluster_bits;
	uint64_t size;
	uint32_t crypt_method, l1_size;
	uint64_t l1_offset, refcount_offset;
	uint32_t refcount_clusters, n_snapshots;
	uint64_t snapshots_offset;
	/* version 3 */
	uint64_t incompatible;
} __attribute__((packed));

int qcow2_check(int fd, bool backed, uint64_t *size, struct hvd_error *err)
{
	struct header header = { 0 };
	ssize_t n = pread(fd, &header, sizeof(header), 0);
	uint32_t version = be32toh(header.version);

	if (n < 0)
		return hvd_err(err, errno, "cannot be read: %s", strerror(errno));
	if (n < (ssize_t)sizeof(header) || be32toh(header.magic) != MAGIC || (version != 2 && version != 3))
		return hvd_err(err, EINVAL, "is no qcow2 image");
	if (header.backing_offset && !backed)
		return hvd_err(err, EINVAL, "says that it is a change of another image: make one image of "
			       "both, with qemu-img convert");
	if (version == 3 && (be64toh(header.incompatible) & INCOMPATIBLE_DATA))
		return hvd_err(err, EINVAL, "has its data in another file: make one of both, with qemu-img "
			       "convert");
	if (header.crypt_method)
		return hvd_err(err, EINVAL, "is encrypted");
	*size = be64toh(header.size);
	return 0;
}
