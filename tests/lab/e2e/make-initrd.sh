#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make-initrd.sh OUT [PROGRAM...]: the guest's initramfs, from the server's own busybox and the modules of the kernel
# that it runs itself, which is the guests' kernel too.
set -euo pipefail
out=$1
shift
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/bin "$root"/dev "$root"/modules
mknod "$root/dev/console" c 5 1
cp -L "$(command -v busybox)" "$root/bin/"
for program in "$@"; do
	cp -L "$(command -v "$program")" "$root/bin/"
done
for program in "$root"/bin/*; do
	for lib in $(ldd "$program" | grep -o '/[^ ]*'); do
		install -D "$lib" "$root$lib"
	done
done
cp "$here/init.sh" "$root/init"
chmod 755 "$root/init"
cat >"$root/udhcpc.sh" <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route add default via "$router"
END
chmod 755 "$root/udhcpc.sh"

# Dependencies first, each once; what is built in is not a file.
for m in virtio_mmio virtio_pci virtio_blk virtio_net virtio_rng virtio_balloon vmw_vsock_virtio_transport sbsa_gwdt; do
	/sbin/modprobe --show-depends "$m" 2>/dev/null | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
	name=$(basename "${file%.xz}")
	case $file in
	*.xz) busybox xzcat "$file" >"$root/modules/$name" ;;
	*) cp "$file" "$root/modules/$name" ;;
	esac
	echo "$name" >>"$root/modules/order"
done
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$out.new"
mv "$out.new" "$out"
