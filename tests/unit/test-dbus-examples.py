#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/dbus.md: its examples do what it says, on a bus of the test's own.

A block of sh that begins with "# fails: TEXT" ends with an error of that text, any other one without one; what
takes KVM may also say that this host has none. What is called "monitor" sees the signals of all others.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

RIG = os.path.join(os.environ.get("top_builddir", "."), "tests/unit/rest-rig")
PAGE = os.path.join(os.environ.get("top_srcdir", "."), "docs/dbus.md")
PATIENCE = 240  # seconds
SIGNALS = ("VMAdded", "InterfacesAdded", "PropertiesChanged", "VMRemoved", "NetworkRemoved", "VolumeAdded")
NO_KVM = re.compile("/dev/kvm|arm64 hosts only")

for program in ("busctl", "dbus-daemon"):
    if not shutil.which(program):
        print(f"SKIP: {program} is not installed")
        sys.exit(77)


def start_monitor(block, environment):
    """A process that prints signals, and has begun to."""
    monitor = subprocess.Popen(["sh", "-c", "exec " + block], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.STDOUT, env=environment)
    line = monitor.stdout.readline()
    if "Monitoring bus" not in line:
        sys.exit(f"{block}\nsays: {line}")
    return monitor


def wait_for_signals(monitor):
    """What is on its way to it would be lost with the bus."""
    missing, seen = set(SIGNALS), ""
    timer = threading.Timer(PATIENCE, monitor.kill)
    timer.start()
    for line in monitor.stdout:
        seen += line
        missing -= {signal for signal in missing if f"Member={signal}" in line}
        if not missing:
            timer.cancel()
            return
    sys.exit(f"the monitor has not seen {missing}: {seen}")


def run(kind, block, folder, environment):
    """All of it; a block that is to fail is one command."""
    wanted = re.match(r"# fails: (.+)\n", block)
    done = subprocess.run(["sh", "-eu", "-c", block.replace("/srv/", folder + "/")], capture_output=True, text=True, check=False,
                          env=environment, timeout=PATIENCE)
    if wanted:
        good = done.returncode != 0 and wanted[1] in done.stderr
    else:
        good = done.returncode == 0 or kind == "kvm" and NO_KVM.search(done.stderr)
    if not good:
        sys.exit(f"{block}\n{done.returncode}: {done.stdout}{done.stderr}")


def main():
    with open(PAGE, encoding="utf-8") as f:
        blocks = re.findall(r"^```sh ?(\w*)\n(.*?)^```$", f.read(), re.M | re.S)
    with tempfile.TemporaryDirectory() as folder, \
         subprocess.Popen([RIG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as rig:
        says = rig.stdout.readline().split()
        if len(says) != 3:
            print("SKIP: a file system cannot be mounted here (as root, in a namespace)")
            sys.exit(rig.wait())
        environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=says[2])
        for name in ("vmlinuz", "data.img"):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(bytes(4096))
        monitors = [start_monitor(block, environment) for kind, block in blocks if kind == "monitor"]
        for kind, block in blocks:
            if kind != "monitor":
                run(kind, block, folder, environment)
        for monitor in monitors:
            wait_for_signals(monitor)
        rig.stdin.close()
        if rig.wait():
            sys.exit("rest-rig failed")
        # without a bus they end
        for monitor in monitors:
            monitor.communicate(timeout=PATIENCE)
    print(f"{len(blocks)} examples")


main()
