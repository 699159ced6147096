/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/errors.h"
#include "api/network_schema.h"
#include "api/snapshot_schema.h"
#include "api/volume_schema.h"
#include "api/vm_schema.h"
#include "api/xml.h"
#include "tests/unit/fill.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

/* struct -> xml -> struct -> xml */
static void round_trip(const struct schema *schema, const void *obj)
{
	AUTO(free) void *back = malloc(schema->size);
	AUTO(free) char *text = NULL;
	AUTO(free) char *again = NULL;
	struct hvd_error err = { 0 };

	assert_int_equal(xml_from_obj(schema, obj, &text), 0);
	if (xml_to_obj(schema, text, strlen(text), back, &err) < 0)
		fail_msg("%s: %s in\n%s", err.field, err.msg, text);
	if (!schema_equal(schema, obj, back))
		fail_msg("not the same:\n%s", text);
	assert_int_equal(xml_from_obj(schema, back, &again), 0);
	assert_string_equal(text, again);
	schema_clear(schema, back);
}

/* Everything set, and each field in turn at its default, in structs too. */
static void round_trips(const struct schema *root, const struct schema *schema, size_t offset,
			void *obj)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];

		if (field->type == FIELD_STRUCT) {
			round_trips(root, field->sub, offset + field->offset, obj);
			continue;
		}
		if (field->required)
			continue;
		fill_obj(root, obj, 1);
		fill_reset(field, (char *)obj + offset);
		if (schema_check(root, obj, NULL) == 0)
			round_trip(root, obj);
		schema_clear(root, obj);
	}
}

static void test_round_trip(void **state)
{
	struct network_config network;
	struct volume_config volume;
	struct snapshot snapshot;
	struct vm_config vm;

	fill_obj(&vm_schema, &vm, 1);
	round_trip(&vm_schema, &vm);
	schema_clear(&vm_schema, &vm);
	round_trips(&vm_schema, &vm_schema, 0, &vm);

	fill_obj(&network_schema, &network, 1);
	round_trip(&network_schema, &network);
	schema_clear(&network_schema, &network);
	round_trips(&network_schema, &network_schema, 0, &network);

	fill_obj(&volume_schema, &volume, 1);
	round_trip(&volume_schema, &volume);
	schema_clear(&volume_schema, &volume);
	round_trips(&volume_schema, &volume_schema, 0, &volume);

	fill_obj(&snapshot_schema, &snapshot, 1);
	round_trip(&snapshot_schema, &snapshot);
	schema_clear(&snapshot_schema, &snapshot);
	round_trips(&snapshot_schema, &snapshot_schema, 0, &snapshot);
}

static void test_snapshot(void **state)
{
	struct snapshot snapshot;
	AUTO(free) char *text = NULL;

	fill_obj(&snapshot_schema, &snapshot, 1);
	snapshot.created_usec = 1795699120000000;
	assert_int_equal(xml_from_obj(&snapshot_schema, &snapshot, &text), 0);
	schema_clear(&snapshot_schema, &snapshot);
	assert_non_null(strstr(text, "<domainsnapshot"));
	assert_non_null(strstr(text, "<creationTime>1795699120</creationTime>"));
	assert_non_null(strstr(text, " snapshot=\"internal\""));
}

/* Fields that had a value of their own in a round trip. */
struct covered {
	const struct field *fields[256];
	size_t n;
};

static bool is_covered(const struct covered *covered, const struct field *field)
{
	for (size_t i = 0; i < covered->n; i++)
		if (covered->fields[i] == field)
			return true;
	return false;
}

static void cover(struct covered *covered, const struct schema *schema, const void *obj)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];

		if (field->type == FIELD_STRUCT) {
			cover(covered, field->sub, field_ptr(field, obj));
			continue;
		}
		if (field->type == FIELD_LIST)
			for (size_t n = 0; n < *field_count(field, obj); n++)
				cover(covered, field->sub, field_list_item(field, obj, n));
		if (field_is_default(field, obj) || is_covered(covered, field))
			continue;
		assert_true(covered->n < ARRAY_SIZE(covered->fields));
		covered->fields[covered->n++] = field;
	}
}

static void assert_covered(const struct covered *covered, const struct schema *schema)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];

		if (field->sub)
			assert_covered(covered, field->sub);
		if (field->type != FIELD_STRUCT && !is_covered(covered, field) && !fill_is_constant(field))
			fail_msg("no round trip has %s.%s", schema->name, field->name);
	}
}

