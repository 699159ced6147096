#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A guest that has panicked, and one that is stuck: what is done about it, and who is told.
#
# Debian's kernels for arm64 have no driver for pvpanic: the guest's shell writes to its register.
. "${0%/*}/vm.sh"

reason() { vm_json "$1" | jq -r .status.reason; }
has_reason() { [[ $(reason "$1") =~ $2 ]]; }
boots() { console_count "$1" '^GUEST-UP'; }
more_boots() { (($(boots "$1") > $2)); }

# Where the guest's kernel has the register, on PCI and from the device tree.
pci_register() {
	guest "$1" 'cd /sys/bus/pci/devices/0000:00:0f.0 && echo 1 >enable && head -n 1 resource' | cut -d ' ' -f 1
}
mmio_register() {
	guest "$1" 'echo /sys/bus/platform/devices/*.pvpanic' | sed 's,.*/\(.*\)\.pvpanic,0x\1,'
}

# tell NAME EVENTS: what a driver does. There may be no answer.
tell() { console_type "$1" "devmem $REGISTER 8 $2"; }

# On PCI, and paused.
V=${P}pci
vm_up "$V" idle --pvpanic
equal "vendor and device" "$(guest "$V" 'cd /sys/bus/pci/devices/0000:00:0f.0; echo $(cat vendor device)')" \
	"0x1b36 0x0011"
REGISTER=$(pci_register "$V")
equal "events that the host takes" "$(guest "$V" "devmem $REGISTER 8")" 0x03
n=$(boots "$V")
console_type "$V" "devmem $REGISTER 8 1; reboot -f"
vm_wait "$V" paused
matches "says why" "$(reason "$V")" '^the guest panicked'
matches "a person sees it" "$(hvcli vm show "$V")" 'the guest panicked'
matches "D-Bus has it" "$(busctl get-property org.hvd1 "/org/hvd1/vm/$V" org.hvd1.VM Reason)" 'the guest panicked'
wait_for "the journal to have it" in_journal 'the guest panicked' HVD_VM="$V" HVD_STATE=paused
must systemctl restart hvd
vm_wait "$V" paused
matches "says why after a restart of hvd" "$(reason "$V")" '^the guest panicked'
console_close "$V"
console_open "$V"
console_wait "$V" '^GUEST-UP'
ok "its console can be read"
equal "its own reboot has not been done" "$(boots "$V")" "$n"
must hvcli vm reset "$V"
must hvcli vm resume "$V"
wait_for "another boot" more_boots "$V" "$n"
equal "says nothing any more" "$(reason "$V")" null
# One that writes a dump is left alone.
REGISTER=$(pci_register "$V")
tell "$V" 2
wait_for "the remark" has_reason "$V" 'writes a crash dump'
equal "state of a guest that writes a dump" "$(vm_state "$V")" running
console_close "$V"
vm_gone "$V"

# On MMIO, and restarted.
V=${P}mmio
vm_up "$V" idle --pvpanic --profile micro --on-crash restart
REGISTER=$(mmio_register "$V")
n=$(boots "$V")
tell "$V" 1
wait_for "another boot" more_boots "$V" "$n"
equal "state after a restart" "$(vm_state "$V")" running
wait_for "the reason" has_reason "$V" 'panicked and was reset'
console_close "$V"
vm_gone "$V"

# Stopped, in the absence of hvd: a word on its disk tells the guest when.
V=${P}stop
truncate -s 1M "$WORK/word"
vm_up "$V" idle --pvpanic --profile micro --on-crash stop --disk "$WORK/word"
REGISTER=$(mmio_register "$V")
guest "$V" "until dd if=/dev/vda bs=512 count=1 iflag=direct 2>/dev/null | grep -q now; do sleep 0.2; done && devmem $REGISTER 8 1 & true"
must systemctl stop hvd.socket hvd.service
printf now | dd of="$WORK/word" conv=notrunc status=none
ended() { ! systemctl -q is-active "$(vm_unit "$V")"; }
wait_for "the end of its process" ended
must systemctl start hvd.socket hvd.service
vm_wait "$V" failed
equal "says why" "$(reason "$V")" "the guest panicked (on_crash is stop)"
must hvcli vm delete "$V"

# stuck NAME: the guest starts its watchdog and does not keep it quiet.
stuck() {
	[[ $(guest "$1" 'cat /sys/class/watchdog/watchdog0/identity') == "SBSA Generic Watchdog" ]] ||
		fail "no watchdog: $(guest "$1" 'ls /sys/class/watchdog /sys/bus/platform/devices')"
	console_type "$1" 'watchdog -T 1 -t 1000 /dev/watchdog'
}

V=${P}reset
vm_up "$V" idle --watchdog reset
n=$(boots "$V")
stuck "$V"
wait_for "another boot" more_boots "$V" "$n"
equal "state after the watchdog's reset" "$(vm_state "$V")" running
wait_for "the reason" has_reason "$V" 'watchdog.* was reset'
console_close "$V"
vm_gone "$V"

# The settings as libvirt has them. (What else a watchdog may do, tests/unit/test-vmm.c has on KVM.)
V=${P}xml
must hvcli vm create "$V" --kernel "$KERNEL" --watchdog stop
matches "XML" "$(hvcli vm xml "$V")" "<watchdog model=\"sbsa\" action=\"poweroff\"/>"
must hvcli vm set "$V" --watchdog off --pvpanic
[[ $(hvcli vm xml "$V") != *watchdog* ]] || fail "XML has a watchdog that is off"
matches "XML" "$(hvcli vm xml "$V")" '<panic model="pvpanic"/>'
must hvcli vm delete "$V"
