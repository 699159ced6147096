/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a kernel image. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/arch/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_header header;
	struct hvd_error err = { 0 };
	int r = image_parse(data, size, &header, &err);

	/* the rule of vmm/base/err.h */
	if (r != 0 && (r != -ENOEXEC || err.code != r || !err.msg[0]))
		abort();
	if (r == 0 && err.code)
		abort();
	return 0;
}
