# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A disk image as distributions make them for clouds, of the Debian guest: GPT, EFI system partition with
# GRUB, Debian's kernel and initramfs on an ext4 root, cloud-init; and a second disk with what cloud-init is to do.

# cloud_make ROOT OUT: disk.img and seed.img in the folder OUT. ROOT is the folder of guest_root_get.
# Put together from files of file systems: no loop device.
cloud_make() {
	local root=$1 out=$2 efi=$2/EFI root_mib
	root_mib=$(($(stat -c %s "$root/root.img") >> 20))
	cp -r "$LAB_HERE/cloud/EFI" "$efi"
	mkdir "$efi/BOOT"
	cp "$root/grubaa64.efi" "$efi/BOOT/BOOTAA64.EFI"
	fat_make "$out/esp.img" 40 ESP "$efi"

	truncate -s "$((root_mib + 42))M" "$out/disk.img"
	printf '%s\n' 'label: gpt' "start=1MiB, size=40MiB, type=U, name=ESP" \
		"start=41MiB, size=${root_mib}MiB, type=L, name=root" | sfdisk --quiet "$out/disk.img"
	dd status=none conv=notrunc,sparse bs=1M seek=1 if="$out/esp.img" of="$out/disk.img"
	dd status=none conv=notrunc,sparse bs=1M seek=41 if="$root/root.img" of="$out/disk.img"
	fat_make "$out/seed.img" 1 CIDATA "$LAB_HERE"/cloud/seed/{user-data,meta-data}
	rm -r "$efi" "$out/esp.img"
}

# fat_make FILE MIB LABEL SOURCE...: a FAT file system with these files and folders.
fat_make() {
	local file=$1 mib=$2 label=$3
	shift 3
	truncate -s "${mib}M" "$file"
	mformat -i "$file" -v "$label" -T "$((mib * 2048))" -h 16 -s 63 ::
	mcopy -s -i "$file" "$@" ::
	# What mformat puts where a disk has its table of partitions.
	dd status=none conv=notrunc bs=1 seek=446 count=64 if=/dev/zero of="$file"
}
