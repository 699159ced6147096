#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A guest that breaks every rule of its rings; with hvd's limits and sandbox around it, and without.
. "${0%/*}/vm.sh"
V=${P}hostile

ip tuntap add dev "$V" mode tap || skip "no tap: $(uname -r)"
ip link set "$V" up
trap 'rc=$?; ip link del "$V" 2>/dev/null; (exit "$rc"); finish' EXIT

payload_passes hostile '{"nics": [{"tap": "'"$V"'"}]}'
# One line a broken device, but not one a bad ring.
lines=$(grep -a -c -i 'reset\|broke' "$WORK/hostile.log")
say "lines of log and console about it: $lines"

# The same as a VM of hvd: its seccomp filter must not mind either.
truncate -s 1M "$WORK/disk2"
must hvcli vm create "$V" --kernel "$PAYLOADS/hostile.Image" --memory 128M --vcpus 2 --profile micro \
	--disk "$WORK/disk2" --nic network=default --virtio-console --cmdline ask --start
console_open "$V"
console_wait "$V" '^READY'
console_type "$V" go
console_wait "$V" '^DONE hostile'
console_has "$V" '^DONE hostile: [0-9]+ ok, 0 failed' ||
	fail "$(grep -a '^FAIL' "$WORK/$V.console")"
vm_wait "$V" shutoff
ok "hostile payload as a VM of hvd"
n=$(journalctl --no-pager -q --since "$START_TIME" "HVD_VM=$V" | wc -l)
((n < 200)) || fail "a hostile guest wrote $n lines into the journal"
ok "$n lines in the journal"
