#!/usr/bin/env python3
"""Fail if the same eight meaningful lines appear twice: the second copy is a missing function."""
import collections
import re

import tree

SPAN = 8


def meaningful(path):
    text = tree.TOKEN.sub(lambda token: "\n" * token.group().count("\n") if token.group()[0] == "/"
                          else token.group(), path.read_text())
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"\s+", " ", line).strip()
        if len(line) > 3 and not line.startswith("#"):
            yield number, line


def windows(path):
    """Each run of SPAN lines, with its index in the file and the line where it starts."""
    rows = list(meaningful(path))
    for index in range(len(rows) - SPAN + 1):
        yield tuple(text for _, text in rows[index:index + SPAN]), (tree.place(path), index, rows[index][0])


def main():
    seen = collections.defaultdict(list)
    for path in tree.c_files():
        if path.suffix == ".c":
            for window, where in windows(path):
                seen[window].append(where)
    copies = [places for places in seen.values() if len(places) > 1]
    # Of a long copy only the first window is told, not every window inside it.
    known = {tuple((path, index) for path, index, _ in places) for places in copies}
    firsts = [places for places in copies
              if tuple((path, index - 1) for path, index, _ in places) not in known]
    tree.finish("dupes", ["same lines at " + ", ".join(f"{path}:{line}" for path, _, line in places)
                          for places in firsts], f"no {SPAN} lines appear twice")


main()
