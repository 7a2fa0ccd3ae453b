#!/usr/bin/env python3
"""Say which share of our lines a fuzzer's corpus reaches, the target's own file first, and which not there.

Replays the committed corpus and what fuzzing found, also while it runs; the coverage preset must be built.
"""
import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import tree

BUILD = tree.ROOT / "build" / "coverage"


def targets(name):
    """What the fuzzer's first comment, '/* Target: a, b_* */', says; the rest of its words is prose."""
    text = (tree.ROOT / "fuzz" / f"fuzz_{name}.c").read_text()
    return re.findall(r"[a-z]+_\w+\*?", text[:text.index("*/")].partition("Target:")[2])


def defining_files(names):
    return {tree.place(path) for path in tree.files(tree.modules(), ".c")
            if any(fnmatch.filter([name], wanted)
                   for name, _, _ in tree.functions(path.read_text().splitlines()) for wanted in names)}


def gather(name, folder):
    """One copy of both corpora, since a fuzzer at work removes files again."""
    for corpus in (tree.ROOT / "fuzz" / "corpus" / name, tree.ROOT / "build" / "fuzz" / "found" / name):
        for path in sorted(corpus.glob("*")) if corpus.is_dir() else []:
            try:
                shutil.copyfile(path, folder / path.name)
            except FileNotFoundError:
                pass


def llvm_cov(command, program, profile, *words):
    return subprocess.run(["llvm-cov-14", command, f"-instr-profile={profile}", program, *words],
                          capture_output=True, text=True, check=True).stdout


def missed_lines(shown):
    """'12-14 20' from llvm-cov's show of one file: number|count|source."""
    numbers = [int(number) for number in re.findall(r"^ *(\d+)\| +0\|", shown, re.MULTILINE)]
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    return " ".join(f"{a}-{b}" if a != b else f"{a}" for a, b in zip(starts, ends))


def measure(name, own):
    """{file: (lines reached, lines)} of every file of ours that the corpus enters, {own file: lines missed}."""
    program = BUILD / f"replay_{name}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "corpus").mkdir()
        gather(name, folder / "corpus")
        subprocess.run([program, folder / "corpus"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "LLVM_PROFILE_FILE": str(folder / "raw")})
        profile = folder / "profile"
        subprocess.run(["llvm-profdata-14", "merge", "-o", profile, folder / "raw"], check=True)
        export = json.loads(llvm_cov("export", program, profile, "-summary-only"))["data"][0]["files"]
        missed = {path: missed_lines(llvm_cov("show", program, profile, tree.ROOT / path))
                  for path in own}
    lines = {os.path.relpath(os.path.realpath(entry["filename"]), tree.ROOT): entry["summary"]["lines"]
             for entry in export}
    return {path: (count["covered"], count["count"]) for path, count in lines.items()
            if count["covered"] and not path.startswith(("fuzz/", ".."))}, missed


def main():
    name = sys.argv[1]
    own = defining_files(targets(name))
    reached, missed = measure(name, own)
    print(f"{name}: lines reached by its corpus (* holds the target)")
    for path in sorted(reached, key=lambda path: (path not in own, path)):
        covered, count = reached[path]
        print(f"  {100 * covered / count:5.1f} %  {covered:4d} of {count:4d}  {'*' if path in own else ' '} {path}")
        if missed.get(path):
            print(f"                          not: {missed[path]}")
    unreached = own - reached.keys()
    if unreached or not own:
        sys.exit(f"{name}: the target {', '.join(targets(name))} was not reached at all")


main()
