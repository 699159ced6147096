#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The journal: changes of state and operations, with the VM's name in a field.
. "${0%/*}/vm.sh"
V=${P}journal

vm_up "$V" idle
must hvcli vm pause "$V"
must hvcli vm resume "$V"
must hvcli vm stop "$V" --wait
log() { journalctl --no-pager -q -o json --since "$START_TIME" "HVD_VM=$V" "$@"; }
uuid=$(vm_json "$V" | jq -r .uuid)
has_state() { log HVD_EVENT=state | jq -r .HVD_STATE | grep -q -x "$1"; }
for state in starting running paused shutoff; do
	wait_for "state $state in the journal" has_state "$state"
	ok "state $state"
done
equal "UUID" "$(log HVD_EVENT=state | jq -r .HVD_VM_UUID | sort -u)" "$uuid"
has_operations() { [[ $(log HVD_EVENT=operation | jq -r .HVD_OPERATION | tr '\n' ' ') =~ vm.start\ .*vm.pause\ .*vm.resume\ .*vm.stop ]]; }
wait_for "operations in the journal" has_operations
matches "who" "$(log HVD_OPERATION=vm.pause | jq -r '.HVD_FRONT + " " + .HVD_UID')" '^rest 0'
hvcli vm start "$V" >/dev/null 2>&1
hvcli vm start "$V" >/dev/null 2>&1
failed() { log HVD_OPERATION=vm.start | jq -r .PRIORITY | grep -q -x 4; }
wait_for "the failed start as a warning" failed
ok "a failed operation is a warning"
