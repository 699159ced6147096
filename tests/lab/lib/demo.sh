# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# README's first command: from a clone to running VMs, shown step by step.

DEMO_DISK=/var/lib/hvd-demo/root.img

# demo_step TEXT...: what comes next.
demo_step() {
	echo >&2
	say "== $*"
	DEMO_STEP=$*
}

# demo_run CMD...: show a command for the server, run it there, show what it prints.
demo_run() {
	demo_show "$@"
	lab_exec "$@" </dev/null 2>&1 | sed -u 's/^/     | /'
}

demo_show() {
	local word line=''
	for word; do
		[[ $word != *[\ \|]* ]] || word="'$word'"
		line+=" $word"
	done
	printf '     server#%s\n' "$line"
}

# demo_screen: what a VM's console shows, set apart. A full-screen program such as the installer draws its
# screen over and over: moves of the cursor become new lines, and what was there before is left out.
demo_screen() {
	local line
	local -A seen=()
	sed -u -E 's/\x1b\[[0-9;]*H/\n/g; s/\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>78])//g
		s/[\r\x00-\x08\x0e-\x1f]//g' |
		while IFS= read -r line || [[ $line ]]; do
			[[ $line =~ [^\ ] && ! ${seen[$line]-} ]] || continue
			seen[$line]=1
			printf '     | %s\n' "$line"
		done
}

# demo_failed: on the way out of a step that failed, what helps to see why.
demo_failed() {
	{
		printf '\n--- the demo stopped at: %s\n' "$DEMO_STEP"
		if [[ -e $LAB_DIR/ssh_config ]]; then
			echo "--- journal of hvd and its VMs"
			lab_exec journalctl --no-pager -n 60 -u hvd -u 'hvd-vm-*' </dev/null || true
			echo "--- state of the VMs"
			lab_exec hvcli vm list </dev/null || true
		fi
		echo "--- logs: $LAB_DIR/log; look around: $LAB_HERE/lab shell; start over: $LAB_HERE/lab down"
	} >&2
}

# demo_console VM REGEX SECONDS: show the VM's console until REGEX is on it.
demo_console() {
	local vm=$1 regex=$2 end=$((SECONDS + $3)) log=$LAB_DIR/log/demo-$1.console pid show found=''
	demo_show hvcli vm console "$vm"
	# Here, not by the command in the background: tail may be the first of the two.
	: >"$log"
	lab_exec timeout "$3" hvcli vm console "$vm" >>"$log" 2>&1 </dev/null &
	pid=$!
	tail -n +1 --pid="$pid" --sleep-interval=0.3 --follow "$log" | demo_screen &
	show=$!
	while [[ ! $found ]] && ((SECONDS < end)) && kill -0 "$pid" 2>/dev/null; do
		sleep 0.3
		# A login prompt has no newline after it, and grep does not mind.
		grep -a -q -E "$regex" "$log" && found=1
	done
	# The rest of the screen.
	sleep 1
	kill "$pid" 2>/dev/null || true
	wait "$pid" "$show" || true
	echo
	[[ $found ]] || die "the console of $vm did not come to /$regex/; all of it is in $log"
}

# demo_fresh VM: forget a VM of an earlier demo on this server.
demo_fresh() {
	lab_exec sh -c "hvcli vm show $1 >/dev/null 2>&1 || exit 0
		hvcli vm stop $1 --wait >/dev/null 2>&1; hvcli vm delete $1" </dev/null >/dev/null
}

lab_demo() {
	local address
	(($# == 0)) || usage
	exec 2>&1
	# Every step that fails ends the shell.
	trap demo_failed EXIT

	demo_step "an emulated Arm server with this tree's hvd on it"
	(lab_up)
	demo_run sh -c 'dmesg | grep VHE'
	demo_run hvcli host

	demo_step "a VM from Debian's arm64 kernel and a Debian root disk with systemd"
	demo_fresh demo
	lab_exec sh -c "mkdir -p ${DEMO_DISK%/*}; cp --sparse=always /srv/lab/debian/root.img $DEMO_DISK" </dev/null
	demo_run hvcli vm create demo \
		--kernel /srv/lab/debian/vmlinuz --initrd /srv/lab/debian/initrd.img \
		--cmdline "console=ttyAMA0 root=/dev/vda rw quiet" --memory 512M --vcpus 2 \
		--disk "path=$DEMO_DISK" --nic network=default --start

	demo_step "its console, up to the login prompt"
	demo_console demo 'login: ' 300

	demo_step "the VM as hvd and as systemd see it"
	demo_run hvcli vm list
	demo_run hvcli vm show demo
	demo_run systemctl status --no-pager --full --lines=5 hvd-vm-demo.service

	demo_step "the network: DHCP, ping, a page from the web server inside the guest"
	address=$(demo_address demo)
	demo_run ping -c 3 "$address"
	demo_run curl --silent --show-error --max-time 30 "http://$address/"

	demo_step "shutting it down by its power button"
	demo_run hvcli vm shutdown demo --wait
	demo_run hvcli vm list

	demo_step "a second guest: the Debian installer, to its first screen"
	demo_fresh installer
	demo_run hvcli vm create installer --kernel /srv/lab/d-i/linux --initrd /srv/lab/d-i/initrd.gz \
		--cmdline "console=ttyAMA0 TERM=linux quiet" --memory 512M --nic network=default --start
	demo_console installer '[Ss]elect a language|Choose the language' 300
	demo_run hvcli vm stop installer --wait
	demo_run hvcli vm delete installer

	trap - EXIT
	demo_next
}

# demo_address VM: the address that the network gave it.
demo_address() {
	local end=$((SECONDS + 60)) address=''
	while [[ ! $address ]]; do
		((SECONDS < end)) || die "the VM $1 has no address after a minute"
		address=$(lab_exec sh -c "hvcli vm show $1 -o json | jq -r '.status.addresses[0].address // empty'" \
			</dev/null)
		[[ $address ]] || sleep 1
	done
	echo "${address%/*}"
}

demo_next() {
	local lab
	lab=$(realpath --relative-to=. "$LAB_HERE/lab")
	cat <<-END

		[$(printf '%3d' "$SECONDS") s] Done. The server is still up. What to try next:

		  $lab shell                           a root shell on the server; then, for example
		      hvcli vm start demo --wait && hvcli vm console demo    (log in: root, lab; ^] leaves)
		      hvcli vm set demo --help         what can be changed while it runs
		      busctl tree org.hvd1; journalctl -u hvd; systemd-cgls /hvd.slice
		      curl --unix-socket /run/hvd/hvd.sock http://hvd/v1/vms
		  $lab check                           all tests
		  $lab down                            end the server
	END
}
