#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dbus-daemon takes hvd's policy: what it cannot read it drops as a whole, and hvd gets no name then.
set -eu

policy=${top_srcdir:-.}/systemd/org.hvd1.conf
if ! command -v dbus-daemon >/dev/null; then
	echo "there is no dbus-daemon here"
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/bus.conf" <<END
<busconfig>
	<type>system</type>
	<listen>unix:path=$dir/bus</listen>
	<auth>EXTERNAL</auth>
	<include>$policy</include>
</busconfig>
END

# Included by name, it ends the daemon when it is wrong. A group that this machine has not is no matter.
dbus-daemon --config-file="$dir/bus.conf" --nofork --nopidfile --nosyslog --print-address=3 \
	3>"$dir/address" 2>"$dir/log" &
daemon=$!
tries=0
until [ -s "$dir/address" ] || ! kill -0 "$daemon" 2>/dev/null || [ $tries -gt 1200 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
cat "$dir/log"
if ! [ -s "$dir/address" ]; then
	echo "FAIL: dbus-daemon does not take $policy"
	exit 1
fi
kill "$daemon"
wait "$daemon" || :
echo "ok"
