#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PCI Express hotplug: disks and NICs come and go under a Linux guest (tests/unit/test-hotplug.c).
. "${0%/*}/vm.sh"
PROGRAM=/usr/local/lib/hvd-tests/test-hotplug

[[ -x $PROGRAM ]] || skip "no $PROGRAM on this server"
guest_files
TEST_KERNEL=$KERNEL TEST_INITRD=$INITRD LD_LIBRARY_PATH=${PROGRAM%/*} \
	timeout 800 "$PROGRAM" >"$WORK/hotplug.log" 2>&1 || fail "test-hotplug: status $?"
while read -r line; do
	ok "$line"
done < <(sed -n 's/^\[ *OK \] //p' "$WORK/hotplug.log")
