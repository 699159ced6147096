#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The half of the benchmarks that runs on the emulated server: one line "VMM METRIC VALUE" each.
#
# In the deterministic mode all times are instructions (2 ns of virtual time is one). hvd-vmm is run by
# --config, without hvd; QEMU without default devices, with io_uring for its disk.
set -euo pipefail
here=$(cd "${0%/*}" && pwd)
# shellcheck source=tests/lab/e2e/tiny.sh
. "$here/e2e/tiny.sh"
KERNEL=$(tiny_kernel)
INITRD=$(tiny_initrd)
work=$(mktemp -d)
taps=()
cleanup() {
	for t in "${taps[@]}"; do ip link del "$t" 2>/dev/null || true; done
	rm -rf "$work"
}
trap cleanup EXIT
MEMORY=128
FIO_MEMORY=512
vmm=$(command -v hvd-vmm || echo /usr/libexec/hvd-vmm)
STARTS=3
# A stream settles into one of several rhythms of batches and acknowledgements, which differ by a third: one of
# them says nothing.
NET_ROUNDS=5

# new_taps: one for each VMM, as new: without a neighbour or an offload of a guest before.
new_taps() {
	local t
	for t in bench0 bench1; do
		ip link delete "$t" 2>/dev/null || true
		ip tuntap add dev "$t" mode tap
		ip link set "$t" up
	done
	taps=(bench0 bench1)
}
new_taps
truncate -s 64M "$work/disk"

# The disk of the I/O rows is in the page cache: what is counted is the way to the disk, not the disk.
head -c 256M /dev/zero | tr '\0' x >"$work/cached"
sync
FIO=$GUESTS/debian/root.img
FIO_REQUESTS=20000

# net_command_of VMM BACKEND: the same for a guest with a NIC, on PCI as it is by default; the
# netload program is its disk. BACKEND is tap (in the process) or vhost.
net_command_of() {
	local cmdline="console=ttyAMA0 quiet do=idle" backend=process vhost=off
	[[ $2 != vhost ]] || { backend=vhost && vhost=on; }
	case $1 in
	hvd)
		jq -n --arg k "$KERNEL" --arg i "$INITRD" --arg c "$cmdline" --arg d "$here/netload" \
			--argjson m "$((MEMORY << 20))" --arg b "$backend" \
			'{name: "bench", vcpus: 1, memory: $m, rng: false, hotplug_ports: 0,
			  boot: {kernel: $k, initrd: $i, cmdline: $c}, disks: [{path: $d, read_only: true}],
			  nics: [{tap: "bench0", mac: "52:54:00:00:00:01", backend: $b}]}' >"$work/vm.json"
		COMMAND=("$vmm" --config "$work/vm.json")
		;;
	qemu)
		COMMAND=(qemu-system-aarch64 -nodefaults -no-user-config -display none
			-machine virt,gic-version=3 -accel kvm -cpu host -smp 1 -m "$MEMORY"
			-serial stdio -kernel "$KERNEL" -initrd "$INITRD" -append "$cmdline"
			-drive "if=none,id=d,file=$here/netload,format=raw,readonly=on"
			-device virtio-blk-pci,drive=d
			-netdev "tap,id=n,ifname=bench1,script=no,downscript=no,vhost=$vhost"
			-device virtio-net-pci,netdev=n,romfile=)
		;;
	esac
}

