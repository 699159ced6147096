#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The storage daemons of disks that are not raw: they live as long as their VM, a new hvd finds them again,
# and when one is killed the guest goes on or is told. Disks of theirs grow, come and go while the guest runs.
. "${0%/*}/vm.sh"
V=${P}qsd
MUTE=${P}mute
SLICE=hvd-$V.slice
command -v qemu-storage-daemon >/dev/null || skip "no qemu-storage-daemon"

unit_of() { echo "hvd-vm-$V.disk-$1.service"; }
daemon_pid() { systemctl show -P MainPID "$(unit_of "$1")"; }
has_reason() { vm_json "$V" | jq -r '.status.reason // ""' | grep -q -- "$1"; }
new_daemon() { local pid; pid=$(daemon_pid "$1"); [[ $pid != 0 && $pid != "$2" ]]; }
is_off() { [[ $(systemctl show -P ActiveState "$(unit_of "$1")") == inactive ]]; }
has_size() { [[ $(guest "$V" 'cat /sys/block/vda/size') == "$1" ]]; }
has_disk() { guest "$V" "test -b /dev/$1"; }
sum() { guest "$V" "dd if=/dev/$1 bs=64k count=64 iflag=direct 2>/dev/null | md5sum"; }
sum_is() { [[ $(sum vda) == "$1" ]]; }
nothing_left() {
	[[ -z $(systemctl list-units --all --no-legend "hvd-vm-$V*" "$SLICE") ]] &&
		[[ ! -e /sys/fs/cgroup/hvd.slice/$SLICE ]]
}

guest_files
printf open-sesame-17 >"$WORK/key"
must qemu-img create -q -f qcow2 "$WORK/a.qcow2" 16M
must qemu-img create -q -f qcow2 -F qcow2 -b "$WORK/a.qcow2" "$WORK/over.qcow2"
must qemu-img create -q -f luks --object secret,id=s,file="$WORK/key" -o key-secret=s,iter-time=10 \
	"$WORK/b.luks" 8M
must qemu-img create -q -f vmdk "$WORK/c.vmdk" 8M
truncate -s 8M "$WORK/raw.img"
chmod 600 "$WORK"/a.qcow2 "$WORK"/b.luks "$WORK"/key
A_DISK=path=$WORK/a.qcow2,format=qcow2,id=vda
B_DISK=path=$WORK/b.luks,format=luks,secret=$WORK/key,id=vdb

vm_up "$V" idle --disk "$A_DISK" --disk "$B_DISK"
for disk in vda vdb; do
	guest "$V" "head -c 4194304 /dev/urandom | dd of=/dev/$disk bs=64k conv=fsync 2>/dev/null" >/dev/null ||
		fail "writing to $disk"
done
A=$(sum vda) B=$(sum vdb)

# --- a new size and a limit, while the guest runs
must hvcli vm set "$V" --disk "$A_DISK,size=24M" --disk "$B_DISK,iops=5000"
wait_for "the guest to see the new size" has_size 49152
guest "$V" 'dd if=/dev/zero of=/dev/vda bs=64k seek=320 count=16 oflag=direct 2>/dev/null' >/dev/null ||
	fail "the new part of the disk cannot be written"
ok "the disk has grown"

# --- a new hvd; the console ends with the hvd that it went through
pid=$(daemon_pid vda)
must systemctl restart hvd
vm_wait "$V" running
equal "the storage daemon after a restart of hvd" "$(daemon_pid vda)" "$pid"
console_close "$V"
console_open "$V"
console_wait "$V" '^GUEST-UP'
equal "the disk after a restart of hvd" "$(sum vda)" "$A"

# --- a server that does not answer; what comes of it is looked at in the end
socat -u TCP-LISTEN:10811,bind=127.0.0.1,fork OPEN:/dev/null &
CHILDREN+=($!)
wait_for "the server" sh -c "ss -Hltn 'sport = :10811' | grep -q ."
vm_create "$MUTE" idle --disk "server=127.0.0.1,port=10811"
hvcli vm start "$MUTE" >"$WORK/mute.log" 2>&1 &
MUTE_START=$!

# --- one that is killed: luks has no cache that could be lost
pid=$(daemon_pid vdb)
console_type "$V" '{ dd if=/dev/vdb of=/dev/null bs=4k count=512 iflag=direct 2>/dev/null; echo "DD-KILL $?"; } &'
must kill -9 "$pid"
wait_for "a new storage daemon" new_daemon vdb "$pid"
console_wait "$V" '^DD-KILL 0'
equal "luks goes on" "$(sum vdb)" "$B"
wait_for "the journal to tell why it ended" in_journal "disk vdb: its storage daemon was killed by SIGKILL" -u hvd

