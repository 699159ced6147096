# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the server's VMs are made of, as a read-only disk that the server mounts at /srv/lab:
#
#	Image tiny.cpio.gz			the server's kernel; its virtio modules and busybox
#	vmlinuz-{gzip,zstd,lz4}			the same kernel as an EFI zboot image
#	debian/{vmlinuz,initrd.img,root.img}	Debian's stock kernel, a root disk with systemd
#	d-i/{linux,initrd.gz}			the Debian installer
#	cloud/{disk.img,seed.img}		the same Debian as a disk that boots by itself; its settings

# guests_get SERVER: REPLY is a folder with guests.raw. SERVER is the folder of server_get.
guests_get() {
	local server=$1 root extract
	guest_root_get
	root=$REPLY
	guest_extract_get
	extract=$REPLY
	cache_get guests "$(cd "$LAB_HERE" && hash_text "$server" "$root" "$extract" \
		"$(hash_files tiny cloud)" \
		"$(declare -f guests_make zboot_make le32 tiny_make disk_from_tree cloud_make fat_make)")" \
		guests_make "$server" "$root" "$extract"
}

guests_make() {
	local server=$1 root=$2 extract=$3 out=$4 srv=$4/srv
	mkdir -p "$srv"/{debian,d-i,cloud}
	cp "$server/vmlinuz" "$srv/Image"
	zboot_make "$srv/Image" gzip gzip -1
	# The largest window, which kernels are built with (zstd -22 --ultra), in less time.
	zboot_make "$srv/Image" zstd zstd -q -3 --long=27
	zboot_make "$srv/Image" lz4 lz4 -q -l -1
	tiny_make "$server/modules" "$extract/busybox" "$out/tiny" >"$srv/tiny.cpio.gz"
	cp --sparse=always "$root"/{vmlinuz,initrd.img,root.img} "$srv/debian"
	cp "$extract"/{linux,initrd.gz} "$srv/d-i"
	cloud_make "$root" "$srv/cloud"
	# hvd's VM processes run as their own user.
	chmod -R a+rX "$srv"
	disk_from_tree "$srv" "$out/guests.raw" 3G
	rm -r "$srv" "$out/tiny"
}

# zboot_make IMAGE TYPE COMMAND...: wrap IMAGE, compressed by COMMAND, into vmlinuz-TYPE beside it, as a
# kernel is that is built with CONFIG_EFI_ZBOOT, but for the EFI program. No kernel of Debian 12 or its backports is.
zboot_make() {
	local image=$1 type=$2 out=${1%/*}/vmlinuz-$2 size
	shift 2
	truncate -s 512 "$out"
	"$@" <"$image" >>"$out"
	size=$(($(stat -c %s "$out") - 512))
	# little-endian: where the compressed image is, and how long
	printf 'MZ\0\0zimg%b%b\0\0\0\0\0\0\0\0%s' "$(le32 512)" "$(le32 "$size")" "$type" |
		dd of="$out" conv=notrunc status=none
	[[ $type == gzip ]] || printf '%b' "$(le32 "$(stat -c %s "$image")")" >>"$out"
}

le32() {
	printf '\\0%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

# tiny_make MODULES BUSYBOX WORK: print the tiny guest's initramfs; WORK is a folder to make it in.
tiny_make() {
	local tree=$1 busybox=$2 tiny=$3 version modules file
	version=$(ls "$tree/lib/modules")
	mkdir -p "$tiny"/{bin,dev,etc,proc,sys,tmp,"lib/modules/$version"}
	cp "$busybox" "$tiny/bin/"
	ln -s busybox "$tiny/bin/sh"
	cp "$LAB_HERE/tiny/init" "$tiny/init"
	cp "$LAB_HERE/tiny/modules" "$tiny/etc/modules"
	mapfile -t modules <"$LAB_HERE/tiny/modules"
	modprobe -d "$tree" -S "$version" --show-depends -a "${modules[@]}" |
		sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u |
		while IFS= read -r file; do
			# Unpacked: that is quicker here than in an emulated machine.
			file=${file#"$tree"/}
			mkdir -p "$tiny/${file%/*}"
			case $file in
			*.xz) xz -dc "$tree/$file" >"$tiny/${file%.xz}" ;;
			*) cp "$tree/$file" "$tiny/$file" ;;
			esac
		done
	cp "$tree/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$tiny/lib/modules/$version/"
	depmod -b "$tiny" "$version"
	(cd "$tiny" && find . -print0 | LC_ALL=C sort -z |
		cpio --quiet -0 -o -H newc -R 0:0 --reproducible) | gzip -9n
}

# guest_extract_get: REPLY is a folder with busybox (static), and the installer's linux and initrd.gz.
guest_extract_get() {
	cache_get guest-extract "$(hash_text "$DEBIAN_SUITE" "$(declare -f guest_extract_make)")" \
		guest_extract_make
}

guest_extract_make() {
	debian_tree "$LAB_CACHE/log/guest-extract.log" "$1/tree" "$DEBIAN_SUITE" arm64 extract \
		busybox-static,debian-installer-12-netboot-arm64
	mv "$1/tree/bin/busybox" "$1"
	mv "$1"/tree/usr/lib/debian-installer/images/*/arm64/text/debian-installer/arm64/{linux,initrd.gz} \
		"$1"
	rm -r --one-file-system "$1/tree"
}

# guest_root_get: REPLY is a folder with the Debian guest's root.img, vmlinuz, initrd.img and grubaa64.efi.
guest_root_get() {
	cache_get guest-root "$(cd "$LAB_HERE" && hash_text "$DEBIAN_SUITE" "$(hash_files guest)" \
		"$(declare -f guest_root_make disk_from_tree)")" guest_root_make
}

guest_root_make() {
	local out=$1 tree=$1/tree words include
	read -r -a words < <(package_words "$LAB_HERE/guest/packages")
	mapfile -t include < <(sed 's/#.*//; /^$/d' "$LAB_HERE/guest/modules")
	# Certificates and character sets: packages go through them one by one, in minutes of emulation.
	debian_tree "$LAB_CACHE/log/guest-root.log" "$tree" "$DEBIAN_SUITE" arm64 apt \
		"$(debian_list "${words[@]}")" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*' \
		--dpkgopt='path-exclude=/usr/share/ca-certificates/*' \
		--dpkgopt='path-exclude=/lib/modules/*/kernel/*' \
		"${include[@]/#/--dpkgopt=path-include=/lib/modules/*/kernel/}" \
		--setup-hook="cp -r '$LAB_HERE'/guest/root/. \"\$1\"" \
		--customize-hook="'$LAB_HERE'/guest/customize \"\$1\""
	cp "$tree"/boot/vmlinuz-* "$out/vmlinuz"
	cp "$tree"/boot/initrd.img-* "$out/initrd.img"
	cp "$tree"/usr/lib/grub/arm64-efi/monolithic/grubaa64.efi "$out"
	disk_from_tree "$tree" "$out/root.img" 1G
	e2label "$out/root.img" lab-root
	rm -r --one-file-system "$tree"
}
