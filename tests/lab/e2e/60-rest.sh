#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# REST: the document, routes, statuses, problem+json, merge patch, limits.
. "${0%/*}/vm.sh"
V=${P}rest
guest_files
spec=$(jq -n --arg n "$V" --arg k "$KERNEL" --arg i "$INITRD" \
	'{name: $n, memory: "128M", boot: {kernel: $k, initrd: $i, cmdline: "console=ttyAMA0 quiet do=idle"}}')

rest_is 200 GET /v1/openapi.json
equal "OpenAPI" "$(jq -r .openapi <<<"$REPLY" | cut -d. -f1-2)" 3.1
for path in /v1/vms '/v1/vms/{vm}' '/v1/vms/{vm}/actions/start' '/v1/vms/{vm}/console' /v1/host; do
	jq -e --arg p "$path" '.paths[$p]' <<<"$REPLY" >/dev/null || fail "OpenAPI lacks $path"
done
ok "OpenAPI has the paths"

rest_is 404 GET /v1/nothing
rest_is 404 GET /v1/vms/nobody
equal "code of a 404" "$(jq -r .code <<<"$REPLY")" not-found
rest_is 404 POST /v1/vms/nobody/actions/start
rest_is 404 GET /v1/vms/..%2f..%2fetc
headers=$(curl -s -i --unix-socket /run/hvd/hvd.sock -X PUT http://hvd/v1/vms | tr -d '\r')
matches "405" "$headers" '^HTTP/1.1 405'
matches "405 says what is allowed" "$headers" 'Allow: .*GET.*POST|Allow: .*POST.*GET'
matches "problem+json" "$headers" 'Content-Type: application/problem\+json'
rest_is 415 POST /v1/vms "$spec" text/plain
head -c 200000 /dev/zero | tr '\0' ' ' >"$WORK/big"
rest_is 413 POST /v1/vms "@$WORK/big"
rest_is 400 POST /v1/vms '{"name": '
rest_is 400 POST /v1/vms "$(printf '[%.0s' $(seq 100))$(printf ']%.0s' $(seq 100))"
rest_is 422 POST /v1/vms '{"name": "UPPER CASE"}'

headers=$(curl -s -i --unix-socket /run/hvd/hvd.sock -H 'Content-Type: application/json' \
	--data-binary "$spec" http://hvd/v1/vms | tr -d '\r')
matches "create: 201" "$headers" '^HTTP/1.1 201'
matches "create: Location" "$headers" "Location: /v1/vms/$V"
rest_is 409 POST /v1/vms "$spec"
rest_is 200 GET "/v1/vms/$V"
uuid=$(jq -r .uuid <<<"$REPLY")
matches "a UUID" "$uuid" '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
rest_is 200 GET "/v1/vms/$uuid"
equal "by UUID" "$(jq -r .name <<<"$REPLY")" "$V"
rest_is 200 GET /v1/vms
jq -e --arg n "$V" '.items[] | select(.name == $n)' <<<"$REPLY" >/dev/null || fail "not in the list"
ok "in the list"

generation=$(rest GET "/v1/vms/$V"; jq .status.generation <<<"$REPLY")
rest_is 200 PATCH "/v1/vms/$V" '{"vcpus": 2, "description": "a test"}' application/merge-patch+json
equal "PATCH" "$(jq -c '[.spec.vcpus, .spec.description]' <<<"$REPLY")" '[2,"a test"]'
rest_is 200 PATCH "/v1/vms/$V" '{"description": null}'
equal "PATCH with null" "$(jq -c .spec.description <<<"$REPLY")" null
(($(jq .status.generation <<<"$REPLY") > generation)) || fail "generation does not count"
rest_is 422 PATCH "/v1/vms/$V" '{"name": "other"}'
rest_is 422 PATCH "/v1/vms/$V" '{"status": {}}'

rest_is 409 POST "/v1/vms/$V/actions/pause"
rest_is 204 POST "/v1/vms/$V/actions/start"
vm_wait "$V" running
rest_is 409 POST "/v1/vms/$V/actions/start"
rest_is 409 DELETE "/v1/vms/$V"
rest_is 204 POST "/v1/vms/$V/actions/pause"
rest_is 204 POST "/v1/vms/$V/actions/resume"
rest_is 200 GET "/v1/vms/$V/xml"
matches "XML" "$REPLY" '<domain [^>]*type=.kvm.'
rest GET "/v1/vms/$V/console"
((STATUS == 400 || STATUS == 426)) || fail "console without an upgrade: HTTP $STATUS"
ok "console without an upgrade: HTTP $STATUS"
rest_is 204 POST "/v1/vms/$V/actions/stop"
vm_wait "$V" shutoff
rest_is 204 DELETE "/v1/vms/$V"
rest_is 404 GET "/v1/vms/$V"

# Who may: the socket is root's and hvd's; others are turned away, with a reason or by the kernel.
out=$(setpriv --reuid 65534 --regid 65534 --clear-groups curl -s -o /dev/null -w '%{http_code}' \
	--unix-socket /run/hvd/hvd.sock http://hvd/v1/vms 2>&1)
[[ $out == *403* || $out == *000* ]] || fail "nobody may list VMs: $out"
ok "nobody may not: $out"

# Half a request, a drip of bytes, many connections: hvd still answers.
for _ in $(seq 40); do
	socat -u "EXEC:'printf GET /v1/v'" UNIX-CONNECT:/run/hvd/hvd.sock >/dev/null 2>&1 &
	CHILDREN+=($!)
done
printf 'GARBAGE\r\n\r\n\r\n' | timeout 20 socat - UNIX-CONNECT:/run/hvd/hvd.sock >/dev/null 2>&1
rest_is 200 GET /v1/host
