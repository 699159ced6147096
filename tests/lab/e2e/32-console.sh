#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The console: scrollback, many readers, one writer, hvc0, and hvd-vmm on a terminal.
. "${0%/*}/vm.sh"
V=${P}con

vm_up "$V" idle --virtio-console
equal "typing and reading" "$(guest "$V" 'echo $((6 * 7))')" 42

# A reader that comes late gets the scrollback; the writer goes on.
timeout "$LIMIT" hvcli vm console "$V" --read-only </dev/null >"$WORK/reader.log" 2>&1 &
CHILDREN+=($!)
in_reader() { grep -a -q "$1" "$WORK/reader.log"; }
wait_for "scrollback for a reader" in_reader GUEST-UP
guest "$V" 'echo for-both' >/dev/null
wait_for "the reader to see what comes" in_reader for-both
ok "scrollback and a second reader"

rc=0
out=$(timeout "$LIMIT" hvcli vm console "$V" </dev/null 2>&1) || rc=$?
equal "a second writer: exit status" "$rc" 4
matches "a second writer: message" "$out" 'keyboard|writer|typ|--read-only'
console_close "$V"
console_open "$V"
equal "the next writer" "$(guest "$V" 'echo $((6 * 8))')" 48
ok "one writer at a time"

# Somebody who comes when all is quiet reads the same as who was there, to the last byte.
guest "$V" 'seq 1 300' >/dev/null
hvcli vm console "$V" --read-only </dev/null >"$WORK/late.log" 2>/dev/null &
LATE=$!
CHILDREN+=("$LATE")
same() { cmp -s "$WORK/late.log" "$WORK/$V.console"; }
wait_for "scrollback as it was seen" same
kill "$LATE"
ok "scrollback of $(stat -c %s "$WORK/late.log") bytes"

equal "hvc0" "$(guest "$V" 'ls /dev/hvc0')" /dev/hvc0

# Its size, which a reset does not change. Linux tells the terminal of it some time after it has been opened.
has_size() { [[ $(guest "$V" '{ sleep 1; stty size; } </dev/hvc0') == "$1" ]]; }
must hvcli vm resize-console "$V" --columns 132 --rows 43
wait_for "the guest to see the size" has_size "43 132"
rest_is 422 POST "/v1/vms/$V/actions/resize-console" '{"columns": 65536, "rows": 43}'
more_boots() { (($(console_count "$V" '^GUEST-UP') > $1)); }
n=$(console_count "$V" '^GUEST-UP')
must hvcli vm reset "$V"
wait_for "another boot" more_boots "$n"
wait_for "the size after a reset" has_size "43 132"

# hvcli tells the guest the size of the terminal that it is on; ^] leaves. (Status 4: the keyboard is not free yet.)
console_close "$V"
mkfifo "$WORK/cli.keys"
script -q -e -f -c "stty cols 77 rows 22; until hvcli vm console $V; do [ \$? = 4 ] || exit; sleep 0.3; done" \
	"$WORK/cli.log" <"$WORK/cli.keys" >/dev/null 2>&1 &
CLI=$!
CHILDREN+=("$CLI")
exec {KEYS}>"$WORK/cli.keys"
size_in_cli() {
	printf '{ sleep 1; stty size; } </dev/hvc0\n' >&"$KEYS"
	sleep 2
	tr -d '\r' <"$WORK/cli.log" | grep -a -q '^22 77'
}
wait_for "the size of hvcli's terminal" size_in_cli
printf '\035' >&"$KEYS"
wait "$CLI"
equal "hvcli's status after ^]" $? 0
exec {KEYS}>&-
console_open "$V"
console_wait "$V" '^GUEST-UP'

# The keyboard follows the guest: once it has written to hvc0, what is typed is read there.
said='echo through-"hvc0" >/dev/hvc0'
console_type "$V" "exec 3</dev/hvc0; (head -n 1 <&3 | sed s/^/hvc0-got-/ >/dev/ttyAMA0; poweroff -f) & $said"
console_wait "$V" through-hvc0
ok "the virtio console writes to the same stream"
console_type "$V" hello
console_wait "$V" hvc0-got-hello
ok "and reads what is typed"
vm_wait "$V" shutoff

# hvd-vmm on a terminal: ^A x leaves.
jq -n --arg k "$KERNEL" --arg i "$INITRD" '{name: "tty", memory: "128M",
	boot: {kernel: $k, initrd: $i, cmdline: "console=ttyAMA0 quiet do=idle"}}' >"$WORK/tty.json"
mkfifo "$WORK/tty.keys"
script -q -e -f -c "$(vmm) --config $WORK/tty.json" "$WORK/tty.log" <"$WORK/tty.keys" >/dev/null 2>&1 &
pid=$!
CHILDREN+=("$pid")
exec {KEYS}>"$WORK/tty.keys"
in_tty() { tr -d '\r' <"$WORK/tty.log" | grep -a -q "$1"; }
wait_for "the guest on the terminal" in_tty '^GUEST-UP'
printf 'echo $((7 * 7))\n' >&"$KEYS"
wait_for "what was typed" in_tty '^49'
printf '\001x' >&"$KEYS"
gone() { ! kill -0 "$pid"; }
wait_for "^A x to leave" gone
ok "^A x leaves hvd-vmm on a terminal"
exec {KEYS}>&-
