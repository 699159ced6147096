#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# create, start, pause, resume, reset, reboot by the guest, stop, delete; states, XML, edit.
. "${0%/*}/vm.sh"
V=${P}life

vm_create "$V" counter --vcpus 2
equal "state after create" "$(vm_state "$V")" shutoff
[[ -e /var/lib/hvd/vms/$V.xml ]] || fail "no definition: $(ls -R /var/lib/hvd)"
ok "kept in /var/lib/hvd/vms/$V.xml"
hvcli vm list | grep -q "$V.*shutoff" || fail "not in the list"
must hvcli vm start "$V" --wait
equal "state after start" "$(vm_state "$V")" running
console_open "$V"
console_wait "$V" '^GUEST-UP cpus=2'
ok "the guest is up with 2 CPUs"
equal "pid" "$(vm_json "$V" | jq .status.pid)" "$(vm_pid "$V")"
equal "unit" "$(vm_json "$V" | jq -r .status.unit)" "$(vm_unit "$V")"

counts() { console_count "$V" '^COUNT'; }
advances() { (($(counts) > $1)); }
console_wait "$V" '^COUNT 3'

must hvcli vm pause "$V"
equal "state after pause" "$(vm_state "$V")" paused
# For many times the guest's period it leaves the guest for nothing. (What it wrote before may still be on its way.)
exits=$(vm_metrics "$V" '[.vcpus[].exits]')
sleep 3
equal "exits of its vCPUs while paused" "$(vm_metrics "$V" '[.vcpus[].exits]')" "$exits"
before=$(counts)
uptime_before=$(console_last "$V" '^COUNT [0-9]+')
must hvcli vm resume "$V"
equal "state after resume" "$(vm_state "$V")" running
wait_for "the guest to go on" advances "$before"
# It went on where it was: the next number is the next number.
next=$((${uptime_before#COUNT } + 1))
console_wait "$V" "^COUNT $next\$"
ok "the guest goes on where it was"

boots() { console_count "$V" '^GUEST-UP'; }
more_boots() { (($(boots) > $1)); }
n=$(boots) pid=$(vm_pid "$V")
must hvcli vm reset "$V"
wait_for "another boot after reset" more_boots "$n"
equal "same process after reset" "$(vm_pid "$V")" "$pid"
equal "state after reset" "$(vm_state "$V")" running
n=$(boots)
console_type "$V" 'reboot -f'
wait_for "another boot after the guest's reboot" more_boots "$n"
ok "the guest can reboot itself"

must hvcli vm stop "$V" --wait
equal "state after stop" "$(vm_state "$V")" shutoff
console_close "$V"
must hvcli vm start "$V" --wait
console_open "$V"
console_wait "$V" '^GUEST-UP'
equal "boots after stop and start" "$(boots)" 1
console_type "$V" 'poweroff -f'
vm_wait "$V" shutoff
ok "the guest can power itself off"

must hvcli vm set "$V" --vcpus 1 --memory 192M
equal "changed while off" "$(vm_json "$V" | jq -c '[.spec.vcpus, .spec.memory]')" '[1,201326592]'
(($(vm_json "$V" | jq .status.generation) >= 2)) || fail "the generation does not count"
must hvcli vm delete "$V"
hvcli vm show "$V" >/dev/null 2>&1
equal "exit status of show after delete" $? 3
[[ ! -e /var/lib/hvd/vms/$V.xml ]] || fail "the definition is still there"

# on_reboot=stop, and out and in again as XML.
vm_create "$V" reboot --on-reboot stop
must hvcli vm xml "$V" >/dev/null
hvcli vm xml "$V" >"$WORK/$V.xml"
vm_json "$V" | jq -S .spec >"$WORK/before"
must hvcli vm delete "$V"
must hvcli vm define "$WORK/$V.xml"
vm_json "$V" | jq -S .spec >"$WORK/after"
cmp -s "$WORK/before" "$WORK/after" || fail "XML round trip: $(diff "$WORK/before" "$WORK/after")"
ok "XML round trip"
must hvcli vm start "$V"
console_open "$V"
console_wait "$V" '^GUEST-UP'
console_type "$V" 'reboot -f'
vm_wait "$V" shutoff
ok "on_reboot=stop"

must hvcli vm create "${V}3" --kernel "$KERNEL" --initrd "$INITRD" --memory 128M \
	--cmdline 'console=ttyAMA0 quiet do=off' --start
vm_wait "${V}3" shutoff
ok "a guest that powers off at once"
