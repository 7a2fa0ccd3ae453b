#!/usr/bin/env python3
"""Fail if an #include breaks layers.txt, or a module reaches past another's front door."""
import re

import tree

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def project_fault(module, target, granted):
    other = target.split("/")[0]
    if other not in granted:
        return f'"{target}" is not the path of a module\'s header'
    if other not in granted[module]:
        return f"{module} may not include {target}"
    if other != module and target.endswith("_internal.h"):
        return f"{target} is internal to {other}"
    return None


def library_fault(module, target, owners):
    # The longest prefix owns: <openssl/ssl.h> has fewer owners than <openssl/>.
    matching = [prefix for prefix in owners if target.startswith(prefix)]
    owner = max(matching, key=len, default=None)
    if owner and module not in owners[owner]:
        return f"<{target}> belongs to {' '.join(owners[owner])}"
    return None


def faults(path, module, granted, owners):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        include = INCLUDE.match(line)
        if not include:
            continue
        quote, target = include.groups()
        fault = (project_fault(module, target, granted) if quote == '"'
                 else library_fault(module, target, owners))
        if fault:
            yield f"{tree.place(path)}:{number}: {fault}"


def main():
    granted, owners = tree.read_layers()
    found = [fault for module in tree.modules() for path in tree.files([module], ".c", ".h")
             for fault in faults(path, module, granted, owners)]
    tree.finish("layers", found, f"{len(tree.modules())} modules include only what they were granted")


main()
