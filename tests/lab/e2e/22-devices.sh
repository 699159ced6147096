#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Device registers from the inside: PL011, PL031, PL061, virtio-mmio in every state; and mmio-exit.
. "${0%/*}/vm.sh"

payload_passes devices
payload_passes devices '{"memory": "2G"}'
payload_passes pl011
payload_passes virtio-regs
payload_passes virtio-states
payload_passes mmio-exit
matches "the measurement" "$(cat "$WORK/mmio-exit.log")" 'MMIO-EXIT reads=500 frequency=[0-9]+ min='