# command_of VMM KERNEL INITRD CMDLINE DEVICES: the command line in COMMAND.
command_of() {
	local kernel=$2 initrd=$3 cmdline=$4 devices=$5 # true: a disk and a NIC
	case $1 in
	hvd)
		jq -n --arg k "$kernel" --arg i "$initrd" --arg c "$cmdline" --arg d "$work/disk" \
			--argjson m "$((MEMORY << 20))" --argjson devices "$devices" \
			'{name: "bench", profile: "micro", vcpus: 1, memory: $m, rng: false, boot: {kernel: $k, cmdline: $c}}
			 | if $i != "" then .boot.initrd = $i else . end
			 | if $devices then .disks = [{path: $d}] | .nics = [{tap: "bench0"}] else . end' \
			>"$work/vm.json"
		COMMAND=("$vmm" --config "$work/vm.json")
		;;
	qemu)
		COMMAND=(qemu-system-aarch64 -nodefaults -no-user-config -display none
			-machine virt,gic-version=3 -accel kvm -cpu host -smp 1 -m "$MEMORY"
			-serial stdio -kernel "$kernel" -append "$cmdline")
		[[ -z $initrd ]] || COMMAND+=(-initrd "$initrd")
		[[ $devices != true ]] || COMMAND+=(
			-drive "if=none,id=d,file=$work/disk,format=raw,cache=writeback,aio=io_uring"
			-device virtio-blk-pci,drive=d
			-netdev tap,id=n,ifname=bench1,script=no,downscript=no
			-device virtio-net-pci,netdev=n,romfile=)
		;;
	esac
}

# online 0|1: all CPUs but the first. The emulated counters of instructions count those of all CPUs, each while
# its own is in the host: with one CPU that is the host's instructions and nothing else.
online() {
	local cpu
	for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do
		[[ ! -e $cpu ]] || echo "$1" >"$cpu"
	done
}

# The same for a machine with PCI, one I/O thread, and the disk of the I/O rows.
command_of_blk() {
	local cmdline="console=ttyAMA0 quiet do=fio rw=$2 depth=$3 n=$FIO_REQUESTS"
	case $1 in
	hvd)
		jq -n --arg k "$KERNEL" --arg i "$INITRD" --arg c "$cmdline" --arg d "$work/cached" --arg f "$FIO" \
			--argjson m "$((FIO_MEMORY << 20))" \
			'{name: "bench", vcpus: 1, memory: $m, rng: false, boot: {kernel: $k, initrd: $i, cmdline: $c},
			  disks: [{path: $d, cache: "writeback"}, {path: $f, read_only: true, cache: "writeback"}]}' \
			>"$work/vm.json"
		COMMAND=("$vmm" --config "$work/vm.json")
		;;
	qemu)
		COMMAND=(qemu-system-aarch64 -nodefaults -no-user-config -display none
			-machine virt,gic-version=3 -accel kvm -cpu host -smp 1 -m "$FIO_MEMORY"
			-serial stdio -kernel "$KERNEL" -initrd "$INITRD" -append "$cmdline"
			-object iothread,id=io
			-drive "if=none,id=d,file=$work/cached,format=raw,cache=writeback,aio=io_uring"
			-device virtio-blk-pci,drive=d,iothread=io
			-drive "if=none,id=f,file=$FIO,format=raw,readonly=on"
			-device virtio-blk-pci,drive=f)
		;;
	esac
}

# What a request of 4 KiB costs the host: instructions, exits of the guest, exits to user space.
bench_blk() {
	local rw depth rc=0
	online 0
	for rw in randread read randwrite; do
		for depth in 1 32; do
			command_of_blk "$1" "$rw" "$depth"
			"$here/between" FIO-BEGIN FIO-END -- "${COMMAND[@]}" 2>"$work/err" >"$work/out" || {
				cat "$work/err" >&2
				rc=1
				continue
			}
			awk -v p="$1 blk_${rw}_$depth" -v n="$FIO_REQUESTS" '
				$1 != "ns" { printf "%s_%s %.4f\n", p, $1, $2 / n }' "$work/out"
		done
	done
	online 1
	return "$rc"
}

# Instructions of a read that user space answers: smallest and median of the payload's rounds.
bench_mmio_exit() {
	local line reads frequency min median
	command_of "$1" "$here/mmio-exit.Image" "" "" false
	"${COMMAND[@]}" </dev/null >"$work/out" 2>&1
	line=$(tr -d '\r' <"$work/out" | grep -a '^MMIO-EXIT')
	read -r reads frequency min median < <(sed 's/[^0-9 ]*=//g; s/^MMIO-EXIT //' <<<"$line")
	awk -v vmm="$1" -v n="$reads" -v f="$frequency" -v min="$min" -v med="$median" 'BEGIN {
		ns = 1e9 / f
		printf "%s mmio_exit_min %.0f\n%s mmio_exit_median %.0f\n", vmm, min / n * ns / 2, vmm, med / n * ns / 2 }'
}

