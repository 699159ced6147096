/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cheapest guest that there is: it says that it is up, as init.sh of the lab's tests does, and with do=idle on
 * the command line it sleeps from then on. For tests of many VMs.
 */
#include "rt.h"

const char payload_name[] = "idle";

void run(void)
{
	check(cpu_count() > 0, "the device tree has CPUs");
	print("GUEST-UP\n");
	while (cmdline_has("do=idle"))
		asm volatile("wfi");
}
