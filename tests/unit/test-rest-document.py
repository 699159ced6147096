#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hvd does what its OpenAPI document says, and says all that hvd does.

The document is valid. Each status that it has for an operation is provoked, and the body of each answer is
what the schema says; a status without a provocation fails, and so does an answer that is not in the
document, "default" being none.
"""
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("SKIP: python3-jsonschema is not installed")
    sys.exit(77)

RIG = os.path.join(os.environ.get("top_builddir", "."), "tests/unit/rest-rig")
PATIENCE = 240  # seconds
JSON = {"Content-Type": "application/json"}
PATCH = {"Content-Type": "application/merge-patch+json"}
XML = {"Content-Type": "application/xml"}
DATA = {"Content-Type": "application/octet-stream"}
ASYNC = {"Prefer": "respond-async"}
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}

# What takes a host with KVM, systemd and networkd: the test of the lab that does it, or why it is not here.
LAB = {
    ("vm.start", "202"): "63-operations.sh",
    ("vm.start", "204"): "60-rest.sh",
    ("operation.cancel", "200"): "63-operations.sh",
    ("vm.stop", "204"): "60-rest.sh",
    ("network.start", "204"): "31-net.sh",
    ("nic.attach", "202"): "networkd makes the bridge first; as disk.attach from there on",
    ("nic.attach", "501"): "likewise",
    ("nic.attach", "504"): "likewise",
}


# What takes a disk for it.
SNAPSHOTS = ("snapshot.create", "snapshot.revert", "snapshot.delete")
FOLDER = tempfile.TemporaryDirectory()


class Connection(http.client.HTTPConnection):
    def __init__(self, path, uid=0):
        super().__init__("hvd", timeout=PATIENCE)
        self.path, self.uid = path, uid

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        os.seteuid(self.uid)
        try:
            self.sock.connect(self.path)
        finally:
            os.seteuid(0)


class Rig:
    """A hvd of its own."""

    def __init__(self, *limits):
        self.process = subprocess.Popen([RIG, *map(str, limits)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        says = self.process.stdout.readline().split()
        if says:
            self.socket, self.port = says[0], int(says[1])
        else:
            if self.process.wait() == 77:
                print("SKIP: a file system cannot be mounted here (as root, in a namespace)")
                sys.exit(77)
            sys.exit("rest-rig does not start")

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.process.stdin.close()
        if self.process.wait() != 0:
            sys.exit("rest-rig failed")

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n", line


class Document:
    def __init__(self, document):
        self.document = document
        self.seen = set()
        self.failed = False
        self.operations = {o["operationId"]: (method.upper(), path, o)
                           for path, methods in document["paths"].items()
                           for method, o in methods.items()}

    def resolve(self, thing):
        while "$ref" in thing:
            ref = thing["$ref"].split("/")[1:]
            thing = self.document
            for name in ref:
                thing = thing[name]
        return thing

    def check_schemas(self):
        validator = jsonschema.Draft202012Validator
        for name, schema in self.document["components"]["schemas"].items():
            validator.check_schema(schema)
        try:
            import openapi_spec_validator
        except ImportError:
            print("openapi_spec_validator is not installed: the schemas alone were validated")
            return
        openapi_spec_validator.validate(self.document)

    def check(self, name, answer, body):
        """An answer is one of those of the operation."""
        status = str(answer.status)
        responses = self.operations[name][2]["responses"]
        if status not in responses:
            raise AssertionError(f"{name}: {status} is not in the document: {body!r}")
        response = self.resolve(responses[status])
        for header in response.get("headers", {}):
            if answer.getheader(header) is None and not (header == "ETag" and b'"changes"' in body):
                raise AssertionError(f"{name}: {status} without {header}")
        content = response.get("content", {})
        if content:
            media = answer.getheader("Content-Type")
            if media not in content:
                raise AssertionError(f"{name}: {status} is {media}, not {list(content)}")
            if media.endswith("json"):
                schema = dict(content[media]["schema"], components=self.document["components"])
                jsonschema.Draft202012Validator(schema).validate(json.loads(body))
        elif body:
            raise AssertionError(f"{name}: {status} has a body: {body!r}")
        self.seen.add((name, status))


class Client:
    def __init__(self, rig, document, uid=0, remote=False):
        self.connection = Connection(rig.socket, uid)
        if remote:
            self.connection = http.client.HTTPSConnection(
                "127.0.0.1", rig.port, timeout=PATIENCE, context=ssl._create_unverified_context())
        self.document = document

    def ask(self, name, values=(), query="", headers=None, body=None):
        """One request of an operation; the names in its path are values. Status and body."""
        method, path, _ = self.document.operations[name]
        for value in values:
            path = re.sub(r"{[a-z]+}", value, path, count=1)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        self.connection.request(method, path + query, body, headers or {})
        answer = self.connection.getresponse()
        if answer.status == 101 or "event-stream" in answer.getheader("Content-Type", ""):
            text = b"" # goes on
            self.connection.close()
        else:
            text = answer.read()
        self.document.check(name, answer, text)
        return str(answer.status), text


# ---- how each operation is asked for, well ----

VM = {"name": "off", "memory": "64M", "boot": {"kernel": "/bin/sh"}}
DOMAIN = ("<domain type='kvm'><name>imported</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>"
          "<os><type arch='aarch64' machine='virt'>hvm</type><kernel>/bin/sh</kernel></os></domain>")
NETWORK = {"name": "unused", "mode": "isolated", "address": "10.9.0.1/24"}
BRIDGE = "<network><name>imported</name><ip address='10.8.0.1' netmask='255.255.255.0'/></network>"
LIVE_DISK = {"limits": {"iops": 100}}

# name: values, headers, body
GOOD = {
    "vm.create": ((), JSON, {**VM, "name": "new"}),
    "vm.delete": (("off",), {}, None),
    "vm.start": (("off",), {}, None),
    "vm.patch": (("up",), PATCH, {"disks": [{"id": "vda", "path": "/bin/ls", "read_only": True,
                                             **LIVE_DISK}]}),
    "vm.define-xml": ((), XML, DOMAIN),
    "vm.console": (("up",), UPGRADE, None),
    "vm.resize-console": (("up",), JSON, {"columns": 80, "rows": 24}),
    "disk.attach": (("up",), JSON, {"path": "/bin/cat", "read_only": True}),
    "disk.get": (("up", "vda"), {}, None),
    "disk.patch": (("up", "vda"), PATCH, LIVE_DISK),
    "disk.detach": (("up", "vda"), {}, None),
    "nic.attach": (("up",), JSON, {"network": "lab"}),
    "nic.get": (("up", "net0"), {}, None),
    "nic.patch": (("up", "net0"), PATCH, {"link": "down"}),
    "nic.detach": (("up", "net0"), {}, None),
    "snapshot.create": (("up",), JSON, {"name": "new"}),
    "snapshot.get": (("up", "before"), {}, None),
    "snapshot.xml": (("up", "before"), {}, None),
    "snapshot.revert": (("up", "before"), {}, None),
    "snapshot.delete": (("up", "before"), {}, None),
    "token.create": ((), JSON, {"name": "new", "role": "reader"}),
    "token.delete": (("ci",), {}, None),
    "certificate.create": ((), JSON, {"name": "localhost"}),
    "vcpus.patch": (("up",), PATCH, {"vcpus": 2}),
    "memory.patch": (("up",), PATCH, {"memory": "128M"}),
    "resources.patch": (("up",), PATCH, {"cpu_weight": 20}),
    "network.create": ((), JSON, {"name": "new", "address": "10.7.0.1/24"}),
    "network.delete": (("unused",), {}, None),
    "network.stop": (("unused",), {}, None),
    "network.define-xml": ((), XML, BRIDGE),
    "network.patch": (("lab",), PATCH, {"autostart": False}),
    "image.import": ((), JSON, {"name": "new", "path": "/bin/true"}),
    "image.upload": (("new",), DATA, "x" * 1000),
    "image.delete": (("lonely",), {}, None),
    "volume.create": ((), JSON, {"name": "new", "size": "1M"}),
    "volume.patch": (("free",), PATCH, {"size": "2M"}),
    "volume.delete": (("free",), {}, None),
    "volume.define-xml": ((), XML, "<volume><name>imported</name><capacity>1048576</capacity></volume>"),
}


def good(document, name):
    """How it is asked for: of the VM that runs, of network lab, of an operation."""
    if name in GOOD:
        return GOOD[name]
    path = document.operations[name][1]
    return (("up",) if "{vm}" in path else ("lab",) if "{network}" in path else
            ("base",) if "{image}" in path else ("used",) if "{volume}" in path else ("OPERATION",) if "{operation}" in path else ()), {}, None


def set_up(rig, document):
    """Beside VM up, with disk vda and NIC net0 on network lab: a VM that is off, a network without VMs."""
    client = Client(rig, document)
    client.ask("vm.create", headers=JSON, body=VM)
    client.ask("network.create", headers=JSON, body=NETWORK)
    for image in "base", "lonely":
        client.ask("image.import", headers=JSON, body={"name": image, "path": "/bin/true"})
    client.ask("volume.create", headers=JSON, body={"name": "used", "format": "qcow2", "image": "base",
                                                    "backed": True})
    client.ask("volume.create", headers=JSON, body={"name": "free", "size": "1M"})
    client.ask("vm.create", headers=JSON, body={**VM, "name": "on-volume", "disks": [{"volume": "used"}]})
    client.ask("token.create", headers=JSON, body={"name": "ci", "role": "reader"})
    client.ask("certificate.get")
    client.ask("certificate.pem")
    client.ask("certificate.create", headers=JSON, body={"name": "localhost"})
    return client


class Bench:
    """Provocations of one operation, each in a hvd of its own where it leaves something behind."""

    def __init__(self, document, name):
        self.document, self.name = document, name
        self.values, self.headers, self.body = good(document, name)
        self.method, self.path, operation = document.operations[name]
        self.statuses = set(operation["responses"]) - {"default"}

    def expect(self, client, status, query="", headers=None, **how):
        """Ask for it well, but for what is given."""
        asked = {"values": self.values, "body": self.body, **how}
        merged = {**self.headers, **(headers or {})}
        got, text = client.ask(self.name, query=query, headers=merged, **asked)
        if got != status:
            raise AssertionError(f"{self.name}: {got}, not {status}: {text!r}")
        return text

    def fresh(self, *prepare):
        rig = Rig()
        client = set_up(rig, self.document)
        if "{operation}" in self.path:
            status, text = client.ask("vm.stop", ("up",), headers=ASYNC)
            assert status == "202", text
            self.values = (json.loads(text)["id"],)
        for step in prepare:
            step(rig, client)
        return rig, client

    def once(self, status, *prepare, **how):
        rig, client = self.fresh(*prepare)
        with rig:
            self.attempt(client, status, **how)

    def attempt(self, client, status, **how):
        """So that one run tells all that is wrong."""
        try:
            self.expect(client, status, **how)
        except (AssertionError, jsonschema.ValidationError, OSError) as e:
            print(f"{self.name}: {status}: {str(e)[:600]}")
            self.document.failed = True
            client.connection.close()

    def turned_away(self, client, status):
        """Before anything was asked."""
        client.connection.connect()
        answer = http.client.HTTPResponse(client.connection.sock)
        answer.begin()
        if str(answer.status) != status:
            raise AssertionError(f"{self.name}: {answer.status}, not {status}")
        self.document.check(self.name, answer, answer.read())

    # -- what is wrong with the request --

    def shared(self, rig, client):
        """Answers that change nothing, in the rig of all."""
        changes, body = self.method != "GET", self.body is not None
        if not changes and "200" in self.statuses:
            self.attempt(client, "200")
        if self.name == "event.list":
            self.attempt(client, "200", headers={"Accept": "text/event-stream"})
        self.attempt(client, "422", query="?nosuch=1")
        self.attempt(client, "400", query="?nosuch=%zz")
        if "304" in self.statuses:
            self.attempt(client, "304", headers={"If-None-Match": "*"})
        if "404" in self.statuses and "{" in self.path:
            self.attempt(client, "404", values=("nobody", "nothing"))
        if "406" in self.statuses:
            self.attempt(client, "406", headers={"Accept": "text/x-none"})
        if "412" in self.statuses:
            self.attempt(client, "412", headers={"If-Match": '"99"'})
        if "413" in self.statuses:
            self.attempt(client, "413", body=" " * 70000)
        if "415" in self.statuses:
            self.attempt(client, "415", headers={"Content-Type": "text/x-none"})
        if "426" in self.statuses:
            self.attempt(client, "426", headers={"Upgrade": "h2c"})
        if changes:
            self.attempt(client, "400", headers={"Idempotency-Key": '"'})
        if body and self.headers is not DATA:
            self.attempt(client, "400", body="{" if self.headers is not XML else "<")

    @property
    def live(self):
        """Of memory it is the balloon that the process is asked for."""
        return {"body": {"memory_target": "32M"}} if self.name == "memory.patch" else {}

    # -- what it does --

    def prepare(self, rig, client):
        if self.name == "vm.resume":
            client.ask("vm.pause", ("up",))
        if self.name in SNAPSHOTS:
            self.prepare_snapshot(client)

    def prepare_snapshot(self, client):
        """VM "kept", which is off, with a disk that can hold snapshots, and one."""
        image = os.path.join(tempfile.mkdtemp(dir=FOLDER.name), "image")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], check=True)
        client.ask("vm.create", headers=JSON,
                   body={**VM, "name": "kept", "disks": [{"path": image, "format": "qcow2"}]})
        if self.name != "snapshot.create":
            client.ask("snapshot.create", ("kept",), headers=JSON, body={"name": "before"})
        self.values = ("kept", *self.values[1:])

    def changing(self, rig, client):
        """Another change of the VM is under way."""
        rig.tell("mute")
        client.ask("disk.patch", ("up", "vda"), headers={**PATCH, **ASYNC}, body=LIVE_DISK)

    def overtake(self):
        """A change of the volume is under way; over before the next has come, it is another one's turn."""
        rig, client = self.fresh()
        with rig:
            for size in range(3, 100):
                client.ask(self.name, self.values, headers={**PATCH, **ASYNC}, body={"size": f"{size}M"})
                status, _ = client.ask(self.name, self.values, headers=PATCH, body={"size": f"{size}M"})
                if status == "409":
                    return
        raise AssertionError(f"{self.name}: never 409")

    def conflict(self):
        if "409" not in self.statuses:
            return
        if self.name in ("vm.create", "vm.define-xml", "network.create", "network.define-xml",
                         "token.create", "image.import", "image.upload", "volume.create", "volume.define-xml"):
            self.once("409", lambda rig, client: self.expect(client, "201"))
        elif self.name in ("network.delete", "network.stop"):
            self.once("409", values=("lab",))
        elif self.name == "image.delete":
            self.once("409", values=("base",))
        elif self.name == "volume.delete":
            self.once("409", values=("used",))
        elif self.name == "volume.patch":
            self.overtake()
        elif self.name == "vm.shutdown":
            self.once("409", lambda rig, client: client.ask("vm.pause", ("up",)))
        elif self.name == "snapshot.delete":
            self.once("409", self.changing)
        elif self.name in ("vm.start", "vm.delete", "snapshot.revert"):
            self.once("409", values=("up", "before"))
        elif self.name == "vm.resize-console":
            self.once("409", values=("off",))
        elif self.method != "GET" and self.values[0] == "up" and self.body or "detach" in self.name:
            self.once("409", self.changing)
        elif self.name == "network.patch":
            self.once("409", body={"bridge": "other0"})
        elif self.name == "operation.cancel":
            self.once("409")
        else:
            self.once("409", values=("off",))

    def succeed(self):
        if "202" in self.statuses and (self.name, "202") not in LAB:
            steps = [] if self.name == "vm.stop" else [self.prepare] if self.name in SNAPSHOTS else \
                [lambda rig, client: rig.tell("mute")]
            self.once("202", *steps, headers=ASYNC, **self.live)
        plain = [s for s in sorted(self.statuses, reverse=True) if s in ("101", "200", "201", "204")]
        for status in plain:
            if (self.name, status) in LAB or (self.name, status) in self.document.seen:
                continue
            dry = "?dry_run=true" if status == "200" and "201" in plain else ""
            late = "?next_boot=true" if self.name == "nic.attach" and not dry else dry
            values = ("off",) if self.name == "resources.patch" else self.values
            self.once(status, self.prepare, query=late, values=values)


