#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/api.md: its examples do what it says, and its table of errors is that of the document.

A block of sh that begins with "# answers N" ends with that status, any other one with success; what takes
KVM may also say that this host has none.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

RIG = os.path.join(os.environ.get("top_builddir", "."), "tests/unit/rest-rig")
PAGE = os.path.join(os.environ.get("top_srcdir", "."), "docs/api.md")

if not shutil.which("curl"):
    print("SKIP: curl is not installed")
    sys.exit(77)


def run(block, socket, folder):
    """The statuses that the block's requests were answered with."""
    script = block.replace("/run/hvd/hvd.sock", socket).replace("/srv/", folder + "/")
    script = 'curl() { command curl -sS -m 120 -w "%{stderr}HTTP %{http_code}\\n" "$@"; }\n' + script
    done = subprocess.run(["sh", "-eu", "-c", script], capture_output=True, text=True, check=False)
    statuses = [int(s) for s in re.findall(r"^HTTP (\d+)$", done.stderr, re.M)]
    if done.returncode or not statuses:
        sys.exit(f"{block}\nfailed: {done.stderr}")
    return statuses, done.stdout


def check_examples(page, socket, folder):
    blocks = re.findall(r"^```sh( kvm)?\n(.*?)^```$", page, re.M | re.S)
    for kvm, block in blocks:
        statuses, output = run(block, socket, folder)
        said = re.match(r"# answers (\d+)\n", block)
        for status in statuses:
            good = status == int(said[1]) if said else status < 300 or kvm and status == 501
            if not good:
                sys.exit(f"{block}\nanswered {status}: {output}")
    return len(blocks)


def check_errors(page, socket):
    _, document = run("curl --unix-socket /run/hvd/hvd.sock http://hvd/v1/openapi.json", socket, "")
    documented = {(name.removeprefix("Problem"), code)
                  for name, response in json.loads(document)["components"]["responses"].items()
                  for code in re.findall(r"\(code ([a-z-]+)\)", response["description"])}
    listed = set(re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", page, re.M))
    if listed != documented:
        sys.exit(f"the table of errors: {sorted(listed ^ documented)}")
    return len(listed)


def main():
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    with tempfile.TemporaryDirectory() as folder, \
         subprocess.Popen([RIG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as rig:
        says = rig.stdout.readline().split()
        if not says:
            print("SKIP: a file system cannot be mounted here (as root, in a namespace)")
            sys.exit(rig.wait())
        for name in ("vmlinuz", "data.img"):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(bytes(4096))
        n_blocks = check_examples(page, says[0], folder)
        n_errors = check_errors(page, says[0])
        rig.stdin.close()
        if rig.wait():
            sys.exit("rest-rig failed")
    print(f"{n_blocks} examples, {n_errors} errors")


main()
