/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that hvd reads from the kernel, and lists of CPUs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cpuset.h"
#include "daemon/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mode(int mode)
{
	if (mode < -1 || mode >= _HOST_MODE_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t mask[CPUSET_BYTES];
	char *text = malloc(size + 1);
	size_t len;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';

	check_mode(host_mode_from_interrupts(text));
	check_mode(host_mode_from_log(text));
	host_cmdline_protected(text);
	if (cpuset_parse(text, mask, &len) == 0 && (len == 0 || len > CPUSET_BYTES || !mask[len - 1]))
		abort();
	free(text);
	return 0;
}
