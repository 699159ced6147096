#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who may include whom: docs/architecture.md as a table. Exits 1 and names each line that breaks it.
set -eu
cd "${top_srcdir:-$(dirname "$0")/../..}"

# folder or file  may include, besides its own folder and vmm/base/, which all may. The first line
# that fits a file counts.
folders='
vmm/base/         -
vmm/balloon.h vmm/counters.h     -
vmm/config.h      -
vmm/plain_file.   -
vmm/firmware.     vmm/config.h vmm/plain_file.h vmm/hw/flash.h
vmm/files.        vmm/config.h vmm/firmware.h vmm/nic_files.h vmm/plain_file.h
vmm/nic_files.    vmm/config.h
vmm/console.      -
vmm/kvm/          -
vmm/mem/          vmm/kvm/
vmm/bus/          vmm/kvm/ vmm/mem/
vmm/hw/           vmm/kvm/ vmm/mem/ vmm/bus/ vmm/console.h
vmm/block/        vmm/mem/ vmm/config.h
vmm/net/          vmm/mem/ vmm/config.h
vmm/virtio/       vmm/kvm/ vmm/mem/ vmm/bus/ vmm/block/ vmm/net/ vmm/console.h vmm/config.h vmm/balloon.h vmm/counters.h
vmm/arch/         vmm/kvm/ vmm/mem/ vmm/bus/ vmm/hw/ vmm/virtio/ vmm/console.h vmm/config.h vmm/files.h vmm/balloon.h vmm/counters.h
vmm/              vmm/
api/              vmm/config.h vmm/balloon.h vmm/counters.h
daemon/           api/ vmm/config.h vmm/vmm.h vmm/console.h vmm/files.h vmm/firmware.h vmm/balloon.h vmm/counters.h
cli/              api/
'

# Inside these folders a device x.c, x_y.c or x.h may include x*.h and what is listed: nothing
# sideways from device to device.
devices='
vmm/hw/           irq.h primecell.h
vmm/hw/power_button.  pl061.h
vmm/virtio/       virtio.h virtqueue.h
'

# Libraries that only these may use. libvmm knows no JSON, XML, D-Bus or HTTP.
libraries='
jansson.h         api/ daemon/ cli/
libxml/           api/xml daemon/xml_worker.c
api/xml.h         api/xml daemon/xml_worker.c
systemd/          api/ daemon/
microhttpd.h      daemon/
wslay/            daemon/ cli/
gnutls/           daemon/ cli/
curl/             cli/
libfdt.h          vmm/arch/
liburing.h        vmm/block/
seccomp.h         daemon/
zlib.h            vmm/arch/
'

find vmm api daemon cli -name '*.[ch]' | LC_ALL=C sort | xargs grep -nE '^[[:space:]]*#[[:space:]]*include' |
awk -v folders="$folders" -v devices="$devices" -v libraries="$libraries" '
function starts(s, prefix) { return substr(s, 1, length(prefix)) == prefix }
function dirname(path) { sub("[^/]*$", "", path); return path }
function basename(path) { sub(".*/", "", path); return path }
function read_table(text, who, may,    lines, i, n, count) {
	count = split(text, lines, "\n")
	n = 0
	for (i = 1; i <= count; i++)
		if (lines[i] != "") {
			match(lines[i], "^[^ ]+")
			who[++n] = substr(lines[i], 1, RLENGTH)
			may[n] = substr(lines[i], RLENGTH + 1)
		}
	return n
}
function fits(target, list,    words, i, n) {
	n = split(list, words, " ")
	for (i = 1; i <= n; i++)
		if (starts(target, words[i]))
			return 1
	return 0
}
function complain(why) { print why; bad = 1 }
function stem(path) { sub("[.][^.]*$", "", path); return path }
function check_own(file, target,    i) {
	if (stem(file) == stem(target) || starts(target, "vmm/base/"))
		return
	if (dirname(file) == dirname(target) && dirname(file) != "vmm/")
		return
	for (i = 1; i <= n_folders; i++)
		if (starts(file, folder[i])) {
			if (!fits(target, folder_may[i]))
				complain($0 ": " file " may not include " target)
			return
		}
	complain($0 ": no rule for this file")
}
function check_device(file, target,    i, name, ruled) {
	name = basename(file)
	sub("[_.].*", "", name)
	if (dirname(file) != dirname(target) || starts(basename(target), name))
		return
	for (i = 1; i <= n_devices; i++)
		if (starts(file, device[i])) {
			ruled = 1
			if (fits(basename(target), device_may[i]))
				return
		}
	if (ruled)
		complain($0 ": one device may not include another")
}
function check_library(file, target,    i) {
	for (i = 1; i <= n_libraries; i++)
		if (starts(target, library[i]) && !fits(file, library_may[i]))
			complain($0 ": " file " may not use " target)
}
BEGIN {
	n_folders = read_table(folders, folder, folder_may)
	n_devices = read_table(devices, device, device_may)
	n_libraries = read_table(libraries, library, library_may)
}
{
	file = $0
	sub(":.*", "", file)
	target = $0
	sub("^[^<\"]*[<\"]", "", target)
	sub("[>\"].*", "", target)
	if ($0 !~ /"/) {
		check_library(file, target)
	} else if (target !~ "/") {
		complain($0 ": write the full path from the top")
	} else {
		check_own(file, target)
		check_device(file, target)
	}
}
END {
	print NR " includes checked"
	exit bad
}'
