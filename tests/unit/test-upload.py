#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Uploads of images over real sockets: in parts, in chunks, broken off, too large, twice."""
import hashlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import time

RIG = os.path.join(os.environ.get("top_builddir", "."), "tests/unit/rest-rig")
PATIENCE = 240  # seconds
HEAD = "Content-Type: application/octet-stream\r\n"

if not os.access("/usr/bin/qemu-img", os.X_OK):
    print("SKIP: qemu-img is not installed")
    sys.exit(77)


class Hvd:
    """On a file system of 512 KiB."""

    def __enter__(self):
        self.process = subprocess.Popen([RIG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        says = self.process.stdout.readline().split()
        if not says:
            print("SKIP: a file system cannot be mounted here (as root, in a namespace)")
            sys.exit(self.process.wait() or 1)
        self.socket = says[0]
        return self

    def __exit__(self, *args):
        self.process.stdin.close()
        assert self.process.wait() == 0

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(self.socket)
        return sock

    def put(self, name, parts, extra="", query=""):
        """A PUT whose body are these parts, as they are; its status and answer."""
        sock = self.connect()
        sock.sendall(f"PUT /v1/images/{name}/content{query} HTTP/1.1\r\nHost: h\r\n{HEAD}{extra}\r\n".encode())
        for part in parts:
            sock.sendall(part)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        body = answer.read()
        sock.close()
        return answer.status, json.loads(body) if body else None

    def put_when_there_is_room(self, name, data):
        """When hvd has come to what was broken off before."""
        end = time.monotonic() + PATIENCE
        while True:
            got = self.put(name, [data], length(len(data)))
            if got[0] != 507 or time.monotonic() > end:
                return got
            time.sleep(0.05)

    def images(self):
        connection = http.client.HTTPConnection("h")
        connection.sock = self.connect()
        connection.request("GET", "/v1/images")
        return {item["name"]: item for item in json.loads(connection.getresponse().read())["items"]}


def length(n):
    return f"Content-Length: {n}\r\n"


def chunks(data, size):
    for at in range(0, len(data), size):
        part = data[at:at + size]
        yield b"%x\r\n%s\r\n" % (len(part), part)
    yield b"0\r\n\r\n"


def expect(got, status, text=""):
    assert got[0] == status and text in json.dumps(got[1]), got


def main():
    data = random.Random(1).randbytes(100 * 1024)
    with Hvd() as hvd:
        # larger than any other body may be, in parts that fit nowhere; and in chunks
        expect(hvd.put("whole", [data[:1], data[1:70000], data[70000:]], length(len(data))), 201)
        expect(hvd.put("chunked", chunks(data, 7777), "Transfer-Encoding: chunked\r\n"), 201)
        for name in "whole", "chunked":
            path = hvd.images()[name]["status"]["path"]
            with open(f"/proc/{hvd.process.pid}/root{path}", "rb") as f:
                assert hashlib.sha256(f.read()).digest() == hashlib.sha256(data).digest(), name
        expect(hvd.put("whole", [data], length(len(data))), 409, "exists already")
        expect(hvd.put("none", [], length(0)), 400)
        expect(hvd.put(".x", [b"x"], length(1)), 422, "is no name")
        expect(hvd.put("odd", [data], length(len(data)), "?format=qcow2"), 422, "is no qcow2 image")

        # said before it is sent
        expect(hvd.put("large", [], length(1 << 40) + "Expect: 100-continue\r\n"), 507)
        expect(hvd.put("large", [], length(1 << 40)), 507)
        # and what nobody could know before
        expect(hvd.put("large", chunks(bytes(1 << 20), 65536), "Transfer-Encoding: chunked\r\n"), 507)

        # a connection that breaks leaves neither image nor space behind
        for _ in range(20):
            sock = hvd.connect()
            sock.sendall(f"PUT /v1/images/broken/content HTTP/1.1\r\nHost: h\r\n{HEAD}"
                         f"{length(150000)}\r\n".encode() + data)
            sock.close()
        expect(hvd.put_when_there_is_room("after", data), 201)
        assert set(hvd.images()) == {"whole", "chunked", "after"}, hvd.images()

        # asked twice with a key, it is done once; with other data it is another request
        key = 'Idempotency-Key: "k"\r\n'
        small = b"x" * 512
        first = hvd.put("keyed", [small], length(512) + key)
        expect(first, 201)
        assert hvd.put("keyed", [small], length(512) + key) == first
        expect(hvd.put("keyed", [b"y" * 512], length(512) + key), 422, "Idempotency-Key")


main()
