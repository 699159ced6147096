#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hvd is killed at random while it makes, reverts to and removes snapshots of a VM's two disks.

After it has started again each snapshot is on both disks or on none, as it lists them; data is that of before or that
of after, on both disks; the images are sound, and nothing goes on that nobody does.

KILLS: how many; SEED: of the chances.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from kill_rig import SEED, Daemon, Gone, fail, kills

KILLS = kills(20)
LIMIT = 120  # seconds in which what was left is completed on any machine

for tool in ("qemu-img", "qemu-io"):
    if not shutil.which(tool):
        print(f"SKIP: {tool} is not installed")
        sys.exit(77)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def put(image, value):
    run("qemu-io", "-f", "qcow2", "-c", f"write -q -P {value} 0 64k", image)


def holds(image, value):
    return subprocess.run(["qemu-io", "-r", "-f", "qcow2", "-c", f"read -q -P {value} 0 64k", image],
                          check=False, stdout=subprocess.DEVNULL).returncode == 0


def is_sound(image):
    """Clusters that nobody uses are what a qemu-img leaves that was killed."""
    return subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", image],
                          check=False, capture_output=True).returncode in (0, 3)


def check(image):
    return subprocess.run(["qemu-img", "check", "-f", "qcow2", image], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def names_in(image):
    info = json.loads(run("qemu-img", "info", "--output=json", "-f", "qcow2", image))
    return sorted(s["name"] for s in info.get("snapshots", []))


def listed_by(connection):
    return sorted(s["name"] for s in connection.get("/v1/vms/demo/snapshots")["items"]
                  if s["state"] == "ready")


def is_settled(connection, images):
    if any(o["state"] == "running" for o in connection.get("/v1/operations")["items"]):
        return False
    # refused while something is done to its snapshots
    status, answer = connection.ask("PATCH", "/v1/vms/demo", {"description": "settled"})
    if status not in (200, 409):
        fail(f"{status} {answer}")
    return status == 200 and all(names_in(image) == listed_by(connection) for image in images)


def settled(connection, images):
    """
    All that a former hvd has left is completed. It may have been killed before it had written down that there
    was an operation, so what the images have is looked at too.
    """
    end = time.monotonic() + LIMIT
    while not is_settled(connection, images) and time.monotonic() < end:
        time.sleep(0.02)
    return listed_by(connection)


def choose(chance, data, n):
    """One request, and the data that may be on the disks afterwards."""
    if not data or len(data) < 4 and chance.random() < 0.4:
        return "POST", "/v1/vms/demo/snapshots", {"name": f"s{n}"}, None
    name = chance.choice(sorted(data))
    if chance.random() < 0.5:
        return "DELETE", f"/v1/vms/demo/snapshots/{name}", None, None
    return "POST", f"/v1/vms/demo/snapshots/{name}/actions/revert", None, data[name]


def main():
    chance = random.Random(SEED)
    data, n_done = {}, 0
    with tempfile.TemporaryDirectory() as folder, Daemon(folder) as daemon:
        images = [os.path.join(folder, name) for name in ("a", "b")]
        for image in images:
            run("qemu-img", "create", "-q", "-f", "qcow2", image, "1M")
        connection = daemon.start()
        status, answer = connection.ask("POST", "/v1/vms", {
            "name": "demo", "memory": "64M", "boot": {"kernel": "/bin/sh"},
            "disks": [{"path": image, "format": "qcow2"} for image in images]})
        if status != 201:
            fail(f"{status} {answer}")
        for n in range(1, KILLS + 1):
            for image in images:
                put(image, n)
            method, path, body, reverted = choose(chance, data, n)
            with daemon.killed_after(chance.uniform(0, 0.2)):
                try:
                    status, answer = connection.ask(method, path, body)
                    if status >= 300:
                        fail(f"{method} {path}: {status} {answer}")
                    n_done += 1
                except Gone:
                    status = None
            connection = daemon.start()
            listed = settled(connection, images)
            for image in images:
                if names_in(image) != listed:
                    fail(f"{method} {path}: {listed} are listed, {names_in(image)} are in {image}")
                if not is_sound(image):
                    fail(f"{method} {path}: {image} is not sound: {check(image)}")
            allowed = [value for value in (n, reverted) if value and all(holds(i, value) for i in images)]
            if len(allowed) != 1 or reverted and status and allowed != [reverted]:
                fail(f"{method} {path}: the disks have the data of {allowed}")
            if status and (f"s{n}" in listed) != bool(body):
                fail(f"{method} {path}: was answered, and {listed} are listed")
            data = {name: data.get(name, n) for name in listed}
    print(f"{KILLS} kills, {n_done} requests answered before (SEED={SEED})")


main()
