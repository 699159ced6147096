/* SPDX-License-Identifier: Apache-2.0 */
/* A network device with one pair of queues, and its control queue. */
#include "tests/fuzz/net_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return net_fuzz_run(1, data, size);
}