# Nanoseconds from exec to the guest's init.
bench_start() {
	local i
	command_of "$1" "$KERNEL" "$INITRD" "console=ttyAMA0 quiet do=idle" false
	# in the page cache before the first start: otherwise the first VMM alone would wait for the disk
	cat "$KERNEL" "$INITRD" >/dev/null
	for ((i = 0; i < STARTS; i++)); do
		"$here/stopwatch" GUEST-INIT -- "${COMMAND[@]}" 2>"$work/err" >"$work/out" || {
			cat "$work/err" >&2
			return 1
		}
		echo "$1 start_ns $(awk '$1 == "elapsed" { print $2 }' "$work/out")"
	done
}

# PSS outside guest RAM, with a disk and a NIC, idle after boot; and exits, where debugfs has them.
bench_memory() {
	command_of "$1" "$KERNEL" "$INITRD" "console=ttyAMA0 quiet do=read" true
	"$here/stopwatch" READ-DONE "$here/memory.sh $1 $MEMORY" -- "${COMMAND[@]}" 2>"$work/err" >"$work/out" || {
		cat "$work/err" >&2
		return 1
	}
	grep "^$1 " "$work/out"
}

console_says() {
	local n
	for ((n = 0; n < 600; n++)); do
		! tr -d '\r' <"$work/out" | grep -a -q "^$1" || return 0
		sleep 0.2
	done
	tail -n 20 "$work/out" "$work/err" >&2
	return 1
}

# exits_of PID: of all vCPUs, as KVM counts them.
exits_of() { cat /sys/kernel/debug/kvm/"$1"-*/exits; }

# net_loads PREFIX PID: with the guest's shell at $keys, the host's side of its tap has 10.99.0.1.
net_loads() {
	local kind amount before round
	console_says GUEST-UP || return
	echo 'ip addr add 10.99.0.2/24 dev eth0; ip link set eth0 up; cat /dev/vda >/tmp/netload;' \
		'chmod +x /tmp/netload; /tmp/netload serve 5001 &' >&"$keys"
	console_says NETLOAD-SERVES || return
	for ((round = 0; round < NET_ROUNDS; round++)); do
		for kind in rx tx rr; do
			amount=8000000
			[[ $kind != rr ]] || amount=500
			before=$(exits_of "$2")
			"$here/netload" run "$1" 10.99.0.2 5001 "$kind" "$amount" || return
			echo "${1}_${kind}_exits $(($(exits_of "$2") - before))"
		done
	done
}

# A TCP stream each way and request-response over one connection, in the process and with vhost-net.
bench_net() {
	local backend tap=bench0 pid keys rc=0
	[[ $1 == hvd ]] || tap=bench1
	online 0
	# what the host learns of one guest's connections is not to shape the next guest's
	sysctl -q net.ipv4.tcp_no_metrics_save=1
	ip tcp_metrics flush
	mkfifo "$work/keys"
	for backend in tap vhost; do
		new_taps
		ip addr add 10.99.0.1/24 dev "$tap"
		net_command_of "$1" "$backend"
		: >"$work/out"
		"${COMMAND[@]}" <"$work/keys" >"$work/out" 2>"$work/err" &
		pid=$!
		exec {keys}>"$work/keys"
		net_loads "$1 net_$backend" "$pid" || rc=1
		exec {keys}>&-
		kill "$pid" 2>/dev/null || true
		wait "$pid" || true
	done
	rm "$work/keys"
	new_taps
	online 1
	return "$rc"
}

qemu-system-aarch64 --version | sed -n '1s/^/version /p'
for vmm_name in hvd qemu; do
	if [[ $vmm_name == qemu ]] && ! command -v qemu-system-aarch64 >/dev/null; then
		echo "no qemu-system-aarch64 on this server" >&2
		continue
	fi
	for bench in ${BENCHES:-mmio_exit start memory blk net}; do
		"bench_$bench" "$vmm_name" || echo "bench: $bench failed for $vmm_name" >&2
	done
done
