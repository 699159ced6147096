#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The network `default`: DHCP lease, ping both ways, a page from the guest, the address in status, NAT.
. "${0%/*}/vm.sh"
V=${P}net

net=$(hvcli network show default -o json) || fail "no network default: $net"
bridge=$(jq -r .spec.bridge <<<"$net")
host=$(jq -r .spec.address <<<"$net")
matches "address of the network" "$host" '^[0-9.]+/[0-9]+$'

vm_up "$V" net --nic network=default
[[ -d /sys/class/net/$bridge ]] || fail "no bridge $bridge: $(ip -br link)"
taps() { ip -d link show master "$bridge" | grep -c "hvd:vm/$V/"; }
equal "taps on the bridge" "$(taps)" 1
lease=$(console_last "$V" 'GUEST-NET [0-9.]+')
address=${lease#GUEST-NET }
[[ -n $address ]] || fail "the guest has no lease"
ok "lease $address"

has_address() { vm_json "$V" | jq -e --arg a "$address" '.status.addresses[] | select(.address == $a)'; }
wait_for "the address in the status" has_address
ok "status.addresses"
matches "vm list shows it" "$(hvcli vm list -o wide)" "$address"
wait_for "an answer from $address" ping -c 1 -W 10 "$address"
ok "ping to the guest"
matches "a page from the guest" "$(curl -s -S -m "$LIMIT" "http://$address/")" 'served by the guest'
wait_for "the gateway to answer the guest" guest "$V" "ping -c 1 -W 10 ${host%/*}"
ok "ping from the guest"

# Enough in both directions for segmentation offloads to matter.
guest "$V" 'head -c 4194304 /dev/urandom >/tmp/www/big; sha256sum </tmp/www/big >/tmp/www/big.sum' ||
	fail "the guest cannot make a file"
equal "4 MiB from the guest" "$(curl -s -S -m "$LIMIT" "http://$address/big" | sha256sum)" \
	"$(curl -s -S -m "$LIMIT" "http://$address/big.sum")"

# NAT: what leaves the host comes from the host. The lab's outside is QEMU's user network.
outside=$(ip -4 route show default | awk '{ print $3; exit }')
if [[ $(jq -r .spec.mode <<<"$net") == nat && -n $outside ]]; then
	if ping -c 1 -W 10 "$outside" >/dev/null; then
		wait_for "the guest to reach $outside, as its host does" guest "$V" "ping -c 1 -W 10 $outside"
		ok "through NAT to $outside"
	fi
	masquerades() { nft list ruleset | grep -q masquerade; }
	wait_for "a masquerade rule" masquerades
	ok "a masquerade rule"
fi

vm_gone "$V"
no_taps() { [[ $(taps) == 0 ]]; }
wait_for "its tap to be gone" no_taps
