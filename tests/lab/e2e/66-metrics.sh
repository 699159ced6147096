#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Metrics: a scrape that Prometheus takes, counters that grow with what a guest does and over its reset and hvd's
# restart, and hvcli vm top.
. "${0%/*}/vm.sh"
V=${P}metrics
TAP=${P}tap
rc=0

scrape() { curl -s -f --unix-socket /run/hvd/hvd.sock http://hvd/v1/metrics >"$WORK/$1" || fail "scrape $1"; }
# value SCRAPE FAMILY [LABELS]: of V
value() { grep -F "$2{vm=\"$V\"${3:+,$3}} " "$WORK/$1" | cut -d' ' -f2; }
# grows WHAT BEFORE AFTER [BY]
grows() {
	awk -v a="$2" -v b="$3" -v by="${4:-0}" 'BEGIN { exit !(a != "" && b != "" && (by ? b - a >= by : b > a)) }' ||
		fail "$1: $2, then $3"
	ok "$1: $2, then $3"
}
stays() { awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && b != "" && b >= a) }' || fail "$1 went back: $2, then $3"; }

must ip tuntap add dev "$TAP" mode tap vnet_hdr
must ip link set "$TAP" up
trap 'rc=$?; ip link del "$TAP" 2>/dev/null; (exit "$rc"); finish' EXIT
truncate -s 16M "$WORK/disk.img"
vm_up "$V" idle --vcpus 2 --disk "path=$WORK/disk.img,cache=none" --nic "tap=$TAP"

scrape a
bad=$(grep -v -E '^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)+\})? [0-9]+(\.[0-9]{6})?)$' "$WORK/a")
[[ -z $bad ]] || fail "not Prometheus' format: $bad"
sort "$WORK/a" | grep -v '^#' | cut -d' ' -f1 | uniq -d | grep . && fail "a series twice"
equal "up" "$(value a hvd_vm_up)" 1
equal "state" "$(value a hvd_vm_state 'state="running"')" 1
equal "Content-Type" "$(curl -s -o /dev/null -w '%{content_type}' --unix-socket /run/hvd/hvd.sock http://hvd/v1/metrics)" \
	'text/plain; version=0.0.4; charset=utf-8'

guest "$V" 'dd if=/dev/zero of=/dev/vda bs=4k count=64 oflag=direct; dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct' >/dev/null ||
	fail "I/O in the guest"
# the frames that an interface sends when it comes up
guest "$V" 'ip link set eth0 up; ip addr add 192.0.2.2/24 dev eth0; ping -c 2 -W 1 192.0.2.1; true' >/dev/null
scrape b
W='disk="vda",kind="write"' R='disk="vda",kind="read"' TX='nic="net0",direction="tx"'
grows "writes" "$(value a hvd_vm_disk_requests_total "$W")" "$(value b hvd_vm_disk_requests_total "$W")" 64
grows "bytes written" "$(value a hvd_vm_disk_bytes_total "$W")" "$(value b hvd_vm_disk_bytes_total "$W")" 262144
grows "bytes read" "$(value a hvd_vm_disk_bytes_total "$R")" "$(value b hvd_vm_disk_bytes_total "$R")" 262144
grows "packets sent" "$(value a hvd_vm_nic_packets_total "$TX")" "$(value b hvd_vm_nic_packets_total "$TX")"
grows "exits of vCPU 0" "$(value a hvd_vm_vcpu_exits_total 'vcpu="0"')" "$(value b hvd_vm_vcpu_exits_total 'vcpu="0"')"
grows "CPU time of vCPU 0" "$(value a hvd_vm_vcpu_cpu_seconds_total 'vcpu="0"')" \
	"$(value b hvd_vm_vcpu_cpu_seconds_total 'vcpu="0"')"
for what in wfi mmio_user mmio_kernel; do
	grows "exits of vCPU 0 for $what" 0 "$(value b hvd_vm_vcpu_exits_by_reason_total "vcpu=\"0\",reason=\"$what\"")"
done
grows "memory" 1000000 "$(value b hvd_vm_memory_bytes)"
grows "time in the guest" 0 "$(value b hvd_vm_vcpu_guest_seconds_total 'vcpu="0"')"

must hvcli vm reset "$V"
again() { (($(console_count "$V" '^GUEST-UP') == 2)); }
wait_for "the guest after its reset" again
must systemctl restart hvd
wait_for "hvd" hvcli host
scrape c
equal "resets" "$(value c hvd_vm_resets_total)" 1
for series in "hvd_vm_disk_requests_total $W" 'hvd_vm_vcpu_exits_total vcpu="0"' 'hvd_vm_vcpu_exits_total vcpu="1"' \
	'hvd_vm_vcpu_cpu_seconds_total vcpu="0"' 'hvd_vm_vcpu_cpu_seconds_total vcpu="1"' \
	'hvd_vm_vcpu_steal_seconds_total vcpu="0"' "hvd_vm_nic_packets_total $TX"; do
	stays "$series" "$(value b "${series% *}" "${series#* }")" "$(value c "${series% *}" "${series#* }")"
done
ok "counters over a reset of the guest and a restart of hvd"

equal "hvcli vm metrics" "$(hvcli vm metrics "$V" -o json | jq -c '[.name, .up, (.vcpus | length), .disks[0].disk]')" \
	"[\"$V\",true,2,\"vda\"]"
must busctl call org.hvd1 "/org/hvd1/vm/$V" org.hvd1.VM GetMetrics
out=$(hvcli vm top -n 1 --interval 1 --vcpus)
matches "hvcli vm top" "$out" "NAME .*CPU%.*"$'\n'".*$V .*"$'\n'"  vcpu 0"
grep -q $'\033' <<<"$out" && fail "escapes where there is no terminal: $out"
equal "hvcli vm top -o json" \
	"$(hvcli vm top -n 1 --interval 1 -o json | jq -c --arg v "$V" '.[] | select(.name == $v) | [.state, (.vcpus | length)]')" \
	'["running",2]'
# On a terminal, until q; then the terminal is as it was.
{ sleep 3; printf 'vq'; } | script -qec 'stty rows 10 cols 80; hvcli vm top --interval 1; echo "end $?"; stty -a' "$WORK/screen" >/dev/null
matches "vm top on a terminal" "$(tr -d '\r' <"$WORK/screen")" "1049h.*$V.*1049l.*end 0.* icanon"

must hvcli vm stop "$V" --wait
scrape d
equal "up when it is off" "$(value d hvd_vm_up)" 0
grep -q "hvd_vm_vcpu_cpu_seconds_total{vm=\"$V\"" "$WORK/d" && fail "vCPUs of a VM that is off"
must hvcli vm delete "$V"
