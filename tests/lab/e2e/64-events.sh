#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Events: a VM's life read afterwards, as a list, as a stream, over D-Bus, and over a restart of hvd.
. "${0%/*}/vm.sh"
V=${P}events
SOCKET=/run/hvd/hvd.sock

# A VM of this name may have been here before.
SINCE=$(hvcli events -o name --limit 1)
events() { hvcli events -o json --limit 4096 --vm "$V" --since "${1:-$SINCE}"; }
stream() {
	rm -f "$WORK/stream"
	curl -s -N --unix-socket $SOCKET -H 'Accept: text/event-stream' "$@" >"$WORK/stream" &
	CHILDREN+=($!)
	wait_for "the stream" test -s "$WORK/stream"
}
streamed() { grep -q -- "$1" "$WORK/stream"; }

busctl --system monitor --match "type='signal',interface='org.hvd1.Manager',member='Event'" \
	>"$WORK/bus.log" 2>&1 &
CHILDREN+=($!)
wait_for "busctl monitor" grep -q Monitoring "$WORK/bus.log"
stream "http://hvd/v1/events?vm=$V"
hvcli events --follow --vm "$V" --since "$SINCE" >"$WORK/follow" &
CHILDREN+=($!)
vm_create "$V" idle
must hvcli vm start "$V" --wait
must hvcli vm pause "$V"
hvcli vm pause "$V" >/dev/null 2>&1 && fail "paused twice"
wait_for "the pause on the stream" streamed '"state":"paused"'
wait_for "the pause in hvcli events --follow" grep -q 'vm.pause succeeded by root (rest)' "$WORK/follow"
ok "events as they happen"

states() { events | jq -r 'select(.type == "state").state' | paste -sd' '; }
becomes "states" 'starting running paused' states
who_did_what() {
	events | jq -r 'select(.type == "operation" and .outcome != "running") |
		"\(.operation) \(.outcome) \(.by.uid) \(.by.front)"' | paste -sd,
}
becomes "who did what" \
	'vm.create succeeded 0 rest,vm.start succeeded 0 rest,vm.pause succeeded 0 rest,vm.pause failed 0 rest' who_did_what
matches "why it failed" "$(events | jq -r 'select(.outcome == "failed") | .code + ": " + .detail')" \
	"^conflict: VM $V is paused"
last=$(events | jq .seq | tail -n 1)
equal "nothing is after the last" "$(events "$last")" ""

# hvd goes and comes: the past is there, numbers go on, a reader catches up.
id=$(grep '^id: ' "$WORK/stream" | tail -n 1 | cut -d' ' -f2)
must systemctl restart hvd
wait_for "hvd" hvcli host
must hvcli vm resume "$V"
becomes "states over a restart" 'starting running paused paused running' states # the second one is what hvd has found
(($(events | jq .seq | tail -n 1) > last)) || fail "numbers do not grow over a restart"
stream -H "Last-Event-ID: $id" "http://hvd/v1/events?vm=$V"
wait_for "what was missed" streamed '"state":"running"'
streamed '"state":"starting"' && fail "what was seen is sent again"
ok "a reader that comes back gets what it has missed"

wait_for "D-Bus signals" grep -q "$V" "$WORK/bus.log"
ok "the same events are signals"
journal() { journalctl -q -o json --since "$START_TIME" "HVD_VM=$V" "HVD_SEQ=$1" | jq -r .HVD_EVENT; }
becomes "event $last in the journal" operation journal "$last"
ok "the same numbers are in the journal"
vm_gone "$V"
last_types() { events | jq -r .type | tail -n 2 | paste -sd' '; }
becomes "the end" 'removed operation' last_types
