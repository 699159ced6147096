#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# After all is deleted, nothing is left: units, taps, sockets, cgroups, definitions, processes, files.
. "${0%/*}/vm.sh"
truncate -s 4M "$WORK/disk"

state() {
	echo "units: $(systemctl list-units --all --no-legend 'hvd-vm*' | tr -s ' ')"
	echo "links: $(ls -x -w 1000 /sys/class/net | tr -s ' ')"
	echo "runtime: $(ls -x -w 1000 /run/hvd/vms 2>/dev/null)"
	echo "definitions: $(ls -x -w 1000 /var/lib/hvd/vms)"
	echo "cgroups: $(ls -d /sys/fs/cgroup/hvd.slice/hvd-vm* 2>/dev/null)"
	echo "processes: $(pgrep -x hvd-vmm | wc -l)"
	echo "machines: $(machinectl list --no-legend 2>/dev/null | wc -l)"
}
fds() { ls "/proc/$(systemctl show -P MainPID hvd)/fd" | wc -l; }

# The bridge of the network stays once it is there: let it be there.
vm_up "${P}first" idle --nic network=default
console_close "${P}first"
vm_gone "${P}first"
wait_for "nothing to be left of the first" no_traces
before=$(state)
as_before() { [[ $(state) == "$before" ]]; }
fds_before=$(fds)

for round in 1 2; do
	for i in 1 2 3; do
		vm_create "${P}n$i" idle --nic network=default
		must hvcli vm start "${P}n$i"
	done
	truncate -s 4M "$WORK/disk"
	vm_create "${P}d" idle --disk "$WORK/disk"
	must hvcli vm start "${P}d"
	for i in n1 n2 n3 d; do
		vm_gone "$P$i"
	done
	wait_for "round $round to leave nothing: $(diff <(echo "$before") <(state))" as_before
	ok "round $round leaves nothing"
done
settled() { (($(fds) <= fds_before)); }
wait_for "hvd's descriptors to be as many as before ($fds_before, now $(fds))" settled
ok "hvd has as many descriptors as before"
