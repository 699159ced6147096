#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad input: each a clear error that names the field, the right exit and HTTP status, nothing left.
. "${0%/*}/vm.sh"
guest_files
V=${P}bad

# What a half-made VM would leave.
leftovers() {
	systemctl list-units --all --no-legend 'hvd-vm-*' | awk '{ print $1 }'
	ls /sys/class/net
	ls /run/hvd/vms 2>/dev/null
	ls /var/lib/hvd/vms 2>/dev/null
	ls -d /sys/fs/cgroup/hvd.slice/hvd-vm-* 2>/dev/null
}

BEFORE=$(leftovers)
differences() { diff <(echo "$BEFORE") <(leftovers); }
# Nothing more than before, and nothing less of this VM: others may just be on their way out.
as_before() { ! differences | grep -q "^>\|^<.*$V"; }
nothing_left() { as_before || wait_for "$1 to leave nothing: $(differences)" as_before; }

# refused WHAT EXIT REGEX HVCLI-ARG...: hvcli fails with this status and message, and changes nothing.
refused() {
	local what=$1 want=$2 regex=$3 out rc=0
	shift 3
	out=$(hvcli "$@" 2>&1) || rc=$?
	((rc == want)) || fail "$what: exit status $rc, want $want: $out"
	[[ $out =~ $regex ]] || fail "$what: \"$out\" does not match /$regex/"
	nothing_left "$what"
	ok "$what: exit $rc: ${out##*$'\n'}"
}

# problem WHAT STATUS FIELD: the answer in REPLY is a problem+json that names FIELD.
problem() {
	equal "$1: HTTP status" "$STATUS" "$2"
	equal "$1: status in the body" "$(jq -r .status <<<"$REPLY")" "$2"
	[[ $(jq -r '.detail, .code, .title' <<<"$REPLY" | grep -c .) == 3 ]] ||
		fail "$1: detail, code or title is missing: $REPLY"
	if [[ -n ${3:-} ]]; then
		equal "$1: field" "$(jq -r '.fields[0].field' <<<"$REPLY")" "$3"
	fi
	nothing_left "$1"
}

create() { hvcli vm create "$V" --kernel "$KERNEL" --initrd "$INITRD" "$@"; }

# Created and started in one: not kept when it cannot start.
refused "missing kernel file" 1 'boot\.kernel.*/nonexistent' \
	vm create "$V" --kernel /nonexistent --start
install -m 000 /dev/null "$WORK/locked"
refused "missing initrd" 1 'boot\.initrd.*/nonexistent' \
	vm create "$V" --kernel "$KERNEL" --initrd /nonexistent --start
refused "missing disk" 1 'disks\[0\]\.path.*/nonexistent' \
	vm create "$V" --kernel "$KERNEL" --disk /nonexistent --start
mkdir "$WORK/folder"
refused "disk that is a folder" 1 "disks\[0\]\.path.*$WORK/folder" \
	vm create "$V" --kernel "$KERNEL" --disk "$WORK/folder" --start
head -c 100000 "$KERNEL" >"$WORK/truncated"
refused "truncated Image" 1 'boot\.kernel.*(truncat|short|cut|end)' \
	vm create "$V" --kernel "$WORK/truncated" --start
echo "no kernel" >"$WORK/text"
refused "a file that is no Image" 1 'boot\.kernel' vm create "$V" --kernel "$WORK/text" --start
head -c 1000 <(gzip -1c <"$KERNEL") >"$WORK/truncated.gz"
refused "truncated gzip Image" 1 'boot\.kernel' vm create "$V" --kernel "$WORK/truncated.gz" --start

# Meaning.
refused "0 vCPUs" 1 'vcpus' vm create "$V" --kernel "$KERNEL" --vcpus 0
refused "too many vCPUs" 1 'vcpus' vm create "$V" --kernel "$KERNEL" --vcpus 100000
refused "more memory than the host" 1 'memory' vm create "$V" --kernel "$KERNEL" --memory 1T --start
refused "memory that is no size" 2 'memory' vm create "$V" --kernel "$KERNEL" --memory lots
refused "memory not a multiple of 2M" 1 'memory' vm create "$V" --kernel "$KERNEL" --memory 33M
refused "a name with a slash" 1 'name' vm create "e/bad" --kernel "$KERNEL"
refused "an unknown network" 1 'nics\[0\]\.network.*nowhere' \
	vm create "$V" --kernel "$KERNEL" --nic network=nowhere --start
