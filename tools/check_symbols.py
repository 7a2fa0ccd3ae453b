#!/usr/bin/env python3
"""Fail if an exported name does not say where it lives, or if state outlives its caller.

Looks at the built libraries, not at the text: what the linker sees is what is exported.
A global or static variable that can change is a hidden parameter of every function.
"""
import re
import subprocess
import sys

import tree

ALLOWED = "symbols_allow.txt"
# objdump -t: address, seven flag columns (l local, g global; F function, O object), section, size, name
SYMBOL = re.compile(r"^[0-9a-f]+ (.{7}) (\S+)\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)$")
MUTABLE = (".data", ".bss", "*COM*")


def symbols(module, build):
    """(source file, flags, section, name) of what the module's library defines."""
    library = tree.ROOT / build / f"lib{module}.a"
    if not library.exists():
        return
    listing = subprocess.run(["objdump", "-t", library], capture_output=True, text=True, check=True).stdout
    source = None
    for line in listing.splitlines():
        member = re.match(r"(\S+)\.o:\s+file format", line)
        found = SYMBOL.match(line)
        if member:
            source = f"{module}/{member.group(1)}"
        elif found and found.group(2) != "*UND*" and not found.group(3).startswith(("__", ".L")):
            yield source, *found.groups()


def prefix_of(source):
    folder, name = source.split("/")
    return f"{name.removesuffix('.c')}_" if folder == "base" else f"{folder}_"


def name_fault(source, flags, name, reasons, used):
    if flags[0] not in "gu!" or name.lower().startswith(prefix_of(source)):
        return None
    for entry in (f"{source}:{name}", f"{source}:{name.split('_')[0]}_"):
        if entry in reasons:
            used.add(entry)
            return None
    return f"{source}: exported {name} does not start with {prefix_of(source)}"


def state_fault(source, flags, section, name, reasons, used):
    if "O" not in flags or not section.startswith(MUTABLE) or section.startswith(".data.rel.ro"):
        return None
    entry = f"{source}:{name.split('.')[0]}"
    if entry in reasons:
        used.add(entry)
        return None
    return f"{source}: {name} is state that outlives its caller; pass it in"


def main():
    build = sys.argv[1]
    reasons, used, found, count = tree.read_reasons(ALLOWED), set(), [], 0
    for module in tree.modules():
        for source, flags, section, name in symbols(module, build):
            count += flags[0] == "g"
            found += filter(None, [name_fault(source, flags, name, reasons, used),
                                   state_fault(source, flags, section, name, reasons, used)])
    found += tree.unused(ALLOWED, reasons, used)
    tree.finish("symbols", found, f"{count} exported names say where they live, nothing else outlives a call")


main()
