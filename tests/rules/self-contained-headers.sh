#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each header compiles alone, on any architecture: what it needs it includes.
set -eu
cd "${top_srcdir:-$(dirname "$0")/../..}"

: "${CC:=cc}"
flags="-std=gnu11 -D_GNU_SOURCE -I. -Wall -Wextra -Wno-unused-parameter -Werror"
flags="$flags -DHVD_SYSCONFDIR=\"\" -DHVD_STATEDIR=\"\" -DHVD_LIBEXECDIR=\"\" -DPACKAGE_VERSION=\"\""
flags="$flags $(pkg-config --cflags jansson libsystemd libxml-2.0 liburing libmicrohttpd libcurl gnutls)"

n=0 bad=0
for header in $(find vmm api daemon cli -name '*.h' | LC_ALL=C sort); do
	n=$((n + 1))
	# Twice, so that a missing #pragma once is found as well.
	printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
		$CC $flags -fsyntax-only -x c - || { echo "$header: is not self-contained"; bad=1; }
done
echo "$n headers checked"
exit $bad
