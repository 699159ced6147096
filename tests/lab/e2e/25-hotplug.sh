#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PCI Express hotplug: disks and NICs come and go under a Linux guest (tests/unit/test-hotplug.c).
. "${0%/*}/vm.sh"
PROGRAM=/usr/local/lib/hvd-tests/test-hotplug

[[ -x $PROGRAM ]] || skip "no $PROGRAM on this server"
guest_files
TEST_KERNEL=$KERNEL TEST_INITRD=$INITRD LD_LIBRARY_PATH=${PROGRAM%/*} \
	timeout 1500 "$PROGRAM" >"$WORK/hotplug.log" 2>&1 || fail "test-hotplug: status $?"
while read -r line; do
	ok "$line"
done < <(sed -n 's/^\[ *OK \] //p' "$WORK/hotplug.log")

# --- the same through hvd: a disk and a NIC of a VM that runs
V=${P}hot
ids() { vm_json "$V" | jq -c "[.spec.$1[].id]"; }
truncate -s 8M "$WORK/a.img" "$WORK/b.img"
vm_up "$V" idle --disk "$WORK/a.img"
taps() { ip -d link | grep -c "hvd:vm/$V/"; }

must hvcli disk attach "$V" "$WORK/b.img" --id data
must hvcli nic attach "$V" default --id lan
equal "disks" "$(ids disks)" '["vda","data"]'
equal "NICs" "$(ids nics)" '["lan"]'
equal "its tap" "$(taps)" 1
guest "$V" 'until [ -b /dev/vdb ]; do sleep 0.2; done; echo hello | dd of=/dev/vdb conv=fsync' >/dev/null ||
	fail "the new disk cannot be written"
equal "what the guest wrote" "$(head -c 5 "$WORK/b.img")" hello
guest "$V" 'until [ -e /sys/class/net/eth0 ]; do sleep 0.2; done; network' >/dev/null || fail "no network"
matches "an address by the new NIC" "$(console_last "$V" '^GUEST-NET .*')" '[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/'

out=$(hvcli vm create "${V}2" --kernel "$KERNEL" --disk "$WORK/b.img" && hvcli vm start "${V}2" 2>&1) &&
	fail "a disk that another VM has attached was opened: $out"
hvcli vm delete "${V}2" >/dev/null

# A new hvd knows what the VM has, and the guest what it was given after a reset.
must systemctl restart hvd
wait_for hvd hvcli vm list
equal "disks, after a restart of hvd" "$(ids disks)" '["vda","data"]'
# … and when it lets go of a disk after the hvd that asked it to is gone. It is paused, so that this is later.
must hvcli vm pause "$V"
hvcli disk detach "$V" data >/dev/null 2>&1 &
detaching() { systemctl is-active -q hvd && hvcli operation list | grep -q "disk.detach .*/$V.* running"; }
wait_for "the detachment" detaching
sleep 2 # hvd-vmm has it, most likely; if not, the disk stays
must systemctl kill -s KILL hvd.service
wait_for "hvd to be back" hvcli vm list
must hvcli vm resume "$V"
settled() { hvcli vm set "$V" --description settled; }
wait_for "changes to be taken again" settled
say "after the death of hvd: $(ids disks)"
[[ $(ids disks) == '["vda"]' ]] || must hvcli disk detach "$V" data
must hvcli disk attach "$V" "$WORK/b.img" --id again
must hvcli disk detach "$V" again
must hvcli nic detach "$V" lan
equal "disks" "$(ids disks)" '["vda"]'
console_close "$V"
console_open "$V"
guest "$V" '[ ! -b /dev/vdb ] && [ ! -e /sys/class/net/eth0 ]' >/dev/null || fail "the guest still has them"
no_taps() { [[ $(taps) == 0 ]]; }
wait_for "the tap to be gone" no_taps
must hvcli vm create "${V}2" --kernel "$KERNEL" --disk "$WORK/b.img"
must hvcli vm start "${V}2"
vm_gone "${V}2"
ok "a disk that was detached is free"

out=$(hvcli disk attach "$V" "$WORK/missing.img" 2>&1) && fail "attached a file that is not there: $out"
equal "disks, after one that could not be attached" "$(ids disks)" '["vda"]'
console_type "$V" 'poweroff -f'
vm_wait "$V" shutoff
ok "a clean end"
must hvcli vm delete "$V"

V=${P}tiny
vm_up "$V" idle --profile micro
out=$(hvcli disk attach "$V" "$WORK/a.img" 2>&1) && fail "a VM of profile micro took a disk: $out"
matches "profile micro" "$out" "profile standard"
vm_gone "$V"
