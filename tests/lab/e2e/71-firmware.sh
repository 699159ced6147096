#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Firmware in flash: U-Boot, what it writes there, and the store that it writes to.
. "${0%/*}/vm.sh"
LIMIT=${FIRMWARE_LIMIT:-800}
NVRAM=/var/lib/hvd/nvram

# --- U-Boot
UBOOT=/usr/lib/u-boot/qemu_arm64/u-boot.bin
V=${P}uboot
[[ -e $UBOOT ]] || fail "no $UBOOT"
must hvcli vm create "$V" --firmware "$UBOOT" --memory 256M --profile micro
[[ ! -e $NVRAM/$V.fd ]] || fail "a store before the first start"
uboot_up() {
	must hvcli vm start "$V"
	console_open "$V"
	console_prompt "$V" 'Hit any key'
	console_type "$V" ''
	console_prompt "$V" '^=> $'
}
uboot_up
ok "U-Boot's prompt"

# A word in the second flash bank, 1 MiB from its start: erased, programmed, there at once.
console_type "$V" 'mw.l 41000000 5afe0bad; erase 4100000 413ffff; cp.l 41000000 4100000 1; echo DONE'
console_wait "$V" '^DONE$'
kill -KILL "$(vm_pid "$V")"
vm_wait "$V" failed
equal "what was programmed when hvd-vmm was killed" \
	"$(od -An -tx4 -j $((0x100000)) -N 8 "$NVRAM/$V.fd" | xargs)" "5afe0bad ffffffff"
console_close "$V"
uboot_up
console_type "$V" 'md.l 4100000 1; echo DONE'
console_wait "$V" '^DONE$'
console_has "$V" '^04100000: 5afe0bad' || fail "the next start does not see it"
ok "the next start sees it"

# One store, one VM.
must hvcli vm create "${V}2" --firmware "$UBOOT" --memory 64M --nvram "$NVRAM/$V.fd"
out=$(hvcli vm start "${V}2" 2>&1) && fail "two VMs with one store"
matches "a store that another VM has" "$out" "boot.nvram: .*is in use by another VM"
must hvcli vm delete "${V}2"
[[ -e $NVRAM/$V.fd ]] || fail "the store of another VM is gone"
must hvcli vm stop "$V" --wait
must hvcli vm delete "$V" --keep-nvram
[[ -e $NVRAM/$V.fd ]] || fail "--keep-nvram does not keep it"
must hvcli vm create "$V" --firmware "$UBOOT"
must hvcli vm delete "$V"
[[ ! -e $NVRAM/$V.fd ]] || fail "the store stays behind"
ok "the store goes with the VM"

# By hvd-vmm alone, with variables that end with it.
jq -n --arg image "$UBOOT" '{name: "alone", memory: "64M", profile: "micro", on_reboot: "stop",
	boot: {firmware: $image}}' >"$WORK/alone.json"
mkfifo "$WORK/keys"
timeout "$LIMIT" "$(vmm)" --config "$WORK/alone.json" <"$WORK/keys" >"$WORK/alone.log" 2>&1 &
CHILDREN+=($!)
exec {ALONE}>"$WORK/keys"
alone_says() { tr -d '\r' <"$WORK/alone.log" | grep -a -q -E -- "$1"; }
wait_for "U-Boot" alone_says 'Hit any key'
echo >&"$ALONE"
wait_for "its prompt" alone_says '^=> '
echo reset >&"$ALONE"
wait "${CHILDREN[-1]}" || fail "hvd-vmm --config: status $?"
exec {ALONE}>&-
ok "hvd-vmm --config with firmware"

