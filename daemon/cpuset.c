/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/cpuset.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse_cpu(const char **p, unsigned long *ret)
{
	char *end;

	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	*ret = strtoul(*p, &end, 10);
	if (*ret >= CPUSET_MAX_CPUS)
		return -EINVAL;
	*p = end;
	return 0;
}

int cpuset_parse(const char *text, uint8_t mask[static CPUSET_BYTES], size_t *len)
{
	const char *p = text;

	memset(mask, 0, CPUSET_BYTES);
	*len = 0;
	for (;;) {
		unsigned long first, last;

		if (parse_cpu(&p, &first) < 0)
			return -EINVAL;
		last = first;
		if (*p == '-') {
			p++;
			if (parse_cpu(&p, &last) < 0 || last < first)
				return -EINVAL;
		}
		for (unsigned long cpu = first; cpu <= last; cpu++)
			mask[cpu / 8] |= (uint8_t)(1u << (cpu % 8));
		if (last / 8 + 1 > *len)
			*len = last / 8 + 1;

		if (*p == '\0')
			return 0;
		if (*p++ != ',')
			return -EINVAL;
	}
}
