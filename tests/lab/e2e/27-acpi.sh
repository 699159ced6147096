#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What firmware is told: the boot order, and ACPI tables, as UEFI's own shell finds them.
. "${0%/*}/vm.sh"
LIMIT=${FIRMWARE_LIMIT:-600}
V=${P}acpi

for disk in a b c; do
	truncate -s 4M "$WORK/$disk.img"
done
must hvcli vm create "$V" --firmware auto --memory 256M --vcpus 3 --disk "$WORK/a.img" \
	--disk "$WORK/b.img,boot_order=7" --disk "$WORK/c.img,boot_order=2"
out=$(hvcli disk set "$V" vda --boot-order 7 2>&1) && fail "one place in the boot order, twice"
matches "one place in the boot order, twice" "$out" "boot_order: is that of disks\[[01]\] too"

# The shell's console without what draws on a screen.
plain() { sed 's/\x1b\[[0-9;=?]*[a-zA-Z]//g' "$WORK/$V.console" | tr -d '\r'; }
says() { plain | grep -a -q -E -- "$1"; }
enter() { printf '%s\r' "$1" >&"$KEYS"; }
prompts() { [[ $(plain | tail -n 1) == 'Shell> ' ]]; }
shell_up() {
	must hvcli vm start "$V"
	console_open "$V"
	wait_for "the shell's prompt" prompts
}
shell_up
# None of them can be booted from: they are tried in their order, and what has no place in it is not.
equal "disks that were tried" \
	"$(plain | grep -a -o 'failed to load.*Pci(0x10,0x[0-9])' | grep -o '0x10,0x[0-9]' | xargs)" \
	"0x10,0x2 0x10,0x1"

# The RSDP in memory is hvd's; without tables there is none.
rsdp() { plain | grep -a '^ACPI 2.0 Table' | grep -o '[0-9A-F]\{16\}' | tail -n 1; }
enter dmem
wait_for "the tables of the system" says '^ACPI 2.0 Table.*[0-9A-F]{16}'
wait_for "the prompt" prompts
enter "dmem $(rsdp) 24"
wait_for "the RSDP" says 'RSD PTR .HVD'
wait_for "the prompt" prompts
ok "UEFI has the ACPI tables"
enter 'reset -s'
vm_wait "$V" shutoff
ok "off by UEFI"
console_close "$V"

must hvcli vm set "$V" --no-acpi
rm -f "$WORK/$V.console"
shell_up
enter dmem
wait_for "the tables of the system" says '^ACPI 2.0 Table.*[0-9A-F]{16}'
wait_for "the prompt" prompts
equal "RSDP without boot.acpi" "$(rsdp)" 0000000000000000
vm_gone "$V"
