#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cloud image by stock UEFI, with ACPI and with a device tree: GRUB, Debian's kernel, cloud-init, a
# login, a disk that comes and goes, a watchdog that Debian's driver has started, the power button, and a boot
# entry that outlives all this and a reboot from inside.
. "${0%/*}/vm.sh"
LIMIT=${CLOUD_LIMIT:-800}
V=${P}cloud
D=$GUESTS/cloud
[[ -e $D/disk.img && -e $D/seed.img ]] || fail "no cloud image in $D"

# With the password that cloud-init has set. Then a shell without marks around what is typed, and without
# folding.
login() {
	console_prompt "$V" 'cloud-guest login: '
	console_type "$V" root
	console_prompt "$V" 'Password: '
	console_type "$V" from-cloud-init
	console_prompt "$V" 'root@cloud-guest:~# '
	console_type "$V" "bind 'set enable-bracketed-paste off'; stty cols 500; dmesg -n 1"
}

# What the guest knows its machine by: acpi or fdt.
tables() {
	guest "$V" 'test -e /sys/firmware/acpi/tables/DSDT && echo acpi; test -e /proc/device-tree/psci && echo fdt'
}

cp --sparse=always "$D/disk.img" "$WORK/disk.img"
must hvcli vm create "$V" --firmware auto --memory 768M --vcpus 2 --disk "$WORK/disk.img" \
	--disk "$D/seed.img,read_only" --nic network=default --watchdog pause --start
console_open "$V"
console_wait "$V" 'cloud-init has finished on this instance'
login
ok "cloud-init has set the host name and the password of one that logs in"
equal "tables" "$(tables)" acpi
guest "$V" 'id admin' >/dev/null || fail "no user of cloud-init's"
ok "a user of cloud-init's"
equal "root" "$(guest "$V" 'findmnt -n -o SOURCE,FSTYPE /' | xargs)" "/dev/vda2 ext4"

truncate -s 8M "$WORK/more.img"
must hvcli disk attach "$V" "$WORK/more.img"
wait_for "the disk" guest "$V" 'test -e /sys/block/vdc'
must hvcli disk detach "$V" vdc
wait_for "the disk to go" guest "$V" '! test -e /sys/block/vdc'
ok "a disk attached and detached"

# A boot entry, which firmware takes first from then on.
out=$(guest "$V" "efibootmgr -c -d /dev/vda -p 1 -L lab-entry -l '\\EFI\\BOOT\\BOOTAA64.EFI'") ||
	fail "efibootmgr: $out"
[[ $out =~ Boot([0-9A-F]{4})\*\ lab-entry ]] || fail "efibootmgr: $out"
entry=${BASH_REMATCH[1]}

# Started by one byte and not fed: systemd has no part in it.
equal "watchdog" "$(guest "$V" 'cat /sys/class/watchdog/watchdog0/identity')" "SBSA Generic Watchdog"
console_type "$V" 'echo > /dev/watchdog'
vm_wait "$V" paused
matches "says why" "$(vm_json "$V" | jq -r .status.reason)" 'did not keep its watchdog quiet'
must hvcli vm resume "$V"
guest "$V" true || fail "the guest does not go on"
ok "the guest goes on"
console_close "$V"
must hvcli vm shutdown "$V"
vm_wait "$V" shutoff
equal "reason after the power button" "$(vm_json "$V" | jq -r .status.reason)" "guest shut down"

# In another process, with a device tree.
must hvcli vm set "$V" --no-acpi
must hvcli vm start "$V"
console_open "$V"
login
equal "tables" "$(tables)" fdt
matches "booted by the entry that the guest has made" "$(guest "$V" efibootmgr)" "BootCurrent: $entry"
pid=$(vm_pid "$V")
console_type "$V" reboot
again() { (($(console_count "$V" 'Booting .Debian') >= 2)); }
wait_for "GRUB after a reboot from inside" again
equal "boots by the entry" "$(console_count "$V" "BdsDxe: starting Boot$entry \"lab-entry\"")" 2
equal "process" "$(vm_pid "$V")" "$pid"
console_close "$V"
vm_gone "$V"
[[ ! -e /var/lib/hvd/nvram/$V.fd ]] || fail "the store of variables stays behind"
