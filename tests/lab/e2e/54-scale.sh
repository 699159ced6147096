#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Many: 1,000 definitions, and 50 VMs of profile micro that run, also after a restart of hvd. A few of these run
# Linux; what the others run is bare metal and sleeps, because booting is what the emulated server takes long for.
. "${0%/*}/vm.sh"
N_DEFINED=${N_DEFINED:-1000}
N_RUNNING=${N_RUNNING:-50}
N_LINUX=${N_LINUX:-5}
guest_files

# each N METHOD PATH [BODY]: one request for each of 1…N, with @ for the number, by one curl; BAD tells of those
# that have failed.
BAD=
each() {
	local n=$1 method=$2 path=$3 body=${4:-} i
	for ((i = 1; i <= n; i++)); do
		printf 'next\nurl = "http://hvd%s"\nunix-socket = /run/hvd/hvd.sock\nrequest = %s\nsilent\n' \
			"${path//@/$i}" "$method"
		printf 'output = /dev/null\nwrite-out = "%%{http_code} %s\\n"\nheader = "Prefer: wait=600"\n' "${path//@/$i}"
		if [[ $body ]]; then
			printf 'header = "Content-Type: application/json"\ndata-binary = @%s/body.%s\n' "$WORK" "$i"
			printf '%s' "${body//@/$i}" >"$WORK/body.$i"
		fi
	done | tail -n +2 >"$WORK/requests"
	BAD=$(curl -K "$WORK/requests" | grep -v '^2' | head -n 3)
	rm -f "$WORK"/body.*
}
# all N METHOD PATH [BODY]: … which has to succeed.
all() {
	each "$@"
	[[ -z $BAD ]] || fail "$2 $3: $BAD"
}
spec=$(jq -nc --arg kernel "$PAYLOADS/idle.Image" --arg name "${P}-@" '{name: $name, profile: "micro",
	vcpus: 1, memory: "64M", boot: {kernel: $kernel, cmdline: "console=ttyAMA0 quiet do=idle"}}')
linux=$(jq -nc --arg kernel "$KERNEL" --arg initrd "$INITRD" '{boot: {kernel: $kernel, initrd: $initrd}}')
count() { curl -s --unix-socket /run/hvd/hvd.sock -G --data-urlencode "filter=$1" -d limit=1000 -d fields=name http://hvd/v1/vms | jq '.items | length'; }
rss() { echo "$(($(awk '/^VmRSS/ { print $2 }' "/proc/$(systemctl show -P MainPID hvd)/status") / 1024)) MiB"; }
cgroups() { find /sys/fs/cgroup/hvd.slice -maxdepth 1 -name "hvd-vm-$P-*" | wc -l; }
running() { [[ $(count state==running) == "$1" ]]; }

clean() {
	local rc=$?
	if ((rc != 0)); then
		each "$N_RUNNING" POST "/v1/vms/$P-@/actions/stop"
		each "$N_DEFINED" DELETE "/v1/vms/$P-@"
	fi
	(exit "$rc")
	finish
}
trap clean EXIT
all "$N_DEFINED" POST /v1/vms "$spec"
equal "VMs that are defined" "$(count "state==shutoff")" "$N_DEFINED"
say "hvd with $N_DEFINED definitions: $(rss)"
must systemctl restart hvd
equal "VMs after a restart of hvd" "$(count "state==shutoff")" "$N_DEFINED"

all "$N_LINUX" PATCH "/v1/vms/$P-@" "$linux"
all "$N_RUNNING" POST "/v1/vms/$P-@/actions/start"
equal "VMs that run" "$(count state==running)" "$N_RUNNING"
equal "control groups" "$(cgroups)" "$N_RUNNING"
# Its console has seen it come up; the reader goes on until it is ended.
for ((i = 1; i <= N_RUNNING; i++)); do
	rm -f "$WORK/up.console"
	hvcli vm console "$P-$i" --read-only </dev/null >"$WORK/up.console" 2>/dev/null &
	reader=$!
	console_wait up '^GUEST-UP'
	kill "$reader"
	wait "$reader" 2>/dev/null
done
ok "all $N_RUNNING guests are up"
say "hvd with $N_RUNNING running: $(rss); an hvd-vmm: $(cat "/proc/$(pgrep -x hvd-vmm -n)/smaps_rollup" | awk '/^Pss:/ { print $2 }') KiB PSS of one"
must systemctl restart hvd
wait_for "all of them to be known again" running "$N_RUNNING"
ok "a new hvd has all of them"

all "$N_RUNNING" POST "/v1/vms/$P-@/actions/stop"
equal "VMs that run" "$(count state==running)" 0
becomes "control groups" 0 cgroups
all "$N_DEFINED" DELETE "/v1/vms/$P-@"
equal "definitions" "$(count "name==$P-*")" 0
