#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Man pages: without mistakes of markup, and with every option that the programs' --help has.
# (hvcli(1) is compared with the tables by test-cli-man.)
set -eu
failed=0

# check PROGRAM PAGE
check() {
	flags=$("$top_builddir/$1" --help | grep -oE -e '^ +--[a-z-]+(, --[a-z-]+)*' |
		tr -d ' ' | tr ',' '\n')
	[ -n "$flags" ] || { echo "FAIL: $1 --help has no options"; failed=1; }
	for flag in $flags; do
		# mdoc's "Fl" writes the first dash.
		grep -qE -e "^[.]It (.* )?Fl ${flag#-}( |\$)" "$top_srcdir/docs/$2" ||
			{ echo "FAIL: $2 does not have $flag"; failed=1; }
	done
	echo "$2: $(echo "$flags" | wc -w) options"
}

check hvd hvd.8
check hvd-vmm hvd-vmm.8

if command -v groff >/dev/null; then
	for page in "$top_srcdir"/docs/*.[18]; do
		warnings=$(groff -mdoc -Tutf8 -ww "$page" 2>&1 >/dev/null)
		[ -z "$warnings" ] || { echo "FAIL: $warnings"; failed=1; }
	done
fi
exit $failed
