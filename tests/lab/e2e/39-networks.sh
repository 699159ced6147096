#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Networks that an operator makes; what a guest may send there; NICs on bridges and interfaces of the host.
. "${0%/*}/vm.sh"
V=${P}a
W=${P}b
N=${P}lab
MAC=52:54:00:35:00:07

clean() {
	local link
	for link in "${P}x0" "${P}br"; do
		ip link del "$link" 2>/dev/null
	done
	for n in $(hvcli network list -o name | grep "^$P"); do
		hvcli network delete "$n" >/dev/null 2>&1
	done
}
trap 'rc=$?; for v in "$V" "$W"; do hvcli vm stop "$v" --wait; hvcli vm delete "$v"; done >/dev/null 2>&1
	clean; (exit $rc); finish' EXIT

network_json() { hvcli network show "$1" -o json; }
network_state() { network_json "$1" | jq -r .status.state; }
refused() {
	local what=$1 pattern=$2 out
	shift 2
	out=$(hvcli "$@" 2>&1) && fail "$what: hvcli $* succeeded: $out"
	matches "$what" "$out" "$pattern"
}
# An ARP request or an answer takes its time on the emulated server; an answer that must not come does not.
pings() { ping -c 1 -W 10 "$1" >/dev/null; }
is_silent() { ! ping -c 3 -W 3 "$1" >/dev/null; }

# --- made, changed, shown
must hvcli network create "$N" --mode isolated --address 10.235.0.1/24 --dhcp-start 10.235.0.100 \
	--dhcp-end 10.235.0.120 --static-lease "address=10.235.0.7,mac=$MAC,name=seven"
equal "a new network" "$(network_state "$N")" inactive
bridge=$(network_json "$N" | jq -r .spec.bridge)
matches "list shows it" "$(hvcli network list)" "$N +inactive +isolated +$bridge +10.235.0.1/24"
refused "its name again" 'exists already' network create "$N"
refused "its subnet again" "overlaps with network $N" network create "${P}other" --address 10.235.0.9/20
outside=$(ip -4 -o route show scope link | awk '$3 !~ /^hvd/ { print $1; exit }')
refused "a subnet of the host" 'overlaps with .* which the host has on' \
	network create "${P}other" --address "${outside%.*}.200/${outside#*/}"
xml=$(hvcli network xml "$N") || fail "no XML: $xml"
grep -q "<host ip=\"10.235.0.7\" mac=\"$MAC\" name=\"seven\"/>" <<<"$xml" || fail "no static lease in $xml"
must hvcli network delete "$N"
hvcli network define - <<<"$xml" >"$WORK/define.log" 2>&1 || fail "define: $(cat "$WORK/define.log")"
equal "from XML and back" "$(hvcli network xml "$N")" "$xml"

# --- a VM that starts has it made; DHCP; who uses it
vm_up "$V" net --nic "network=$N,mac=$MAC"
equal "the network of a VM that runs" "$(network_state "$N")" active
equal "its static lease" "$(console_last "$V" 'GUEST-NET [0-9.]+')" "GUEST-NET 10.235.0.7"
leases() { hvcli network leases "$N" | grep -q "10.235.0.7 .*$MAC .*$V .*net0"; }
wait_for "the lease in the list" leases
ok "the lease in the list"
matches "the mark of its tap" "$(ip -d link show master "$bridge")" "hvd:vm/$V/net0"
refused "deleting what a VM has" "VM $V" network delete "$N"
refused "stopping what a VM uses" "in use by VM $V" network stop "$N"
rest_is 409 DELETE "/v1/networks/$N"
wait_for "the host to reach its guest" pings 10.235.0.7
ok "the host reaches its guest"
must hvcli network set "$N" --dhcp-end 10.235.0.130 --static-lease "address=10.235.0.7,mac=$MAC" \
	--static-lease address=10.235.0.8,mac=52:54:00:35:00:08
grep -q 'PoolSize=31$' /run/systemd/network/70-hvd-"$N".network || fail "networkd has not got the change"
wait_for "the change in networkd" pings 10.235.0.7
becomes "still active" active network_state "$N"

# --- isolated: nothing is routed from it
guest "$V" "ip route add default via 10.235.0.1" || fail "no route in the guest"
uplink=$(ip -4 -o route get 10.0.2.2 2>/dev/null | grep -o 'src [0-9.]*' | cut -d' ' -f2)
echo 1 >/proc/sys/net/ipv4/ip_forward
if [[ -n $uplink ]]; then
	route=$(ip route get 10.0.2.2 from 10.235.0.7 iif "$bridge" 2>&1)
	matches "nothing is routed from an isolated network" "$route" 'prohibited|denied|unreachable'
fi
route=$(ip route get 10.235.0.7)
matches "the host has its way there" "$route" "dev $bridge"

