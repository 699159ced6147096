#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Changes of a VM that runs: what is for its next start waits and is told, also by the next hvd; plans;
# lost updates; disks and NICs as resources. What reaches the guest at once has tests of its own.
. "${0%/*}/vm.sh"
V=${P}changes
pending() { vm_json "$V" | jq -c '[.status.pending[].field]'; }
generation() { vm_json "$V" | jq .status.generation; }
for n in a b; do
	truncate -s 8M "$WORK/$n.img"
done

vm_up "$V" idle --disk "$WORK/a.img"
equal "nothing waits" "$(pending)" "[]"
matches "what waits is told" "$(hvcli vm set "$V" --vcpus 2 --description x 2>&1)" 'At its next start: vcpus$'
equal "vcpus wait" "$(pending)" '["vcpus"]'
must hvcli disk attach "$V" "$WORK/b.img" --next-boot
equal "a disk waits" "$(pending)" '["vcpus","disks[vdb]"]'
equal "CPUs of the guest" "$(guest "$V" nproc)" 1

plan=$(hvcli vm set "$V" --cpu-weight 50 --memory 192M --dry-run)
matches "a plan: live" "$plan" 'resources.cpu_weight +live'
matches "a plan: next-boot" "$plan" 'memory +next-boot'
equal "a plan changes nothing" "$(vm_json "$V" | jq -c '.spec.resources.cpu_weight')" 0
rest_is 200 PATCH "/v1/vms/$V?dry_run=true" '{"name": "other"}'
equal "a plan: immutable" "$(jq -c .changes <<<"$REPLY")" '[{"field":"name","applies":"immutable"}]'

tag=$(curl -s -i --unix-socket /run/hvd/hvd.sock "http://hvd/v1/vms/$V/disks/vda" | tr -d '\r' |
	sed -n 's/^ETag: //p')
equal "ETag" "$tag" "\"$(generation)\""
must hvcli vm set "$V" --description y
lost=$(curl -s -o /dev/null -w '%{http_code}' --unix-socket /run/hvd/hvd.sock -X DELETE \
	-H "If-Match: $tag" "http://hvd/v1/vms/$V/disks/vda")
equal "If-Match of an old ETag" "$lost" 412

# hvd ends, in every way; what waits, waits.
systemctl restart hvd
wait_for "hvd" hvcli vm list
equal "after a restart of hvd" "$(pending)" '["vcpus","disks[vdb]"]'
systemctl kill -s KILL hvd
wait_for "hvd" hvcli vm list
equal "after a crash of hvd" "$(pending)" '["vcpus","disks[vdb]"]'
console_close "$V"
console_open "$V"

# A reset is no start; a start is.
console_wait "$V" '^GUEST-UP'
must hvcli vm reset "$V"
up() { (($(console_count "$V" '^GUEST-UP') >= $1)); }
wait_for "the guest after a reset" up 2
equal "after a reset" "$(pending)" '["vcpus","disks[vdb]"]'
must hvcli vm stop "$V" --wait
equal "off, nothing waits" "$(pending)" "[]"
console_close "$V"
must hvcli vm start "$V"
console_open "$V"
console_wait "$V" '^GUEST-UP cpus=2'
equal "the other disk" "$(guest "$V" 'cat /sys/block/vdb/size')" 16384
equal "nothing waits any more" "$(pending)" "[]"

# A change that cannot be written leaves everything as it was.
old=$(generation)
mkdir "/var/lib/hvd/vms/$V.xml.new"
out=$(hvcli vm set "$V" --cpu-weight 77 2>&1) && fail "changed without a place to write it: $out"
rmdir "/var/lib/hvd/vms/$V.xml.new"
equal "the generation" "$(generation)" "$old"
equal "CPUWeight" "$(systemctl show -P CPUWeight "$(vm_unit "$V")")" "[not set]"
ls "/run/hvd/vms/$V" >"$WORK/left.log"
equal "files of the VM" "$(sort "$WORK/left.log" | paste -sd' ')" "control spec.xml"
must hvcli vm set "$V" --cpu-weight 77
equal "CPUWeight" "$(systemctl show -P CPUWeight "$(vm_unit "$V")")" 77
vm_gone "$V"
