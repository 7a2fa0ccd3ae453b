#!/usr/bin/env python3
"""Run clang-tidy over a build's compile commands; what has not changed since it was clean is not run again."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

import tree

CLEAN = tree.ROOT / "build" / "lint" / "tidy"


def exclusions():
    """(name, its reason) of each check that .clang-tidy leaves out; the reason is a comment line of its own."""
    text = (tree.ROOT / ".clang-tidy").read_text()
    checks = re.search(r"^Checks: >-?\n((?:  .*\n)+)", text, re.M).group(1)
    names = [item.strip() for item in checks.split(",")]
    return [(name[1:], re.search(rf"^# {re.escape(name[1:])}: \S", text, re.M)) for name in names
            if name.startswith("-") and name != "-*"]


def inputs(build):
    """{object file: files of ours that it was compiled from}, as ninja recorded them."""
    listing = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True)
    needed, current = {}, None
    for line in listing.stdout.splitlines():
        if line.startswith(" "):
            path = pathlib.Path(build, line.strip()).resolve()
            if path.is_relative_to(tree.ROOT):
                needed[current].append(path)
        elif ":" in line:
            current = line.split(":")[0]
            needed[current] = []
    return needed


def output_of(command):
    words = command["command"].split()
    return words[words.index("-o") + 1]


def key(command, needed):
    digest = hashlib.sha256(command["command"].encode())
    for path in [tree.ROOT / ".clang-tidy", *sorted(needed)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def tidy(build, command, needed):
    mark = CLEAN / key(command, needed)
    if mark.exists():
        return None
    done = subprocess.run(["clang-tidy-14", "--quiet", "--warnings-as-errors=*", f"-p={build}", command["file"]],
                          capture_output=True, text=True)
    if done.returncode == 0:
        mark.touch()
        return None
    return f"{os.path.relpath(command['file'], tree.ROOT)}:\n{done.stdout.rstrip()}"


def main():
    build = tree.ROOT / sys.argv[1]
    CLEAN.mkdir(parents=True, exist_ok=True)
    needed = inputs(build)
    commands = json.loads((build / "compile_commands.json").read_text())
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(tidy, build, command, needed.get(output_of(command), [])) for command in commands]
        found = [run.result() for run in runs if run.result()]
    found += [f".clang-tidy: {name} is excluded without a reason" for name, why in exclusions() if not why]
    tree.finish("clang-tidy", found, f"{len(commands)} files, {len(exclusions())} checks excluded with a reason")


main()
