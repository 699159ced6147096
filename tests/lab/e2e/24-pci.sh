#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PCI Express: registers, MSI-X and LPIs from the inside; a guest's disk and NIC on it; the profile micro.
. "${0%/*}/vm.sh"
V=${P}pci

payload_passes pci '{"profile": "standard"}'
payload_passes pci '{"profile": "standard", "memory": "2G", "hotplug_ports": 16, "vcpus": 1}'
payload_passes virtio-states '{"profile": "standard", "vcpus": 1}'
payload_passes hostile '{"profile": "standard"}'

# What is where: class, and the address that a name is made from.
pci() { guest "$V" "cat /sys/bus/pci/devices/$1/class"; }
truncate -s 16M "$WORK/a.img" "$WORK/b.img"
vm_up "$V" net --disk "$WORK/a.img" --disk "$WORK/b.img" --nic network=default --virtio-console
equal "host bridge" "$(pci 0000:00:00.0)" 0x060000
equal "console" "$(pci 0000:00:01.0)" 0x078000
equal "entropy" "$(pci 0000:00:02.0)" 0x00ff00
equal "port of the first disk" "$(pci 0000:00:10.0)" 0x060400
equal "port of the second disk" "$(pci 0000:00:10.1)" 0x060400
equal "port of the NIC" "$(pci 0000:00:12.0)" 0x060400
behind() { guest "$V" "cat /sys/bus/pci/devices/0000:00:$1/0000:??:00.0/device"; }
equal "behind the first disk's port" "$(behind 10.0)" 0x1042
equal "behind the second disk's port" "$(behind 10.1)" 0x1042
equal "behind the NIC's port" "$(behind 12.0)" 0x1041
equal "spare ports" "$(guest "$V" 'ls -1d /sys/bus/pci/devices/0000:00:13.*' | wc -l)" 4
interrupts=$(guest "$V" 'cat /proc/interrupts')
matches "interrupts of the disk" "$interrupts" 'ITS-PCI-MSIX-[^ ]* +[0-9]+ Edge +virtio[0-9]+-req'
matches "interrupts of the NIC" "$interrupts" 'ITS-PCI-MSIX-[^ ]* +[0-9]+ Edge +virtio[0-9]+-input'
equal "virtio-mmio" "$(guest "$V" 'ls -d /sys/bus/platform/devices/*.virtio_mmio' 2>/dev/null | grep -c '^/')" 0
lease=$(console_last "$V" 'GUEST-NET [0-9.]+')
wait_for "an answer from ${lease#GUEST-NET }" ping -c 1 -W 10 "${lease#GUEST-NET }"
ok "ping to the guest"

# 4000 requests one by one; each would be an exit if a kick were. What the console takes is some hundred.
exits() { cat /sys/kernel/debug/kvm/"$(vm_pid "$V")"-*/mmio_exit_user; }
READ='dd if=/dev/vda of=/dev/null bs=4k count=4000 iflag=direct 2>/dev/null'
if [[ -n $(exits 2>/dev/null) ]]; then
	before=$(exits)
	guest "$V" "$READ" || fail "the guest cannot read its disk"
	n=$(($(exits) - before))
	((n < 2000)) || fail "$n exits to user space for 4000 requests"
	ok "$n exits to user space for 4000 requests and the console"
else
	say "no KVM statistics in debugfs: exits not counted"
fi
vm_gone "$V"

# A NIC more moves no disk; a disk more moves no other.
V=${P}more
vm_up "$V" idle --disk "$WORK/a.img" --nic network=default --nic network=default --hotplug-ports 0
equal "behind the first disk's port" "$(behind 10.0)" 0x1042
equal "behind the second NIC's port" "$(behind 12.1)" 0x1041
equal "spare ports" "$(guest "$V" 'ls -d /sys/bus/pci/devices/0000:00:13.*' 2>/dev/null | grep -c '^/')" 0
vm_gone "$V"

V=${P}micro
vm_up "$V" net --profile micro --disk "$WORK/a.img" --nic network=default
equal "no PCI" "$(guest "$V" 'ls /sys/bus/pci/devices' | wc -l)" 0
equal "virtio-mmio" "$(guest "$V" 'ls -d /sys/bus/platform/devices/*.virtio_mmio' | wc -l)" 3
equal "the disk" "$(guest "$V" 'cat /sys/block/vda/size')" 32768
lease=$(console_last "$V" 'GUEST-NET [0-9.]+')
wait_for "an answer from ${lease#GUEST-NET }" ping -c 1 -W 10 "${lease#GUEST-NET }"
ok "ping to the guest of profile micro"
vm_gone "$V"
