#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sockets between guest and host: both begin connections, megabytes both ways, and what goes wrong.
. "${0%/*}/vm.sh"
V=${P}vsock
F=/run/hvd/vsock/$V

command -v socat >/dev/null || skip "no socat on this server"
guest_files
INITRD=$WORK/initrd
"$E2E/make-initrd.sh" "$INITRD" socat >&2 || fail "no initramfs with socat"
chmod 644 "$INITRD"

# A program of the host that connects to a port of the guest: its input and output are the guest's.
to_guest() { { printf 'CONNECT %s\n' "$1"; cat; } | socat -t "$LIMIT" - "UNIX-CONNECT:$F/vsock"; }
# Who listens for the guest is not root's alone: hvd-vmm is its own user.
for_guest() { socat -t "$LIMIT" "UNIX-LISTEN:$F/vsock_$1,mode=666,unlink-early,fork" "$2" & CHILDREN+=($!); }
sum() { sha256sum | cut -d' ' -f1; }

vm_up "$V" idle --vsock
cid=$(vm_json "$V" | jq .spec.vsock_cid)
((cid >= 3)) || fail "CID $cid"
out=$(hvcli vm create "${V}2" --kernel "$KERNEL" --vsock --vsock-cid "$cid" 2>&1) &&
	fail "two VMs have the CID $cid"
matches "the CID of another VM" "$out" "vsock_cid: .*$V"
matches "in XML" "$(hvcli vm xml "$V")" "<vsock model=\"virtio\">.*<cid address=\"$cid\""

# --- from the host
guest "$V" "socat -t $LIMIT VSOCK-LISTEN:1000,fork EXEC:cat >/dev/null 2>&1 & true" >/dev/null
listens() { [[ $(timeout 60 socat -t 5 - "UNIX-CONNECT:$F/vsock" 2>/dev/null <<<"CONNECT 1000") == OK* ]]; }
wait_for "the guest to listen" listens
out=$(echo hello | to_guest 1000)
matches "an echo by the guest" "$out" $'^OK [0-9]+\nhello$'
equal "a port that nobody listens on" "$(to_guest 1001 </dev/null)" ""
head -c 1000000 /dev/urandom >"$WORK/data"
equal "a megabyte to the guest and back" "$(to_guest 1000 <"$WORK/data" | tail -c 1000000 | sum)" \
	"$(sum <"$WORK/data")"

# --- from the guest
for_guest 2000 EXEC:cat
becomes "an echo by the host" hallo guest "$V" "echo hallo | socat -t $LIMIT - VSOCK-CONNECT:2:2000 2>/dev/null"
guest "$V" 'socat - VSOCK-CONNECT:2:2001 </dev/null' >/dev/null && fail "connected to nobody"
ok "a port of the host that nobody listens on"
guest "$V" 'head -c 1000000 /dev/urandom >/tmp/data' >/dev/null
equal "a megabyte to the host and back" \
	"$(guest "$V" "socat -t $LIMIT - VSOCK-CONNECT:2:2000 </tmp/data | sha256sum")" \
	"$(guest "$V" 'sha256sum </tmp/data')"

# --- connections live through a pause and another hvd, and end with a reset
mkfifo "$WORK/in"
socat -t 1 - "UNIX-CONNECT:$F/vsock" <"$WORK/in" >"$WORK/out" &
CHILDREN+=($!)
exec {IN}>"$WORK/in"
echo CONNECT 1000 >&"$IN"
came() { grep -q "$1" "$WORK/out"; }
echo first >&"$IN"
wait_for "the first line" came first
must hvcli vm pause "$V"
echo second >&"$IN"
must systemctl restart hvd
must hvcli vm resume "$V"
wait_for "the second line" came second
ok "pause, resume and another hvd"
must hvcli vm reset "$V"
ended() { ! kill -0 "${CHILDREN[-1]}" 2>/dev/null; }
wait_for "the connection to end" ended
ok "a reset ends it"
exec {IN}>&-

# --- who listens goes on, whatever becomes of the VM
vm_wait "$V" running
must hvcli vm stop "$V" --wait
[[ ! -e $F/vsock && -S $F/vsock_2000 ]] || fail "after the end: $(ls "$F")"
kill "${CHILDREN[-2]}" 2>/dev/null
must hvcli vm delete "$V"
rm -rf "$F"
