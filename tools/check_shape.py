#!/usr/bin/env python3
"""Fail on shapes that hide the design: long functions and files, tell-tale words, vague names, banned calls."""
import re

import tree

FUNCTION_MAX, FILE_MAX, COMMENT_SHARE_MAX = 60, 600, 0.20
SHORT_FILE = 40  # a header comment may outweigh so little code
ALLOWED = "shape_allow.txt"
VAGUE = re.compile(r"(^|_)(util|utils|helper|helpers|common|misc|manager|stuff)(_|\.|$)")
TELLTALE = re.compile(r"\b(TODO|FIXME|XXX|HACK|placeholder|stub(s|bed)?|for now|simplified|"
                      r"in a real|not (yet )?implemented|dummy)\b", re.I)
BANNED = re.compile(r"\b(str(n?cpy|n?cat|tok)|stpcpy|v?sprintf|gets|ato[il]|alloca|(gm|local|c)time)\s*\(")
BANNED_OUTSIDE_BASE = re.compile(r"\b(memcmp|bcmp|v?snprintf)\s*\(")


def blank(match):
    """The same lines without the comment's or string's text."""
    return "\n" * match.group().count("\n")


def comment_lines(text):
    return sum(token.count("\n") + 1 for token in tree.TOKEN.findall(text) if token.startswith("/*"))


def size_faults(path, text):
    lines = text.splitlines()
    if len(lines) > FILE_MAX:
        yield tree.place(path), f"{len(lines)} lines (most {FILE_MAX})"
    comments = comment_lines(text)
    if path.suffix == ".c" and len(lines) > SHORT_FILE and comments > COMMENT_SHARE_MAX * len(lines):
        yield tree.place(path), f"{comments} of {len(lines)} lines are comment"
    for name, first, length in tree.functions(lines):
        if length > FUNCTION_MAX:
            yield f"{tree.place(path)}:{name}", f"{length} lines at line {first} (most {FUNCTION_MAX})"


def word_faults(path, text):
    where = tree.place(path)
    if VAGUE.search(path.name):
        yield where, "a name that says nothing; call it after what it holds"
    for number, line in enumerate(text.splitlines(), 1):
        found = TELLTALE.search(line)
        if found:
            yield where, f"line {number}: '{found.group()}' says that it is not finished"


def call_faults(path, text):
    where = tree.place(path)
    for token in tree.TOKEN.findall(text):
        if token.startswith("//"):
            yield where, f"'{token[:30]}': comments are /* */"
    for number, line in enumerate(tree.TOKEN.sub(blank, text).splitlines(), 1):
        patterns = [BANNED] if where.startswith("base/") else [BANNED, BANNED_OUTSIDE_BASE]
        for found in filter(None, (pattern.search(line) for pattern in patterns)):
            if not line.startswith("#"):
                yield where, f"line {number}: {found.group(1)} is banned; see base/"


def all_faults():
    for path in tree.c_files():
        text = path.read_text()
        yield from size_faults(path, text)
        yield from word_faults(path, text)
        yield from call_faults(path, text)
    for path in [*tree.files(["tools", "tests"], ".py", ".sh", ".cmake"), tree.ROOT / "dev"]:
        if path.name != "check_shape.py":
            yield from word_faults(path, path.read_text())


def main():
    reasons = tree.read_reasons(ALLOWED)
    found = list(all_faults())
    left = [f"{what}: {fault}" for what, fault in found if what not in reasons]
    left += tree.unused(ALLOWED, reasons, {what for what, _ in found})
    tree.finish("shape", left, f"{len(list(tree.c_files()))} files, {len(reasons)} exceptions")


main()
