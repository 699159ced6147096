#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fio writes and verifies checksums (crc32c) while the VM is paused, reset and rebooted under it. What was
# written and verified before an interruption is still whole after it.
. "${0%/*}/vm.sh"
V=${P}fio
ROOT=$GUESTS/debian/root.img
[[ -e $ROOT ]] || fail "no Debian guest"

# fio is on Debian's root disk, the second of this VM.
prepare() {
	local step
	for step in 'mkdir -p /fio' 'mount -t ext4 -o ro,noload /dev/vdb /fio' \
		'mount --bind /dev /fio/dev' 'mount -t tmpfs tmpfs /fio/tmp' \
		'mount -t proc proc /fio/proc'; do
		guest "$V" "$step" >/dev/null || fail "fio's disk: $step"
	done
}

# fio PART OFFSET OPTION...: a job on 12 MiB of the disk. The same options mean the same data.
fio() {
	echo "cd /; chroot /fio /usr/bin/env -i HOME=/tmp fio --name=$1 --filename=/dev/vda --offset=$2 \
--size=12m --bs=4k --direct=1 --ioengine=libaio --iodepth=16 --verify=crc32c --verify_fatal=1 \
--randrepeat=1 --aux-path=/tmp ${*:3} >/tmp/$1.log 2>&1; rc=\$?; [ \$rc = 0 ] || cat /tmp/$1.log; echo FIO-$1 \$rc"
}

fio_done() { (($(console_count "$V" "^FIO-$1 ") > $2)); }

# fio_passes PART OFFSET OPTION...
fio_passes() {
	local before
	before=$(console_count "$V" "^FIO-$1 ")
	console_type "$V" "$(fio "$@")"
	wait_for "fio $1" fio_done "$1" "$before"
	equal "fio $*" "$(console_last "$V" "^FIO-$1 .*")" "FIO-$1 0"
}

up_again() {
	wait_for "the guest to come up again" came_up "$1"
	prepare
}
came_up() { (($(console_count "$V" '^GUEST-UP') > $1)); }

for cache in writeback none; do
	say "cache=$cache"
	truncate -s 32M "$WORK/$cache.img"
	vm_up "$V" idle --memory 192M --vcpus 2 --io-threads 2 \
		--disk "path=$WORK/$cache.img,cache=$cache" --disk "path=$ROOT,read_only=yes"
	prepare
	fio_passes kept 0 --rw=randwrite

	before=$(console_count "$V" '^FIO-paused ')
	console_type "$V" "$(fio paused 16m --rw=randrw --loops=2)"
	n=0
	while ((n < 60)) && ! fio_done paused "$before"; do
		must hvcli vm pause "$V"
		must hvcli vm resume "$V"
		n=$((n + 1))
	done
	wait_for "fio, which was paused" fio_done paused "$before"
	equal "fio while it was paused $n times" "$(console_last "$V" '^FIO-paused .*')" "FIO-paused 0"

	for how in reset reboot; do
		ups=$(console_count "$V" '^GUEST-UP')
		console_type "$V" "{ $(fio cut 16m --rw=randrw --loops=1000); } &"
		guest "$V" 'until [ "$(awk "{ print \$7 }" /sys/block/vda/stat)" -gt 2000 ]; do sleep 0.1; done' >/dev/null
		if [[ $how == reset ]]; then
			must hvcli vm reset "$V"
		else
			console_type "$V" 'reboot -f'
		fi
		up_again "$ups"
		fio_passes kept 0 --rw=randwrite --verify_only
		fio_passes "again-$how" 16m --rw=randrw
	done
	vm_gone "$V"
done
