# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Bringing the server up and down.
#
# Every lab boots its own server. Resuming a saved one would take a second instead of twenty, but
# servers were seen to hang after that: the timer of CPU 0 never fired again (QEMU 11.1, VHE).

UP_CPU=neoverse-n1 UP_SMP=2 UP_MEM=4096 UP_ICOUNT='' UP_FLAVOUR=base UP_BARE=''

up_options() {
	while (($#)); do
		case $1 in
		--bare) UP_BARE=1 && shift && continue ;;
		--cpu) UP_CPU=${2:?} ;;
		--smp) UP_SMP=${2:?} ;;
		--mem) UP_MEM=${2:?} ;;
		--icount) UP_ICOUNT=${2:?} ;;
		--flavour) UP_FLAVOUR=${2:?} ;;
		*) usage ;;
		esac
		shift 2
	done
}

# lab_up [OPTION...]: the server runs this tree's hvd. A server of the same shape that runs already is
# kept, with everything on it.
lab_up() {
	local qemu server guests keys args shape
	up_options "$@"
	packages_need LAB
	[[ $UP_BARE ]] || packages_need BUILD
	binfmt_need
	mkdir -p "$LAB_DIR"
	exec 9>"$LAB_DIR/lock"
	flock 9

	keys_get
	keys=$REPLY
	side_by_side qemu_get "server_get $UP_FLAVOUR" guest_root_get guest_extract_get
	qemu_get
	qemu=$REPLY
	server_get "$UP_FLAVOUR"
	server=$REPLY
	guests_get "$server"
	guests=$REPLY
	mapfile -t args < <(qemu_args "$UP_CPU" "$UP_SMP" "$UP_MEM" "$UP_ICOUNT")
	shape=$(hash_text "$qemu" "$server" "$guests" "${args[@]}")

	if qemu_pid "$LAB_DIR" >/dev/null && [[ $(cat "$LAB_DIR/shape") == "$shape" ]]; then
		say "server: runs already"
	else
		up_stop
		qemu-img create -q -f qcow2 -b "$server/root.qcow2" -F qcow2 "$LAB_DIR/root.qcow2"
		up_boot
		echo "$shape" >"$LAB_DIR/shape"
	fi
	if [[ $UP_BARE ]]; then
		say "server: up, without hvd (--bare)"
	else
		build_install
		say "server: up, hvd runs"
	fi
	exec 9>&-
}

# up_boot: start the server on LAB_DIR/root.qcow2 and wait until one can log in. The names of its parts
# are lab_up's.
up_boot() {
	local port try
	say "server: booting ($UP_CPU)"
	for try in 1 2 3; do
		port=$(port_free)
		# The lock is this command's, not the machine's.
		logged "$LAB_DIR/log/qemu.log" \
			qemu_start "$LAB_DIR" "$qemu" "$server" "$guests" "$port" "${args[@]}" 9>&- && break
		((try < 3)) || die "QEMU does not start"
	done
	ssh_setup "$LAB_DIR" "$port" "$keys"
	ssh_wait "$LAB_DIR" 600 || {
		tail -n 20 "$LAB_DIR/console.log" >&2
		die "the server cannot be reached by ssh; above is the end of its console"
	}
}

# up_stop: end this lab's machine.
up_stop() {
	ssh_close "$LAB_DIR"
	qemu_stop "$LAB_DIR"
	rm -f "$LAB_DIR/shape" "$LAB_DIR/root.qcow2" "$LAB_DIR/ssh_config"
}

# lab_down: end it, and the second server of a check.
lab_down() {
	local dir
	for dir in "$LAB_DIR/second" "$LAB_DIR"; do
		[[ -d $dir ]] || continue
		exec 9>"$dir/lock"
		flock 9
		LAB_DIR=$dir up_stop
		exec 9>&-
	done
}
