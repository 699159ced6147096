#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hvd is killed at random while it changes definitions, many times.

Whatever was answered is there after it has started again, and what was not is done or not done, never half;
asked for again with its Idempotency-Key it comes to its end. Nothing is left over.

KILLS: how many; SEED: of the chances.
"""
import os
import random
import tempfile

from kill_rig import SEED, Daemon, Gone, fail, kills

KILLS = kills(100)
NAMES = [f"vm{i}" for i in range(6)]
VOLUMES = ["a", "b", "c.d"] if os.access("/usr/bin/qemu-img", os.X_OK) else []
# what it may be answered again, when it has been done and hvd was killed before it could tell
DONE = {"POST": 409, "PATCH": 200, "DELETE": 404}


class Model:
    """What hvd has said that there is: description by name, size of a volume by its path."""

    def __init__(self):
        self.vms = {}
        self.n = 0

    def choose_volume(self, chance):
        """A volume that qemu-img makes or changes, or that goes."""
        path = "/v1/volumes/" + chance.choice(VOLUMES)
        after = dict(self.vms)
        if path not in self.vms:
            after[path] = 1 << 20
            return "POST", "/v1/volumes", {"name": os.path.basename(path), "size": "1M"}, after
        del after[path]
        return "DELETE", path, None, after

    def choose(self, chance):
        """One request: method, path, body, and what there is afterwards."""
        self.n += 1
        if VOLUMES and chance.random() < 0.2:
            return self.choose_volume(chance)
        name = chance.choice(NAMES)
        text = f"{self.n} " + "x" * chance.randrange(900)
        after = dict(self.vms)
        if name not in self.vms:
            after[name] = text
            return "POST", "/v1/vms", {"name": name, "memory": "64M", "description": text,
                                       "boot": {"kernel": "/bin/sh"}}, after
        if chance.random() < 0.3:
            del after[name]
            return "DELETE", f"/v1/vms/{name}", None, after
        after[name] = text
        return "PATCH", f"/v1/vms/{name}", {"description": text}, after


def work(connection, model, chance, round_number):
    """Until hvd is gone: the request that has no answer."""
    for i in range(1000000):
        method, path, body, after = model.choose(chance)
        key = f"{round_number}-{i}"
        try:
            status, answer = connection.ask(method, path, body, key)
        except Gone:
            return method, path, body, key, after
        if status >= 300:
            fail(f"{method} {path}: {status} {answer}")
        model.vms = after
    return None


def check(daemon, connection, model, last):
    method, path, body, key, after = last
    found = {vm["name"]: vm["spec"]["description"] for vm in connection.get("/v1/vms")["items"]}
    for volume in connection.get("/v1/volumes")["items"]:
        found[f"/v1/volumes/{volume['name']}"] = volume["spec"]["size"]
    if found not in (model.vms, after):
        fail(f"neither before nor after {method} {path}: {found}")
    done = found == after != model.vms
    status, answer = connection.ask(method, path, body, key)
    if status >= 300 and not (done and status == DONE[method]):
        fail(f"again: {method} {path}: {status} {answer}")
    # what it had begun has become an operation, which hvd does not begin again
    failed = status == 202 and answer["state"] == "failed"
    if failed and done:
        fail(f"{method} {path} was done, and its operation has failed")
    if not failed:
        model.vms = after
    if any(o["state"] == "running" for o in connection.get("/v1/operations")["items"]):
        fail("an operation goes on that nobody does")
    connection.get("/v1/events?since=0")
    left = [name for _, _, names in os.walk(daemon.folder + "/state") for name in names
            if name.endswith(".new")]
    if left:
        fail(f"left over: {left}")
    return done


def main():
    chance = random.Random(SEED)
    model = Model()
    n_done = 0
    with tempfile.TemporaryDirectory() as folder, Daemon(folder) as daemon:
        connection = daemon.start()
        for i in range(KILLS):
            with daemon.killed_after(chance.uniform(0, 0.03)):
                last = work(connection, model, chance, i)
            connection = daemon.start()
            n_done += check(daemon, connection, model, last)
    print(f"{KILLS} kills, {model.n} requests, {n_done} done without an answer (SEED={SEED})")


main()
