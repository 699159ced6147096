# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The way into a running server: one multiplexed ssh connection, as a handshake takes the emulated
# machine a second and an exec over it only some milliseconds.

# ssh_setup DIR PORT KEYS: write DIR/ssh_config, for a host named "lab".
ssh_setup() {
	local dir=$1 port=$2 keys=$3
	printf 'lab %s\n' "$(cut -d ' ' -f 1-2 "$keys/host.pub")" >"$dir/known_hosts"
	cat >"$dir/ssh_config" <<-END
		Host lab
			HostName 127.0.0.1
			Port $port
			User root
			IdentityFile $keys/client
			IdentitiesOnly yes
			HostKeyAlias lab
			UserKnownHostsFile $dir/known_hosts
			StrictHostKeyChecking yes
			BatchMode yes
			LogLevel ERROR
			Compression no
			ControlMaster auto
			ControlPersist 300
			ControlPath $(qemu_sockets "$dir")/ssh
			ServerAliveInterval 60
			ServerAliveCountMax 10
	END
}

# ssh_wait DIR SECONDS: until the server lets us in.
ssh_wait() {
	local end=$((SECONDS + $2))
	until timeout 60 ssh -F "$1/ssh_config" -o ConnectTimeout=15 lab true </dev/null 2>/dev/null; do
		((SECONDS < end)) || return 1
		qemu_pid "$1" >/dev/null || return 1
		sleep 0.2
	done
}

# ssh_close DIR: drop the connection; the machine behind it is about to go.
ssh_close() {
	[[ -e $1/ssh_config ]] || return 0
	ssh -F "$1/ssh_config" -O exit lab >/dev/null 2>&1 || true
}

# lab_exec CMD...: run CMD on the server, its words kept as they are.
lab_exec() {
	ssh -F "$LAB_DIR/ssh_config" lab "$(printf '%q ' "$@")"
}

# lab_put SRC DST and lab_get SRC DST: copy like cp -a does.
lab_put() {
	scp -q -F "$LAB_DIR/ssh_config" -r -p -- "$1" "lab:$2"
}

lab_get() {
	scp -q -F "$LAB_DIR/ssh_config" -r -p -- "lab:$1" "$2"
}

lab_shell() {
	ssh -F "$LAB_DIR/ssh_config" -t lab
}

# lab_console: the serial console, whose output is also in LAB_DIR/console.log.
lab_console() {
	echo "the server's console; ^] leaves" >&2
	socat "STDIO,raw,echo=0,escape=0x1d" "UNIX:$(qemu_sockets "$LAB_DIR")/console"
}
