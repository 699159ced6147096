#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PSCI, interrupts and timers from the inside, by bare-metal payloads; SYSTEM_RESET and on_reboot; timers
# of a VM that is paused.
. "${0%/*}/vm.sh"

for n in 1 2 3 4 5 6 7 8; do
	payload_passes psci "{\"vcpus\": $n}"
done
payload_passes gic
payload_passes gic '{"vcpus": 8}'
payload_passes gic-state '{"vcpus": 1}'
payload_passes gic-state '{"vcpus": 8}'
payload_passes its '{"vcpus": 8, "profile": "standard"}'
payload_passes timer '{"vcpus": 8}'

# SYSTEM_RESET and SYSTEM_RESET2, asked for on the console: the second banner is the evidence.
start_asking() {
	jq -n --arg image "$PAYLOADS/psci.Image" --arg reboot "$1" \
		'{name: "payload", vcpus: 2, memory: "64M", on_reboot: $reboot,
		  boot: {kernel: $image, cmdline: "ask"}}' >"$WORK/ask.json"
	[[ -p $WORK/keys ]] || mkfifo "$WORK/keys"
	: >"$WORK/ask.log"
	timeout "$LIMIT" "$(vmm)" --config "$WORK/ask.json" <"$WORK/keys" >"$WORK/ask.log" 2>&1 &
	VMM=$!
	exec {KEYS}>"$WORK/keys"
}
ready() { (($(grep -a -c '^READY' "$WORK/ask.log") >= $1)); }

start_asking restart
wait_for "the payload" ready 1
printf r >&"$KEYS"
wait_for "the second life" ready 2
printf s >&"$KEYS"
wait_for "the third life" ready 3
printf o >&"$KEYS"
wait "$VMM"
equal "hvd-vmm's status after SYSTEM_OFF" $? 0
equal "lives" "$(grep -a -c '^PAYLOAD psci' "$WORK/ask.log")" 3
grep -a -q '^FAIL' "$WORK/ask.log" && fail "a check failed after a reset"
exec {KEYS}>&-

start_asking stop
wait_for "the payload" ready 1
printf r >&"$KEYS"
wait "$VMM"
equal "hvd-vmm's status after SYSTEM_RESET with on_reboot=stop" $? 0
equal "lives with on_reboot=stop" "$(grep -a -c '^PAYLOAD psci' "$WORK/ask.log")" 1
exec {KEYS}>&-

# Timers that were armed before a pause, and the counter.
V=${P}timer
must hvcli vm create "$V" --kernel "$PAYLOADS/timer.Image" --cmdline ask --memory 64M --profile micro --start
console_open "$V"
console_wait "$V" '^READY'
must hvcli vm pause "$V"
sleep 2
must hvcli vm resume "$V"
console_type "$V" go
console_wait "$V" '^DONE timer: [0-9]+ ok, 0 failed'
ok "timers after a pause: $(console_last "$V" '^DONE timer: .*')"
console_close "$V"
