#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hvcli against hvd, both real: without a system bus hvd defines VMs, which is all that this needs.
set -eu

hvd=${top_builddir:-.}/hvd
if ! [ -x "$hvd" ]; then
	echo "hvd is not built here"
	exit 77
fi

dir=$(mktemp -d)
daemon=
cleanup() {
	[ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } || :
	rm -rf "$dir"
}
trap cleanup EXIT

HVD_SOCKET=$dir/run/hvd.sock
export HVD_SOCKET
mkdir "$dir/run" "$dir/images"
: >"$dir/images/vmlinuz"
truncate -s 1M "$dir/images/root.img"

hvcli() {
	"${top_builddir:-.}/hvcli" "$@"
}

failed=0
# expect STATUS PATTERN COMMAND…: the command exits so, and what it prints matches (grep -E).
expect() {
	status=$1 pattern=$2
	shift 2
	actual=0
	output=$("$@" 2>&1) || actual=$?
	if [ "$actual" != "$status" ]; then
		echo "FAIL: $*: exit status $actual, not $status"
	elif ! printf '%s\n' "$output" | grep -qE -e "$pattern"; then
		echo "FAIL: $*: no \"$pattern\""
	else
		echo "ok: $*"
		return
	fi
	printf '%s\n' "$output" | sed 's/^/    /'
	failed=1
}

# No daemon.
expect 5 "cannot reach hvd at $HVD_SOCKET: .*systemctl start hvd" hvcli vm list
expect 5 'cannot reach hvd at /nonexistent' hvcli vm list --socket /nonexistent
expect 2 'no command "vm strat"; did you mean "vm start"' hvcli vm strat demo
expect 2 'VM is missing' hvcli vm start
expect 0 'Usage: hvcli' hvcli --help
expect 0 '--vcpus' hvcli vm create --help
expect 0 '^hvcli [0-9]' hvcli --version

"$hvd" --no-bus --xml "$hvd-xml" --state-dir "$dir/state" --runtime-dir "$dir/run" 2>"$dir/log" &
daemon=$!
tries=0
until [ -S "$HVD_SOCKET" ] && hvcli vm list >/dev/null 2>&1; do
	tries=$((tries + 1))
	if [ $tries = 1200 ] || ! kill -0 $daemon; then
		echo "FAIL: hvd does not come up:"
		cat "$dir/log"
		exit 1
	fi
	sleep 0.1
done

expect 0 '^NAME +STATE +VCPUS' hvcli vm list
cd "$dir/images"
expect 0 '^VM demo created$' hvcli vm create demo --kernel vmlinuz --memory 512M --vcpus 2 \
	--disk root.img --nic default --description 'a test'
