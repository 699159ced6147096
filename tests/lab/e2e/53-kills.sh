#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hvd is killed while it does something, KILLS times (19: each action once), at a moment that chance
# chooses: after each the VM or network is as it was before or as it was to be, no operation is left open, and in the
# end nothing has leaked. The request goes over a connection that hvd has taken already, and what waits for the moment
# is this shell: programs that had to be started first would be slower than hvd, or slower than the kill.
. "${0%/*}/vm.sh"
KILLS=${KILLS:-19}
V=${P}v
N=${P}n
CURL=(curl -s -S --max-time 120 --unix-socket /run/hvd/hvd.sock)
guest_files
truncate -s 1M "$WORK/a.img" "$WORK/b.img"
chmod 600 "$WORK"/*.img

# call METHOD PATH [BODY [TYPE]]: prints the answer's body, and its status on the last line.
call() {
	local args=(-X "$1" -H 'Prefer: wait=100' -w '\n%{http_code}')
	(($# < 3)) || args+=(-H "Content-Type: ${4:-application/json}" --data-binary "$3")
	"${CURL[@]}" "${args[@]}" "http://hvd$2"
}
# done_by METHOD PATH…: what prepares a kill, which has to work.
done_by() {
	local out
	out=$(call "$@")
	[[ ${out##*$'\n'} == 2* ]] || fail "$1 $2: $out"
}
get() { "${CURL[@]}" "http://hvd$1"; }
# connect, and then send METHOD PATH [BODY [TYPE]]: what comes back is in $WORK/answers. disconnect ends it.
connect() {
	socat -t 60 - UNIX-CONNECT:/run/hvd/hvd.sock <"$WORK/requests" >"$WORK/answers" 2>/dev/null &
	CONNECTION=$!
	exec {TO_HVD}>"$WORK/requests"
	send GET '/v1/vms?limit=1'
	wait_for "a connection" answered 1
}
send() {
	local type='' body=${3-}
	(($# < 3)) || type="Content-Type: ${4:-application/json}"$'\r\n'
	printf '%s %s HTTP/1.1\r\nHost: hvd\r\nPrefer: wait=100\r\n%sContent-Length: %d\r\n\r\n%s' \
		"$1" "$2" "$type" "${#body}" "$body" >&"$TO_HVD"
}
disconnect() {
	exec {TO_HVD}>&-
	wait "$CONNECTION"
}
# answered N: with success, so often
answered() { (($(grep -a -o 'HTTP/1.1 2' "$WORK/answers" | wc -l) == $1)); }

SPEC=$(jq -n --arg name "$V" --arg kernel "$KERNEL" --arg initrd "$INITRD" --arg disk "$WORK/a.img" '{name: $name,
	profile: "standard", vcpus: 1, memory: "128M", boot: {kernel: $kernel, initrd: $initrd, cmdline: "console=ttyAMA0 quiet do=idle"},
	disks: [{path: $disk}], nics: [{network: "default", mac: "52:54:00:53:00:01"}],
	resources: {cpu_weight: 100}}')
WEIGHT=100

# A resource's state, or the code of the error.
STATE='if (.status | type) == "object" then .status.state else .code end'

# settle: wait until VM and network are not on their way from one state to another; SETTLED is the VM's.
SETTLED=
settled() {
	SETTLED=$(get "/v1/vms/$V" | jq -r "$STATE")
	[[ $SETTLED != starting && $SETTLED != stopping && -n $SETTLED && $(network) != starting ]]
}
settle() { wait_for "VM $V and network $N to settle" settled; }

is_defined() { [[ $SETTLED != not-found ]]; }
is_off() { [[ $SETTLED == shutoff || $SETTLED == failed ]]; }
be_gone() {
	is_defined || return 0
	be_off
	done_by DELETE "/v1/vms/$V"
}
be_defined() { is_defined || done_by POST /v1/vms "$SPEC"; settle; WEIGHT=$(weight); }
be_off() {
	be_defined
	is_off || done_by POST "/v1/vms/$V/actions/stop"
	settle
}
be_running() {
	be_defined
	if is_off; then
		done_by POST "/v1/vms/$V/actions/start"
	elif [[ $SETTLED == paused ]]; then
		done_by POST "/v1/vms/$V/actions/resume"
	fi
	settle
}
be_paused() {
	be_running
	done_by POST "/v1/vms/$V/actions/pause"
	settle
}
weight() { get "/v1/vms/$V" | jq .spec.resources.cpu_weight; }
disks() { get "/v1/vms/$V" | jq -c '[.spec.disks[].id]'; }
nics() { get "/v1/vms/$V" | jq -c '[.spec.nics[].id]'; }
network() { get "/v1/networks/$N" | jq -r "$STATE"; }
no_network() { [[ $(network) == not-found ]] || done_by DELETE "/v1/networks/$N"; }
a_network() { [[ $(network) != not-found ]] || done_by POST /v1/networks "{\"name\": \"$N\", \"mode\": \"isolated\", \"address\": \"10.53.0.1/24\"}"; }
network_off() { a_network; [[ $(network) == inactive ]] || done_by POST "/v1/networks/$N/actions/stop"; }
network_on() { a_network; [[ $(network) == active ]] || done_by POST "/v1/networks/$N/actions/start"; }
one_disk() { be_running; [[ $(disks) == '["vda"]' ]] || done_by DELETE "/v1/vms/$V/disks/b"; }
two_disks() { be_running; [[ $(disks) == '["vda","b"]' ]] || done_by POST "/v1/vms/$V/disks" "{\"path\": \"$WORK/b.img\", \"id\": \"b\"}"; }
one_nic() { be_running; [[ $(nics) == '["net0"]' ]] || done_by DELETE "/v1/vms/$V/nics/x"; }
two_nics() { be_running; [[ $(nics) == '["net0","x"]' ]] || done_by POST "/v1/vms/$V/nics" '{"network": "default", "id": "x"}'; }

# one of WANTED…: GOT has to be.
one_of() {
	local what=$1 got=$2 want
	shift 2
	for want; do
		[[ $got != "$want" ]] || return 0
	done
	fail "kill $KILL of $KILLS, at $what: now \"$got\", none of: $*"
}

# Each: what has to be before, the request, and what may be after.
ACTIONS=(create start pause resume patch attach-disk detach-disk attach-nic detach-nic reset stop patch-off
	delete import network-create network-start network-patch network-stop network-delete)
before() {
	case $1 in
	create | import) be_gone ;;
	start | patch-off | delete) be_off ;;
	resume) be_paused ;;
	pause | patch | reset | stop) be_running ;;
	attach-disk) one_disk ;;
	detach-disk) two_disks ;;
	attach-nic) one_nic ;;
	detach-nic) two_nics ;;
	network-create) no_network ;;
	network-start) network_off ;;
	network-stop) network_on ;;
	network-*) a_network ;;
	esac
}
request() {
	case $1 in
	create) send POST /v1/vms "$SPEC" ;;
	import) send POST /v1/vms/import "$XML" application/xml ;;
	start | pause | resume | reset | stop) send POST "/v1/vms/$V/actions/$1" ;;
	patch*) send PATCH "/v1/vms/$V" "{\"resources\": {\"cpu_weight\": $((WEIGHT + 1))}}" \
		application/merge-patch+json ;;
	delete) send DELETE "/v1/vms/$V" ;;
	attach-disk) send POST "/v1/vms/$V/disks" "{\"path\": \"$WORK/b.img\", \"id\": \"b\"}" ;;
	detach-disk) send DELETE "/v1/vms/$V/disks/b" ;;
	attach-nic) send POST "/v1/vms/$V/nics" '{"network": "default", "id": "x"}' ;;
	detach-nic) send DELETE "/v1/vms/$V/nics/x" ;;
	network-create) send POST /v1/networks "{\"name\": \"$N\", \"mode\": \"isolated\", \"address\": \"10.53.0.1/24\"}" ;;
	network-start | network-stop) send POST "/v1/networks/$N/actions/${1#network-}" ;;
	network-patch) send PATCH "/v1/networks/$N" "{\"mtu\": $((1400 + KILL % 50))}" application/merge-patch+json ;;
	network-delete) send DELETE "/v1/networks/$N" ;;
	esac
}
after() {
	case $1 in
	create | import) one_of "$1" "$SETTLED" not-found shutoff ;;
	start | stop) one_of "$1" "$SETTLED" shutoff running failed ;;
	pause | resume) one_of "$1" "$SETTLED" running paused ;;
	reset) one_of "$1" "$SETTLED" running ;;
	patch*) one_of "$1" "$(weight)" "$WEIGHT" $((WEIGHT + 1)) ;;
	delete) one_of "$1" "$SETTLED" not-found shutoff failed ;;
	*-disk) one_of "$1" "$(disks)" '["vda"]' '["vda","b"]' ;;
	*-nic) one_of "$1" "$(nics)" '["net0"]' '["net0","x"]' ;;
	network-*) one_of "$1" "$(network)" not-found active inactive ;;
	esac
}

hvd_pid() { systemctl show -P MainPID hvd; }
state() {
	echo "units: $(systemctl list-units --all --no-legend 'hvd-vm*' | tr -s ' ')"
	echo "links: $(ls -x -w 1000 /sys/class/net | tr -s ' ')"
	echo "runtime: $(cd /run/hvd && find . -path ./root -prune -o -print | sort | tr '\n' ' ')"
	echo "stored: $(cd /var/lib/hvd && find . -path './events*' -prune -o -path './operations*' -prune -o -print | sort | tr '\n' ' ')"
	echo "networkd: $(ls -x -w 1000 /run/systemd/network)"
	echo "cgroups: $(ls -d /sys/fs/cgroup/hvd.slice/hvd* 2>/dev/null)"
	echo "processes: $(pgrep -x hvd-vmm | wc -l)"
}
no_operation_runs() { [[ $(get '/v1/operations' | jq '[.items[] | select(.state == "running" or .state == "pending")] | length') == 0 ]]; }

settle
be_running # which makes the bridge of the network, and that stays
XML=$(get "/v1/vms/$V/xml")
be_gone
no_network
settle
wait_for "nothing to be left of the VM" no_traces
BEFORE=$(state)
declare -A TAKEN=() COUNT=()
declare -A SPAN=([start]=1000 [stop]=300 [reset]=200) # milliseconds that a request may take
HITS=0
mkfifo "$WORK/requests" "$WORK/never"
exec {NEVER}<>"$WORK/never"
for ((KILL = 1; KILL <= KILLS; KILL++)); do
	action=${ACTIONS[KILL % ${#ACTIONS[@]}]}
	settle
	before "$action"
	pid=$(hvd_pid)
	connect
	request "$action"
	span=${SPAN[$action]:-60}
	ms=$((RANDOM % span))
	printf -v moment %d.%03d $((ms / 1000)) $((ms % 1000))
	read -r -t "$moment" -u "$NEVER"
	kill -9 "$pid"
	disconnect
	COUNT[$action]=$((${COUNT[$action]:-0} + 1))
	# Half of them are to come before the answer.
	if answered 2; then
		TAKEN[$action]=$((${TAKEN[$action]:-0} + 1))
		SPAN[$action]=$((span * 2 / 3 + 1))
	else
		HITS=$((HITS + 1))
		SPAN[$action]=$((span * 3 / 2 + 1))
	fi
	systemctl reset-failed hvd 2>/dev/null
	must systemctl start hvd
	settle
	after "$action"
	wait_for "operations to be resolved after kill $KILL, at $action" no_operation_runs
done
for action in "${ACTIONS[@]}"; do
	say "$action: killed ${COUNT[$action]:-0} times, answered before that ${TAKEN[$action]:-0}; ${SPAN[$action]:-60} ms"
done
ok "$KILLS kills: all was as before or as it was to be"
((HITS > 0)) || fail "no kill has hit hvd at work"
ok "$HITS of them before the answer"

settle
be_gone
no_network
as_before() { [[ $(state) == "$BEFORE" ]]; }
wait_for "nothing to be left: $(diff <(echo "$BEFORE") <(state))" as_before
ok "nothing has leaked"
