# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian trees made with mmdebstrap from the mirror that this machine's apt uses.

# What the server and the guests run.
# shellcheck disable=SC2034 # for the other parts
DEBIAN_SUITE=bookworm

# debian_uri LABEL: where this machine's apt gets the Debian archive with that label from, if it does.
debian_uri() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
		sed -n -E "s,^Debian\|$1\|(https?://.*[^/])/?\$,\1,p" | head -n 1
}

# debian_sources SUITE: the apt sources of a tree, with the backports: Debian 12's kernel with VHE and
# the lab's QEMU are in there.
debian_sources() {
	local main security
	main=$(debian_uri Debian)
	security=$(debian_uri Debian-Security)
	if [[ -z $main ]]; then
		main=http://deb.debian.org/debian
		security=http://deb.debian.org/debian-security
	fi
	echo "deb $main $1 main"
	echo "deb $main $1-backports main"
	[[ -z $security ]] || echo "deb $security $1-security main"
}

# debian_apt_options: this machine's apt settings that decide whether a download works at all.
debian_apt_options() {
	apt-config dump --no-empty \
		Acquire::http::Proxy Acquire::https::Proxy Acquire::Check-Valid-Until Acquire::Check-Date
}

# debian_tree LOG TARGET SUITE ARCH VARIANT PACKAGES [MMDEBSTRAP-OPTION...]: PACKAGES has commas.
debian_tree() {
	local log=$1 target=$2 suite=$3 arch=$4 variant=$5 packages=$6 options
	shift 6
	mapfile -t options < <(debian_apt_options)
	debian_sources "$suite" >"$target.list"
	logged "$log" mmdebstrap --arch="$arch" --mode=root --format=directory --variant="$variant" \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		"${options[@]/#/--aptopt=}" --aptopt='Apt::Install-Recommends "false"' \
		--dpkgopt=force-unsafe-io \
		--include="$packages" "$@" "$suite" "$target" "$target.list"
	rm "$target.list"
}

# debian_list WORD...: the words as a list with commas.
debian_list() {
	local IFS=,
	echo "$*"
}
