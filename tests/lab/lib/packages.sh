# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here, other parts use
# The Debian packages that the lab needs on this machine, and the emulation of arm64 programs.

# package_words FILE...: the packages that files with comments list, as one line.
package_words() {
	sed 's/#.*//' "$@" | xargs
}

# What each kind of work needs. A|B: either will do, A is installed when neither is there.
PACKAGES_LAB="mmdebstrap debian-archive-keyring qemu-utils openssh-client socat rsync e2fsprogs fdisk mtools cpio kmod xz-utils zstd lz4"
PACKAGES_BUILD="autoconf automake libtool pkg-config make"
PACKAGES_CHECK="gcc clang qemu-system-common libclang-rt-dev shellcheck acpica-tools python3-yaml python3-jsonschema dbus-daemon curl zsh fish $(package_words "$LAB_HERE/dev-packages")"
if [[ $(uname -m) == aarch64 ]]; then
	PACKAGES_BUILD+=" gcc"
else
	PACKAGES_LAB+=" qemu-user-static arch-test"
	PACKAGES_BUILD+=" gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
fi

package_installed() {
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# packages_missing NAME...: the ones to install, one per line.
packages_missing() {
	local spec one
	for spec; do
		for one in ${spec//|/ }; do
			package_installed "$one" && continue 2
		done
		echo "${spec%%|*}"
	done
}

# packages_need LIST...: install what is missing of these lists (LAB, BUILD, CHECK), and say so.
packages_need() {
	local list words='' missing
	for list; do
		list=PACKAGES_$list
		words+=" ${!list}"
	done
	# shellcheck disable=SC2086 # words
	mapfile -t missing < <(packages_missing $words)
	((${#missing[@]})) || return 0
	if ((EUID != 0)); then
		die "these Debian packages are missing, and installing them takes root: ${missing[*]}"
	fi
	say "installing Debian packages: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	logged "$LAB_CACHE/log/apt-update.log" apt-get -o DPkg::Lock::Timeout=600 update
	# --no-remove: the lab never takes a package away from the machine it runs on.
	logged "$LAB_CACHE/log/apt-install.log" apt-get -o DPkg::Lock::Timeout=600 install -y \
		--no-install-recommends --no-remove "${missing[@]}"
}

# binfmt_need: let this machine run arm64 programs, as building a root file system does.
# systemd-binfmt does it where systemd runs; a container or a small VM may have neither it nor the mount.
binfmt_need() {
	local dir=/proc/sys/fs/binfmt_misc
	[[ $(uname -m) != aarch64 ]] || return 0
	arch-test arm64 >/dev/null 2>&1 && return 0
	((EUID == 0)) || die "arm64 programs do not run here: as root, register qemu-aarch64 with binfmt_misc"
	say "registering qemu-aarch64 with binfmt_misc"
	[[ -e $dir/register ]] || mount -t binfmt_misc binfmt_misc "$dir"
	[[ -e $dir/qemu-aarch64 ]] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$dir/register"
	arch-test arm64 >/dev/null || die "arm64 programs still do not run; see $dir"
}
