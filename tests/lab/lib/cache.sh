# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The cache of artefacts that are slow to make: one folder each, named after its kind and the hash
# of everything that defines it. Labs of one user share it, and may run at the same time.

# How long an artefact that no lab asks for any more is kept, in days.
CACHE_DAYS=14

# cache_get NAME KEY BUILDER [ARG...]: make sure that the artefact is there; REPLY is its folder.
# BUILDER is called with ARGs and an empty folder to fill. The folder gets its final name when
# BUILDER is done, so an artefact is whole or absent, whatever interrupts the making of it.
# A builder that fails ends this shell (set -e), so never call this as a condition.
cache_get() {
	local name=$1 key=$2 path tmp lock
	shift 2
	path=$LAB_CACHE/$name-$key
	tmp=$LAB_CACHE/.new-$name-$key
	mkdir -p "$LAB_CACHE"

	exec {lock}>"$LAB_CACHE/.lock-$name-$key"
	if ! flock --nonblock "$lock"; then
		say "$name: another lab is making it, waiting"
		flock "$lock"
	fi
	if [[ ! -d $path ]]; then
		local t0=$SECONDS
		say "$name: making it (kept in $path)"
		rm -rf --one-file-system "$tmp"
		mkdir "$tmp"
		"$@" "$tmp"
		mv -T "$tmp" "$path"
		say "$name: made in $((SECONDS - t0)) s"
		cache_prune "$name"
	fi
	touch "$path"
	exec {lock}>&-
	REPLY=$path
}

# cache_prune NAME: drop the artefacts of this kind that no lab has asked for lately.
cache_prune() {
	local old
	find "$LAB_CACHE" -maxdepth 1 -name "$1-*" -mtime "+$CACHE_DAYS" -print0 |
		while IFS= read -r -d '' old; do
			say "cache: dropping $old, unused for $CACHE_DAYS days"
			rm -rf --one-file-system "$old"
		done
}

# side_by_side COMMAND...: run these at the same time, each a string of words; all must succeed.
# For artefacts that are to be made: each takes minutes, and most of them keep only one core busy.
side_by_side() {
	local command pids=() pid rc=0
	for command; do
		# shellcheck disable=SC2086 # words
		($command) &
		pids+=($!)
	done
	# Children of a script do not hear ^C.
	# shellcheck disable=SC2064 # these very children
	trap "kill ${pids[*]} 2>/dev/null; exit 130" INT TERM
	for pid in "${pids[@]}"; do
		wait "$pid" || rc=1
	done
	trap - INT TERM
	((rc == 0)) || die "not everything could be made"
}
