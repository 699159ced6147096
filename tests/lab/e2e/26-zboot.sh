#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kernels as distributions ship them: EFI zboot images, in each compression; and what is no such kernel.
. "${0%/*}/vm.sh"
V=${P}zboot

guest_files
for type in gzip zstd lz4; do
	vmlinuz=$GUESTS/vmlinuz-$type
	equal "$type: magic" "$(head -c 8 "$vmlinuz" | tr -d '\0')" MZzimg
	must hvcli vm create "$V" --kernel "$vmlinuz" --initrd "$INITRD" --memory 128M --vcpus 1 \
		--cmdline "console=ttyAMA0 quiet panic=-1 do=idle" --start
	console_open "$V"
	console_wait "$V" '^GUEST-UP'
	ok "$type: the guest is up"
	# a reset unpacks it once more, from the same descriptor
	must hvcli vm reset "$V"
	more_boots() { (($(console_count "$V" '^GUEST-UP') > 1)); }
	wait_for "another boot" more_boots
	ok "$type: the guest is up again after a reset"
	console_close "$V"
	vm_gone "$V"
done

# refused WHAT REGEX FILE
refused() {
	local out rc=0
	out=$(hvcli vm create "$V" --kernel "$3" --memory 128M --start 2>&1) || rc=$?
	equal "$1: exit status" "$rc" 1
	matches "$1: ${out##*$'\n'}" "$out" "boot\\.kernel.*$2"
	hvcli vm show "$V" >/dev/null 2>&1 && fail "$1 left a VM"
}
head -c 5000000 "$GUESTS/vmlinuz-zstd" >"$WORK/cut"
refused "a cut image" 'truncated: it has 5000000 bytes, its header says' "$WORK/cut"
{ head -c 24 "$GUESTS/vmlinuz-gzip" && printf 'xzkern\0' && tail -c +32 "$GUESTS/vmlinuz-gzip"; } >"$WORK/xz"
refused "another compression" 'xzkern.*gzip, zstd and lz4' "$WORK/xz"
{ head -c 4000000 "$GUESTS/vmlinuz-lz4" && head -c 100 /dev/zero && tail -c +4000101 "$GUESTS/vmlinuz-lz4"; } \
	>"$WORK/bad"
refused "a damaged image" 'damaged: the lz4' "$WORK/bad"
must hvcli vm create "$V" --kernel "$GUESTS/vmlinuz-zstd" --memory 32M
out=$(hvcli vm start "$V" 2>&1) && fail "a kernel fits into less memory than it has"
matches "more comes out than the VM has memory" "$out" 'boot\.kernel.*does not fit'
