#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A NIC on a tap of the host, in the process and with vhost-net: queues, MTU, link, limits, pause, reset, and an
# interface that goes down and away under it.
. "${0%/*}/vm.sh"
TAP=e35tap
HOST=10.98.0.1
GUEST=10.98.0.2

make_tap() {
	must ip tuntap add dev $TAP mode tap multi_queue
	must ip addr add $HOST/24 dev $TAP
	must ip link set $TAP up
}

remove_tap() { ip link del $TAP 2>/dev/null; }
remove_tap

# Every bit of the guest's own network, also after a reset of it.
guest_net() {
	guest "$V" "ip addr add $GUEST/24 dev eth0; ip link set eth0 up" >/dev/null ||
		fail "the guest has no eth0"
}

guest_file() { guest "$V" "cat $1"; }
carrier_is() { [[ $(guest_file /sys/class/net/eth0/carrier) == "$1" ]]; }
pings() { guest "$V" "ping -c 2 -W 10 $HOST" >/dev/null; }
pings_again() { wait_for "$backend: an answer from the host $1" pings; }
came_up() { (($(console_count "$V" '^GUEST-UP') > $1)); }

checks() {
	local backend=$1 ups before after
	pings_again "to a new guest"
	ok "$backend: ping"
	equal "$backend: queues of the guest" "$(guest "$V" 'ls -d /sys/class/net/eth0/queues/tx-* | wc -l')" 2
	equal "$backend: queues of the tap" "$(ls -d /sys/class/net/$TAP/queues/tx-* | wc -l)" 2
	equal "$backend: MTU" "$(guest_file /sys/class/net/eth0/mtu)" 1400

	# the console takes one line at a time
	guest "$V" 'mkdir -p /tmp/www; head -c 2000000 /dev/urandom >/tmp/www/big' >/dev/null
	guest "$V" 'sha256sum </tmp/www/big >/tmp/www/sum; httpd -p 80 -h /tmp/www' >/dev/null
	equal "$backend: 2 MB from the guest" "$(curl -s -S -m 300 "http://$GUEST/big" | sha256sum)" \
		"$(curl -s -S -m 300 "http://$GUEST/sum")"

	must hvcli nic set "$V" net0 --link down
	wait_for "$backend: the guest to see the link down" carrier_is 0
	! pings || fail "$backend: a ping over a link that is down"
	must hvcli nic set "$V" net0 --link up
	wait_for "$backend: the guest to see the link up" carrier_is 1
	pings_again "after the link came up"
	ok "$backend: link down and up"

	must hvcli vm pause "$V"
	must hvcli vm resume "$V"
	pings_again "after a pause"
	ups=$(console_count "$V" '^GUEST-UP')
	must hvcli vm reset "$V"
	wait_for "$backend: the guest to come up again" came_up "$ups"
	guest_net
	pings_again "after a reset"
	ok "$backend: pause and reset"

	before=$(cat /sys/class/net/$TAP/statistics/rx_packets)
	must ip link set $TAP down
	guest "$V" "ping -c 1 -W 1 $HOST" >/dev/null
	wait_for "$backend: the guest to see that the interface is down" carrier_is 0
	must ip link set $TAP up
	wait_for "$backend: the guest to see that the interface is up" carrier_is 1
	pings_again "after the interface came up"
	after=$(cat /sys/class/net/$TAP/statistics/rx_packets)
	((after > before)) || fail "$backend: no frames were counted"
	ok "$backend: interface down and up"
}

tx_dropped() { vm_metrics "$V" '.nics[0].tx.dropped'; }
received() { cat /sys/class/net/$TAP/statistics/rx_packets; }
received_are() { (($(received) >= $1)); }

for backend in process vhost; do
	V=$P$backend
	make_tap
	vm_up "$V" idle --vcpus 2 --nic "tap=$TAP,queues=2,mtu=1400,backend=$backend"
	guest_net
	checks $backend

	if [[ $backend == vhost ]]; then
		cat /proc/"$(vm_pid "$V")"/task/*/comm | grep -q ^vhost- || fail "no thread of vhost's"
		out=$(hvcli nic set "$V" net0 --tx-frames-per-second 1 2>&1) && fail "limits with vhost: $out"
		matches "limits with vhost are refused" "$out" 'vhost-net knows none'
	else
		# Frames beyond the burst wait until the limit is gone; none is lost here. (The guest's own queue, which is
		# longer than that of the device, drops some of those that wait in it.)
		dropped=$(tx_dropped)
		must hvcli nic set "$V" net0 --tx-frames-per-second 1 --tx-frames-burst 1
		before=$(received)
		guest "$V" "ping -c 100 -i 0.01 -W 1 $HOST" >/dev/null
		now=$(received)
		((now - before < 100)) || fail "100 pings are $((now - before)) frames in spite of the limit"
		must hvcli nic set "$V" net0 --tx-frames-per-second 0 --tx-frames-burst 0
		wait_for "frames that waited" received_are $((now + 10))
		equal "frames that hvd-vmm has dropped" "$(tx_dropped)" "$dropped"
		ok "limit of frames: $((now - before)) of 100 before it was lifted"
	fi

	remove_tap
	wait_for "$backend: the guest to see that its tap is gone" carrier_is 0
	equal "$backend: the VM without its tap" "$(vm_state "$V")" running
	vm_gone "$V"
done
