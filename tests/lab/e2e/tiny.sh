# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The smallest guest: the lab's kernel, and an initramfs of the server's own busybox with init.sh.

GUESTS=${GUESTS:-/srv/lab}
TINY=$(cd "${BASH_SOURCE[0]%/*}" && pwd)

tiny_kernel() {
	[[ -e $GUESTS/Image ]] && echo "$GUESTS/Image"
}

# tiny_initrd: path of the initramfs, made when it is not there or older than what it is made from.
tiny_initrd() {
	local out=/var/tmp/hvd-tiny.cpio.gz
	if [[ ! $out -nt $TINY/init.sh || ! $out -nt $TINY/make-initrd.sh ]]; then
		"$TINY/make-initrd.sh" "$out" >&2 || return
	fi
	echo "$out"
}
