#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Metrics: a scrape that Prometheus takes, counters that grow with what a guest does and over its reset and hvd's
# restart, and hvcli vm top.
. "${0%/*}/vm.sh"
V=${P}metrics
TAP=${P}tap
rc=0

scrape() { curl -s -f --unix-socket /run/hvd/hvd.sock http://hvd/v1/metrics >"$WORK/$1" || fail "scrape $1"; }
# hvd does not wait long for what hvd-vmm has counted.
scrape_up() { wait_for "the VM in a scrape" is_scraped "$1"; }
is_scraped() { scrape "$1" && [[ $(value "$1" hvd_vm_up) == 1 ]]; }
# value SCRAPE FAMILY [LABELS]: of V
value() { grep -F "$2{vm=\"$V\"${3:+,$3}} " "$WORK/$1" | cut -d' ' -f2; }
# grows WHAT BY FAMILY [LABELS]: from scrape a, or from nothing, to scrape b or one a little later
grows() {
	wait_for "$1 to grow from $(value a "${@:3}") by $2" has_grown "${@:2}"
	ok "$1: $(value a "${@:3}"), then $(value b "${@:3}")"
}
has_grown() {
	awk -v a="$(value a "${@:2}")" -v b="$(value b "${@:2}")" -v by="$1" \
		'BEGIN { exit !(a != "" && b != "" && b - a >= by && b > a) }' || { scrape b && false; }
}
# there WHAT FAMILY [LABELS]: more than nothing
there() {
	awk -v b="$(value b "${@:2}")" 'BEGIN { exit !(b > 0) }' || fail "$1: $(value b "${@:2}")"
	ok "$1: $(value b "${@:2}")"
}
stays() { awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && b != "" && b >= a) }' || fail "$1 went back: $2, then $3"; }

must ip tuntap add dev "$TAP" mode tap vnet_hdr
must ip link set "$TAP" up
trap 'rc=$?; ip link del "$TAP" 2>/dev/null; (exit "$rc"); finish' EXIT
truncate -s 16M "$WORK/disk.img"
vm_up "$V" idle --vcpus 2 --disk "path=$WORK/disk.img,cache=none" --nic "tap=$TAP"

scrape_up a
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
scrape_up b
W='disk="vda",kind="write"' R='disk="vda",kind="read"' TX='nic="net0",direction="tx"'
grows "writes" 64 hvd_vm_disk_requests_total "$W"
grows "bytes written" 262144 hvd_vm_disk_bytes_total "$W"
grows "bytes read" 262144 hvd_vm_disk_bytes_total "$R"
grows "packets sent" 1 hvd_vm_nic_packets_total "$TX"
grows "exits of vCPU 0" 1 hvd_vm_vcpu_exits_total 'vcpu="0"'
grows "CPU time of vCPU 0" 0 hvd_vm_vcpu_cpu_seconds_total 'vcpu="0"'
for what in wfi mmio_user mmio_kernel; do
	there "exits of vCPU 0 for $what" hvd_vm_vcpu_exits_by_reason_total "vcpu=\"0\",reason=\"$what\""
done
there "memory" hvd_vm_memory_bytes
there "time in the guest" hvd_vm_vcpu_guest_seconds_total 'vcpu="0"'

must hvcli vm reset "$V"
again() { (($(console_count "$V" '^GUEST-UP') >= 2)); }
wait_for "the guest after its reset" again
must systemctl restart hvd
wait_for "hvd" hvcli host
scrape_up c
equal "resets" "$(value c hvd_vm_resets_total)" 1
for series in "hvd_vm_disk_requests_total $W" 'hvd_vm_vcpu_exits_total vcpu="0"' 'hvd_vm_vcpu_exits_total vcpu="1"' \
	'hvd_vm_vcpu_cpu_seconds_total vcpu="0"' 'hvd_vm_vcpu_cpu_seconds_total vcpu="1"' \
	'hvd_vm_vcpu_steal_seconds_total vcpu="0"' "hvd_vm_nic_packets_total $TX"; do
	stays "$series" "$(value b "${series% *}" "${series#* }")" "$(value c "${series% *}" "${series#* }")"
done
ok "counters over a reset of the guest and a restart of hvd"

equal "hvcli vm metrics" "$(vm_metrics "$V" '[.name, .up, (.vcpus | length), .disks[0].disk]')" \
	"[\"$V\",true,2,\"vda\"]"
must busctl call org.hvd1 "/org/hvd1/vm/$V" org.hvd1.VM GetMetrics
top_shows() { out=$(hvcli vm top -n 1 --interval 1 --vcpus) && [[ $out =~ $1 ]]; }
wait_for "hvcli vm top" top_shows "NAME .*CPU%.*"$'\n'".*$V .*"$'\n'"  vcpu 0"
grep -q $'\033' <<<"$out" && fail "escapes where there is no terminal: $out"
top_json() { hvcli vm top -n 1 --interval 1 -o json | jq -c --arg v "$V" '.[] | select(.name == $v) | [.state, (.vcpus | length)]'; }
becomes "hvcli vm top -o json" '["running",2]' top_json
# On a terminal, until q; then the terminal is as it was.
mkfifo "$WORK/top.keys"
script -qefc 'stty rows 10 cols 80; hvcli vm top --interval 1; echo "end $?"; stty -a' "$WORK/screen" \
	<"$WORK/top.keys" >/dev/null 2>&1 &
CHILDREN+=($!)
exec {TOP}>"$WORK/top.keys"
wait_for "the VM on the screen" grep -a -q "$V" "$WORK/screen"
printf 'vq' >&"$TOP"
exec {TOP}>&-
wait "${CHILDREN[-1]}"
matches "vm top on a terminal" "$(tr -d '\r' <"$WORK/screen")" "1049h.*$V.*1049l.*end 0.* icanon"

must hvcli vm stop "$V" --wait
scrape d
equal "up when it is off" "$(value d hvd_vm_up)" 0
grep -q "hvd_vm_vcpu_cpu_seconds_total{vm=\"$V\"" "$WORK/d" && fail "vCPUs of a VM that is off"
must hvcli vm delete "$V"
