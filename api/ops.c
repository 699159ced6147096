/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/access.h"
#include "api/event.h"
#include "api/list.h"
#include "api/metrics.h"
#include "api/operation.h"

const char *const http_method_names[_HTTP_METHOD_MAX] = {
	[HTTP_GET] = "GET",
	[HTTP_POST] = "POST",
	[HTTP_PUT] = "PUT",
	[HTTP_PATCH] = "PATCH",
	[HTTP_DELETE] = "DELETE",
};

const char *const polkit_actions[_ACCESS_MAX] = {
	[ACCESS_READ] = "org.hvd1.read",
	[ACCESS_OPERATE] = "org.hvd1.operate",
	[ACCESS_MANAGE] = "org.hvd1.manage",
	[ACCESS_HOST] = "org.hvd1.host",
};

#define OFF         (OP_STATE(VM_SHUTOFF) | OP_STATE(VM_FAILED))
#define RUNNING     OP_STATE(VM_RUNNING)
#define PAUSED      OP_STATE(VM_PAUSED)
#define HAS_PROCESS (OP_STATE(VM_STARTING) | RUNNING | PAUSED | OP_STATE(VM_STOPPING))

#define VM_RESOURCE .result_schema = &vm_schema, .status_schema = &vm_status_schema
#define DISK        .result_schema = &disk_schema, .list = "disks"
#define NIC         .result_schema = &nic_schema, .list = "nics"
#define SNAPSHOT    .items = "snapshots"
#define PART(schema) .result_schema = &(schema), .part = true
#define NETWORK     .result_schema = &network_schema, .status_schema = &network_status_schema
#define IMAGE       .result_schema = &image_schema, .status_schema = &volume_status_schema
#define VOLUME      .result_schema = &volume_schema, .status_schema = &volume_status_schema
#define UPDATE      .options = &update_options_schema, .effect = EFFECT_SPEC
#define GENERATION  .options = &generation_options_schema

