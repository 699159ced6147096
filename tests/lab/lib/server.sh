# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The disk, kernel and initrd of the emulated server, and the keys that let the lab in.

# keys_get: REPLY is a folder with client, client.pub (the lab's) and host, host.pub (the server's).
keys_get() {
	cache_get keys 1 keys_make
}

keys_make() {
	local who
	for who in client host; do
		ssh-keygen -q -t ed25519 -N '' -C "hvd-lab $who" -f "$1/$who"
	done
}

# server_get FLAVOUR: REPLY is a folder with root.qcow2, vmlinuz, initrd.img, and in modules/ the tree of
# the kernel's modules.
# FLAVOUR base is hvd's server; every other one adds the packages of server/packages.FLAVOUR.
server_get() {
	local flavour=$1 keys files=(server/packages)
	[[ $flavour == base ]] || files+=("server/packages.$flavour")
	keys_get
	keys=$REPLY
	cache_get "server-$flavour" "$(cd "$LAB_HERE" && hash_text "$DEBIAN_SUITE" "${keys##*/}" \
		"$(<"$keys/client.pub")" "$(hash_files "${files[@]}" server/root server/customize)" \
		"$(declare -f server_make)")" \
		server_make "$flavour" "$keys" "${files[@]}"
}

server_make() {
	local flavour=$1 keys=$2 out=${*: -1} words
	local files=("${@:3:$#-3}")
	read -r -a words < <(cd "$LAB_HERE" && package_words "${files[@]}")
	KEYS=$keys debian_tree "$LAB_CACHE/log/server-$flavour.log" "$out/root" "$DEBIAN_SUITE" arm64 apt \
		"$(debian_list "${words[@]}")" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--setup-hook="cp -r '$LAB_HERE'/server/root/. \"\$1\"" \
		--customize-hook="'$LAB_HERE'/server/customize \"\$1\""
	mv "$out"/root/boot/vmlinuz-* "$out/vmlinuz"
	mv "$out"/root/boot/initrd.img-* "$out/initrd.img"
	mkdir -p "$out/modules/lib"
	cp -r "$out/root/lib/modules" "$out/modules/lib"
	disk_from_tree "$out/root" "$out/root.raw" 8G
	qemu-img convert -q -O qcow2 "$out/root.raw" "$out/root.qcow2"
	rm -r --one-file-system "$out/root" "$out/root.raw"
}

# disk_from_tree TREE FILE SIZE: a sparse ext4 file system with what is in TREE. The journal and
# lazy initialisation settings leave nothing for a slow guest to do in the background.
disk_from_tree() {
	truncate -s "$3" "$2"
	mke2fs -q -t ext4 -m 0 -E lazy_itable_init=0,lazy_journal_init=0 -O ^metadata_csum_seed \
		-d "$1" "$2"
}
