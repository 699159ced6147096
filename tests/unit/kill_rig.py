# SPDX-License-Identifier: Apache-2.0
"""A hvd for tests that kill it and start it again, as often as KILLS says, at moments that SEED decides."""
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

HVD = os.path.join(os.environ.get("top_builddir", "."), "hvd")
SEED = int(os.environ.get("SEED", str(random.randrange(1 << 32))))
PATIENCE = 240  # seconds
TYPES = {"POST": "application/json", "PATCH": "application/merge-patch+json"}


class Gone(Exception):
    """hvd has been killed."""


def kills(default):
    return int(os.environ.get("KILLS", str(default)))


def fail(text):
    sys.exit(f"{text} (SEED={SEED})")


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("hvd", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None, key=None):
        """Status and answer, which is None where there is no text."""
        headers = {"Content-Type": TYPES[method]} if body else {}
        if key:
            headers["Idempotency-Key"] = f'"{key}"'
        try:
            self.request(method, path, body and json.dumps(body), headers)
            answer = self.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as e:
            raise Gone from e
        return answer.status, json.loads(text) if text else None

    def get(self, path):
        """The answer, where there must be one."""
        status, answer = self.ask("GET", path)
        if status != 200:
            fail(f"GET {path}: {status} {answer}")
        return answer


class Daemon:
    """hvd with its state in a folder; it is gone behind a with statement."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        self.socket = os.path.join(folder, "sock")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.kill()

    def start(self):
        """A connection to it."""
        self.process = subprocess.Popen(
            [HVD, "--no-bus", "--xml", HVD + "-xml", "--state-dir", self.folder + "/state",
             "--runtime-dir", self.folder + "/run",
             "--socket", self.socket, "--log-level", "error"], start_new_session=True)
        while self.process.poll() is None:
            try:
                connection = Connection(self.socket)
                connection.connect()
                return connection
            except OSError:
                time.sleep(0.002)
        return fail("hvd does not start again")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        # a qemu-img of it dies as well, and has its image and maybe hvd's sockets until then
        while self.has_children():
            time.sleep(0.002)

    def has_children(self):
        """Processes of its session that have not ended."""
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                    state, _, _, session = f.read().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) == self.process.pid and state not in "ZX":
                return True
        return False

    @contextlib.contextmanager
    def killed_after(self, seconds):
        """What is done within is done until it is killed; behind it there is no hvd."""
        killer = threading.Timer(seconds, self.kill)
        killer.start()
        try:
            yield
        finally:
            killer.join()
