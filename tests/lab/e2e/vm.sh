# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of VMs share: the smallest guest, its console, conditions to wait for, and a clean
# end. A test sources this file; it runs on the server as root, in its own folder.
#
# The guest is the server's own busybox with init.sh as its init. What it does beyond coming up
# is said on its command line (do=…), and its console is a shell without prompt or echo.

# No pipefail: grep -q ends early, and what writes into it would then count as failed.
set -u
E2E=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
TEST=$(basename "$0" .sh)
. "$E2E/tiny.sh"
PAYLOADS=${PAYLOADS:-/usr/local/lib/hvd-tests/guest}
WORK=$(mktemp -d "/var/tmp/hvd-$TEST.XXXXXX")
chmod 755 "$WORK"
# How long a condition may take on the slow, shared, emulated server. Nothing is judged by it.
LIMIT=${LIMIT:-300}
# Every VM of a test has this prefix, so that the end of the test finds them.
P=e$(echo "${TEST%%-*}" | tr -dc 0-9)
N_OK=0
START_TIME=$(date '+%Y-%m-%d %H:%M:%S')
CHILDREN=()
# D-Bus has a limit of its own, of 25 s.
export SYSTEMD_BUS_TIMEOUT=600

say() { printf '%s\n' "$*"; }

ok() {
	N_OK=$((N_OK + 1))
	say "ok $*"
}

# fail TEXT...: say what is wrong, show what helps, end. Where the test's output goes, also from a
# function whose own output is taken or dropped.
exec {REPORT}>&1
fail() {
	{
		say "FAIL $TEST: $*"
		diagnose
	} >&"$REPORT"
	exit 1
}

skip() {
	say "$*"
	exit 77
}

diagnose() {
	local log
	say "--- hvcli vm list"
	timeout 20 hvcli vm list -o wide 2>&1 | head -30
	for log in "$WORK"/*.console "$WORK"/*.log; do
		[[ -s $log ]] || continue
		say "--- end of $log"
		tail -c 3000 "$log" | tr -d '\r' | tail -n 40
	done
	say "--- journal since $START_TIME"
	journalctl --no-pager -o short-monotonic --since "$START_TIME" -u hvd -u 'hvd-vm-*' | tail -n 60
}

# Units, links, control groups and machines of this test's VMs that are there still: systemd and the kernel
# let go of some a moment after the VM counts as off.
traces() {
	systemctl list-units --all --plain --no-legend "hvd-vm-$P*" "hvd-$P*" | cut -d' ' -f1
	ip -d link | grep -o "hvd:vm/$P.*"
	find /sys/fs/cgroup/hvd.slice -mindepth 1 -maxdepth 1 -name "hvd-*$P*" 2>/dev/null
	machinectl list --no-legend 2>/dev/null | grep -o "^$P[^ ]*"
}
no_traces() { [[ -z $(traces) ]]; }

# Always: no VM, process or file of this test stays, whatever became of it.
finish() {
	local rc=$? vm pid
	trap - EXIT
	for pid in "${CHILDREN[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for vm in $(timeout 120 hvcli vm list -o name 2>/dev/null | sed 's,.*/,,' | grep "^$P"); do
		timeout 120 hvcli vm stop "$vm" >/dev/null 2>&1
		timeout 120 hvcli vm delete "$vm" >/dev/null 2>&1
	done
	# The next test may look at what there is.
	for _ in {1..60}; do
		no_traces && break
		sleep 0.5
	done
	no_traces || say "still there: $(traces)"
	rm -rf "$WORK"
	((rc != 0)) || say "PASS $TEST: $N_OK checks"
	exit "$rc"
}
trap finish EXIT

# Fails the test unless CMD... succeeds.
must() {
	local out
	out=$("$@" 2>&1) || fail "$*: status $?: $out"
}

# wait_for WHAT CMD...: until CMD succeeds.
wait_for() {
	local what=$1 end=$((SECONDS + LIMIT))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || fail "waited $LIMIT s for: $what"
		sleep 0.3
	done
}

