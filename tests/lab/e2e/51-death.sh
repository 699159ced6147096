#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A VM whose process dies is reported with its reason, and can be started again.
. "${0%/*}/vm.sh"
V=${P}death

vm_up "$V" idle
kill -KILL "$(vm_pid "$V")"
vm_wait "$V" failed
matches "killed: reason" "$(vm_json "$V" | jq -r .status.reason)" 'SIGKILL|signal 9|killed'
equal "killed: pid" "$(vm_json "$V" | jq .status.pid)" 0
matches "killed: in the list" "$(hvcli vm list)" "$V +failed"
must systemctl restart hvd
equal "failed, after a restart of hvd too" "$(vm_state "$V")" failed
must hvcli vm start "$V" --wait
equal "started again" "$(vm_state "$V")" running
[[ $(vm_json "$V" | jq -r .status.reason) == null ]] || fail "the old reason is still there"
vm_gone "$V"

# A guest that touches more memory than its cgroup may have.
V=${P}oom
vm_up "$V" idle --memory 512M --memory-max 200M
console_type "$V" 'dd if=/dev/zero of=/tmp/fill bs=1M count=400'
vm_wait "$V" failed
matches "out of memory: reason" "$(vm_json "$V" | jq -r .status.reason)" '[Oo]ut of memory|[Oo][Oo][Mm]'
must hvcli vm delete "$V"
wait_for "the journal to tell why" in_journal '[Mm]emory' "HVD_VM=$V"
ok "the journal tells why"
