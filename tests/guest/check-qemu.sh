#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run the payloads in DIR under QEMU's emulation: the proof of the payloads, not of hvd.
set -euo pipefail
dir=${1:?folder of the payloads}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
truncate -s 1M "$tmp/disk"

qemu() {
	timeout 600 qemu-system-aarch64 -nodefaults -no-user-config -display none -m 128 -smp 3 \
		-machine virt,gic-version=3 -cpu neoverse-n1 -serial stdio \
		-global virtio-mmio.force-legacy=false \
		-drive "if=none,id=d,file=$tmp/disk,format=raw" -device virtio-blk-device,drive=d \
		-device virtio-rng-device -device virtio-serial-device \
		-netdev user,id=n,restrict=on -device virtio-net-device,netdev=n \
		-device pcie-root-port,id=p,chassis=1,slot=1 -device virtio-serial-pci,bus=p \
		-device virtio-rng-pci,disable-legacy=on,addr=8 "$@"
}

failed=0
for image in "$dir"/*.Image; do
	name=$(basename "$image" .Image)
	qemu -kernel "$image" -append qemu </dev/null >"$tmp/$name.log" || true
	if grep -q "^DONE $name: [0-9]* ok, 0 failed" "$tmp/$name.log"; then
		echo "PASS $name: $(grep -a "^DONE" "$tmp/$name.log" | tr -d '\r')"
	else
		failed=1
		echo "FAIL $name"
		grep -a -v '^ok ' "$tmp/$name.log" || true
	fi
done

# SYSTEM_RESET, asked for on the console: the second banner is the evidence.
seen() {
	local i
	for ((i = 0; i < 3000; i++)); do
		(($(grep -a -c '^READY' "$tmp/reset.log") >= $1)) && return 0
		sleep 0.1
	done
	return 1
}
mkfifo "$tmp/keys"
: >"$tmp/reset.log"
qemu -kernel "$dir/psci.Image" -append "qemu ask" <"$tmp/keys" >"$tmp/reset.log" &
exec 3>"$tmp/keys"
if seen 1 && printf r >&3 && seen 2 && printf o >&3 && wait $! &&
	grep -q "^DONE psci: .* 0 failed" "$tmp/reset.log"; then
	echo "PASS psci reset"
else
	failed=1
	echo "FAIL psci reset"
	cat "$tmp/reset.log"
fi
exit "$failed"
