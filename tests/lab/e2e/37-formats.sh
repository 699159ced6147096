#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Disks of other formats than raw: a storage daemon serves each, in the slice of the VM, whose limits are
# those of all its processes; what cannot be is said.
. "${0%/*}/vm.sh"
V=${P}fmt
SLICE=hvd-$V.slice
command -v qemu-storage-daemon >/dev/null || skip "no qemu-storage-daemon"

unit_of() { echo "hvd-vm-$V.disk-$1.service"; }
daemon_pid() { systemctl show -P MainPID "$(unit_of "$1")"; }
sum() { guest "$V" "dd if=/dev/$1 bs=64k count=${2:-64} iflag=direct 2>/dev/null | md5sum"; }
nothing_left() {
	[[ -z $(systemctl list-units --all --no-legend "hvd-vm-$V*" "$SLICE") ]] &&
		[[ ! -e /sys/fs/cgroup/hvd.slice/$SLICE ]]
}

# refused WHAT TEXT HVCLI-DISK...: a VM with this disk cannot be defined or started, and says why.
refused() {
	local what=$1 text=$2 out
	shift 2
	out=$(hvcli vm create "${V}x" --kernel "$KERNEL" --initrd "$INITRD" --memory 64M \
		--disk "$@" 2>&1 && hvcli vm start "${V}x" 2>&1) && fail "$what was taken"
	matches "$what" "$out" "$text"
	hvcli vm delete "${V}x" >/dev/null 2>&1
}

guest_files
must qemu-img create -q -f qcow2 "$WORK/a.qcow2" 16M
must qemu-img create -q -f qcow2 -F qcow2 -b "$WORK/a.qcow2" "$WORK/over.qcow2"
printf open-sesame-17 >"$WORK/key"
must qemu-img create -q -f luks --object secret,id=s,file="$WORK/key" \
	-o key-secret=s,iter-time=10 "$WORK/b.luks" 8M
chmod 600 "$WORK"/a.qcow2 "$WORK"/b.luks "$WORK"/key

# --- what cannot be
truncate -s 8M "$WORK/raw.img"
refused "a raw file as qcow2" "disks\[0\].path: .*not in qcow2 format" "path=$WORK/raw.img,format=qcow2"
refused "luks without a passphrase" "disks\[0\].secret: is missing" "path=$WORK/b.luks,format=luks"
printf wrong >"$WORK/badkey"
refused "a wrong passphrase" "disks\[0\].path: Invalid password" \
	"path=$WORK/b.luks,format=luks,secret=$WORK/badkey"
refused "a backing file that is not named" "disks\[0\].backing: is missing: .*a.qcow2" \
	"path=$WORK/over.qcow2,format=qcow2"
refused "a serial" "disks\[0\].serial: is for format raw only" \
	"path=$WORK/a.qcow2,format=qcow2,serial=X"
wait_for "nothing to be left" nothing_left

# --- a guest on qcow2 and luks
vm_up "$V" idle --vcpus 2 --cpu-weight 200 --disk "path=$WORK/a.qcow2,format=qcow2" \
	--disk "path=$WORK/b.luks,format=luks,secret=$WORK/key,id=vdb"
for disk in vda vdb; do
	guest "$V" "head -c 4194304 /dev/urandom | dd of=/dev/$disk bs=64k conv=fsync 2>/dev/null" >/dev/null ||
		fail "writing to $disk"
done
A=$(sum vda) B=$(sum vdb)
equal "queues" "$(guest "$V" 'ls /sys/block/vda/mq | wc -l')" 2
equal "write cache" "$(guest "$V" 'cat /sys/block/vda/cache_type')" "write back"
guest "$V" 'blkdiscard -o 4194304 -l 4194304 /dev/vda' >/dev/null || fail "no discard"
equal "luks" "$(sum vdb)" "$B"
grep -q "$(head -c 64 "$WORK/key")" "/proc/$(daemon_pid vdb)/cmdline" &&
	fail "the passphrase is on the command line"

# --- the VM's limits are those of all of its processes
for unit in "$(vm_unit "$V")" "$(unit_of vda)" "$(unit_of vdb)"; do
	matches "cgroup of $unit" "$(systemctl show -P ControlGroup "$unit")" "^/hvd.slice/$SLICE/"
done
equal "weight of the slice" "$(cat "/sys/fs/cgroup/hvd.slice/$SLICE/cpu.weight")" 200
must hvcli vm set "$V" --cpu-weight 300 --memory-max 512M
becomes "new weight" 300 cat "/sys/fs/cgroup/hvd.slice/$SLICE/cpu.weight"
becomes "new limit of memory" $((512 << 20)) cat "/sys/fs/cgroup/hvd.slice/$SLICE/memory.max"
exposure=$(systemd-analyze security --no-pager "$(unit_of vda)" | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
say "exposure of the storage daemon's unit: $exposure; of the VM's: $(systemd-analyze security --no-pager "$(vm_unit "$V")" | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')"

# --- pause, resume
must hvcli vm pause "$V"
must hvcli vm resume "$V"
equal "after a pause" "$(sum vda)" "$A"
vm_gone "$V"
wait_for "nothing to be left" nothing_left
