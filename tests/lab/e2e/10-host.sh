#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The host as hvd sees it: VHE, by every front end.
. "${0%/*}/vm.sh"

host=$(hvcli host -o json) || fail "hvcli host: $host"
get() { jq -r ".$1" <<<"$host"; }

equal "mode" "$(get virt_mode)" vhe
dmesg | grep -q 'VHE mode initialized' || fail "and the kernel does not say so"
equal "architecture" "$(get arch)" aarch64
equal "kernel" "$(get kernel)" "$(uname -r)"
equal "CPUs" "$(get cpus)" "$(nproc --all)"
equal "GICv3" "$(get gicv3)" true
equal "ITS" "$(get its)" true
(($(get max_vcpus) >= 8)) || fail "max_vcpus $(get max_vcpus)"
(($(get ipa_bits) >= 40)) || fail "ipa_bits $(get ipa_bits)"
total=$(awk '/MemTotal/ { printf "%d", $2 * 1024 }' /proc/meminfo)
(($(get memory) >= total)) || fail "memory $(get memory), MemTotal is $total"
ok "limits"

hvcli host | grep -q vhe || fail "hvcli host (table) does not say vhe"
ok "hvcli host says vhe"
rest_is 200 GET /v1/host
equal "REST" "$(jq -r .virt_mode <<<"$REPLY")" vhe
busctl --json=short call org.hvd1 /org/hvd1 org.hvd1.Manager GetHost >"$WORK/host.log" ||
	fail "D-Bus GetHost"
grep -q '"vhe"' "$WORK/host.log" || fail "D-Bus GetHost does not say vhe: $(cat "$WORK/host.log")"
ok "D-Bus"