/* Some fields exclude each other: each has been through XML in one variant or another. */
static void cover_variants(struct covered *covered, const struct schema *schema, void *obj)
{
	for (unsigned variant = 0; variant < 120; variant++) {
		fill_obj(schema, obj, variant);
		round_trip(schema, obj);
		cover(covered, schema, obj);
		schema_clear(schema, obj);
	}
}

static void test_every_field(void **state)
{
	static const char no_dhcp[] = "<network><name>n</name><ip address='10.0.0.1' prefix='24'/></network>";
	struct covered covered = { .n = 0 };
	struct network_config network;
	struct volume_config volume;
	struct vm_config vm;

	cover_variants(&covered, &vm_schema, &vm);
	assert_covered(&covered, &vm_schema);

	covered.n = 0;
	cover_variants(&covered, &network_schema, &network);
	/* no variant has this before the fields that need the opposite */
	assert_int_equal(xml_to_obj(&network_schema, no_dhcp, strlen(no_dhcp), &network, NULL), 0);
	round_trip(&network_schema, &network);
	cover(&covered, &network_schema, &network);
	schema_clear(&network_schema, &network);
	assert_covered(&covered, &network_schema);

	covered.n = 0;
	cover_variants(&covered, &volume_schema, &volume);
	assert_covered(&covered, &volume_schema);
}

/* What `virsh dumpxml` prints for a running guest of machine virt. */
static const char dump[] =
	"<domain type='kvm' id='1'>\n"
	"  <name>demo</name>\n"
	"  <uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>\n"
	"  <metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'>"
	"<l:os id='http://debian.org/debian/12'/></l:libosinfo></metadata>\n"
	"  <memory unit='KiB'>2097152</memory>\n"
	"  <currentMemory unit='KiB'>2097152</currentMemory>\n"
	"  <vcpu placement='static' cpuset='0-3'>2</vcpu>\n"
	"  <cputune><shares>2048</shares><global_period>100000</global_period>"
	"<global_quota>150000</global_quota></cputune>\n"
	"  <memtune><hard_limit unit='G'>3</hard_limit><soft_limit>2621440</soft_limit></memtune>\n"
	"  <resource><partition>/machine</partition></resource>\n"
	"  <os>\n"
	"    <type arch='aarch64' machine='virt-7.2'>hvm</type>\n"
	"    <kernel>/boot/vmlinuz</kernel>\n"
	"    <cmdline>root=/dev/vda1 quiet</cmdline>\n"
	"    <boot dev='hd'/>\n"
	"  </os>\n"
	"  <features><acpi/><gic version='3'/></features>\n"
	"  <cpu mode='host-passthrough' check='none'/>\n"
	"  <clock offset='utc'/>\n"
	"  <on_poweroff>destroy</on_poweroff>\n"
	"  <on_reboot>destroy</on_reboot>\n"
	"  <on_crash>destroy</on_crash>\n"
	"  <devices>\n"
	"    <emulator>/usr/bin/qemu-system-aarch64</emulator>\n"
	"    <disk type='file' device='disk'>\n"
	"      <driver name='qemu' type='raw' discard='unmap'/>\n"
	"      <source file='/var/lib/x.img' index='1'/>\n"
	"      <backingStore/>\n"
	"      <target dev='vda' bus='virtio'/><boot order='2'/>\n"
	"      <alias name='virtio-disk0'/>\n"
	"      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>\n"
	"    </disk>\n"
	"    <disk type='block'><driver name='qemu' type='raw' cache='default'/>"
	"<source dev='/dev/sdb'/><target dev='vdb' bus='virtio'/><readonly/>"
	"<serial>S1</serial></disk>\n"
	"    <controller type='usb' index='0' model='qemu-xhci'><alias name='usb'/></controller>\n"
	"    <interface type='network'>\n"
	"      <mac address='52:54:00:00:00:01'/>\n"
	"      <source network='default' portid='x' bridge='virbr0'/>\n"
	"      <target dev='vnet0'/>\n"
	"      <model type='virtio'/><boot order='1'/>\n"
	"    </interface>\n"
	"    <interface type='ethernet' trustGuestRxFilters='yes'><target dev='tap7' managed='no'/>"
	"<driver name='qemu' txmode='iothread' ioeventfd='on' queues='2' rx_queue_size='256'/>"
	"<bandwidth><inbound average='1000' burst='2048'/><outbound average='128'/></bandwidth>"
	"<link state='down'/><mtu size='9000'/></interface>\n"
	"    <serial type='pty'><source path='/dev/pts/1'/>"
	"<target type='system-serial' port='0'><model name='pl011'/></target></serial>\n"
	"    <console type='pty' tty='/dev/pts/1'><source path='/dev/pts/1'/>"
	"<target type='serial' port='0'/></console>\n"
	"    <memballoon model='virtio' autodeflate='on'><stats period='10'/>"
	"<alias name='balloon0'/></memballoon><panic model='pvpanic'/>"
	"<watchdog model='sbsa' action='poweroff'/>\n"
	"    <!-- a comment is nothing -->\n"
	"    <rng model='virtio'><rate bytes='2048' period='1000'/><backend model='random'>/dev/urandom</backend></rng>\n"
	"  </devices>\n"
	"  <seclabel type='dynamic' model='dac'><label>+64055:+64055</label></seclabel>\n"
	"</domain>\n";

