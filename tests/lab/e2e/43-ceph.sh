#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Disks in a Ceph cluster: what is told of a mistake, and, where the server has Ceph (lab up --flavour ceph), a guest
# on a cluster of one monitor and one OSD.
. "${0%/*}/vm.sh"
V=${P}ceph
SLICE=hvd-$V.slice
MON=10.99.43.1
OSD=10.99.43.2
command -v qemu-storage-daemon >/dev/null || skip "no qemu-storage-daemon"

unit_of() { echo "hvd-vm-$V.disk-$1.service"; }
daemon_pid() { systemctl show -P MainPID "$(unit_of "$1")"; }
new_daemon() { local pid; pid=$(daemon_pid "$1"); [[ $pid != 0 && $pid != "$2" ]]; }
is_off() { [[ $(systemctl show -P ActiveState "$(unit_of "$1")") == inactive ]]; }
has_size() { [[ $(guest "$V" 'cat /sys/block/vda/size') == "$1" ]]; }
has_disk() { guest "$V" "test -b /dev/$1"; }
sum() { guest "$V" "dd if=/dev/$1 bs=64k count=64 iflag=direct 2>/dev/null | md5sum"; }
fill() {
	guest "$V" "head -c 4194304 /dev/urandom | dd of=/dev/$1 bs=64k conv=fsync 2>/dev/null" >/dev/null ||
		fail "writing to $1"
}
nothing_left() {
	[[ -z $(systemctl list-units --all --no-legend "hvd-vm-$V*" "$SLICE") ]] &&
		[[ ! -e /sys/fs/cgroup/hvd.slice/$SLICE ]]
}
# refused WHAT REGEX DISK: a VM with the disk cannot be defined
refused() {
	local out
	out=$(hvcli vm create "$V" --kernel "$KERNEL" --disk "$3" 2>&1) && fail "$1 was taken"
	matches "$1" "$out" "$2"
}
# no_start WHAT REGEX DISK: it can, and does not start, and nothing stays of the try
no_start() {
	local out
	vm_create "$V" idle --disk "$3"
	out=$(hvcli vm start "$V" 2>&1) && fail "$1: it has started"
	matches "$1" "$out" "$2"
	must hvcli vm delete "$V"
	wait_for "nothing to be left" nothing_left
}

guest_files
echo AQACNAhrf9Y7MBAALtzhqRIQgegBBQ2gOxqIyw== >"$WORK/other.key"
refused "an image without its pool" "disks\[0\].ceph.rbd: must be POOL/IMAGE" "rbd=one,monitors=$MON"
refused "no monitor" "disks\[0\].ceph.monitors: are missing" "rbd=vms/one"
refused "a monitor's name" "monitors\[0\].address: must be an IPv4 or IPv6 address" "rbd=vms/one,monitors=localhost"
refused "a key that is not there" "disks\[0\].ceph.keyfile: $WORK/none: No such file" \
	"rbd=vms/one,monitors=$MON,user=hvd,keyfile=$WORK/none"