refused "an unknown option" 2 'flavour' vm create "$V" --kernel "$KERNEL" --flavour nice
refused "an unknown verb" 2 'frobnicate' vm frobnicate "$V"
refused "no such VM" 3 "$V" vm show "$V"
refused "no such VM to start" 3 "$V" vm start "$V"

# The same by REST.
spec() {
	jq -n --arg n "$V" --arg k "$KERNEL" "{name: \$n, boot: {kernel: \$k}} * $1"
}
rest POST /v1/vms "$(spec '{vcpu: 2}')"
problem "unknown key" 422 vcpu
matches "unknown key: suggests vcpus" "$REPLY" 'vcpus'
rest POST /v1/vms "$(spec '{vcpus: "two"}')"
problem "wrong type" 422 vcpus
rest POST /v1/vms "$(spec '{disks: {}}')"
problem "an object for a list" 422 disks
rest POST /v1/vms "$(spec '{vcpus: 0}')"
problem "0 vCPUs" 422 vcpus
rest POST /v1/vms "$(spec '{disks: [{pth: "/x"}]}')"
problem "unknown key in a list" 422 'disks[0].pth'
rest POST /v1/vms '{"name": "x", "name": "y"}'
problem "duplicate key" 400
rest POST /v1/vms '{"name": '
problem "no JSON" 400
rest POST /v1/vms '[]'
((STATUS == 400 || STATUS == 422)) || fail "an array for an object: HTTP $STATUS"
rest POST /v1/vms '{}'
equal "nothing given: HTTP status" "$STATUS" 422
rest POST /v1/vms "$(spec '{boot: {kernel: "relative/path"}}')"
problem "relative path" 422 boot.kernel

# State.
must create --memory 128M --cmdline 'console=ttyAMA0 quiet do=idle'
BEFORE=$(leftovers)
refused "duplicate name" 4 "$V" vm create "$V" --kernel "$KERNEL"
rest POST /v1/vms "$(spec '{}')"
problem "duplicate name" 409
refused "stop of a VM that does not run" 4 "$V|shutoff" vm stop "$V"
refused "pause of a VM that does not run" 4 "$V|shutoff" vm pause "$V"
must hvcli vm start "$V"
BEFORE=$(leftovers)
refused "start of a VM that runs" 4 "running" vm start "$V"
rest POST "/v1/vms/$V/actions/start"
problem "start of a VM that runs" 409
refused "delete of a VM that runs" 4 "running" vm delete "$V"
refused "resume of a VM that runs" 4 "running" vm resume "$V"
refused "rename" 1 'name' vm set "$V" -f <(echo '{"name": "other"}')
vm_gone "$V"

# One disk, two VMs.
truncate -s 4M "$WORK/disk"
must create --memory 128M --disk "$WORK/disk" --cmdline 'console=ttyAMA0 quiet'
must hvcli vm start "$V"
BEFORE=$(leftovers)
refused "a disk in use by another VM" 4 'disks\[0\]\.path.*' \
	vm create "${V}2" --kernel "$KERNEL" --disk "$WORK/disk" --start
vm_gone "$V"

# The VMM alone.
bad_config() {
	local what=$1 regex=$2 out rc=0
	out=$(timeout "$LIMIT" "$(vmm)" --config <(echo "$3") </dev/null 2>&1) || rc=$?
	((rc != 0 && rc < 124)) || fail "hvd-vmm, $what: exit status $rc: $out"
	[[ $out =~ $regex ]] || fail "hvd-vmm, $what: \"$out\" does not match /$regex/"
	ok "hvd-vmm, $what: $out"
}
bad_config "unknown key" 'vcpu' '{"name": "x", "vcpu": 1}'
bad_config "missing kernel" 'boot.kernel' '{"name": "x", "boot": {"kernel": "/nonexistent"}}'
bad_config "no kernel given" 'boot.kernel' '{"name": "x"}'
spec '{}' >"$WORK/nokvm.json"
unshare -m bash -c 'mount -t tmpfs none /dev && exec "$@"' - \
	"$(vmm)" --config "$WORK/nokvm.json" >"$WORK/nokvm.log" 2>&1 </dev/null &&
	fail "hvd-vmm runs without /dev/kvm"
matches "hvd-vmm, no /dev/kvm" "$(cat "$WORK/nokvm.log")" '/dev/kvm'

# No daemon.
rc=0
out=$(hvcli --socket /nonexistent vm list 2>&1) || rc=$?
equal "no daemon: exit status" "$rc" 5
matches "no daemon: says what to do" "$out" 'systemctl start hvd'
