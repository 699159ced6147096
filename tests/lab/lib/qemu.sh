# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The emulated machine: its command line and its life.
#
# A machine lives in a folder (DIR below) with root.qcow2 (its disk), console.log, qemu.pid, and in a
# folder for sockets with console. That one has a short name, because the path of a unix socket has
# only 108 bytes and a checkout may be anywhere.

# qemu_get: REPLY is a folder with qemu-system-aarch64, QEMU 11 of Debian's backports, unpacked beside
# the system. Not the 7.2 of Debian 12: its TCG takes a slow path for every store to a page that once
# held code, so that now and then a boot stands still for a minute (a kernel stack in such a page).
qemu_get() {
	cache_get qemu "$(hash_text trixie-backports "$(declare -f qemu_make)")" qemu_make
}

qemu_make() {
	local arch lib
	arch=$(dpkg --print-architecture)
	debian_tree "$LAB_CACHE/log/qemu.log" "$1/root" trixie "$arch" extract qemu-system-arm,libc6 \
		--aptopt='APT::Default-Release "trixie-backports"'
	lib=$(cd "$1/root" && echo usr/lib/*/libc.so.6)
	lib=${lib%/*}
	cat >"$1/qemu-system-aarch64" <<-END
		#!/bin/sh
		r=\$(dirname "\$0")/root
		exec "\$r"/$lib/ld-linux-*.so.* --library-path "\$r/$lib" \\
			"\$r/usr/bin/qemu-system-aarch64" -L "\$r/usr/share/qemu" "\$@"
	END
	chmod +x "$1/qemu-system-aarch64"
}

# qemu_sockets DIR: the folder for sockets of the machine in DIR.
qemu_sockets() {
	echo "/run/hvd-lab-$(hash_text "$1")"
}

# qemu_pid DIR: the process of the machine in DIR; fails when it does not run. The pid file alone
# would not do: after a crash or a reboot the number may be some other process's.
qemu_pid() {
	local pid
	pid=$(cat "$1/qemu.pid" 2>/dev/null) || return 1
	grep -qzxF -- "$1/qemu.pid" "/proc/$pid/cmdline" 2>/dev/null || return 1
	echo "$pid"
}

# qemu_args CPU SMP MEM ICOUNT: what the server is, one argument a line. A server that runs
# is kept only for the same ones. ICOUNT is the seed of the deterministic mode, or empty.
qemu_args() {
	local accel=tcg,thread=multi
	[[ -z $4 ]] || accel=tcg,thread=single
	printf '%s\n' -nodefaults -display none \
		-machine virt,virtualization=on,gic-version=3 -cpu "$1" -smp "$2" -m "$3" -accel "$accel" \
		-device virtio-net-pci,netdev=net,addr=1,romfile= \
		-device virtio-blk-pci,drive=root,addr=2 \
		-device virtio-blk-pci,drive=guests,addr=3 \
		-device virtio-rng-pci,addr=4
	# Guest time is a count of instructions; see lab.md of the design for what it is good for.
	[[ -z $4 ]] || printf '%s\n' -icount shift=1,sleep=off \
		-rtc base=2025-01-01,clock=vm -seed "$4"
}

# qemu_start DIR QEMU SERVER GUESTS PORT ARG...: start the machine and return. QEMU, SERVER and GUESTS
# are the folders of these artefacts, PORT is for ssh.
qemu_start() {
	local dir=$1 qemu=$2 server=$3 guests=$4 port=$5 sockets cmdline
	shift 5
	sockets=$(qemu_sockets "$dir")
	install -d -m 700 "$sockets"
	cmdline="console=ttyAMA0 root=/dev/vda rw quiet systemd.show_status=false"
	# systemd's own limit is too short for the disks and mounts of a machine that crawls.
	cmdline+=" systemd.default_timeout_start_sec=600"
	"$qemu/qemu-system-aarch64" -name hvd-lab "$@" \
		-kernel "$server/vmlinuz" -initrd "$server/initrd.img" \
		-append "$cmdline" \
		-drive "if=none,id=root,file=$dir/root.qcow2,format=qcow2,cache=unsafe,discard=unmap" \
		-drive "if=none,id=guests,file=$guests/guests.raw,format=raw,readonly=on" \
		-netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" \
		-chardev "socket,id=console,path=$sockets/console,server=on,wait=off,logfile=$dir/console.log" \
		-serial chardev:console \
		-daemonize -pidfile "$dir/qemu.pid"
}

# qemu_stop DIR: end the machine in DIR, if it runs: this very process and no other.
qemu_stop() {
	local pid signal
	if pid=$(qemu_pid "$1"); then
		for signal in TERM KILL; do
			kill -s "$signal" "$pid" 2>/dev/null || break
			timeout 10 tail --pid="$pid" --sleep-interval=0.1 --follow /dev/null && break
		done
	fi
	rm -rf "$(qemu_sockets "$1")" "$1/qemu.pid"
}

# port_free: a TCP port of 127.0.0.1 that nobody listens on just now.
port_free() {
	local port
	while :; do
		port=$((20000 + RANDOM % 40000))
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}
