#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest gives memory back and gets it again, by hvcli, REST and XML; the cgroup confirms.
. "${0%/*}/vm.sh"
V=${P}balloon

memory() { vm_json "$V" | jq -r ".status.memory.$1"; }
actual_is() { [[ $(memory actual) == "$1" ]]; }
# What the VM's process and its guest use, in MiB.
used() { echo $(($(cat "$(vm_cgroup "$V")/memory.current") >> 20)); }
uses_less() { (($(used) < $1)); }
uses_more() { (($(used) > $1)); }
free() { guest "$V" 'cat /proc/meminfo' | awk '/^MemFree/ { print int($2 / 1024) }'; }
# Memory that has been in use and is not any more.
churn() { guest "$V" 'dd if=/dev/zero of=/tmp/x bs=1M count=72 2>/dev/null && rm /tmp/x' >/dev/null || fail "no memory"; }

out=$(hvcli vm create "$V" --kernel /etc/hostname --memory 192M --memory-target 112M 2>&1) &&
	fail "a target without a balloon was accepted"
matches "a target without a balloon" "$out" 'memory_target: .*balloon'

vm_up "$V" idle --memory 192M --balloon
equal "with an empty balloon" "$(memory actual)" $((192 << 20))
churn
wait_for "the host to have lent 72M" uses_more 72
before=$(used)

must hvcli vm set "$V" --memory-target 112M
wait_for "the guest to have 112M" actual_is $((112 << 20))
wait_for "the host to have it back (was $before MiB)" uses_less $((before - 30))
ok "hvcli: from $before to $(used) MiB"
equal "nothing waits for the next start" "$(vm_json "$V" | jq -c .status.pending)" "[]"
free=$(free)

must hvcli vm pause "$V"
must hvcli vm resume "$V"
must systemctl restart hvd
wait_for "a new hvd to know" actual_is $((112 << 20))
ok "pause, resume and another hvd"
# A console ends with the hvd that it went through.
console_close "$V"
console_open "$V"
console_wait "$V" '^GUEST-UP'

rest_is 200 PATCH "/v1/vms/$V" '{"memory_target": null}'
wait_for "the guest to have all" actual_is $((192 << 20))
now=$(free)
((now > free + 40)) || fail "the guest has $now MiB free, as before $free"
churn
ok "REST: it can use it again"
rest_is 422 PATCH "/v1/vms/$V" '{"memory_target": "1G"}'
rest_is 422 PATCH "/v1/vms/$V" '{"memory_target": "1M"}'

# --- statistics
must hvcli vm set "$V" --balloon-stats-period 1
told() { (($(memory updated_usec) > $1)); }
wait_for "statistics" told "$(memory updated_usec)"
total=$(memory total)
((total > 100 << 20 && total <= 192 << 20)) || fail "a total of $total bytes"
(($(memory available) > 0 && $(memory available) < total)) || fail "available: $(memory available)"
(($(memory minor_faults) > 0)) || fail "no page faults"
last=$(memory updated_usec)
wait_for "the next ones" told "$last"
ok "statistics: $(vm_json "$V" | jq -c .status.memory)"
hvcli vm show "$V" | grep -A 3 '^Memory' || fail "vm show has no memory"

# --- after a reset the balloon is empty, then what the definition says
must hvcli vm set "$V" --memory-target 144M
wait_for "the guest to have 144M" actual_is $((144 << 20))
must hvcli vm reset "$V"
up_again() { (($(console_count "$V" '^GUEST-UP') >= 2)); }
wait_for "the guest to come up again" up_again
wait_for "the guest to have 144M again" actual_is $((144 << 20))
ok "reset"
vm_gone "$V"

# --- free page reporting, deflate on OOM, and libvirt's XML
cat >"$WORK/vm.xml" <<END
<domain type='kvm'>
  <name>$V</name>
  <memory unit='MiB'>192</memory>
  <currentMemory unit='MiB'>192</currentMemory>
  <vcpu>1</vcpu>
  <os>
    <type arch='aarch64' machine='virt'>hvm</type>
    <kernel>$KERNEL</kernel>
    <initrd>$INITRD</initrd>
    <cmdline>console=ttyAMA0 quiet panic=-1 do=idle page_reporting.page_reporting_order=0</cmdline>
  </os>
  <devices>
    <memballoon model='virtio' autodeflate='on' freePageReporting='on'><stats period='2'/></memballoon>
  </devices>
</domain>
END
must hvcli vm define "$WORK/vm.xml"
must hvcli vm start "$V"
console_open "$V"
console_wait "$V" '^GUEST-UP'
churn
# It may have reported by now: what it had once is what counts.
before=$(($(cat "$(vm_cgroup "$V")/memory.peak") >> 20))
wait_for "the guest to report what it does not use (at $before MiB)" uses_less $((before - 30))
equal "without a target" "$(memory actual)" $((192 << 20))
ok "free page reporting: from $before to $(used) MiB"

must hvcli vm set "$V" --memory-target 80M
wait_for "the guest to have 80M" actual_is $((80 << 20))
churn
gave_way() { (($(memory actual) > 80 << 20)); }
wait_for "the balloon to give way" gave_way
ok "deflate on OOM: the guest has $(($(memory actual) >> 20)) MiB"
vm_gone "$V"
