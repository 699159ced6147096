#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a disk can do beyond reading and writing: queues, limits and a new size while the guest runs,
# trim, a write cache to choose, and errors of the host that the guest sees, or that pause the VM.
. "${0%/*}/vm.sh"
V=${P}blk
DM=hvd-$P
MOUNT=$WORK/small

# The disks of a test are not only files.
end_devices() {
	local rc=$?
	dmsetup remove "$DM" 2>/dev/null
	[[ -z ${LOOP:-} ]] || losetup -d "$LOOP" 2>/dev/null
	umount "$MOUNT" 2>/dev/null
	(exit "$rc")
	finish
}
trap end_devices EXIT

reason() { vm_json "$V" | jq -r '.status.reason // ""'; }
has_size() { [[ $(guest "$V" 'cat /sys/block/vda/size') == "$1" ]]; }
dd_done() { console_has "$V" "^DD-$1 "; }

# --- what the guest sees
truncate -s 16M "$WORK/a.img"
vm_up "$V" idle --vcpus 2 --io-threads 2 --disk "path=$WORK/a.img,queues=2"
equal "queues" "$(guest "$V" 'ls /sys/block/vda/mq | wc -l')" 2
equal "write cache" "$(guest "$V" 'cat /sys/block/vda/cache_type')" "write back"
guest "$V" 'echo "write through" >/sys/block/vda/cache_type' >/dev/null ||
	fail "the write cache cannot be turned off"
equal "write cache" "$(guest "$V" 'cat /sys/block/vda/cache_type')" "write through"
guest "$V" 'dd if=/dev/zero of=/dev/vda bs=4k count=64 oflag=direct' >/dev/null ||
	fail "writing through"
guest "$V" 'echo "write back" >/sys/block/vda/cache_type' >/dev/null

# --- trim: blocks that the guest gives back are the host's again
guest "$V" 'yes | head -c 8388608 | dd of=/dev/vda bs=64k conv=fsync 2>/dev/null' >/dev/null
before=$(stat -c %b "$WORK/a.img")
guest "$V" 'blkdiscard -o 1048576 -l 4194304 /dev/vda' >/dev/null || fail "no discard"
after=$(stat -c %b "$WORK/a.img")
((before - after >= 4194304 / 512)) || fail "trim freed $((before - after)) blocks of 512 bytes"
ok "trim frees space on the host"
equal "what was trimmed reads as zeroes" \
	"$(guest "$V" 'dd if=/dev/vda bs=1M skip=1 count=4 2>/dev/null | tr -d "\0" | wc -c')" 0

# --- a limit holds, and is lifted while the guest waits
must hvcli vm set "$V" --disk "id=vda,path=$WORK/a.img,queues=2,bytes_per_second=4K,bytes_burst=4K"
console_type "$V" '{ dd if=/dev/vda of=/dev/null bs=256k count=32 iflag=direct 2>/dev/null; echo "DD-LIMIT $?"; } &'
guest "$V" 'sleep 1' >/dev/null
dd_done LIMIT && fail "8 MiB were read in no time at 4 KiB a second"
must hvcli vm set "$V" --disk "id=vda,path=$WORK/a.img,queues=2"
wait_for "the reader to end" dd_done LIMIT
ok "a limit is set and lifted while the guest runs"

# --- the disk grows
must hvcli vm set "$V" --disk "id=vda,path=$WORK/a.img,queues=2,size=24M"
equal "the file" "$(stat -c %s "$WORK/a.img")" $((24 << 20))
wait_for "the guest to see the new size" has_size 49152
guest "$V" 'dd if=/dev/zero of=/dev/vda bs=1M seek=20 count=4 oflag=direct' >/dev/null ||
	fail "the new part of the disk cannot be written"
ok "the disk has grown under the guest"
vm_gone "$V"

# --- an error of the host's disk
if modprobe dm-mod 2>/dev/null && command -v dmsetup >/dev/null; then
	truncate -s 16M "$WORK/b.img"
	LOOP=$(losetup -f --show "$WORK/b.img") || fail "losetup"
	good="0 32768 linear $LOOP 0"
	bad="0 16384 linear $LOOP 0
16384 16384 error"
	dmsetup create "$DM" <<<"$bad" || fail "dmsetup create"
	vm_up "$V" idle --disk "path=/dev/mapper/$DM,cache=none"
	guest "$V" 'dd if=/dev/vda of=/dev/null bs=64k iflag=direct' >/dev/null &&
		fail "the guest could read what cannot be read"
	guest "$V" 'dd if=/dev/zero of=/dev/vda bs=64k count=128 oflag=direct' >/dev/null ||
		fail "the good half cannot be written"
	equal "after an error that is reported" "$(vm_state "$V")" running
	wait_for "the journal to tell of the error" in_journal "/dev/mapper/$DM: read at byte" -u "$(vm_unit "$V")"
	vm_gone "$V"

	vm_up "$V" idle --disk "path=/dev/mapper/$DM,cache=none,error_policy=stop"
	out=$(hvcli vm create "${V}2" --kernel "$KERNEL" --disk "path=$LOOP" 2>&1 &&
		hvcli vm start "${V}2" 2>&1) && fail "a device that another has was opened: $out"
	matches "a device that is in use" "$out" "$LOOP is in use by this host"
	must hvcli vm delete "${V}2"
	console_type "$V" '{ dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null; echo "DD-STOP $?"; } &'
	vm_wait "$V" paused
	matches "the reason" "$(reason)" "disk /dev/mapper/$DM: Input/output error"
	must systemctl restart hvd
	vm_wait "$V" paused
	console_close "$V"
	console_open "$V"
	matches "the reason, told again to a new hvd" "$(reason)" "Input/output error"
	must hvcli vm resume "$V"
	vm_wait "$V" paused
	ok "it is paused again when nothing was done about it"
	dmsetup suspend "$DM" && dmsetup load "$DM" <<<"$good" && dmsetup resume "$DM" ||
		fail "dmsetup"
	must hvcli vm resume "$V"
	wait_for "the reader to end" dd_done STOP
	equal "the guest has seen no error" "$(console_last "$V" '^DD-STOP.*')" "DD-STOP 0"
	vm_gone "$V"
	dmsetup remove "$DM"
else
	say "no device mapper here: errors of a disk are not tried"
fi

# --- a full disk
mkdir "$MOUNT"
mount -t tmpfs -o size=4M tmpfs "$MOUNT" || fail "no tmpfs"
chmod 755 "$MOUNT"
for policy in report enospc-stop; do
	rm -f "$MOUNT"/*
	truncate -s 16M "$MOUNT/c.img"
	head -c 2M /dev/zero >"$MOUNT/filler"
	vm_up "$V" idle --disk "path=$MOUNT/c.img,error_policy=$policy"
	console_type "$V" '{ dd if=/dev/urandom of=/dev/vda bs=64k count=48 oflag=direct 2>/dev/null; echo "DD-FULL $?"; } &'
	if [[ $policy == report ]]; then
		wait_for "the writer to end" dd_done FULL
		equal "the writer fails" "$(console_last "$V" '^DD-FULL.*')" "DD-FULL 1"
		equal "and the guest goes on" "$(guest "$V" 'echo alive')" alive
	else
		vm_wait "$V" paused
		matches "the reason" "$(reason)" "No space left on device"
		rm "$MOUNT/filler"
		must hvcli vm resume "$V"
		wait_for "the writer to end" dd_done FULL
		equal "the guest has seen no error" "$(console_last "$V" '^DD-FULL.*')" "DD-FULL 0"
	fi
	vm_gone "$V"
done
