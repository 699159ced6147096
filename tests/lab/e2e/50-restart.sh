#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Guests do not notice a restart or a death of hvd, and a new hvd adopts them.
. "${0%/*}/vm.sh"
V=${P}run
W=${P}paused

vm_up "$V" counter --nic network=default
vm_up "$W" counter
must hvcli vm pause "$W"
console_close "$W" 2>/dev/null
vm_create "${P}off"
pid=$(vm_pid "$V")

active() { systemctl -q is-active hvd && hvcli vm list; }
count() { console_last "$1" '^COUNT [0-9]+$' | tr -dc 0-9; }
beyond() { (($(count "$1") > $2)); }

# adopted HOW: all is as it was, and the VMs obey.
adopted() {
	wait_for "hvd after $1" active
	equal "$1: state" "$(vm_state "$V")" running
	equal "$1: state of the paused one" "$(vm_state "$W")" paused
	equal "$1: state of the one that is off" "$(vm_state "${P}off")" shutoff
	equal "$1: same process" "$(vm_pid "$V")" "$pid"
	equal "$1: pid in the status" "$(vm_json "$V" | jq .status.pid)" "$pid"
	console_open "$V"
	wait_for "the guest to go on after $1" beyond "$V" "$2"
	equal "$1: boots of the guest" "$(console_count "$V" '^GUEST-UP')" 1
	ok "$1: the guest went on ($2, now $(count "$V"))"
	must hvcli vm pause "$V"
	equal "$1: pause" "$(vm_state "$V")" paused
	must hvcli vm resume "$V"
	wait_for "the guest to go on after resume" beyond "$V" "$(count "$V")"
	ok "$1: pause and resume"
	equal "$1: typing" "$(guest "$V" 'echo $((6 * 7))' | grep -v COUNT)" 42
	must hvcli vm set "$V" --cpu-weight "$3"
	equal "$1: limits" "$(systemctl show -P CPUWeight "$(vm_unit "$V")")" "$3"
	equal "$1: two VMs run" "$(hvcli host -o json | jq .vms_running)" 2
}

# Somebody who watches the console sees each line once, whatever becomes of hvd.
hvcli vm console "$V" --read-only </dev/null >"$WORK/watch.log" 2>"$WORK/watch.err" &
CHILDREN+=($!)
WATCHER=$!
seen() { whole_lines "$WORK/watch.log" | grep -a -E '^COUNT [0-9]+$'; }
watched() { seen | tail -n 1 | tr -dc 0-9; }
watched_beyond() { (($(watched) > $1)); }
watcher_goes_on() {
	wait_for "the watcher to go on after $1" watched_beyond "$(count "$V")"
	equal "$1: lines seen twice" "$(seen | sort | uniq -d | wc -l)" 0
	matches "$1: the watcher is told" "$(cat "$WORK/watch.err")" 'Connection lost, reconnect'
}

# No guest clock stands still while there is no hvd: the bridge's NIC keeps it reachable, too.
last=$(count "$V")
console_close "$V"
must systemctl restart hvd
adopted "systemctl restart" "$last" 201
watcher_goes_on "systemctl restart"

last=$(count "$V")
console_close "$V"
main=$(systemctl show -P MainPID hvd)
kill -KILL "$main"
other() { local p; p=$(systemctl show -P MainPID hvd); ((p != 0 && p != main)) || { systemctl -q is-active hvd.socket && hvcli vm list; }; }
wait_for "systemd to start hvd again" other
adopted "kill -9" "$last" 202

# Nobody connects while there is no hvd.
console_close "$V"
kill "$WATCHER"
must systemctl stop hvd.socket hvd.service
kill -0 "$pid" || fail "hvd-vmm ended with hvd"
# A VM that ends while there is no hvd is known to be off when hvd is back.
kill -KILL "$(vm_pid "$W")"
must systemctl start hvd.socket hvd.service
wait_for "hvd after stop and start" active
died() { [[ $(vm_state "$W") =~ ^(failed|shutoff)$ ]]; }
wait_for "the end of the VM that died meanwhile" died
equal "the other" "$(vm_state "$V")" running
vm_gone "$V"
