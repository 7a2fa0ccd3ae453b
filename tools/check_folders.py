#!/usr/bin/env python3
"""Fail if ARCHITECTURE.md's folders are not the tree's, or a folder does not introduce itself."""
import re

import tree

CODE = {".c", ".h", ".py", ".sh", ".cmake", ".js", ".ts"}
HEADINGS = ["## Purpose", "## Read in this order", "## Rules here", "## May use, may not use", "## Tests"]
README_MAX = 50
SECTION = re.compile(r"^## Folders.*?\n(.*?)(?=^## |\Z)", re.M | re.S)
ROW = re.compile(r"^\|\s*`([a-z][a-z0-9_-]*)/?`\s*\|", re.M)


def folders_with_code():
    for path in sorted(tree.ROOT.iterdir()):
        if path.is_dir() and path.name != "build" and not path.name.startswith("."):
            if any(inside.suffix in CODE for inside in path.rglob("*")):
                yield path.name


def readme_faults(folder):
    path = tree.ROOT / folder / "README.md"
    if not path.exists():
        yield f"{folder}/ has no README.md"
        return
    lines = path.read_text().splitlines()
    if len(lines) > README_MAX:
        yield f"{folder}/README.md has {len(lines)} lines (most {README_MAX})"
    headings = [line for line in lines if line.startswith("## ")]
    if headings != HEADINGS:
        yield f"{folder}/README.md needs exactly these headings, in order: {', '.join(HEADINGS)}"


def table_faults(present):
    path = tree.ROOT / "ARCHITECTURE.md"
    if not path.exists():
        yield "ARCHITECTURE.md is missing; it names each folder and its duty"
        return
    section = SECTION.search(path.read_text())
    if not section:
        yield "ARCHITECTURE.md has no section '## Folders' with a table, '| `base/` | what it knows |'"
        return
    named = set(ROW.findall(section.group(1)))
    for folder in present:
        if folder not in named:
            yield f"ARCHITECTURE.md does not name {folder}/"
    for folder in sorted(named):
        if not (tree.ROOT / folder).is_dir():
            yield f"ARCHITECTURE.md names {folder}/, which does not exist"


def main():
    present = list(folders_with_code())
    found = [*table_faults(present), *(fault for folder in present for fault in readme_faults(folder))]
    tree.finish("folders", found, f"{len(present)} folders, each in ARCHITECTURE.md and introduced")


main()