# What a host or the VM's process comes to, and the status that follows.
WRONG = (("full", "507"), ("read-only", "500"), ("error 5", "500"), ("error 95", "501"),
         ("error 110", "504"))


def definitions(client):
    """What must not get lost."""
    return [[item["spec"] for item in json.loads(client.ask(name)[1])["items"]]
            for name in ("vm.list", "network.list", "image.list", "volume.list")]


def wrong(document):
    """One hvd after the other; in none of them anything is done."""
    for line, status in WRONG:
        for name in document.operations:
            bench = Bench(document, name)
            if status in bench.statuses and name == "vm.start":
                with Rig() as rig:
                    bench.attempt(set_up(rig, document), status)
        with Rig() as rig, Rig() as paused:
            client, other = set_up(rig, document), set_up(paused, document)
            other.ask("vm.pause", ("up",))
            before = definitions(client)
            rig.tell(line)
            paused.tell(line)
            for name in document.operations:
                bench = Bench(document, name)
                asks = "504" in bench.statuses
                stores = "507" in bench.statuses or "delete" in name or name == "volume.patch"
                late = name == "nic.attach" # without networkd
                if status not in bench.statuses or name == "vm.start" or \
                   not (asks and not late if line.startswith("error") else stores):
                    continue
                bench.attempt(other if name == "vm.resume" else client, status,
                              query="?next_boot=true" if late else "", **bench.live)
            for again in range(2): # and a hvd that starts on it
                if definitions(client) != before:
                    raise AssertionError(f"{line}: something has changed or is lost")
                if not again:
                    rig.tell("restart")
                    client = Client(rig, document)