# qcow2 has: the guest cannot go on before a reset
pid=$(daemon_pid vda)
must kill -9 "$pid"
wait_for "a new storage daemon" new_daemon vda "$pid"
wait_for "the reason" has_reason "disk vda: its storage daemon was killed by SIGKILL; reset the VM"
equal "state" "$(vm_state "$V")" running
ups=$(console_count "$V" '^GUEST-UP')
came_up() { (($(console_count "$V" '^GUEST-UP') > ups)); }
must hvcli vm reset "$V"
wait_for "the guest to come up again" came_up
wait_for "the disk to be back" sum_is "$A"
ok "qcow2 goes on after a reset"

# --- attach and detach; one image for one VM
must hvcli disk attach "$V" "$WORK/c.vmdk" --format vmdk --id vdc
wait_for "the disk to come" has_disk vdc
guest "$V" 'dd if=/dev/zero of=/dev/vdc bs=64k count=16 oflag=direct 2>/dev/null' >/dev/null ||
	fail "writing to vmdk"
out=$(hvcli disk attach "$V" "$WORK/raw.img" --format vdi --id vde 2>&1) && fail "raw was taken as vdi"
matches "raw as vdi" "$out" "path: .*"
wait_for "nothing of it to be left" is_off vde
must hvcli disk detach "$V" vdc
wait_for "its storage daemon to end" is_off vdc
must hvcli vm create "${V}2" --kernel "$KERNEL" --memory 64M --disk "path=$WORK/a.qcow2,format=qcow2"
out=$(hvcli vm start "${V}2" 2>&1) && fail "an image in use was opened"
matches "an image that another VM has" "$out" "path: .*lock"
must hvcli vm delete "${V}2"

vm_gone "$V"
wait_for "nothing to be left" nothing_left
must qemu-img check -q "$WORK/a.qcow2"
ok "nothing is left, and the image is sound"

# --- on an NBD server, by a unix socket and by TCP
# export NAME OPTION...: a server for NAME.img of this test.
nbd_export() {
	local name=$1
	shift
	must qemu-img create -q -f raw "$WORK/$name.img" 8M
	qemu-nbd --persistent --format raw --export-name "$name" "$@" "$WORK/$name.img" &
	CHILDREN+=($!)
}
out=$(hvcli vm create "${V}2" --kernel "$KERNEL" --disk "server=localhost" 2>&1) && fail "a name was taken"
matches "a server's name" "$out" "disks\[0\].nbd.server: must be an IPv4 or IPv6 address"
out=$(hvcli vm create "${V}2" --kernel "$KERNEL" --disk "socket=$WORK/none" 2>&1) && fail "no socket was taken"
matches "a socket that is not there" "$out" "disks\[0\].nbd.socket: $WORK/none: No such file"
nbd_export one --socket "$WORK/nbd.sock"
nbd_export two --bind 127.0.0.1 --port 10810
wait_for "the servers" sh -c "ss -xl | grep -q $WORK/nbd.sock && ss -ltn | grep -q :10810"
vm_up "$V" idle --disk "socket=$WORK/nbd.sock,export=one" --disk "server=127.0.0.1,port=10810,export=two"
for disk in vda vdb; do
	guest "$V" "head -c 4194304 /dev/urandom | dd of=/dev/$disk bs=64k conv=fsync 2>/dev/null" >/dev/null ||
		fail "writing to $disk"
done
equal "what went to the socket" "$(sum vda)" "$(head -c 4194304 "$WORK/one.img" | md5sum)"
equal "what went to the TCP port" "$(sum vdb)" "$(head -c 4194304 "$WORK/two.img" | md5sum)"
vm_gone "$V"
wait_for "nothing to be left" nothing_left

# --- an image and what it is a change of
vm_up "$V" idle --disk "path=$WORK/over.qcow2,format=qcow2,backing=$WORK/a.qcow2,backing_format=qcow2"
equal "what is behind the image" "$(sum vda)" "$A"
guest "$V" 'dd if=/dev/zero of=/dev/vda bs=64k count=16 conv=fsync 2>/dev/null' >/dev/null || fail "writing"
is_stopping() { [[ $(systemctl show -P ActiveState "$(vm_unit "$V")") == deactivating ]]; }
systemctl stop "$(vm_unit "$V")" &
wait_for "the power button" is_stopping
console_type "$V" 'poweroff -f'
wait $!
wait_for "nothing to be left" nothing_left
ok "systemctl stop ends the storage daemons too"

wait "$MUTE_START" && fail "a VM has started without its disk"
matches "a server that does not answer" "$(<"$WORK/mute.log")" \
	"disks\[0\].nbd: 127.0.0.1 has not been opened within 60 seconds"
must hvcli vm delete "$MUTE"
mute_is_gone() { [[ -z $(systemctl list-units --all --no-legend "hvd-vm-$MUTE*" "hvd-$MUTE.slice") ]]; }
wait_for "nothing of it to be left" mute_is_gone