const struct op ops[_OP_MAX] = {
	[OP_VM_CREATE] = { "vm.create", HTTP_POST, "/v1/vms", "CreateVM", "vm create",
			   ACCESS_MANAGE, .args = &vm_schema, .result = RESULT_OBJECT, VM_RESOURCE,
			   .help = "Define a VM" },
	[OP_VM_LIST] = { "vm.list", HTTP_GET, "/v1/vms", "ListVMs", "vm list", ACCESS_READ,
			 .options = &list_options_schema, .result = RESULT_LIST, VM_RESOURCE, .help = "List all VMs" },
	[OP_VM_GET] = { "vm.get", HTTP_GET, "/v1/vms/{vm}", "Get", "vm show", ACCESS_READ,
			.result = RESULT_OBJECT, VM_RESOURCE,
			.help = "Show what was asked of a VM and what it is doing" },
	[OP_VM_PATCH] = { "vm.patch", HTTP_PATCH, "/v1/vms/{vm}", "Update", "vm set", ACCESS_MANAGE,
			  .args = &vm_schema, .args_partial = true,
			  UPDATE, .result = RESULT_OBJECT, VM_RESOURCE,
			  .help = "Change a VM: at once where that can be, else at its next start" },
	[OP_VM_DELETE] = { "vm.delete", HTTP_DELETE, "/v1/vms/{vm}", "Delete", "vm delete",
			   ACCESS_MANAGE, OFF, .options = &delete_options_schema,
			   .help = "Remove the definition of a VM, and the firmware's variables that hvd "
				   "has stored for it; its disks stay" },
	[OP_VM_START] = { "vm.start", HTTP_POST, "/v1/vms/{vm}/actions/start", "Start", "vm start",
			  ACCESS_OPERATE, OFF, .effect = EFFECT_RUNS, .help = "Start a VM" },
	[OP_VM_SHUTDOWN] = { "vm.shutdown", HTTP_POST, "/v1/vms/{vm}/actions/shutdown", "Shutdown",
			     "vm shutdown", ACCESS_OPERATE, RUNNING | OP_STATE(VM_STOPPING),
			     .help = "Ask the guest to shut down: press its power button" },
	[OP_VM_STOP] = { "vm.stop", HTTP_POST, "/v1/vms/{vm}/actions/stop", "Stop", "vm stop",
			 ACCESS_OPERATE, HAS_PROCESS, .effect = EFFECT_OFF, .any_time = true,
			 .help = "Stop a VM at once, as if its power were cut" },
	[OP_VM_PAUSE] = { "vm.pause", HTTP_POST, "/v1/vms/{vm}/actions/pause", "Pause", "vm pause",
			  ACCESS_OPERATE, RUNNING, .help = "Pause a VM: it stays in memory" },
	[OP_VM_RESUME] = { "vm.resume", HTTP_POST, "/v1/vms/{vm}/actions/resume", "Resume",
			   "vm resume", ACCESS_OPERATE, PAUSED, .help = "Let a paused VM go on" },
	[OP_VM_REBOOT] = { "vm.reboot", HTTP_POST, "/v1/vms/{vm}/actions/reboot", "Reboot",
			   "vm reboot", ACCESS_OPERATE, RUNNING,
			   .help = "Ask the guest to shut down, then start it again" },
	[OP_VM_RESET] = { "vm.reset", HTTP_POST, "/v1/vms/{vm}/actions/reset", "Reset", "vm reset",
			  ACCESS_OPERATE, RUNNING | PAUSED,
			  .help = "Reset a VM at once: press its reset button" },
	[OP_VM_XML] = { "vm.xml", HTTP_GET, "/v1/vms/{vm}/xml", "GetXML", "vm xml", ACCESS_READ,
			.result = RESULT_DOCUMENT, .result_type = "application/xml",
			.help = "Show the definition of a VM as libvirt-style XML" },
	[OP_VM_DEFINE_XML] = { "vm.define-xml", HTTP_POST, "/v1/vms/import", "DefineXML",
			       "vm define", ACCESS_MANAGE, .result = RESULT_OBJECT, VM_RESOURCE,
			       .body_type = "application/xml", .report = &import_report_schema,
			       .help = "Define a VM from libvirt-style XML" },
	[OP_VM_CONSOLE] = { "vm.console", HTTP_GET, "/v1/vms/{vm}/console", "OpenConsole",
			    "vm console", ACCESS_OPERATE, HAS_PROCESS,
			    .options = &console_options_schema, .result = RESULT_STREAM, .any_time = true,
			    .help = "Connect to the console of a VM" },
	[OP_VM_RESIZE_CONSOLE] = { "vm.resize-console", HTTP_POST,
				   "/v1/vms/{vm}/actions/resize-console", "ResizeConsole",
				   "vm resize-console", ACCESS_OPERATE, RUNNING | PAUSED,
				   .args = &console_geometry_schema, .any_time = true,
				   .help = "Tell the guest the size of the terminal that shows its "
					   "virtio console" },
	[OP_VM_METRICS] = { "vm.metrics", HTTP_GET, "/v1/vms/{vm}/metrics", "GetMetrics",
			    "vm metrics", ACCESS_READ, .result = RESULT_OBJECT,
			    .result_schema = &vm_metrics_schema,
			    .help = "Show what a VM has used: CPUs, memory, disks, network" },
	[OP_METRICS_LIST] = { "metrics.list", HTTP_GET, "/v1/metrics/vms", "ListMetrics", "vm top",
			      ACCESS_READ, .result = RESULT_LIST,
			      .result_schema = &vm_metrics_schema,
			      .help = "Show what VMs use, as it changes" },
	[OP_DISK_LIST] = { "disk.list", HTTP_GET, "/v1/vms/{vm}/disks", "ListDisks", "disk list",
			   ACCESS_READ, .options = &list_options_schema, .result = RESULT_LIST, DISK,
			   .help = "List the disks of a VM" },
	[OP_DISK_GET] = { "disk.get", HTTP_GET, "/v1/vms/{vm}/disks/{disk}", "GetDisk",
			  "disk show", ACCESS_READ, .result = RESULT_OBJECT, DISK,
			  .help = "Show a disk of a VM" },
	[OP_DISK_ATTACH] = { "disk.attach", HTTP_POST, "/v1/vms/{vm}/disks", "AttachDisk",
			     "disk attach", ACCESS_MANAGE, .args = &disk_schema, UPDATE,
			     .result = RESULT_OBJECT, DISK, .help = "Give a VM one more disk" },
	[OP_DISK_PATCH] = { "disk.patch", HTTP_PATCH, "/v1/vms/{vm}/disks/{disk}", "UpdateDisk",
			    "disk set", ACCESS_MANAGE, .args = &disk_schema, .args_partial = true,
			    UPDATE, .result = RESULT_OBJECT, DISK,
			    .help = "Change a disk of a VM" },
	[OP_DISK_DETACH] = { "disk.detach", HTTP_DELETE, "/v1/vms/{vm}/disks/{disk}",
			     "DetachDisk", "disk detach", ACCESS_MANAGE, UPDATE,
			     .result = RESULT_OBJECT, .result_schema = &plan_schema,
			     .list = "disks",
			     .help = "Take a disk from a VM; its file stays" },
	[OP_NIC_LIST] = { "nic.list", HTTP_GET, "/v1/vms/{vm}/nics", "ListNICs", "nic list",
			  ACCESS_READ, .options = &list_options_schema, .result = RESULT_LIST, NIC,
			  .help = "List the network interfaces of a VM" },
	[OP_NIC_GET] = { "nic.get", HTTP_GET, "/v1/vms/{vm}/nics/{nic}", "GetNIC", "nic show",
			 ACCESS_READ, .result = RESULT_OBJECT, NIC,
			 .help = "Show a network interface of a VM" },
	[OP_NIC_ATTACH] = { "nic.attach", HTTP_POST, "/v1/vms/{vm}/nics", "AttachNIC",
			    "nic attach", ACCESS_MANAGE, .args = &nic_schema, UPDATE,
			    .result = RESULT_OBJECT, NIC,
			    .help = "Give a VM one more network interface" },
	[OP_NIC_PATCH] = { "nic.patch", HTTP_PATCH, "/v1/vms/{vm}/nics/{nic}", "UpdateNIC",
			   "nic set", ACCESS_MANAGE, .args = &nic_schema, .args_partial = true,
			   UPDATE, .result = RESULT_OBJECT, NIC,
			   .help = "Change a network interface of a VM" },
	[OP_NIC_DETACH] = { "nic.detach", HTTP_DELETE, "/v1/vms/{vm}/nics/{nic}", "DetachNIC",
			    "nic detach", ACCESS_MANAGE, UPDATE, .result = RESULT_OBJECT,
			    .result_schema = &plan_schema, .list = "nics",
			    .help = "Take a network interface from a VM" },
	[OP_SNAPSHOT_CREATE] = { "snapshot.create", HTTP_POST, "/v1/vms/{vm}/snapshots",
				 "CreateSnapshot", "snapshot create", ACCESS_OPERATE,
				 OFF | RUNNING | PAUSED, .effect = EFFECT_SNAPSHOT,
				 .args = &snapshot_schema, .result = RESULT_OBJECT,
				 .result_schema = &snapshot_schema, SNAPSHOT,
				 .help = "Keep what is on the disks of a VM, within their qcow2 images; not "
					 "its memory" },
	[OP_SNAPSHOT_LIST] = { "snapshot.list", HTTP_GET, "/v1/vms/{vm}/snapshots", "ListSnapshots",
			       "snapshot list", ACCESS_READ, .options = &list_options_schema,
			       .result = RESULT_LIST, .result_schema = &snapshot_schema, SNAPSHOT,
			       .help = "List the snapshots of a VM, the oldest first" },
	[OP_SNAPSHOT_GET] = { "snapshot.get", HTTP_GET, "/v1/vms/{vm}/snapshots/{snapshot}",
			      "GetSnapshot", "snapshot show", ACCESS_READ, .result = RESULT_OBJECT,
			      .result_schema = &snapshot_schema, SNAPSHOT,
			      .help = "Show a snapshot of a VM" },
	[OP_SNAPSHOT_XML] = { "snapshot.xml", HTTP_GET, "/v1/vms/{vm}/snapshots/{snapshot}/xml",
			      "GetSnapshotXML", "snapshot xml", ACCESS_READ,
			      .result = RESULT_DOCUMENT, .result_type = "application/xml", SNAPSHOT,
			      .help = "Show a snapshot of a VM as libvirt-style XML" },
	[OP_SNAPSHOT_REVERT] = { "snapshot.revert", HTTP_POST,
				 "/v1/vms/{vm}/snapshots/{snapshot}/actions/revert", "RevertSnapshot",
				 "snapshot revert", ACCESS_MANAGE, OFF, .effect = EFFECT_REVERTED, SNAPSHOT,
				 .help = "Make the disks of a VM what they were; what is on them now is "
					 "lost" },
	[OP_SNAPSHOT_DELETE] = { "snapshot.delete", HTTP_DELETE, "/v1/vms/{vm}/snapshots/{snapshot}",
				 "DeleteSnapshot", "snapshot delete", ACCESS_MANAGE,
				 OFF | RUNNING | PAUSED, .effect = EFFECT_NO_SNAPSHOT, SNAPSHOT,
				 .help = "Remove a snapshot of a VM; its disks stay as they are" },
	[OP_VCPUS_GET] = { "vcpus.get", HTTP_GET, "/v1/vms/{vm}/vcpus", "GetVCPUs",
			 "vcpus show", ACCESS_READ, .result = RESULT_OBJECT,
			 PART(vm_vcpus_schema), .help = "Show the virtual CPUs that a VM is to have" },
	[OP_VCPUS_PATCH] = { "vcpus.patch", HTTP_PATCH, "/v1/vms/{vm}/vcpus", "UpdateVCPUs",
			   "vcpus set", ACCESS_MANAGE, .args = &vm_vcpus_schema, .args_partial = true,
			   .options = &update_options_schema, .result = RESULT_OBJECT, PART(vm_vcpus_schema),
			   .help = "Change the number of virtual CPUs of a VM" },
	[OP_MEMORY_GET] = { "memory.get", HTTP_GET, "/v1/vms/{vm}/memory", "GetMemory",
			 "memory show", ACCESS_READ, .result = RESULT_OBJECT,
			 PART(vm_memory_schema), .help = "Show the memory that a VM is to have" },
	[OP_MEMORY_PATCH] = { "memory.patch", HTTP_PATCH, "/v1/vms/{vm}/memory", "UpdateMemory",
			   "memory set", ACCESS_MANAGE, .args = &vm_memory_schema, .args_partial = true,
			   UPDATE, .result = RESULT_OBJECT, PART(vm_memory_schema),
			   .help = "Change the memory of a VM: its target at once, by the balloon" },
	[OP_RESOURCES_GET] = { "resources.get", HTTP_GET, "/v1/vms/{vm}/resources", "GetResources",
			 "resources show", ACCESS_READ, .result = RESULT_OBJECT,
			 PART(resources_schema), .help = "Show the limits of a VM's control group" },
	[OP_RESOURCES_PATCH] = { "resources.patch", HTTP_PATCH, "/v1/vms/{vm}/resources", "UpdateResources",
			   "resources set", ACCESS_MANAGE, .args = &resources_schema, .args_partial = true,
			   UPDATE, .result = RESULT_OBJECT, PART(resources_schema),
			   .help = "Change the limits of a VM's control group, at once" },
	[OP_NETWORK_CREATE] = { "network.create", HTTP_POST, "/v1/networks", "CreateNetwork",
				"network create", ACCESS_MANAGE, .args = &network_schema,
				.result = RESULT_OBJECT, NETWORK,
				.help = "Define a virtual network" },
	[OP_NETWORK_LIST] = { "network.list", HTTP_GET, "/v1/networks", "ListNetworks",
			      "network list", ACCESS_READ, .options = &list_options_schema,
			      .result = RESULT_LIST, NETWORK,
			      .help = "List virtual networks" },
	[OP_NETWORK_GET] = { "network.get", HTTP_GET, "/v1/networks/{network}", "Get",
			     "network show", ACCESS_READ, .result = RESULT_OBJECT, NETWORK,
			     .help = "Show a virtual network" },
	[OP_NETWORK_PATCH] = { "network.patch", HTTP_PATCH, "/v1/networks/{network}",
			       "Update", "network set", ACCESS_MANAGE,
			       .args = &network_schema, .args_partial = true, GENERATION,
			       .result = RESULT_OBJECT, NETWORK,
			       .help = "Change a virtual network; at once, also when it is active" },
	[OP_NETWORK_DELETE] = { "network.delete", HTTP_DELETE, "/v1/networks/{network}",
				"Delete", "network delete", ACCESS_MANAGE, GENERATION,
				.help = "Stop a virtual network that no VM has, and remove it" },
	[OP_NETWORK_START] = { "network.start", HTTP_POST, "/v1/networks/{network}/actions/start",
			       "Start", "network start", ACCESS_MANAGE,
			       .help = "Make the bridge of a virtual network, as VMs that start do" },
	[OP_NETWORK_STOP] = { "network.stop", HTTP_POST, "/v1/networks/{network}/actions/stop",
			      "Stop", "network stop", ACCESS_MANAGE,
			      .help = "Remove the bridge of a virtual network that no VM uses" },
	[OP_NETWORK_LEASES] = { "network.leases", HTTP_GET, "/v1/networks/{network}/leases",
				"ListLeases", "network leases", ACCESS_READ,
				.options = &list_options_schema, .result = RESULT_LIST,
				.result_schema = &network_lease_schema,
				.help = "List the addresses that a virtual network has given" },
	[OP_NETWORK_XML] = { "network.xml", HTTP_GET, "/v1/networks/{network}/xml",
			     "GetXML", "network xml", ACCESS_READ, .result = RESULT_DOCUMENT,
			     .result_type = "application/xml",
			     .help = "Show the definition of a virtual network as libvirt-style XML" },
	[OP_NETWORK_DEFINE_XML] = { "network.define-xml", HTTP_POST, "/v1/networks/import",
				    "DefineNetworkXML", "network define", ACCESS_MANAGE,
				    .result = RESULT_OBJECT, NETWORK,
				    .body_type = "application/xml",
				    .report = &import_report_schema,
				    .help = "Define a virtual network from libvirt-style XML" },
	[OP_IMAGE_IMPORT] = { "image.import", HTTP_POST, "/v1/images", "ImportImage", "image import",
			      ACCESS_MANAGE, .args = &image_schema, .effect = EFFECT_MADE,
			      .result = RESULT_OBJECT, IMAGE,
			      .help = "Keep a copy of a file of the host as an image" },
	[OP_IMAGE_UPLOAD] = { "image.upload", HTTP_PUT, "/v1/images/{image}/content", "UploadImage",
			      "image upload", ACCESS_MANAGE, .options = &upload_options_schema,
			      .effect = EFFECT_MADE, .result = RESULT_OBJECT, IMAGE,
			      .body_type = "application/octet-stream", .upload = true,
			      .help = "Keep what is sent as an image: import from a client's machine" },
	[OP_IMAGE_LIST] = { "image.list", HTTP_GET, "/v1/images", "ListImages", "image list", ACCESS_READ,
			    .options = &list_options_schema, .result = RESULT_LIST, IMAGE,
			    .help = "List images" },
	[OP_IMAGE_GET] = { "image.get", HTTP_GET, "/v1/images/{image}", "Get", "image show",
			   ACCESS_READ, .result = RESULT_OBJECT, IMAGE, .help = "Show an image" },
	[OP_IMAGE_DELETE] = { "image.delete", HTTP_DELETE, "/v1/images/{image}", "Delete",
			      "image delete", ACCESS_MANAGE,
			      .help = "Remove an image that no volume is backed by" },
	[OP_VOLUME_CREATE] = { "volume.create", HTTP_POST, "/v1/volumes", "CreateVolume", "volume create",
			       ACCESS_MANAGE, .args = &volume_schema, .effect = EFFECT_MADE,
			       .result = RESULT_OBJECT, VOLUME,
			       .help = "Make a volume: empty, a copy of an image, or backed by one" },
	[OP_VOLUME_LIST] = { "volume.list", HTTP_GET, "/v1/volumes", "ListVolumes", "volume list",
			     ACCESS_READ, .options = &list_options_schema, .result = RESULT_LIST, VOLUME,
			     .help = "List volumes" },
	[OP_VOLUME_GET] = { "volume.get", HTTP_GET, "/v1/volumes/{volume}", "Get", "volume show",
			    ACCESS_READ, .result = RESULT_OBJECT, VOLUME, .help = "Show a volume" },
	[OP_VOLUME_PATCH] = { "volume.patch", HTTP_PATCH, "/v1/volumes/{volume}", "Update",
			      "volume set", ACCESS_MANAGE, .args = &volume_schema, .args_partial = true,
			      .effect = EFFECT_SIZE, .result = RESULT_OBJECT, VOLUME,
			      .help = "Let a volume grow that no VM uses; where one does, its disk can grow" },
	[OP_VOLUME_DELETE] = { "volume.delete", HTTP_DELETE, "/v1/volumes/{volume}", "Delete",
			       "volume delete", ACCESS_MANAGE,
			       .help = "Remove a volume that no VM has, and its data" },
	[OP_VOLUME_XML] = { "volume.xml", HTTP_GET, "/v1/volumes/{volume}/xml", "GetXML", "volume xml",
			    ACCESS_READ, .result = RESULT_DOCUMENT, .result_type = "application/xml",
			    .help = "Show the definition of a volume as libvirt-style XML" },
	[OP_VOLUME_DEFINE_XML] = { "volume.define-xml", HTTP_POST, "/v1/volumes/import", "DefineVolumeXML",
				   "volume define", ACCESS_MANAGE, .effect = EFFECT_MADE,
				   .result = RESULT_OBJECT, VOLUME, .body_type = "application/xml",
				   .report = &import_report_schema,
				   .help = "Make a volume from libvirt-style XML" },
	[OP_OPERATION_LIST] = { "operation.list", HTTP_GET, "/v1/operations", "ListOperations",
				"operation list", ACCESS_READ,
				.options = &list_options_schema, .result = RESULT_LIST,
				.result_schema = &operation_schema,
				.help = "List what is under way, and what has ended lately" },
	[OP_OPERATION_GET] = { "operation.get", HTTP_GET, "/v1/operations/{operation}",
			       "GetOperation", "operation show", ACCESS_READ,
			       .options = &operation_options_schema, .result = RESULT_OBJECT,
			       .result_schema = &operation_schema,
			       .help = "Show an operation, when it has ended or at once" },
	[OP_OPERATION_CANCEL] = { "operation.cancel", HTTP_DELETE, "/v1/operations/{operation}",
				  "CancelOperation", "operation cancel", ACCESS_OPERATE,
				  .result = RESULT_OBJECT, .result_schema = &operation_schema,
				  .help = "End an operation before it is done" },
	[OP_EVENT_LIST] = { "event.list", HTTP_GET, "/v1/events", "ListEvents", "events",
			    ACCESS_READ, .options = &event_options_schema, .result = RESULT_LIST,
			    .result_schema = &event_schema, .stream = true,
			    .help = "Show what has happened: who did what, and what became of it" },
	[OP_TOKEN_CREATE] = { "token.create", HTTP_POST, "/v1/tokens", "CreateToken",
			      "token create", ACCESS_HOST, .args = &token_schema,
			      .result = RESULT_OBJECT, .result_schema = &token_schema, .secret = true,
			      .help = "Make a token, with which a remote client may use hvd" },
	[OP_TOKEN_LIST] = { "token.list", HTTP_GET, "/v1/tokens", "ListTokens", "token list",
			    ACCESS_HOST, .result = RESULT_LIST, .result_schema = &token_schema,
			    .help = "List the tokens of remote clients" },
	[OP_TOKEN_DELETE] = { "token.delete", HTTP_DELETE, "/v1/tokens/{token}", "DeleteToken",
			      "token delete", ACCESS_HOST,
			      .help = "Take a token back: it is of no use from then on" },
	[OP_CERTIFICATE_CREATE] = { "certificate.create", HTTP_POST, "/v1/certificate",
				    "CreateCertificate", "certificate create", ACCESS_HOST,
				    .args = &certificate_schema, .result = RESULT_OBJECT,
				    .result_schema = &certificate_schema,
				    .help = "Make a key and a self-signed certificate for remote "
					    "clients to know this host by, in place of those it has" },
	[OP_CERTIFICATE_GET] = { "certificate.get", HTTP_GET, "/v1/certificate", "GetCertificate",
				 "certificate show", ACCESS_READ, .result = RESULT_OBJECT,
				 .result_schema = &certificate_schema,
				 .help = "Show the certificate that remote clients see" },
	[OP_CERTIFICATE_PEM] = { "certificate.pem", HTTP_GET, "/v1/certificate/pem",
				 "GetCertificatePEM", "certificate pem", ACCESS_READ,
				 .result = RESULT_DOCUMENT,
				 .result_type = "application/x-pem-file",
				 .help = "Print the certificate, for hvcli --cacert on a client" },
	[OP_HOST_GET] = { "host.get", HTTP_GET, "/v1/host", "GetHost", "host", ACCESS_READ,
			  .result = RESULT_OBJECT, .result_schema = &host_schema,
			  .help = "Show the host and what its KVM can do" },
	[OP_METRICS] = { "metrics.get", HTTP_GET, "/v1/metrics", "ExportMetrics", "metrics", ACCESS_READ,
			 .result = RESULT_DOCUMENT,
			 .result_type = "text/plain; version=0.0.4; charset=utf-8",
			 .help = "Show metrics of host, hvd and VMs, as Prometheus takes them" },
	[OP_OPENAPI] = { "openapi", HTTP_GET, "/v1/openapi.json", "GetOpenAPI", "openapi",
			 ACCESS_READ, .result = RESULT_DOCUMENT, .result_type = "application/json",
			 .help = "Show the OpenAPI description of the REST interface" },
};

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

