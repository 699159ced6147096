#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The VM's unit: its place, its user, what its process can and cannot see and do.
. "${0%/*}/vm.sh"
V=${P}unit
U=$(vm_unit "$V")
truncate -s 4M "$WORK/disk"

vm_up "$V" counter --disk "$WORK/disk" --nic network=default
pid=$(vm_pid "$V")
((pid > 1)) || fail "no MainPID"
equal "slice" "$(systemctl show -P Slice "$U")" hvd.slice
equal "cgroup" "$(systemctl show -P ControlGroup "$U")" "/hvd.slice/$U"
grep -q "/hvd.slice/$U" "/proc/$pid/cgroup" || fail "$(cat "/proc/$pid/cgroup")"
equal "cgroup in the status" "$(vm_json "$V" | jq -r .status.cgroup)" "/hvd.slice/$U"
equal "transient" "$(systemctl show -P Transient "$U")" yes

STATUS_FILE=$WORK/status
cat "/proc/$pid/status" >"$STATUS_FILE" || fail "no process"
field() { awk -v f="$1:" '$1 == f { print $2 }' "$STATUS_FILE"; }
uid=$(field Uid)
((uid != 0)) || fail "hvd-vmm runs as root"
ok "uid $uid"
for caps in CapInh CapPrm CapEff CapBnd CapAmb; do
	equal "$caps" "$(field $caps)" 0000000000000000
done
equal "NoNewPrivs" "$(field NoNewPrivs)" 1
equal "seccomp filter" "$(field Seccomp)" 2

# Each kind of thread narrows the unit's filter down by its own: the others' stand on the main one's.
filters() { awk '$1 == "Seccomp_filters:" { print $2 }' "/proc/$pid/task/$1/status"; }
for task in "/proc/$pid/task"/*; do
	tid=${task##*/}
	[[ $tid == "$pid" ]] && continue
	case $(cat "$task/comm") in
	io | vcpu*) (($(filters "$tid") > $(filters "$pid"))) || fail "thread $(cat "$task/comm") has no list of its own" ;;
	esac
done
grep -q '^vcpu' "/proc/$pid/task"/*/comm || fail "no vCPU thread: $(cat "/proc/$pid/task"/*/comm)"
ok "threads with an allow-list of their own"

# Its view of the file system: the libraries and itself, nothing of the host's.
for path in etc/passwd var/lib/hvd run/hvd/hvd.sock dev/vda "${WORK#/}/disk" usr/bin/env; do
	[[ ! -e /proc/$pid/root/$path ]] || fail "hvd-vmm sees /$path"
done
for path in root home; do
	[[ -z $(ls -A "/proc/$pid/root/$path" 2>/dev/null) ]] || fail "hvd-vmm sees what is in /$path"
done
ok "no view of the host's file system"
links=$(ls "/proc/$pid/root/sys/class/net" 2>/dev/null)
netns=$(stat -L -c %i "/proc/$pid/ns/net")
[[ $netns != $(stat -L -c %i /proc/1/ns/net) ]] || fail "hvd-vmm is in the host's network: $links"
ok "a network namespace of its own"

# hvd itself has no parser of XML: a child does that, which is there for ten seconds after it was used.
hvd=$(systemctl show -P MainPID hvd.service)
hvd_xml() { hvcli vm xml "$V" && cat "/proc/$(pgrep -x -P "$hvd" hvd-xml)/status" >"$STATUS_FILE"; }
wait_for "hvd-xml" hvd_xml
! grep -q libxml2 "/proc/$hvd/maps" || fail "hvd has libxml2 in it"
for caps in CapPrm CapEff; do
	equal "hvd-xml: $caps" "$(field $caps)" 0000000000000000
done
(($(field Seccomp_filters) > $(awk '/^Seccomp_filters:/ { print $2 }' "/proc/$hvd/status"))) ||
	fail "hvd-xml has no list of its own"
ok "XML is the business of a process that is confined to it"

score=$(systemd-analyze security --no-pager "$U" 2>/dev/null | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
say "systemd-analyze security $U: $score"
[[ -n $score ]] || fail "no score: $(systemd-analyze security --no-pager "$U" 2>&1 | tail -3)"
awk -v s="$score" 'BEGIN { exit !(s <= 2.0) }' ||
	fail "score $score > 2.0: $(systemd-analyze security --no-pager "$U" | grep '✗')"
ok "score $score <= 2.0"
score=$(systemd-analyze security --no-pager hvd.service 2>/dev/null | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
say "systemd-analyze security hvd.service: $score"
awk -v s="$score" 'BEGIN { exit !(s <= 4.0) }' ||
	fail "score of hvd.service $score > 4.0: $(systemd-analyze security --no-pager hvd.service | grep '✗')"
ok "score of hvd.service $score <= 4.0"

systemctl status --no-pager "$U" | grep -q "CGroup: /hvd.slice/$U" ||
	fail "$(systemctl status --no-pager "$U")"
ok "systemctl status shows the cgroup"
