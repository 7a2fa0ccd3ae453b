#!/usr/bin/env python3
"""Say which share of our lines a fuzzer's corpus reaches, the target's own file first.

Replays the committed corpus and what earlier fuzzing found; the coverage preset must be built.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import tree

BUILD = tree.ROOT / "build" / "coverage"


def targets(name):
    """The functions that the fuzzer's first line, '/* Target: a, b */', names."""
    first = (tree.ROOT / "fuzz" / f"fuzz_{name}.c").read_text().splitlines()[0]
    return re.findall(r"\w+", first.partition("Target:")[2])


def defining_files(names):
    return {tree.place(path) for path in tree.files(tree.modules(), ".c")
            if {name for name, _, _ in tree.functions(path.read_text().splitlines())} & set(names)}


def measure(name):
    """{file: (lines reached, lines)} of every file of ours that the corpus enters."""
    program = BUILD / f"replay_{name}"
    corpora = [tree.ROOT / "fuzz" / "corpus" / name, tree.ROOT / "build" / "fuzz" / "found" / name]
    with tempfile.TemporaryDirectory() as folder:
        raw = pathlib.Path(folder, "%p.profraw")
        for corpus in corpora:
            if corpus.is_dir() and any(corpus.iterdir()):
                subprocess.run([program, corpus], check=True, stdout=subprocess.DEVNULL,
                               env={**os.environ, "LLVM_PROFILE_FILE": str(raw)})
        profile = pathlib.Path(folder, "profile")
        subprocess.run(["llvm-profdata-14", "merge", "-o", profile, *pathlib.Path(folder).glob("*.profraw")],
                       check=True)
        export = subprocess.run(["llvm-cov-14", "export", "-summary-only", f"-instr-profile={profile}", program],
                                capture_output=True, text=True, check=True).stdout
    lines = {os.path.relpath(os.path.realpath(entry["filename"]), tree.ROOT): entry["summary"]["lines"]
             for entry in json.loads(export)["data"][0]["files"]}
    return {path: (count["covered"], count["count"]) for path, count in lines.items()
            if count["covered"] and not path.startswith(("fuzz/", ".."))}


def main():
    name = sys.argv[1]
    own = defining_files(targets(name))
    reached = measure(name)
    print(f"{name}: lines reached by its corpus (* holds the target)")
    for path in sorted(reached, key=lambda path: (path not in own, path)):
        covered, count = reached[path]
        print(f"  {100 * covered / count:5.1f} %  {covered:4d} of {count:4d}  {'*' if path in own else ' '} {path}")
    unreached = own - reached.keys()
    if unreached or not own:
        sys.exit(f"{name}: the target {', '.join(targets(name))} was not reached at all")


main()
