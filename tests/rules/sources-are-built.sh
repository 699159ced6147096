#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each source file is named in a list that automake reads: one that is not is built and run by nobody.
set -eu
cd "${top_srcdir:-$(dirname "$0")/../..}"

lists=$(find vmm api daemon cli systemd tests -name '*.am' | LC_ALL=C sort)
n=0 bad=0
for file in $(find vmm api daemon cli tests/unit tests/fuzz -name '*.c' | LC_ALL=C sort); do
	n=$((n + 1))
	name=$file
	case $file in
	tests/fuzz/fuzz-*) name=tests/fuzz/$(basename "$file" .c) ;; # a program's name is enough
	esac
	grep -q -w -F -e "$name" $lists || { echo "$file: is in no Makemodule.am"; bad=1; }
done
echo "$n files checked"
exit $bad
