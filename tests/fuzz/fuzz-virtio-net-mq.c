/* SPDX-License-Identifier: Apache-2.0 */
/* A network device with several pairs: where the control queue is depends on the features. */
#include "tests/fuzz/net_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return net_fuzz_run(NET_FUZZ_MAX_PAIRS, data, size);
}
