#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the guest writes is on the disk, and it reads it back after a reboot.
. "${0%/*}/vm.sh"

for cache in writeback none unsafe; do
	V=${P}disk-$cache
	truncate -s 16M "$WORK/$cache.img"
	say "cache=$cache"
	vm_up "$V" disk --disk "path=$WORK/$cache.img,cache=$cache"
	console_has "$V" '^DISK-READ' || fail "nothing read back"
	wrote=$(console_last "$V" '^DISK-WROTE [0-9a-f]{64}')
	read_=$(console_last "$V" '^DISK-READ [0-9a-f]{64}')
	equal "read after a reboot" "${read_#* }" "${wrote#* }"
	on_host=$(dd if="$WORK/$cache.img" bs=64k skip=1 count=8 2>/dev/null | sha256sum)
	equal "seen by the host" "${on_host%% *}" "${wrote#* }"
	equal "size in the guest" "$(guest "$V" 'cat /sys/block/vda/size')" 32768
	vm_gone "$V"
done

V=${P}disk-ro
truncate -s 4M "$WORK/ro.img"
before=$(sha256sum <"$WORK/ro.img")
vm_up "$V" idle --disk "path=$WORK/ro.img,read_only=yes,serial=SERIAL-1"
equal "read-only in the guest" "$(guest "$V" 'cat /sys/block/vda/ro')" 1
equal "serial" "$(guest "$V" 'cat /sys/block/vda/serial')" SERIAL-1
guest "$V" 'dd if=/dev/zero of=/dev/vda bs=4k count=4 conv=fsync' >/dev/null &&
	fail "the guest could write to a read-only disk"
equal "the file after the attempt" "$(sha256sum <"$WORK/ro.img")" "$before"
vm_gone "$V"