/* Where in a path its {parameters} stand. */
struct place {
	const char *at;
	size_t len;
};

/* Does path match pattern? Names need no percent-encoding, so that a path with one names nothing. */
static bool match(const char *pattern, const char *path, struct place places[OP_MAX_PARAMETERS])
{
	size_t n = 0;

	memset(places, 0, sizeof(*places) * OP_MAX_PARAMETERS);
	while (*pattern) {
		struct place *place = &places[n];

		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		pattern = strchr(pattern, '}') + 1;
		place->at = path;
		while (name_char(*path))
			path++;
		place->len = (size_t)(path - place->at);
		if (!place->len || place->len >= OP_NAME_SIZE)
			return false;
		n++;
	}
	return !*path;
}

static void copy_name(char name[static OP_NAME_SIZE], const struct place *place)
{
	snprintf(name, OP_NAME_SIZE, "%.*s", (int)place->len, place->at ? place->at : "");
}

int op_route(const char *method, const char *path, const struct op **ret, struct op_names *names,
	     unsigned *allow)
{
	struct place places[OP_MAX_PARAMETERS];
	unsigned methods = 0;

	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		if (!match(op->path, path, places))
			continue;
		methods |= 1u << op->method;
		if (strcmp(http_method_names[op->method], method) != 0)
			continue;
		copy_name(names->name, &places[0]);
		copy_name(names->item, &places[1]);
		*ret = op;
		return 0;
	}
	if (!methods)
		return -ENOENT;
	*allow = methods;
	return -ENOTSUP;
}

