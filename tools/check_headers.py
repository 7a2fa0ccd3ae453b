#!/usr/bin/env python3
"""Fail if a header needs another one included before it: each must compile alone, in its module's view."""
import concurrent.futures
import os
import subprocess
import sys

import tree

FLAGS = ["-std=gnu2x", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", "-"]


def compile_alone(header, root):
    name = tree.place(header)
    done = subprocess.run(["gcc", f"-I{root}", *FLAGS], input=f'#include "{name}"\n', text=True,
                          capture_output=True)
    return f"{name} does not compile alone:\n{done.stderr.rstrip()}" if done.returncode else None


def main():
    layers = tree.ROOT / sys.argv[1] / "layers"
    jobs = [(header, layers / module) for module in tree.modules() for header in tree.files([module], ".h")]
    jobs += [(header, tree.ROOT) for header in tree.files(tree.OUTSIDE_LAYERS, ".h")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [fault for fault in pool.map(lambda job: compile_alone(*job), jobs) if fault]
    tree.finish("headers", found, f"{len(jobs)} compile alone")


main()
