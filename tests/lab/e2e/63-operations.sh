#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Operations: started and not waited for, looked at, waited for, cancelled, and over the death of hvd.
. "${0%/*}/vm.sh"
V=${P}ops

field() { jq -r ".$1" <<<"$REPLY"; }
# begin ACTION [VM]: have it begin; ID is its operation.
begin() {
	PREFER=respond-async rest_is 202 POST "/v1/vms/${2-$V}/actions/$1"
	ID=$(field id)
	equal "kind" "$(field kind)" "vm.$1"
}
ends() {
	rest_is 200 GET "/v1/operations/$ID?wait=600"
	equal "$1 ends" "$(field state)" "$2"
}

vm_create "$V" idle
begin start
equal "it can be cancelled" "$(field cancellable)" true
ends start succeeded
equal "all steps are done" "$(jq -c .progress <<<"$REPLY")" '{"done":4,"total":4,"unit":"steps"}'
equal "the VM runs" "$(vm_state "$V")" running
begin stop
rest_is 409 DELETE "/v1/operations/$ID"
ends stop succeeded

# Cancelled, while it waits for a server that does not speak: the VM is off, and nothing of it is left.
M=${P}mute
qemu-img create -q -f raw "$WORK/mute.img" 1M
qemu-nbd --persistent --format raw --socket "$WORK/mute.sock" "$WORK/mute.img" &
CHILDREN+=($!)
wait_for "the server" test -S "$WORK/mute.sock"
kill -STOP $!
must hvcli vm create "$M" --kernel "$KERNEL" --memory 64M --disk "socket=$WORK/mute.sock"
begin start "$M"
rest_is 200 DELETE "/v1/operations/$ID"
kill -KILL $!
ends start cancelled
vm_wait "$M" shutoff
[[ ! -e /run/hvd/vms/$M ]] || fail "left behind: $(ls "/run/hvd/vms/$M")"
no_units() { [[ -z $(systemctl list-units --all --no-legend "hvd-vm-$M*" "hvd-$M.slice") ]]; }
wait_for "its units to be gone" no_units
rest_is 409 DELETE "/v1/operations/$ID"
outcomes() {
	hvcli events -o json --limit 4096 --type operation --vm "$M" |
		jq -r "select(.operation_id == \"$ID\").outcome" | paste -sd' '
}
becomes "in the events" 'running cancelled' outcomes
must hvcli vm delete "$M"

# hvcli
id=$(hvcli vm start "$V" --no-wait -o name) || fail "hvcli vm start --no-wait"
must hvcli operation wait "$id" --timeout 600
equal "hvcli operation show" "$(hvcli operation show "$id" -o json | jq -r .state)" succeeded
hvcli operation list | grep -q "$id *vm.start *vms/$V *succeeded" || fail "not in hvcli operation list"
hvcli operation wait 0123456789ab 2>/dev/null
equal "no such operation" $? 3
must hvcli vm stop "$V" --wait

# hvd dies while it starts the VM: the next one knows what has become of it.
begin start
pid=$(systemctl show -P MainPID hvd)
kill -9 "$pid"
wait_for "another hvd" hvcli host
known() { rest GET "/v1/operations/$ID" && [[ $(field state) != running ]]; }
wait_for "the operation to be resolved" known
case $(field state) in
succeeded) vm_wait "$V" running ;;
failed) [[ $(field error.detail) == *"hvd has ended"* ]] || fail "why: $REPLY" ;;
*) fail "$REPLY" ;;
esac
ok "after the death of hvd: $(field state), $(vm_state "$V")"
hvcli vm stop "$V" --wait >/dev/null 2>&1
is_off() { [[ $(vm_state "$V") =~ ^(shutoff|failed)$ ]]; }
wait_for "VM $V to be off" is_off
must hvcli vm delete "$V"
