# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the person sees: progress with elapsed time, errors, and logs of long commands.
#
# Progress goes to standard error, so that `lab exec` and friends leave standard output to CMD.

# say TEXT...: one line of progress, with the time since this lab command began.
say() {
	printf '[%3d s] %s\n' "$SECONDS" "$*" >&2
}

# die TEXT...: say what went wrong and end.
die() {
	printf 'lab: %s\n' "$*" >&2
	exit 1
}

# hide_hosts: a filter that takes the names of package mirrors out of a log that is shown.
hide_hosts() {
	sed -E 's#(https?://)[^/ ]+#\1MIRROR#g'
}

# logged LOG CMD...: run CMD with its output in LOG; on failure show the end of LOG.
logged() {
	local log=$1 rc=0
	shift
	mkdir -p "${log%/*}"
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	if ((rc != 0)); then
		printf 'lab: %s failed (status %d); the end of %s:\n' "$1" "$rc" "$log" >&2
		tail -n 40 "$log" | hide_hosts >&2
	fi
	return "$rc"
}

# attempt CMD...: run CMD in a shell of its own that ends at the first failure, as this one would, and
# go on; ATTEMPT is its status. (In a condition, bash would not stop at failures inside CMD.)
attempt() {
	set +e
	(
		set -e
		"$@"
	)
	# shellcheck disable=SC2034 # the caller's
	ATTEMPT=$?
	set -e
}

# hash_text TEXT...: the short name of what defines an artefact.
hash_text() {
	printf '%s\0' "$@" | hash_stdin
}

# hash_files PATH...: the same for the contents and names of files and folders.
hash_files() {
	find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | hash_stdin
}

# hash_stdin: the same for standard input.
hash_stdin() {
	sha256sum | cut -c1-16
}
