#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Snapshots of two disks at one moment, while the guest writes to them; going back to one; and hvd killed
# while it makes one.
. "${0%/*}/vm.sh"
V=${P}snap
command -v qemu-storage-daemon qemu-img >/dev/null || skip "no qemu-utils"

guest_files
for disk in vda vdb; do
	must qemu-img create -q -f qcow2 "$WORK/$disk.qcow2" 16M
done
chmod 600 "$WORK"/*.qcow2

# put FILL: fill the start of both disks; sums: of that.
put() { guest "$V" "for d in vda vdb; do yes $1 | dd of=/dev/\$d bs=64k count=16 conv=fsync 2>/dev/null; done" >/dev/null; }
sums() { guest "$V" 'for d in vda vdb; do dd if=/dev/$d bs=64k count=16 iflag=direct 2>/dev/null; done | md5sum'; }
# The numbers that the writer has got to on each disk.
numbers() { guest "$V" 'for d in vda vdb; do dd if=/dev/$d bs=512 skip=4096 count=1 iflag=direct 2>/dev/null | head -c 8; echo; done' | tr -d '\r' | xargs; }
has_moved() { [[ $(numbers) != "$1" ]]; }
in_images() {
	local disk
	for disk in vda vdb; do
		qemu-img snapshot -U -l "$WORK/$disk.qcow2" | grep -cw -- "$1"
	done | xargs
}
no_operation_runs() { [[ -z $(hvcli operation list -o json | jq -r '.items[] | select(.state == "running") | .id') ]]; }
hvd_is_back() { systemctl -q is-active hvd && hvcli host >/dev/null; }

vm_up "$V" idle --disk "path=$WORK/vda.qcow2,format=qcow2" --disk "path=$WORK/vdb.qcow2,format=qcow2"
put A || fail "writing A"
A=$(sums)
# one number to the first disk, then the same to the second, and so on
guest "$V" 'n=10000000; head -c 503 /dev/zero >/tmp/pad; while :; do n=$((n + 1)); { echo $n; cat /tmp/pad; } >/tmp/n; for d in vda vdb; do dd if=/tmp/n of=/dev/$d bs=512 seek=4096 count=1 oflag=direct conv=notrunc 2>/dev/null; done; done >/dev/null 2>&1 & echo $! >/tmp/writer.pid' >/dev/null
wait_for "the writer" has_moved " "

# --- while it runs
must hvcli snapshot create "$V" one --description "A on both"
equal "state" "$(vm_state "$V")" running
equal "the images have it" "$(in_images one)" "1 1"
equal "the state that it tells" "$(hvcli snapshot show "$V" one -o json | jq -r '"\(.state) \(.vm_state) \(.disks | length)"')" "ready running 2"
wait_for "the guest to go on" has_moved "$(numbers)"
out=$(hvcli snapshot revert "$V" one 2>&1) && fail "disks of a VM that runs were reverted"
matches "revert while it runs" "$out" "stop it first: hvcli vm stop"
out=$(hvcli snapshot create "$V" one 2>&1) && fail "it was made twice"
matches "the name again" "$out" "has a snapshot one already"

# --- hvd is killed at it: it is there on both disks, or on none, and the guest goes on
for i in 1 2 3; do
	pid=$(systemctl show -P MainPID hvd)
	hvcli snapshot create "$V" "kill-$i" >/dev/null 2>&1 &
	child=$!
	sleep "0.$(printf %03d $((RANDOM % 300)))"
	must kill -9 "$pid"
	wait "$child"
	systemctl reset-failed hvd 2>/dev/null
	must systemctl start hvd
	wait_for "hvd" hvd_is_back
	wait_for "operations to be resolved" no_operation_runs
	vm_wait "$V" running
	listed=$(hvcli snapshot list "$V" -o name | grep -c "^kill-$i$")
	equal "kill $i: images and list agree" "$(in_images "kill-$i")" "$listed $listed"
	console_close "$V"
	console_open "$V"
	wait_for "the guest to go on" has_moved "$(numbers)"
done

# --- going back
guest "$V" 'kill $(cat /tmp/writer.pid); wait' >/dev/null
put B || fail "writing B"
[[ $(sums) != "$A" ]] || fail "B is A"
must hvcli vm stop "$V"
must hvcli snapshot create "$V" two
must hvcli snapshot revert "$V" one
console_close "$V"
must hvcli vm start "$V"
console_open "$V"
console_wait "$V" '^GUEST-UP'
equal "both disks are what they were" "$(sums)" "$A"
read -r first second <<<"$(numbers)"
((first == second || first == second + 1)) || fail "not of one moment: $first on the first disk, $second on the second"
ok "of one moment: $first, $second"

# --- removing them, of both kinds
for name in $(hvcli snapshot list "$V" -o name); do
	must hvcli snapshot delete "$V" "$name"
done
equal "none is left" "$(hvcli snapshot list "$V" -o name)" ""
equal "both disks are what they were" "$(sums)" "$A"
must hvcli vm stop "$V"
must hvcli snapshot create "$V" off
must hvcli snapshot delete "$V" off
for disk in vda vdb; do
	[[ -z $(qemu-img snapshot -l "$WORK/$disk.qcow2") ]] || fail "something is left in $disk"
	must qemu-img check -q "$WORK/$disk.qcow2"
done
must hvcli vm delete "$V"
[[ ! -e /var/lib/hvd/snapshots/$V ]] || fail "records are left"
ok "nothing is left, and the images are sound"
