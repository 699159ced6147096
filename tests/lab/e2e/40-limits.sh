#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Limits change while the guest runs: by hvcli, REST and D-Bus; systemd and the cgroup confirm.
. "${0%/*}/vm.sh"
V=${P}limits
R=${P}entropy
U=$(vm_unit "$V")

vm_up "$V" counter --cpu-weight 50
C=$(vm_cgroup "$V")
prop() { systemctl show -P "$1" "$U"; }
file() { cat "$C/$1" 2>&1; }
cgroup_is() { [[ $(file "$1") == "$2" ]]; }

# limit WHAT PROPERTY VALUE FILE VALUE
limit() {
	equal "$1: $2" "$(prop "$2")" "$3"
	[[ -e $C/$4 ]] || { say "no $4 in this kernel's cgroup"; return; }
	wait_for "$4 to be $5 (is $(file "$4"))" cgroup_is "$4" "$5"
	ok "$1: $4 is $5"
}

limit "from the start" CPUWeight 50 cpu.weight 50
must hvcli vm set "$V" --cpu-weight 250
limit "hvcli" CPUWeight 250 cpu.weight 250
must hvcli vm set "$V" --cpu-quota 75
limit "hvcli" CPUQuotaPerSecUSec 750ms cpu.max "75000 100000"
must hvcli vm set "$V" --cpuset 1
limit "hvcli" AllowedCPUs 1 cpuset.cpus 1
must hvcli vm set "$V" --memory-high 400M --memory-max 500M
limit "hvcli" MemoryHigh $((400 << 20)) memory.high $((400 << 20))
limit "hvcli" MemoryMax $((500 << 20)) memory.max $((500 << 20))
must hvcli vm set "$V" --io-weight 200
limit "hvcli" IOWeight 200 io.weight "default 200"

rest_is 200 PATCH "/v1/vms/$V" '{"resources": {"cpu_quota": 150, "memory_max": "600M"}}'
limit "REST" CPUQuotaPerSecUSec 1.500000s cpu.max "150000 100000"
limit "REST" MemoryMax $((600 << 20)) memory.max $((600 << 20))
limit "REST left the others" CPUWeight 250 cpu.weight 250
rest_is 200 PATCH "/v1/vms/$V" '{"resources": {"cpu_quota": null, "memory_high": null}}'
limit "REST, reset" CPUQuotaPerSecUSec infinity cpu.max "max 100000"
limit "REST, reset" MemoryHigh infinity memory.high max

out=$(busctl call org.hvd1 "/org/hvd1/vm/$V" org.hvd1.VM Update 'a{sv}a{sv}' 1 \
	resources 'a{sv}' 1 cpu_weight u 333 0 2>&1) || fail "D-Bus Update: $out"
limit "D-Bus" CPUWeight 333 cpu.weight 333

equal "the spec follows" "$(vm_json "$V" | jq -c '.spec.resources | [.cpu_weight, .memory_max]')" \
	"[333,$((600 << 20))]"
rest_is 422 PATCH "/v1/vms/$V" '{"resources": {"cpu_weight": 20000}}'
rest_is 422 PATCH "/v1/vms/$V" '{"resources": {"cpuset": "x-y"}}'
limit "after a refused change" CPUWeight 333 cpu.weight 333

# What the guest is not given yet it waits for: at this rate for 18 hours.
vm_up "$R" idle --rng-bytes-per-second 1
guest "$R" 'head -c 65536 /dev/hwrng >/tmp/entropy & sleep 1'
got=$(guest "$R" 'wc -c </tmp/entropy')
((got < 65536)) || fail "$got bytes of entropy, limited to one a second"
rest_is 200 PATCH "/v1/vms/$R" '{"rng_bytes_per_second": null}'
equal "entropy without a limit" "$(guest "$R" 'wait; wc -c </tmp/entropy')" 65536
vm_gone "$R"

before=$(console_count "$V" '^COUNT')
goes_on() { (($(console_count "$V" '^COUNT') > before)); }
wait_for "the guest to go on" goes_on
ok "the guest ran all the time"

# They are there again at the next start.
must hvcli vm stop "$V" --wait
must hvcli vm start "$V" --wait
C=$(vm_cgroup "$V")
limit "after a restart" CPUWeight 333 cpu.weight 333
limit "after a restart" AllowedCPUs 1 cpuset.cpus 1
