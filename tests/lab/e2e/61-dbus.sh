#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# D-Bus: the same operations, properties, signals; root may, an ordinary user may not.
. "${0%/*}/vm.sh"
V=${P}dbus
O=/org/hvd1/vm/$V
guest_files

manager() { busctl --json=short call org.hvd1 /org/hvd1 org.hvd1.Manager "$@"; }
vm() { busctl --json=short call org.hvd1 "$O" org.hvd1.VM "$@"; }
property() { busctl --json=short get-property org.hvd1 "$O" org.hvd1.VM "$1" | jq -r .data; }
is_property() { [[ $(property "$1") == "$2" ]]; }

busctl introspect org.hvd1 /org/hvd1 >"$WORK/introspect.log" 2>&1 || fail "$(cat "$WORK/introspect.log")"
for member in CreateVM ListVMs GetHost VMAdded VMRemoved org.freedesktop.DBus.ObjectManager; do
	grep -q -F "$member" "$WORK/introspect.log" || fail "introspection lacks $member"
done
ok "introspection of the manager"

busctl --json=short monitor org.hvd1 >"$WORK/signals.log" 2>&1 &
CHILDREN+=($!)
wait_for "busctl monitor" grep -q Monitoring "$WORK/signals.log"
path=$(manager CreateVM 'a{sv}' 3 name s "$V" memory s 128M \
	boot 'a{sv}' 3 kernel s "$KERNEL" initrd s "$INITRD" cmdline s "console=ttyAMA0 quiet do=idle") ||
	fail "CreateVM"
equal "CreateVM" "$(jq -r '.data[0]' <<<"$path")" "$O"
busctl introspect org.hvd1 "$O" >"$WORK/vm.log" || fail "no object $O"
for member in Start Shutdown Stop Pause Resume Reboot Update Delete StateChanged .State .Name; do
	grep -q -F "${member#.}" "$WORK/vm.log" || fail "introspection lacks $member: $(cat "$WORK/vm.log")"
done
ok "introspection of the VM"
equal "Name" "$(property Name)" "$V"
equal "State" "$(property State)" shutoff
must vm Start
wait_for "State running" is_property State running
must vm Pause
equal "State" "$(property State)" paused
must vm Resume
equal "State" "$(property State)" running
out=$(vm Start 2>&1) && fail "Start of a VM that runs"
matches "error of a VM that runs" "$out" 'running'
busctl --json=short call org.hvd1 /org/hvd1 org.freedesktop.DBus.ObjectManager GetManagedObjects |
	jq -e --arg o "$O" '.data[0][$o]["org.hvd1.VM"]' >/dev/null || fail "not a managed object"
ok "ObjectManager"
equal "a network's property" \
	"$(busctl get-property org.hvd1 /org/hvd1/network/default org.hvd1.Network Mode)" 's "nat"'

# An ordinary user, for whom no polkit agent can answer.
denied() { setpriv --reuid 65534 --regid 65534 --clear-groups busctl call org.hvd1 "$@" 2>&1; }
out=$(denied "$O" org.hvd1.VM Stop) && fail "nobody may stop a VM"
matches "nobody is denied" "$out" '[Aa]ccess|[Dd]enied|[Aa]uth|[Pp]ermi|needs'
out=$(denied /org/hvd1 org.hvd1.Manager CreateVM 'a{sv}' 1 name s "${V}x") && fail "nobody may create a VM"
equal "State after that" "$(property State)" running

must vm Stop
wait_for "State shutoff" is_property State shutoff
must vm Delete 'a{sv}' 0
busctl introspect org.hvd1 "$O" 2>/dev/null | grep -q org.hvd1.VM && fail "the object is still there"

seen() { grep -q "$1" "$WORK/signals.log"; }
wait_for "VMRemoved" seen '"member":"VMRemoved"'
for signal in VMAdded InterfacesAdded InterfacesRemoved PropertiesChanged StateChanged; do
	wait_for "signal $signal" seen "\"member\":\"$signal\""
done
for state in starting running paused stopping shutoff; do
	grep '"member":"StateChanged"' "$WORK/signals.log" | grep -q "\"$state\"" ||
		say "(no StateChanged to $state)"
done
grep '"member":"StateChanged"' "$WORK/signals.log" | grep -q '"running"' || fail "no StateChanged to running"
ok "signals"
