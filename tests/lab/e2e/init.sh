#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# Init of the smallest guest. do=… on the kernel's command line (which init gets as an environment
# variable) says what it does beyond coming up; then its console is a shell.
echo GUEST-INIT
export PATH=/bin
do=${do:-idle}
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp /run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o size=90% tmp /tmp
exec </dev/console >/dev/console 2>&1
# A kernel that finds itself slow does not say so in the middle of a line that a test reads.
dmesg -n 1
[ ! -e /proc/sys/kernel/watchdog ] || echo 0 >/proc/sys/kernel/watchdog
for m in $(cat /modules/order); do
	insmod "/modules/$m" || echo "insmod $m failed"
done
for _ in 1 2 3 4 5 6 7 8 9 10; do
	grep -q vir /proc/interrupts && break
	sleep 0.1
done

network() {
	[ -e /sys/class/net/eth0 ] || return
	ip link set lo up
	ip link set eth0 up
	udhcpc -q -n -t 200 -T 1 -i eth0 -s /udhcpc.sh >/tmp/dhcp.log 2>&1 || cat /tmp/dhcp.log
	mkdir -p /tmp/www
	echo "hello from $(hostname), served by the guest" >/tmp/www/index.html
	httpd -p 80 -h /tmp/www
	echo "GUEST-NET $(ip -4 -o addr show eth0 | awk '{ print $4 }')"
}

counter() {
	n=0
	while :; do
		n=$((n + 1))
		echo "COUNT $n"
		sleep 0.3
	done
}

# First boot: write a pattern and reboot. Second boot: read it back. The disk knows which it is.
disk() {
	dev=/dev/vda
	if [ "$(dd if=$dev bs=6 count=1 2>/dev/null)" != MARKED ]; then
		{ yes "a line of the pattern" | head -c 500000; head -c 24288 /dev/urandom; } >/tmp/pattern
		printf MARKED | dd of=$dev conv=notrunc 2>/dev/null
		dd if=/tmp/pattern of=$dev bs=64k seek=1 conv=notrunc,fsync 2>/dev/null
		sync
		echo "DISK-WROTE $(sha256sum </tmp/pattern)"
		reboot -f
	fi
	echo 3 >/proc/sys/vm/drop_caches
	echo "DISK-READ $(dd if=$dev bs=64k skip=1 count=8 2>/dev/null | sha256sum)"
}

# A benchmark of /dev/vda; fio is on /dev/vdb. It runs once before, so that it is in the page cache.
benchmark_disk() {
	mkdir -p /mnt
	mount -t ext4 -o ro,noload /dev/vdb /mnt
	mount -o bind /dev /mnt/dev
	fio() {
		chroot /mnt /usr/bin/fio --name=disk --filename=/dev/vda --direct=1 --ioengine=libaio --thread \
			--bs=4k --rw="$rw" --iodepth="$depth" --norandommap --randseed=1 "$@" >/tmp/fio.log 2>&1
	}
	fio --number_ios=64 && echo FIO-BEGIN && fio --number_ios="$n" && echo FIO-END || cat /tmp/fio.log
}

case $do in
net) network ;;
disk) disk ;;
esac
echo "GUEST-UP cpus=$(nproc) kernel=$(uname -r)"
case $do in
counter) counter & ;;
fio) benchmark_disk ;;
off) poweroff -f ;;
read)
	dd if=/dev/vda of=/dev/null bs=4k count=1000 iflag=direct 2>/dev/null
	echo READ-DONE
	;;
esac
# Not an interactive shell: no echo and no prompt, so that a test reads what its commands wrote.
stty -echo
while read -r line; do
	eval "$line"
done
poweroff -f