const struct op *op_by_verb(const char *noun, const char *verb)
{
	char words[64];

	if (snprintf(words, sizeof(words), "%s%s%s", noun, verb ? " " : "", verb ? verb : "") >=
	    (int)sizeof(words))
		return NULL;
	for (const struct op *op = ops; op < ops + _OP_MAX; op++)
		if (strcmp(op->verb, words) == 0)
			return op;
	return NULL;
}

void op_parameter(const struct op *op, unsigned i, char name[static 16])
{
	const char *open = strchr(op->path, '{');

	while (open && i--)
		open = strchr(open + 1, '{');
	snprintf(name, 16, "%.*s", open ? (int)strcspn(open + 1, "}") : 0, open ? open + 1 : "");
}

void op_resource(const struct op *op, const char *name, const char *item,
		 char buf[static OP_RESOURCE_SIZE])
{
	/* the collection: up to the third "/", as of "/v1/vms/import" */
	int len = (int)strcspn(op->path + 4, "/") + 4;

	const char *items = *name ? op_items(op) : NULL;

	snprintf(buf, OP_RESOURCE_SIZE, "%.*s%s%.63s%s%s%s%.63s", len, op->path, *name ? "/" : "",
		 name, items ? "/" : "", items ? items : "", *item ? "/" : "", item);
}

bool op_is_about_vm(const struct op *op)
{
	return strncmp(op->path, "/v1/vms", 7) == 0;
}

unsigned op_success_status(const struct op *op)
{
	switch (op->result) {
	case RESULT_NONE:
		return 204;
	case RESULT_STREAM:
		return 101;
	default:
		return op->method == HTTP_POST || op->method == HTTP_PUT ? 201 : 200;
	}
}
