#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sizes of files and functions against the house style (docs/hacking.md). Prints, never fails.
set -eu
cd "${top_srcdir:-$(dirname "$0")/../..}"

median() {
	sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : 0 }'
}

sources=$(find vmm api daemon cli -name '*.[ch]' | LC_ALL=C sort)
[ -n "$sources" ] || exit 0

# A function begins with a "{" and ends with a "}" in the first column, as the kernel has it.
functions=$(for file in $sources; do
	awk -v file="$file" '
		/^[a-z].*\(/ { name = $0; sub("\\(.*", "", name); sub(".*[ *]", "", name) }
		/^{/ { start = FNR }
		/^}$/ && start { print FNR - start - 1, file ":" name; start = 0 }' "$file"
done)

implementations=$(echo "$sources" | grep '[.]c$')
echo "files: $(echo "$sources" | wc -w); the median of .c files has" \
	"$(wc -l $implementations | grep -v ' total$' | median) lines"
echo "functions: $(echo "$functions" | wc -l), median $(echo "$functions" | median) lines"
echo "files over 600 lines:"
wc -l $sources | awk '$1 > 600 && $2 != "total" { print "  " $1, $2 }'
echo "functions over 60 lines:"
echo "$functions" | awk '$1 > 60 { print "  " $0 }'