def refused(document):
    """By who asks, and by how many there are."""
    for uid, limits, status in ((65534, (), "403"), (0, (1, 8), "429"), (0, (8, 1), "503")):
        with Rig(*limits) as rig:
            busy = Client(rig, document)
            if limits:
                rig.tell("mute")
                busy.connection.request("POST", "/v1/vms/up/actions/pause")
                rig.tell("asked") # it is with the core, which holds the connection
            stranger = Client(rig, document, remote=True)
            if not limits:
                set_up(rig, document)
            for name in document.operations:
                bench = Bench(document, name)
                client = Client(rig, document, uid)
                if not limits:
                    bench.attempt(stranger, "401")
                if limits:
                    bench.turned_away(client, status)
                else:
                    bench.attempt(client, status)
                client.connection.close()
            busy.connection.close()


def main():
    with Rig() as rig:
        connection = Connection(rig.socket)
        connection.request("GET", "/v1/openapi.json")
        document = Document(json.loads(connection.getresponse().read()))
        document.check_schemas()
        shared = set_up(rig, document)
        for name in document.operations:
            bench = Bench(document, name)
            if "{operation}" not in bench.path:
                bench.shared(rig, shared)
    refused(document)
    wrong(document)
    for name in document.operations:
        bench = Bench(document, name)
        if "{operation}" in bench.path:
            rig, client = bench.fresh()
            with rig:
                bench.shared(rig, client)
        bench.conflict()
        bench.succeed()

    documented = {(name, status) for name, (_, _, operation) in document.operations.items()
                  for status in operation["responses"] if status != "default"}
    for name, status in sorted(documented - document.seen - set(LAB)):
        print(f"{name}: {status} is documented and was not provoked")
    for name, status in sorted(set(LAB) - documented):
        print(f"{name}: {status} is of the lab, and not documented")
    if document.failed or documented - document.seen - set(LAB) or set(LAB) - documented:
        sys.exit(1)
    print(f"{len(document.operations)} operations, {len(document.seen)} statuses")


main()
