#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Replay the corpus of each target, then fuzz it for a while: run.sh SECONDS TARGET…
# Prints one PASS or FAIL line a target; findings stay in the build folder as crash-*.
set -u
seconds=$1
shift
failed=0
for target in "$@"; do
	name=${target##*/fuzz-}
	new=$(mktemp -d)
	if "./$target" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="./crash-$name-" "$new" "$top_srcdir/tests/fuzz/corpus/$name" \
		>"fuzz-$name.log" 2>&1; then
		echo "PASS: fuzz $name ($(awk '/number_of_executed_units/ { print $2 }' "fuzz-$name.log") runs)"
	else
		tail -n 40 "fuzz-$name.log"
		echo "FAIL: fuzz $name"
		failed=1
	fi
	rm -rf "$new"
done
exit $failed