# becomes WHAT WANT CMD...: until CMD prints WANT.
becomes() {
	local what=$1 want=$2 got end=$((SECONDS + LIMIT))
	shift 2
	until got=$("$@" 2>&1) && [[ $got == "$want" ]]; do
		((SECONDS < end)) || fail "$what: \"$got\" after $LIMIT s, want \"$want\""
		sleep 0.3
	done
	ok "$what: $want"
}

# equal WHAT GOT WANT
equal() {
	[[ $2 == "$3" ]] || fail "$1: got \"$2\", want \"$3\""
	ok "$1: $3"
}

# matches WHAT GOT REGEX
matches() {
	[[ $2 =~ $3 ]] || fail "$1: got \"$2\", want /$3/"
	ok "$1"
}

# --- guests

KERNEL=
INITRD=
guest_files() {
	KERNEL=$(tiny_kernel) && INITRD=$(tiny_initrd) ||
		fail "no guest: $(ls -R "$GUESTS" 2>&1 | head -40)"
}

# vm_create NAME [DO] [HVCLI-OPTION...]: define a tiny guest; DO is what its init does.
vm_create() {
	local name=$1 do=${2:-idle}
	shift $(($# < 2 ? $# : 2))
	[[ -n $KERNEL ]] || guest_files
	must hvcli vm create "$name" --kernel "$KERNEL" --initrd "$INITRD" --memory 128M --vcpus 1 \
		--cmdline "console=ttyAMA0 quiet panic=-1 do=$do" "$@"
}

# vm_up NAME [DO] [OPTION...]: create, start, follow the console, wait for init.
vm_up() {
	vm_create "$@"
	must hvcli vm start "$1"
	console_open "$1"
	console_wait "$1" '^GUEST-UP'
}

vm_json() { hvcli vm show "$1" -o json; }
vm_state() { vm_json "$1" | jq -r .status.state; }
vm_is() { [[ $(vm_state "$1") == "$2" ]]; }
vm_wait() { wait_for "VM $1 to be $2" vm_is "$1" "$2"; }
# The journal has it a moment after it has happened.
in_journal() { journalctl --no-pager -q -o cat --since "$START_TIME" "${@:2}" | grep -q -- "$1"; }
# vm_metrics NAME FILTER: of its counters, once hvd-vmm tells them: hvd does not wait long for that.
vm_metrics() {
	wait_for "metrics of $1" vm_has_metrics "$1"
	jq -c "$2" "$WORK/$1.metrics"
}
vm_has_metrics() { hvcli vm metrics "$1" -o json >"$WORK/$1.metrics" && jq -e .up "$WORK/$1.metrics"; }
vm_unit() { echo "hvd-vm-$1.service"; }
vm_pid() { systemctl show -P MainPID "$(vm_unit "$1")"; }
vm_cgroup() { echo "/sys/fs/cgroup$(systemctl show -P ControlGroup "$(vm_unit "$1")")"; }

vm_gone() {
	must hvcli vm stop "$1" --wait
	must hvcli vm delete "$1"
}

# --- consoles

# console_open NAME: from now on what NAME wrote and writes is in $WORK/NAME.console, and
# console_type works. The VM has written something, or is about to.
declare -A CONSOLE=()
console_open() {
	local fifo=$WORK/$1.keys
	console_end "$1"
	[[ -p $fifo ]] || mkfifo "$fifo"
	console_follow "$1"
	exec {KEYS}>"$fifo"
	wait_for "the console of $1" console_begins "$1"
}
console_follow() {
	rm -f "$WORK/$1.console"
	hvcli vm console "$1" <"$WORK/$1.keys" >"$WORK/$1.console" 2>>"$WORK/$1.console-err.log" &
	CONSOLE[$1]=$!
	CHILDREN+=($!)
}
# Whoever had the keyboard may have it still: then hvcli ends.
console_begins() {
	[[ ! -s $WORK/$1.console ]] || return 0
	kill -0 "${CONSOLE[$1]}" 2>/dev/null || console_follow "$1"
	return 1
}
console_end() {
	[[ ${CONSOLE[$1]-} ]] || return 0
	kill "${CONSOLE[$1]}" 2>/dev/null
	wait "${CONSOLE[$1]}" 2>/dev/null
	CONSOLE[$1]=
}

# console_close NAME: let go of the keyboard.
console_close() {
	exec {KEYS}>&-
	console_end "$1"
}

# console_type NAME TEXT: a line to the guest's shell (of the last console_open).
console_type() { printf '%s\n' "$2" >&"$KEYS"; }

# Whole lines only: what comes is split anywhere, also within a word or number.
whole_lines() { { cat "$1" && echo; } | sed -e 's/\r//g' -e '$d'; }
console_lines() { whole_lines "$WORK/$1.console"; }
console_has() { console_lines "$1" | grep -a -q -E -- "$2"; }
console_count() { console_lines "$1" | grep -a -c -E -- "$2"; }
console_last() { console_lines "$1" | grep -a -o -E -- "$2" | tail -n 1; }
console_wait() { wait_for "\"$2\" on the console of $1" console_has "$1" "$2"; }
# A prompt is a line that does not end.
console_asks() { tr -d '\r' <"$WORK/$1.console" | grep -a -q -E -- "$2"; }
console_prompt() { wait_for "\"$2\" on the console of $1" console_asks "$1" "$2"; }

# guest NAME CMD: run CMD in the guest's shell; prints its output, status is its status.
guest() {
	local id=$RANDOM$RANDOM rc
	console_type "$1" "echo; echo BEGIN-$id; { $2; } 2>&1; rc=\$?; echo; echo END-$id-\$rc-"
	console_wait "$1" "^END-$id-[0-9]+-"
	console_lines "$1" | sed -n "/^BEGIN-$id\$/,/^END-$id-/{/^BEGIN-\|^END-/d;/./p}"
	rc=$(console_last "$1" "^END-$id-[0-9]+-")
	rc=${rc#END-"$id"-}
	return "${rc%-}"
}

# --- REST

# rest METHOD PATH [BODY] [TYPE]: body of the answer in REPLY, status in STATUS.
REPLY=
STATUS=
rest() {
	# Patient, as the server is slow: what takes time is answered when it has ended.
	local args=(-s -S --unix-socket /run/hvd/hvd.sock -X "$1" -w '\n%{http_code}'
		-H "Prefer: ${PREFER-wait=600}")
	if (($# > 2)); then
		args+=(-H "Content-Type: ${4:-application/json}" --data-binary "$3")
	fi
	REPLY=$(curl "${args[@]}" "http://hvd$2" 2>&1) || fail "curl $1 $2: $REPLY"
	STATUS=${REPLY##*$'\n'}
	REPLY=${REPLY%$'\n'*}
}

# rest_is STATUS METHOD PATH [BODY] [TYPE]
rest_is() {
	local want=$1
	shift
	rest "$@"
	[[ $STATUS == "$want" ]] || fail "$1 $2: HTTP $STATUS, want $want: $REPLY"
	ok "$1 $2: HTTP $want"
}

# --- payloads

# run_payload NAME [JSON]: run a bare-metal payload by hvd-vmm alone; JSON is merged into its config.
# Its output is in $WORK/NAME.log.
run_payload() {
	local name=$1 more=${2:-{\}}
	[[ -e $PAYLOADS/$name.Image ]] || fail "no payload $PAYLOADS/$name.Image"
	truncate -s 1M "$WORK/disk"
	jq -n --arg image "$PAYLOADS/$name.Image" --arg disk "$WORK/disk" --argjson more "$more" \
		'{name: "payload", profile: "micro", vcpus: 3, memory: "128M", boot: {kernel: $image},
		  disks: [{path: $disk}], virtio_console: true} * $more' >"$WORK/$name.json"
	timeout "$LIMIT" "$(vmm)" --config "$WORK/$name.json" </dev/null >"$WORK/$name.log" 2>&1
}

# payload_passes NAME [JSON]
payload_passes() {
	local rc line
	run_payload "$@"
	rc=$?
	line=$(tr -d '\r' <"$WORK/$1.log" | grep -a "^DONE $1:")
	if [[ ! $line =~ ,\ 0\ failed$ || $rc -ne 0 ]]; then
		grep -a '^FAIL' "$WORK/$1.log"
		fail "payload $1: hvd-vmm's status $rc, \"$line\""
	fi
	ok "payload $line"
}

vmm() { command -v hvd-vmm || echo /usr/libexec/hvd-vmm; }
