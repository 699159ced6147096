#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# memory.sh VMM MEMORY PID: what the process PID takes beside the guest's RAM of MEMORY MiB, in KiB.
#
# PSS is a process's share of memory: pages that it shares count in parts. Guest RAM is every
# mapping of at least MEMORY MiB (nothing else in these processes is so large); all the rest of
# /proc/PID/smaps is the VMM: code, heap, stacks, rings, and its part of shared libraries.
vmm=$1 memory=$2 pid=$3
awk -v vmm="$vmm" -v ram=$((memory * 1024)) '
	/^[0-9a-f]+-[0-9a-f]+ / { size = 0 }
	$1 == "Size:" { size = $2 }
	$1 == "Pss:" { if (size >= ram) guest += $2; else pss += $2 }
	END { printf "%s pss_kib %d\n%s guest_ram_kib %d\n", vmm, pss, vmm, guest }' "/proc/$pid/smaps"
awk -v vmm="$vmm" '$1 == "VmRSS:" { print vmm, "rss_kib", $2 }' "/proc/$pid/status"
echo "$vmm threads $(ls "/proc/$pid/task" | wc -l)"
for dir in /sys/kernel/debug/kvm/"$pid"-*; do
	for stat in exits mmio_exit_user mmio_exit_kernel; do
		[[ ! -r $dir/$stat ]] || echo "$vmm kvm_$stat $(cat "$dir/$stat")"
	done
done
exit 0