cd - >/dev/null
expect 0 '^demo +shutoff +2 +512M +- +-$' hvcli vm list
expect 0 '^demo$' hvcli vm list -o name
expect 0 '^  kernel +'"$dir/images/vmlinuz" hvcli vm show demo
expect 0 "^  vda +$dir/images/root.img$" hvcli vm show demo
uuid=$(hvcli vm list -o wide | grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
expect 0 '"name": "demo"' hvcli vm show "$uuid" -o json
expect 0 '<domain' hvcli vm xml demo

# YAML is the same as JSON, for a parser of YAML.
hvcli vm set demo --description "no: 1.0
 - é \"#x\"" >/dev/null
hvcli vm list -o json >"$dir/list.json"
hvcli vm list -o yaml >"$dir/list.yaml"
expect 0 '^  spec:$' cat "$dir/list.yaml"
if python3 -c 'import yaml' 2>/dev/null; then
	expect 0 '^True$' python3 -c 'import json, sys, yaml
print(json.load(open(sys.argv[1])) == yaml.safe_load(open(sys.argv[2])))' "$dir/list.json" "$dir/list.yaml"
else
	echo "skipped: no python3-yaml"
fi

# Errors of hvd, each with its status and the name of what is wrong.
expect 4 'vm create: .*demo' hvcli vm create demo --kernel /k
expect 1 'vm create: vcpus: .*1' hvcli vm create many --kernel /k --vcpus 513
expect 1 'vm create: memory: ' hvcli vm create odd --kernel /k --memory 33M
expect 1 'vm create: name: ' hvcli vm create Bad_Name --kernel /k
expect 1 'vm create: boot.kernel: ' hvcli vm create nothing
expect 3 'vm show: .*none' hvcli vm show none
expect 3 'see hvcli vm list' hvcli vm delete none
expect 3 'vm show: ' hvcli vm show ../../v1/host
expect 4 'vm pause: ' hvcli vm pause demo
expect 3 'network show' hvcli network show none
printf '{"kernel": "/k"}' >"$dir/odd.json"
expect 1 'kernel' hvcli vm create odd -f "$dir/odd.json"
printf '{"vcpus": 2,}' >"$dir/broken.json"
expect 1 'broken.json: .*line 1' hvcli vm create odd -f "$dir/broken.json"
expect 1 'vm create: --file: .*absent.json: No such file' hvcli vm create odd -f "$dir/absent.json"
expect 0 '^demo$' hvcli vm list -o name
expect 0 '^1$' sh -c "ls '$dir/state/vms' | wc -l"

# Changes.
expect 0 '^VM demo changed$' hvcli vm set demo --cpu-quota 50 --memory-max 1G --vcpus 4
expect 0 '^  cpu quota +50 percent$' hvcli vm show demo
expect 0 '^  memory max +1G$' hvcli vm show demo
expect 0 '^  vcpus +4$' hvcli vm show demo
expect 0 '^  memory +512M$' hvcli vm show demo
expect 1 'vm set: .*cpu_quota' hvcli vm set demo --cpu-quota 1000000
expect 1 'vm set: name: ' hvcli vm set demo --name other
expect 2 'nothing to change' hvcli vm set demo
expect 0 '^vcpus +next-boot' hvcli vm set demo --vcpus 3 --dry-run
expect 0 '"vcpus": 4' hvcli vm show demo -o json
expect 4 'changed meanwhile' hvcli vm set demo --vcpus 3 --generation 1

# disks and NICs
cd "$dir/images"
truncate -s 1M data.img
expect 0 '^Disk vdb attached to VM demo$' hvcli disk attach demo data.img --cache none
expect 0 '^vdb$' hvcli disk list demo -o name
expect 0 '^vdb +[^ ]*/data.img +raw +none +no$' hvcli disk list demo
expect 0 'data.img +- +- +- +vdb +raw +- +raw +- +none +no' hvcli disk list demo -o wide
expect 0 '^net0 +network default +..:..:..:..:..:.. +up +process$' hvcli nic list demo
expect 0 '^Disk vdb changed in VM demo$' hvcli disk set demo vdb --read-only
expect 0 '"read_only": true' hvcli disk show demo vdb -o json
expect 0 '^disks.vdb. +next-boot$' hvcli disk detach demo vdb --dry-run
expect 1 'disk attach: path: .*nothing.img' hvcli disk attach demo nothing.img
cd - >/dev/null
expect 1 'disk set: id: ' hvcli disk set demo vdb --id vdc
expect 3 'no disk vdx; see hvcli disk list demo' hvcli disk detach demo vdx
expect 0 '^vdb$' hvcli __complete disk detach demo ''
expect 0 '^vdb$' hvcli disk detach demo vdb -o name
expect 0 '^NIC net1 attached to VM demo$' hvcli nic attach demo default
expect 0 '^default.inactive$' hvcli __complete nic attach demo def
expect 0 '^NIC net1 detached from VM demo$' hvcli nic detach demo net1
EDITOR="sed -i -e s/536870912/268435456/"
export EDITOR
expect 0 '^VM demo changed$' hvcli vm edit demo
expect 0 '^  memory +256M$' hvcli vm show demo
expect 0 '^VM demo not changed$' hvcli vm edit demo
# Somebody else is quicker: nothing is overwritten, and the text is not lost.
printf '#!/bin/sh\n%s vm set demo --description quicker >/dev/null\nsed -i s/268435456/134217728/ "$1"\n' \
	"${top_builddir:-.}/hvcli" >"$dir/slow-editor"
chmod +x "$dir/slow-editor"
expect 4 'your text is kept in /tmp/hvcli-edit-.*changed meanwhile' env EDITOR="$dir/slow-editor" \
	"${top_builddir:-.}/hvcli" vm edit demo
kept=$(printf '%s\n' "$output" | grep -oE '/tmp/hvcli-edit-[A-Za-z0-9]+\.json')
expect 0 134217728 cat "$kept"
rm -f "$kept"
expect 0 '^  memory +256M$' hvcli vm show demo
expect 1 'editor "false" failed' env EDITOR=false "${top_builddir:-.}/hvcli" vm edit demo

# Out and in again.
hvcli vm xml demo >"$dir/demo.xml"
expect 0 '^VM demo deleted$' hvcli vm delete demo
expect 3 'vm xml: ' hvcli vm xml demo
expect 0 '^VM demo defined$' hvcli vm define "$dir/demo.xml"
hvcli vm xml demo >"$dir/again.xml"
expect 0 '' cmp "$dir/demo.xml" "$dir/again.xml"
expect 0 '^demo$' sh -c "hvcli=\"${top_builddir:-.}/hvcli\"; \$hvcli vm delete demo >/dev/null &&
	\$hvcli vm define - -o name <'$dir/demo.xml'"
# What virt-install prints, with a kernel and a disk that are here.
fixtures=${top_srcdir:-.}/tests/unit/xml
truncate -s 1M "$dir/images/web.img"
sed -e "s|/srv/images|$dir/images|" -e 's|<os firmware="efi">|<os>|' \
	-e "s|<boot dev=\"hd\"/>|<kernel>$dir/images/vmlinuz</kernel>|" "$fixtures/install-import.xml" >"$dir/web.xml"
expect 0 '^line 31-46: domain/devices/controller ignored: ' hvcli vm define "$dir/web.xml"
expect 0 '"lines": "31-46"' sh -c "${top_builddir:-.}/hvcli vm delete web >/dev/null &&
	${top_builddir:-.}/hvcli vm define -o json $dir/web.xml"
expect 0 'vm.define-xml web: line 7: domain/metadata ignored: ' cat "$dir/log"
expect 1 'line 57: <tpm> is not supported: .*take it out' hvcli vm define "$fixtures/install-tpm.xml"
expect 0 '^line 8: network/mac ignored: ' hvcli network define "$fixtures/net-dump.xml"
expect 0 '^VM web deleted$' hvcli vm delete web
expect 0 '^Network lab deleted$' hvcli network delete lab
expect 1 'vm define: FILE: .*absent.xml' hvcli vm define "$dir/absent.xml"
expect 1 'vm define: .*line 1' sh -c "echo '<domain' | ${top_builddir:-.}/hvcli vm define -"

# Starting needs systemd, so it is refused here, and what `create --start` made goes away again.
expect 1 'vm create: .*not kept' hvcli vm create gone --kernel "$dir/images/vmlinuz" --start
expect 3 'vm show' hvcli vm show gone
expect 1 'still shutoff after 0 s' hvcli vm wait demo --timeout 0
expect 0 '' hvcli vm wait demo --for shutoff --timeout 5
expect 4 'vm console: ' hvcli vm console demo

# What has happened, and what is under way: nothing that takes time can be done here.
expect 0 'vms/demo +vm.delete succeeded by ' hvcli events
expect 0 '^\{"seq":[0-9]+,"time_usec":' hvcli events -o json --type operation --limit 1
expect 0 '^[0-9]+$' hvcli events -o name --limit 1
expect 1 'none of started, added' hvcli events --type sneeze
expect 0 '^ID +KIND +RESOURCE' hvcli operation list
expect 3 'there is no operation 0123456789ab' hvcli operation show 0123456789ab
expect 3 'there is no operation 0123456789ab' hvcli operation wait 0123456789ab
expect 3 'there is no operation 0123456789ab' hvcli operation cancel 0123456789ab
expect 2 'no option --no-wait' hvcli vm list --no-wait
expect 1 'vm start: ' hvcli vm start demo --no-wait

# The rest.
expect 0 '^  mode +' hvcli host
expect 0 '"virt_mode"' hvcli host -o json
expect 0 '^default +' hvcli network list
expect 0 '^  bridge +' hvcli network show default
expect 0 '"openapi": *"3\.1' hvcli openapi
expect 0 '^demo.shutoff$' hvcli __complete vm start d
expect 3 '^path=' hvcli __complete vm create x --disk ''
expect 0 '^cache=unsafe$' hvcli __complete vm create x --disk cache=un
expect 0 '^network=default.inactive$' hvcli __complete vm create x --nic network=d
expect 0 '^vda$' hvcli __complete disk detach --next-boot demo ''
expect 1 'cannot write to standard output' sh -c "${top_builddir:-.}/hvcli openapi >/dev/full"
exit $failed