static void test_libvirt(void **state)
{
	struct hvd_error err = { 0 };
	struct vm_config vm;

	if (xml_to_obj(&vm_schema, dump, strlen(dump), &vm, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
	assert_string_equal(vm.name, "demo");
	assert_int_equal(vm.uuid[0], 0x4d);
	assert_string_equal(vm.machine, "hvd-1.0");
	assert_int_equal(vm.memory, 2 * GIB);
	assert_int_equal(vm.vcpus, 2);
	assert_string_equal(vm.boot.cmdline, "root=/dev/vda1 quiet");
	assert_null(vm.boot.initrd);
	assert_true(vm.boot.acpi);
	assert_string_equal(vm.resources.cpuset, "0-3");
	assert_int_equal(vm.resources.cpu_weight, 2048);
	assert_int_equal(vm.resources.cpu_quota, 150);
	assert_int_equal(vm.resources.memory_max, 3 * GIB);
	assert_int_equal(vm.resources.memory_high, 2560 * MIB);
	assert_int_equal(vm.n_disks, 2);
	assert_int_equal(vm.disks[0].boot_order, 2);
	assert_int_equal(vm.disks[1].boot_order, 0);
	assert_string_equal(vm.disks[1].path, "/dev/sdb");
	assert_string_equal(vm.disks[1].serial, "S1");
	assert_int_equal(vm.disks[1].cache, DISK_CACHE_WRITEBACK);
	assert_true(vm.disks[1].read_only);
	assert_int_equal(vm.n_nics, 2);
	assert_string_equal(vm.nics[0].network, "default");
	assert_int_equal(vm.nics[0].boot_order, 1);
	assert_null(vm.nics[0].tap);
	assert_int_equal(vm.nics[0].link, NIC_LINK_UP);
	assert_string_equal(vm.nics[1].tap, "tap7");
	assert_true(vm.nics[1].trust_guest_mac);
	assert_int_equal(vm.nics[1].backend, NIC_BACKEND_PROCESS);
	assert_int_equal(vm.nics[1].queues, 2);
	assert_int_equal(vm.nics[1].mtu, 9000);
	assert_int_equal(vm.nics[1].link, NIC_LINK_DOWN);
	assert_int_equal(vm.nics[1].limits.rx_bytes_per_second, 1000 * KIB);
	assert_int_equal(vm.nics[1].limits.rx_bytes_burst, 2 * MIB);
	assert_int_equal(vm.nics[1].limits.tx_bytes_per_second, 128 * KIB);
	assert_true(vm.rng);
	assert_int_equal(vm.rng_bytes_per_second, 2048);
	assert_int_equal(vm.memory_target, 2 * GIB);
	assert_true(vm.balloon);
	assert_true(vm.deflate_on_oom);
	assert_false(vm.page_reporting);
	assert_int_equal(vm.balloon_stats_period, 10);
	assert_false(vm.virtio_console);
	assert_int_equal(vm.on_reboot, ON_REBOOT_STOP);
	assert_int_equal(vm.on_crash, ON_CRASH_STOP);
	assert_true(vm.pvpanic);
	assert_int_equal(vm.watchdog, WATCHDOG_STOP);
	round_trip(&vm_schema, &vm);
	schema_clear(&vm_schema, &vm);
}

static void read_network(const char *text, struct network_config *network)
{
	struct hvd_error err = { 0 };

	if (xml_to_obj(&network_schema, text, strlen(text), network, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
}

/* What `virsh net-dumpxml` prints. */
static void test_libvirt_network(void **state)
{
	static const char nat[] =
		"<network connections='2'>\n"
		"  <name>default</name>\n"
		"  <uuid>9a05da11-e96b-47f3-8253-a3a482e445f5</uuid>\n"
		"  <forward mode='nat'>\n"
		"    <nat><port start='1024' end='65535'/></nat>\n"
		"  </forward>\n"
		"  <bridge name='virbr0' stp='on' delay='0'/>\n"
		"  <mac address='52:54:00:0a:cd:21'/>\n"
		"  <ip address='192.168.122.1' netmask='255.255.254.0'>\n"
		"    <dhcp>\n"
		"      <range start='192.168.122.2' end='192.168.123.254'/>\n"
		"      <host mac='52:54:00:00:00:07' name='seven' ip='192.168.122.7'/>\n"
		"    </dhcp>\n"
		"  </ip>\n"
		"</network>";
	static const char isolated[] =
		"<network><name>lab</name><bridge name='b'/>"
		"<ip family='ipv6' address='fd00::1' prefix='64'/></network>";
	static const char refused[] = "<network><name>lab</name>\n<forward mode='hostdev'/></network>";
	struct network_config network;
	struct hvd_error err = { 0 };

	read_network(nat, &network);
	assert_int_equal(network.mode, NETWORK_NAT);
	assert_string_equal(network.address, "192.168.122.1/23");
	assert_string_equal(network.dhcp_end, "192.168.123.254");
	assert_true(network.dhcp && network.autostart);
	assert_int_equal(network.n_static_leases, 1);
	assert_string_equal(network.static_leases[0].address, "192.168.122.7");
	schema_clear(&network_schema, &network);

	read_network(isolated, &network);
	assert_int_equal(network.mode, NETWORK_ISOLATED);
	assert_null(network.address);
	assert_string_equal(network.address6, "fd00::1/64");
	assert_false(network.dhcp);
	schema_clear(&network_schema, &network);

	assert_int_equal(xml_to_obj(&network_schema, refused, strlen(refused), &network, &err), -EINVAL);
	assert_string_equal(err.field, "mode");
	assert_non_null(strstr(err.msg, "line 2"));
}

/* Where a disk and a NIC may be, and what the NIC may send there. */
static void test_libvirt_places(void **state)
{
	static const char text[] =
		"<domain type='kvm'><name>n</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>"
		"<os><type arch='aarch64' machine='virt'>hvm</type><kernel>/k</kernel></os><devices>"
		"<disk type='network' device='disk'><driver name='qemu' type='raw'/>"
		"<source protocol='nbd' name='e'><host name='192.0.2.7' port='10810'/></source>"
		"<target dev='vda' bus='virtio'/></disk>"
		"<disk type='network' device='disk'><driver name='qemu' type='qcow2'/>"
		"<source protocol='nbd'><host transport='unix' socket='/run/n.sock'/></source>"
		"<target dev='vdb' bus='virtio'/></disk>"
		"<disk type='network' device='disk'><driver name='qemu' type='raw'/>"
		"<auth username='hvd'><secret type='ceph' usage='cluster'/></auth>"
		"<source protocol='rbd' name='vms/demo'><host name='192.0.2.7'/>"
		"<host name='fd00::7' port='3301' transport='tcp'/></source>"
		"<hvd:key xmlns:hvd='urn:hvd:1' file='/k'/><target dev='vdc' bus='virtio'/></disk>"
		"<interface type='bridge'><source bridge='br0'/><port isolated='yes'/>"
		"<filterref filter='no-mac-spoofing'/></interface>"
		"<interface type='direct'><source dev='eth0' mode='bridge'/></interface>"
		"<interface type='direct'><source dev='eth1' mode='passthrough'/></interface>"
		"</devices></domain>";
	struct hvd_error err = { 0 };
	struct vm_config vm;

	if (xml_to_obj(&vm_schema, text, strlen(text), &vm, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
	assert_int_equal(vm.n_disks, 3);
	assert_string_equal(vm.disks[0].nbd.server, "192.0.2.7");
	assert_int_equal(vm.disks[0].nbd.port, 10810);
	assert_string_equal(vm.disks[0].nbd.export, "e");
	assert_string_equal(vm.disks[1].nbd.socket, "/run/n.sock");
	assert_null(vm.disks[1].nbd.server);
	assert_string_equal(vm.disks[2].ceph.rbd, "vms/demo");
	assert_string_equal(vm.disks[2].ceph.user, "hvd");
	assert_string_equal(vm.disks[2].ceph.keyfile, "/k");
	assert_int_equal(vm.disks[2].ceph.n_monitors, 2);
	assert_string_equal(vm.disks[2].ceph.monitors[0].address, "192.0.2.7");
	assert_int_equal(vm.disks[2].ceph.monitors[0].port, 0);
	assert_string_equal(vm.disks[2].ceph.monitors[1].address, "fd00::7");
	assert_int_equal(vm.disks[2].ceph.monitors[1].port, 3301);
	assert_int_equal(vm.n_nics, 3);
	assert_string_equal(vm.nics[0].bridge, "br0");
	assert_true(vm.nics[0].isolated && vm.nics[0].mac_filter);
	assert_string_equal(vm.nics[1].interface, "eth0");
	assert_int_equal(vm.nics[1].mode, NIC_MODE_BRIDGE);
	assert_string_equal(vm.nics[2].interface, "eth1");
	assert_int_equal(vm.nics[2].mode, NIC_MODE_PASSTHROUGH);
	schema_clear(&vm_schema, &vm);
}

/* As libvirt has firmware: chosen by it, named by the user, and both after it has chosen. */
static void test_firmware(void **state)
{
	static const struct {
		const char *os, *firmware, *nvram, *template;
	} cases[] = {
		{ "<os firmware='efi'><type arch='aarch64' machine='virt'>hvm</type></os>", "efi",
		  NULL, NULL },
		{ "<os><type machine='virt'>hvm</type><loader readonly='yes' type='pflash'>/code.fd</loader>"
		  "<nvram template='/vars.fd'>/own.fd</nvram></os>", "/code.fd", "/own.fd",
		  "/vars.fd" },
		{ "<os firmware='efi'><type machine='virt'>hvm</type><firmware>"
		  "<feature enabled='no' name='secure-boot'/></firmware>"
		  "<loader readonly='yes' secure='no' type='pflash' format='raw'>/code.fd</loader>"
		  "<nvram template='/vars.fd' templateFormat='raw' format='raw'/>"
		  "<boot dev='hd'/></os>", "/code.fd", NULL, "/vars.fd" },
		{ "<os><type machine='virt'>hvm</type><loader>/code.fd</loader></os>", "/code.fd", NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hvd_error err = { 0 };
		struct vm_config vm;
		char text[512];

		snprintf(text, sizeof(text), "<domain type='kvm'><name>demo</name>%s</domain>",
			 cases[i].os);
		if (xml_to_obj(&vm_schema, text, strlen(text), &vm, &err) < 0)
			fail_msg("%s: %s in %s", err.field, err.msg, text);
		assert_string_equal(vm.boot.firmware, cases[i].firmware);
		assert_int_equal(vm.boot.nvram != NULL, cases[i].nvram != NULL);
		if (cases[i].nvram)
			assert_string_equal(vm.boot.nvram, cases[i].nvram);
		assert_int_equal(vm.boot.nvram_template != NULL, cases[i].template != NULL);
		if (cases[i].template)
			assert_string_equal(vm.boot.nvram_template, cases[i].template);
		round_trip(&vm_schema, &vm);
		schema_clear(&vm_schema, &vm);
	}
}

/* Replace the first from of the dump by to, and expect a refusal that says so. */
#define CEPH_DISK(auth, in_source) "<disk type='network'>" auth "<source protocol='rbd' name='vms/a'><host " \
				   "name='10.0.0.1'/>" in_source "</source></disk>"

static const struct {
	const char *from, *to, *error;
} refused[] = {
	{ "device='disk'", "device='cdrom'",
	  "line 25: <disk type='file' device='cdrom'> is not supported: hvd has no such drive; write "
	  "device='disk', with bus='virtio' and <readonly/> for an image of a CD" },
	{ "type='network'", "type='vhostuser'",
	  "line 35: type='vhostuser' of <interface type='vhostuser'> is not supported: the type is network, "
	  "bridge, direct or ethernet" },
	{ "<vcpu placement", "<vcpu current='1' placement",
	  "line 7: current='1' of <vcpu current='1' placement='static' cpuset='0-3'> is not supported: "
	  "hvd does not add vCPUs or memory to a VM that runs; give it all that it may need" },
	{ ">2</vcpu>", ">two</vcpu>", "vcpus: line 7: 'two' is not a whole number" },
	{ ">2</vcpu>", ">0</vcpu>", "vcpus: must be between 1 and 512" },
	{ "type='raw'", "type='qed'", "disks[0].format: line 26: 'qed' is not one of: raw, qcow2, vmdk, vdi, vhdx, luks" },
	{ "<serial type", "<channel type='unix'><target type='virtio' name='own'/></channel><serial type",
	  "line 42: name='own' of <target type='virtio' name='own'> is not supported: use vsock between "
	  "the guest and programs of the host" },
	{ "<serial type", CEPH_DISK("<auth username='hvd'><secret type='ceph' usage='cluster'/></auth>", "") "<serial type",
	  "disks[2].ceph.keyfile: is missing: the file with the key of user hvd, as 'ceph auth print-key "
	  "client.hvd' prints it" },
	{ "<serial type", CEPH_DISK("", "<snapshot name='s'/>") "<serial type",
	  "line 42: <snapshot name='s'> is not supported: a snapshot cannot be written to: make a clone of it, "
	  "and name that" },
	{ "<serial type", CEPH_DISK("", "<config file='/etc/ceph/ceph.conf'/>") "<serial type",
	  "line 42: <config file='/etc/ceph/ceph.conf'> is not supported: Ceph's own configuration is not read: "
	  "name its monitors by <host>" },
	{ "<serial type", "<disk type='network'><source protocol='iscsi'/></disk><serial type",
	  "line 42: type='network' of <disk type='network'> is not supported: a disk is a file or a block device "
	  "of the host, a volume, or on the network by protocol nbd or rbd" },
	{ "<serial type", "<filesystem type='mount'/><serial type",
	  "line 42: <filesystem type='mount'> is not supported: hvd shares no folders with a guest; use a "
	  "disk or the network" },
	{ "<boot dev='hd'/>", "<boot dev='network'/>",
	  "line 15: dev='network' of <boot dev='network'> is not supported: give the interface <boot "
	  "order='1'/>" },
	{ "<acpi/>", "<acpi/><vmport/>", "line 17: <vmport> is not supported" },
	{ "<uuid>", "<name>again</name><uuid>",
	  "line 3: <name> is there twice, or not supported in this form" },
	{ "<os>", "<os>text", "line 11: there must be no text in <os>" },
	{ "'aarch64'", "'x86_64'",
	  "line 12: arch='x86_64' of <type arch='x86_64' machine='virt-7.2'> is not supported: hvd has 64-bit "
	  "Arm guests alone: arch='aarch64'" },
	{ "virt-7.2", "q35", "machine: 'q35' is not a machine type of this hvd: use hvd-1.0" },
	{ "150000<", "150500<", "resources.cpu_quota: line 8: '150500' is no multiple of 1000" },
	{ "average='1000'", "average='1000' floor='5'",
	  "line 41: floor='5' of <inbound average='1000' floor='5' burst='2048'> is not supported: hvd reserves no "
	  "bandwidth" },
	{ "average='128'", "average='fast'",
	  "nics[1].limits.tx_bytes_per_second: line 41: 'fast' is no whole number" },
	{ ">100000<", ">50000<", "line 8: <global_period> is not supported: the period is 100000; scale global_quota with it" },
	{ "model='virtio' autodeflate='on'", "model='xen'",
	  "balloon: line 44: 'xen' is not one of: none, virtio" },
	{ "autodeflate='on'", "autodeflate='yes'",
	  "deflate_on_oom: line 44: 'yes' is not one of: off, on" },
	{ "period='1000'", "period='2000'",
	  "line 46: period='2000' of <rate bytes='2048' period='2000'> is not supported: the limit is one of bytes in "
	  "a second: write period='1000'" },
	{ "bytes='2048' ", "", "line 46: <rate period='1000'> is not supported" },
	{ "unit='KiB'", "unit='pages'",
	  "memory: line 5: '2097152' is no whole number, or the unit is unknown" },
	{ "gic version='3'", "gic version='2'",
	  "line 17: version='2' of <gic version='2'> is not supported: a guest has a GICv3: write "
	  "version='3'" },
	{ "<kernel>/boot", "<kernel>boot",
	  "boot.kernel: must be an absolute path: 'boot/vmlinuz' is relative" },
	{ "<boot dev", "<loader type='rom'>/x</loader><boot dev",
	  "line 15: <loader type='rom'> is not supported: firmware is in flash: type='pflash'" },
	{ "<boot dev", "<loader type='pflash' secure='yes'>/x</loader><boot dev",
	  "line 15: secure='yes' of <loader type='pflash' secure='yes'> is not supported: there is no secure "
	  "boot by SMM on Arm: secure='no'" },
	{ "type='kvm'", "type='qemu'",
	  "line 1: type='qemu' of <domain type='qemu' id='1'> is not supported: hvd has guests run by KVM "
	  "alone: write type='kvm'" },
	{ "<domain type='kvm' id='1'>", "<network>",
	  "not well-formed XML: line 49: Opening and ending tag mismatch: network line 1 and domain" },
	{ "<seclabel", "<q:commandline xmlns:q='urn:q'/><seclabel",
	  "line 48: <commandline> is not supported" },
	{ "<domain", "<!DOCTYPE domain [<!ENTITY a 'aaa'>]><domain",
	  "a document type (<!DOCTYPE>) is not accepted" },
	{ "<domain", "<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain",
	  "a document type (<!DOCTYPE>) is not accepted" },
	{ "demo", "&undefined;", "not well-formed XML: line 2: Entity 'undefined' not defined" },
	{ "</os>", "</so>",
	  "not well-formed XML: line 16: Opening and ending tag mismatch: os line 11 and so" },
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		static const struct vm_config zero;
		const char *at = strstr(dump, refused[i].from);
		char text[sizeof(dump) + 256], message[ERROR_TEXT_SIZE];
		struct hvd_error err = { 0 };
		struct vm_config vm;

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - dump), dump, refused[i].to,
			 at + strlen(refused[i].from));
		assert_true(xml_to_obj(&vm_schema, text, strlen(text), &vm, &err) < 0);
		error_text(&err, message);
		assert_string_equal(message, refused[i].error);
		assert_memory_equal(&vm, &zero, sizeof(vm));
	}
}

static void test_limits(void **state)
{
	AUTO(free) char *text = malloc(XML_SIZE_MAX + 1);
	struct hvd_error err = { 0 };
	struct vm_config vm;
	size_t len = 0;

	assert_int_equal(xml_to_obj(&vm_schema, "", 0, &vm, &err), -EBADMSG);
	memset(text, ' ', XML_SIZE_MAX + 1);
	assert_int_equal(xml_to_obj(&vm_schema, text, XML_SIZE_MAX + 1, &vm, &err), -EFBIG);

	/* as deep as the size allows */
	while (len + 3 < XML_SIZE_MAX)
		len += (size_t)sprintf(text + len, "<a>");
	assert_int_equal(xml_to_obj(&vm_schema, text, len, &vm, &err), -EBADMSG);
}

/* A stored definition must not change its meaning when a later hvd has other defaults. */
static void test_defaults_are_written(void **state)
{
	AUTO(free) char *text = NULL;
	struct vm_config vm;

	assert_int_equal(schema_init(&vm_schema, &vm), 0);
	vm.name = strdup("demo");
	vm.boot.kernel = strdup("/k");
	vm.rng_bytes_per_second = 4096;
	assert_int_equal(xml_from_obj(&vm_schema, &vm, &text), 0);
	assert_non_null(strstr(text, "machine=\"hvd-1.0\""));
	assert_non_null(strstr(text, "<vcpu>1</vcpu>"));
	assert_non_null(strstr(text, "<memory unit=\"bytes\">536870912</memory>"));
	assert_non_null(strstr(text, "<rng"));
	assert_non_null(strstr(text, "<rate bytes=\"4096\"/>"));
	assert_null(strstr(text, "<cputune"));
	schema_clear(&vm_schema, &vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_libvirt),
		cmocka_unit_test(test_libvirt_network),
		cmocka_unit_test(test_libvirt_places),
		cmocka_unit_test(test_firmware),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_defaults_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
