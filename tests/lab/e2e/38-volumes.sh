#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images and volumes: a guest on a volume that is backed by an image, which grows under it; what others may do
# with both meanwhile; and what is left when hvd is killed in the middle.
. "${0%/*}/vm.sh"
V=${P}vol
OTHER=${P}volx

end_volumes() {
	local rc=$?
	hvcli vm stop "$V" >/dev/null 2>&1
	hvcli vm delete "$V" >/dev/null 2>&1
	hvcli vm delete "$OTHER" >/dev/null 2>&1
	hvcli volume delete "$V" >/dev/null 2>&1
	hvcli image delete "$V" >/dev/null 2>&1
	hvcli image delete "${V}u" >/dev/null 2>&1
	(exit "$rc")
	finish
}
trap end_volumes EXIT

refused() { # STATUS TEXT COMMAND...
	local status=$1 text=$2 out rc
	shift 2
	out=$("$@" 2>&1) && fail "$* was done"
	rc=$?
	equal "status of $*" "$rc" "$status"
	matches "$*" "$out" "$text"
}
has_size() { [[ $(guest "$V" 'cat /sys/block/vda/size') == "$1" ]]; }

guest_files
head -c 4M /dev/urandom >"$WORK/a.raw"
truncate -s 16M "$WORK/a.raw"
must qemu-img convert -c -f raw -O qcow2 "$WORK/a.raw" "$WORK/a.qcow2"

# --- what is handed in is not trusted
must qemu-img create -q -f qcow2 -F qcow2 -b /etc/passwd -u "$WORK/over.qcow2" 16M
refused 1 "is a change of another image" hvcli image import "$V" "$WORK/over.qcow2" --format qcow2
must hvcli image import "$V" "$WORK/a.qcow2" --format qcow2
must hvcli image upload "${V}u" "$WORK/a.qcow2" --format qcow2
must qemu-img compare -q -f qcow2 -F qcow2 "/var/lib/hvd/images/$V.qcow2" "/var/lib/hvd/images/${V}u.qcow2"
must hvcli image delete "${V}u"
must hvcli volume create "$V" --image "$V" --format qcow2 --backed

# --- a guest on it
vm_up "$V" idle --disk "volume=$V"
equal "what the guest reads" "$(guest "$V" 'dd if=/dev/vda bs=64k count=64 2>/dev/null | md5sum')" \
	"$(head -c 4M "$WORK/a.raw" | md5sum)"
guest "$V" 'dd if=/dev/zero of=/dev/vda bs=64k count=4 oflag=direct' >/dev/null || fail "writing"
equal "who has the volume" "$(hvcli volume show "$V" -o json | jq -r '.status.used_by[].vm')" "$V"

# --- meanwhile
refused 4 "detach it first: hvcli disk detach $V vda" hvcli volume delete "$V"
refused 4 "is behind volume $V" hvcli image delete "$V"
refused 4 "hvcli disk set $V vda --size 24M" hvcli volume set "$V" --size 24M
before=$(hvcli events -o name --limit 1)
must hvcli disk set "$V" vda --size 24M
wait_for "the guest to see the new size" has_size 49152
equal "the volume's size" "$(hvcli volume show "$V" -o json | jq .spec.size)" $((24 << 20))
matches "an event tells of it" "$(hvcli events -o json --since "$before")" "\"changed\".*/v1/volumes/$V\""
must hvcli vm create "$OTHER" --kernel "$KERNEL" --initrd "$INITRD" --memory 64M --disk "volume=$V"
refused 4 "volume $V is in use by VM $V" hvcli vm start "$OTHER"
must hvcli vm delete "$OTHER"
vm_gone "$V"

# --- and then: it grows, hvd is killed while another is made, and all of it goes
must hvcli volume set "$V" --size 32M
truncate -s 64G "$WORK/large.raw"
head -c 32M /dev/urandom | dd of="$WORK/large.raw" bs=1M conv=notrunc status=none
must hvcli image import "${V}l" "$WORK/large.raw" --no-wait
must systemctl kill -s KILL hvd.service
wait_for "hvd to be back" hvcli image list
# It is there, or not, or not yet known to be neither.
no_import() { hvcli image delete "${V}l"; hvcli image list >/dev/null && ! hvcli image show "${V}l"; }
wait_for "the image that was imported to be gone" no_import
must hvcli volume delete "$V"
must hvcli image delete "$V"
becomes "what is left" "" find /var/lib/hvd/images /var/lib/hvd/volumes -name "$V*"
