#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real guests: Debian with systemd (login, ping, page, power button, reboot), and the Debian installer.
. "${0%/*}/vm.sh"
LIMIT=${DEBIAN_LIMIT:-600}
V=${P}debian

D=$GUESTS/debian
[[ -e $D/vmlinuz && -e $D/initrd.img && -e $D/root.img ]] || skip "no Debian guest in $D"
cp --sparse=always "$D/root.img" "$WORK/root.img"

must hvcli vm create "$V" --kernel "$D/vmlinuz" --initrd "$D/initrd.img" --memory 512M --vcpus 2 \
	--disk "$WORK/root.img" --nic network=default \
	--cmdline "console=ttyAMA0 root=/dev/vda rw quiet"
must hvcli vm start "$V"
console_open "$V"
console_prompt "$V" 'login:'
ok "login prompt"
address() { vm_json "$V" | jq -e -r '.status.addresses[0].address'; }
wait_for "an address" address
a=$(address)
wait_for "an answer from $a" ping -c 1 -W 20 "$a"
ok "ping $a"
page() { curl -s -S -m 20 "http://$a/"; }
wait_for "a page from $a" page
ok "a page"

# pressed WHAT CMD...: CMD has come true; WHAT is done (again) for it when nothing has come of it for long. The login
# prompt may be there before the guest listens to its power button.
PRESSED=
pressed() {
	"${@:2}" && return
	if [[ ! $PRESSED ]] || ((SECONDS > PRESSED + 150)); then
		hvcli vm "$1" "$V"
		PRESSED=$SECONDS
	fi
	return 1
}

# The console ends with the process, and the rebooted guest is a new one.
started() { vm_json "$V" | jq -e -r '.status.pid'; }
old=$(started)
is_new() { [[ $(vm_json "$V" | jq -r '.status | select(.state == "running") | .pid') == +([0-9]) && $(started) != "$old" ]]; }
wait_for "another process after reboot" pressed reboot is_new
console_close "$V"
console_open "$V"
console_prompt "$V" 'login:'
wait_for "an address after reboot" address
a=$(address)
wait_for "a page after reboot" page
ok "reboot by the power button"
PRESSED=
wait_for "VM $V to be shutoff" pressed shutdown vm_is "$V" shutoff
ok "shutdown by the power button"
hvcli vm delete "$V" >/dev/null

D=$GUESTS/d-i
[[ -e $D/linux && -e $D/initrd.gz ]] || skip "no Debian installer in $D"
V=${P}di
must hvcli vm create "$V" --kernel "$D/linux" --initrd "$D/initrd.gz" --memory 512M \
	--nic network=default --cmdline 'console=ttyAMA0 TERM=linux quiet --- quiet' --start
console_open "$V"
console_prompt "$V" '[Ss]elect a language|Choose the language|language to be used'
ok "the installer's first screen"
