#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Remote access: none by default; then hvcli over TLS with each role, on the console and at the events.
. "${0%/*}/vm.sh"
V=${P}tls
URL=https://127.0.0.1:443 # a port that only root may have

listening() { ss -Hltn 'sport = :443' | grep -q .; }
remote() { HVD_TOKEN=$TOKEN hvcli --host "$URL" --cacert "$WORK/ca.pem" "$@"; }
# refused STATUS REGEX CMD...
refused() {
	local status=$1 regex=$2 out rc=0
	shift 2
	out=$("$@" 2>&1) || rc=$?
	equal "status of: ${*:2}" "$rc" "$status"
	matches "message of: ${*:2}" "$out" "$regex"
}

put_back() {
	rm -rf /etc/default/hvd /var/lib/hvd/tls /var/lib/hvd/tokens.json
	systemctl restart hvd
}
trap 'rc=$?; put_back; (exit $rc); finish' EXIT

sockets=$(ss -Hltnp | grep -E '"hvd(-vmm)?"')
equal "TCP sockets of hvd by default" "$sockets" ""
echo 'HVD_OPTIONS=--listen 127.0.0.1:443' >/etc/default/hvd
must systemctl restart hvd
wait_for "the socket" listening

TOKEN=none
refused 2 'no option' remote vm list --no-such-option
must hvcli certificate create vmhost.example.org --alt-names 127.0.0.1
hvcli certificate pem >"$WORK/ca.pem"
equal "mode of the key" "$(stat -c '%a %U' /var/lib/hvd/tls/server.pem)" "600 root"
for role in reader operator admin; do
	hvcli token create "$P-$role" --role "$role" --days 1 >"$WORK/$role" 2>"$WORK/$role.log" ||
		fail "token create: $(cat "$WORK/$role.log")"
done
equal "tokens over D-Bus" "$(busctl --json=short call org.hvd1 /org/hvd1 org.hvd1.Manager ListTokens |
	jq -r '.data[0][].role.data' | sort | xargs)" "admin operator reader"

refused 1 'token is not known' remote vm list
refused 1 'send a token' hvcli --host "$URL" --cacert "$WORK/ca.pem" vm list
refused 1 'not to be trusted' hvcli --host "$URL" vm list
refused 1 'not to be trusted' hvcli --host https://localhost:443 --cacert "$WORK/ca.pem" vm list
equal "plain HTTP" "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:443/v1/vms)" 000
equal "TLS 1.1" "$(curl -s -k --tls-max 1.1 -o /dev/null -w '%{http_code}' "$URL/v1/vms")" 000

vm_create "$V"
TOKEN=$(cat "$WORK/reader")
equal "a reader sees" "$(remote vm list -o name | grep -x "$V")" "$V"
refused 1 "token:$P-reader is reader, and vm.start takes operator" remote vm start "$V"
refused 1 'takes admin' remote token list
vm_is "$V" shutoff || fail "what was refused was done"

TOKEN=$(cat "$WORK/operator")
remote events --follow --vm "$V" --since "$(hvcli events -o name --limit 1)" >"$WORK/events.log" 2>&1 &
FOLLOWER=$!
CHILDREN+=("$FOLLOWER")
must remote vm start "$V"
timeout "$LIMIT" hvcli --host "$URL" --pin "$(hvcli certificate show -o json | jq -r .pin)" \
	--token-file "$WORK/operator" vm console "$V" </dev/null >"$WORK/$V.console" 2>&1 &
CHILDREN+=($!)
console_wait "$V" '^GUEST-UP'
ok "the console over TLS"
in_events() { grep -q "vm.start succeeded by token:$P-operator (rest)" "$WORK/events.log"; }
wait_for "the event of the start" in_events
ok "who has done it stands in the events"
refused 1 'takes admin' remote vm delete "$V"
must remote vm stop "$V" --wait

TOKEN=$(cat "$WORK/admin")
must remote vm delete "$V"
must remote token delete "$P-operator"
TOKEN=$(cat "$WORK/operator")
refused 1 'token is not known' remote vm list
ended() { ! kill -0 "$FOLLOWER" 2>/dev/null; }
wait_for "the end of what was open with the token" ended

# Other files, read without a restart.
before=$(systemctl show -P MainPID hvd)
must hvcli certificate create 127.0.0.1
must cp /var/lib/hvd/tls/server.pem "$WORK/mine.pem"
must hvcli certificate create other.example.org
must install -m 600 "$WORK/mine.pem" /var/lib/hvd/tls/server.pem
must systemctl reload hvd
shown() { [[ $(hvcli certificate show -o json | jq -r .name) == 127.0.0.1 ]]; }
wait_for "the files to be read again" shown
equal "the same hvd" "$(systemctl show -P MainPID hvd)" "$before"