if [[ ! -e $(echo /usr/lib/*/qemu/block-rbd.so) ]]; then
	no_start "no driver" "disks\[0\].ceph: .*Debian's package qemu-block-extra" \
		"rbd=vms/one,monitors=$MON,user=hvd,keyfile=$WORK/other.key"
fi
command -v ceph-osd >/dev/null || exit 0

# --- a cluster: memory is what its OSD stores on
cluster_down() {
	local pid
	for pid in $(cat "$WORK"/run/*.pid 2>/dev/null); do
		kill -9 "$pid" 2>/dev/null
	done
	ip address delete "$MON/32" dev lo 2>/dev/null
	ip address delete "$OSD/32" dev lo 2>/dev/null
}
export CEPH_CONF=$WORK/ceph.conf
new_key() { must ceph-authtool "$WORK/keyring" --gen-key -n "$@"; }
cluster_up() {
	local fsid uuid
	fsid=$(uuidgen) uuid=$(uuidgen)
	trap 'cluster_down; finish' EXIT
	must ip address add "$MON/32" dev lo
	must ip address add "$OSD/32" dev lo
	mkdir "$WORK/run" "$WORK/mon" "$WORK/osd"
	cat >"$CEPH_CONF" <<-END
		[global]
		fsid = $fsid
		mon_host = [v2:$MON:3300,v1:$MON:6789]
		auth_cluster_required = cephx
		auth_service_required = cephx
		auth_client_required = cephx
		auth_allow_insecure_global_id_reclaim = false
		keyring = $WORK/keyring
		osd_pool_default_size = 1
		osd_pool_default_min_size = 1
		osd_pool_default_pg_num = 8
		mon_allow_pool_size_one = true
		mon_data_avail_crit = 1
		pid_file = $WORK/run/\$name.pid
		run_dir = $WORK/run
		log_file = $WORK/\$name.log
		[mon]
		mon_data = $WORK/mon
		public_addr = $MON
		[osd]
		osd_data = $WORK/osd
		osd_objectstore = memstore
		memstore_device_bytes = 268435456
		public_addr = $OSD
		cluster_addr = $OSD
	END
	must ceph-authtool --create-keyring "$WORK/keyring"
	new_key mon. --cap mon 'allow *'
	new_key client.admin --cap mon 'allow *' --cap osd 'allow *'
	new_key osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
	new_key client.hvd --cap mon 'profile rbd' --cap osd 'profile rbd pool=vms'
	(umask 077 && ceph-authtool -p -n client.hvd "$WORK/keyring" >"$WORK/key")
	must monmaptool --create --fsid "$fsid" --addv a "[v2:$MON:3300,v1:$MON:6789]" "$WORK/monmap"
	must ceph-mon --mkfs -i a --monmap "$WORK/monmap" --keyring "$WORK/keyring"
	must ceph-mon -i a
	printf '%s\n' "osd new $uuid" "osd pool create vms 8" "osd pool application enable vms rbd" |
		must ceph
	must ceph-osd -i 0 --mkfs --osd-uuid "$uuid"
	must ceph-osd -i 0
	must rbd create vms/one --size 16M
	must rbd namespace create vms/space
	must rbd create vms/space/two --size 8M
}
cluster_up
ok "a cluster is up"
CLUSTER=monitors=$MON,user=hvd,keyfile=$WORK/key
no_start "another's key" "disks\[0\].ceph: the Ceph cluster does not take the user or its key" \
	"rbd=vms/one,monitors=$MON,user=hvd,keyfile=$WORK/other.key"
no_start "an image that is not there" "disks\[0\].ceph: .*none: No such file" "rbd=vms/none,$CLUSTER"

vm_up "$V" idle --disk "rbd=vms/one,$CLUSTER,id=vda"
fill vda
A=$(sum vda)
equal "what went to the cluster" "$A" "$(rbd export --no-progress vms/one - 2>/dev/null | head -c 4194304 | md5sum)"
matches "loopback is denied" "$(systemctl show -P IPAddressDeny "$(unit_of vda)")" "127.0.0.0/8"

# --- a new size, while the guest runs
must hvcli vm set "$V" --disk "rbd=vms/one,$CLUSTER,id=vda,size=24M"
wait_for "the guest to see the new size" has_size 49152
guest "$V" 'dd if=/dev/zero of=/dev/vda bs=64k seek=320 count=16 oflag=direct 2>/dev/null' >/dev/null ||
	fail "the new part of the disk cannot be written"
ok "the disk has grown"

# --- a storage daemon that is killed: all that was acknowledged is in the cluster
pid=$(daemon_pid vda)
console_type "$V" '{ dd if=/dev/vda of=/dev/vda bs=64k count=64 conv=notrunc 2>/dev/null; echo "DD-KILL $?"; } &'
must kill -9 "$pid"
wait_for "a new storage daemon" new_daemon vda "$pid"
console_wait "$V" '^DD-KILL 0'
equal "the guest goes on" "$(sum vda)" "$A"

# --- attach and detach, in a namespace
must hvcli disk attach "$V" --rbd vms/space/two --monitor "$MON,port=3300" --user hvd --keyfile "$WORK/key" --id vdb
wait_for "the disk to come" has_disk vdb
fill vdb
equal "what went to the namespace" "$(sum vdb)" \
	"$(rbd export --no-progress vms/space/two - 2>/dev/null | head -c 4194304 | md5sum)"
must hvcli disk detach "$V" vdb
wait_for "its storage daemon to end" is_off vdb

vm_gone "$V"
wait_for "nothing to be left" nothing_left
ok "nothing is left"
