#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# systemd-machined knows the VMs; what ends one there ends it here.
. "${0%/*}/vm.sh"
V=${P}machine
TAP=${P}tap

must ip tuntap add dev "$TAP" mode tap vnet_hdr
must ip link set "$TAP" up
trap 'rc=$?; ip link del "$TAP" 2>/dev/null; (exit "$rc"); finish' EXIT
vm_up "$V" idle --nic "tap=$TAP"

machine() { machinectl show "$V" -p "$1" --value; }
known() { machinectl show "$V"; }
wait_for "machined to know it" known
equal "machinectl" "$(machine Class),$(machine Unit),$(machine Leader),$(machine Service)" \
	"vm,$(vm_unit "$V"),$(vm_pid "$V"),hvd"
bus=org.freedesktop.machine1
path=$(busctl call $bus /org/freedesktop/machine1 $bus.Manager GetMachine s "$V" | cut -d'"' -f2)
equal "its interface" "$(busctl get-property $bus "$path" $bus.Machine NetworkInterfaces)" \
	"ai 1 $(cat "/sys/class/net/$TAP/ifindex")"
matches "machinectl list" "$(machinectl --no-pager list)" "$V +vm +hvd"
matches "machinectl status" "$(machinectl --no-pager status "$V")" "Unit: $(vm_unit "$V")"

# What machined has forgotten, a new hvd tells it again.
must systemctl restart systemd-machined hvd
wait_for "machined to know it after a restart of both" known
console_close "$V"
must machinectl terminate "$V"
vm_wait "$V" shutoff
forgotten() { ! known; }
wait_for "machined to forget it" forgotten
ok "machinectl terminate"
must hvcli vm delete "$V"