# --- a guest cannot take another address, unless it is trusted; one that it then keeps is dropped
other=52:54:00:35:66:66
# take VM INTERFACE ADDRESS: have the guest take it; its status is that of doing so.
take() {
	guest "$1" "ip link set $2 down; ip link set $2 address $3; rc=\$?; ip link set $2 up; (exit \$rc)" >/dev/null
}
take "$V" eth0 "$other" && fail "a guest that is not trusted could take another MAC address"
must hvcli nic set "$V" net0 --trust-guest-mac
take "$V" eth0 "$other" || fail "a trusted guest cannot take another MAC address"
ip neigh flush dev "$bridge"
wait_for "the trusted guest to be heard" pings 10.235.0.7
ok "a trusted guest is heard with another MAC address"
must hvcli nic set "$V" net0 --no-trust-guest-mac
ip neigh flush dev "$bridge"
is_silent 10.235.0.7 || fail "a guest with another MAC address is heard"
ok "a guest with another MAC address is not heard"
dropped=$(tc -s qdisc show dev "$(ls "/sys/class/net/$bridge/brif")" clsact | grep -o 'dropped [0-9]*')
matches "what it sent is dropped by the kernel" "$dropped" 'dropped [1-9]'
must hvcli nic set "$V" net0 --no-mac-filter
ip neigh flush dev "$bridge"
wait_for "the guest to be heard without the filter" pings 10.235.0.7
ok "without the filter it is"
must hvcli nic set "$V" net0 --mac-filter
ip neigh flush dev "$bridge"
is_silent 10.235.0.7 || fail "the filter did not come back"
must hvcli nic set "$V" net0 --trust-guest-mac
take "$V" eth0 "$MAC" || fail "a guest cannot have its own MAC address again"
must hvcli nic set "$V" net0 --no-trust-guest-mac
ip neigh flush dev "$bridge"
wait_for "the guest with its own address to be heard" pings 10.235.0.7
ok "with its own address it is heard again"
# networkd has forgotten its leases with the change of the network: the guest asks again
guest "$V" 'udhcpc -q -n -t 200 -T 1 -i eth0 -s /udhcpc.sh' >/dev/null || fail "no DHCP after the change of the network"
wait_for "the lease in the list" leases

# --- hvd dies: the network stays
kill -9 "$(systemctl show -P MainPID hvd)"
wait_for "hvd to be back" hvcli vm list
becomes "the network after a death of hvd" active network_state "$N"
wait_for "the lease to be known again" leases
wait_for "the guest to have its network" pings 10.235.0.7
ok "hvd died, the network stayed"
console_close "$V"

# --- a bridge and an interface of the host
must ip link add "${P}br" type bridge
must ip addr add 10.236.0.1/24 dev "${P}br"
must ip link set "${P}br" up
must ip link add "${P}x0" type veth peer name "${P}x1"
must ip addr add 10.237.0.1/24 dev "${P}x0"
must ip link set "${P}x0" up
must ip link set "${P}x1" up
vm_up "$W" idle --nic "bridge=${P}br"
guest "$W" 'ip addr add 10.236.0.2/24 dev eth0; ip link set eth0 up' >/dev/null
wait_for "the guest on a bridge of the host" pings 10.236.0.2
ok "a guest on a bridge of the host"

must hvcli nic attach "$W" --interface "${P}x1" --id direct
macvtaps() { ip -o link show type macvtap | wc -l; }
equal "macvtaps after attaching" "$(macvtaps)" 1
matches "its mark" "$(ip link show type macvtap)" "hvd:vm/$W/direct"
has_eth1() { guest "$W" 'ls /sys/class/net/eth1'; }
wait_for "the guest to have the NIC" has_eth1
guest "$W" 'ip addr add 10.237.0.2/24 dev eth1; ip link set eth1 up' >/dev/null
wait_for "the guest on an interface" pings 10.237.0.2
ok "a guest on an interface of the host"
must hvcli nic set "$W" direct --trust-guest-mac
take "$W" eth1 "$other" || fail "a trusted guest cannot take another MAC address on a macvtap"
must hvcli nic set "$W" direct --no-trust-guest-mac
ip neigh flush dev "${P}x0"
is_silent 10.237.0.2 || fail "on a macvtap, a guest with another MAC address is heard"
ok "on a macvtap, a guest with another MAC address is not heard"

kill -9 "$(systemctl show -P MainPID hvd)"
wait_for "hvd to be back" hvcli vm list
equal "macvtaps after a death of hvd" "$(macvtaps)" 1
vm_wait "$W" running
must hvcli nic detach "$W" direct
becomes "macvtaps after detaching" 0 macvtaps
must hvcli nic attach "$W" --interface "${P}x1" --mode private --id again
equal "macvtaps after attaching again" "$(macvtaps)" 1
refused "an interface that is not there" 'no interface nowhere' nic attach "$W" --interface nowhere
equal "macvtaps after that" "$(macvtaps)" 1

# --- both die
pid=$(vm_pid "$W") hvd=$(systemctl show -P MainPID hvd)
((pid && hvd)) || fail "no process: $pid, $hvd"
kill -STOP "$hvd"
kill -9 "$pid" "$hvd"
wait_for "hvd to be back" hvcli vm list
no_macvtap() { [[ $(macvtaps) == 0 ]]; }
wait_for "the macvtap to be gone" no_macvtap
ok "a macvtap does not outlive its VM and hvd"
died() { [[ $(vm_state "$W") =~ ^(failed|shutoff)$ ]]; }
wait_for "the end of the VM that died" died

# --- and away
vm_gone "$V"
must hvcli vm delete "$W"
must hvcli network stop "$N"
equal "a stopped network" "$(network_state "$N")" inactive
[[ ! -e /sys/class/net/$bridge ]] || fail "its bridge is still there"
must hvcli network start "$N"
equal "a started network" "$(network_state "$N")" active
must hvcli network delete "$N"
[[ ! -e /sys/class/net/$bridge && ! -e /run/systemd/network/70-hvd-$N.network ]] ||
	fail "something is left of network $N"
ok "nothing is left of it"
wait_for "its rules to be gone" sh -c "! ip rule | grep -q '$bridge\|10.235.0.0'"
ok "nor of its rules"
