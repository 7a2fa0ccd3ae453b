#!/usr/bin/env python3
"""Fail if a program that we ship lacks what its compiler and linker should have put in."""
import pathlib
import platform
import re
import subprocess
import sys


def readelf(option, program):
    return subprocess.run(["readelf", "-W", option, program], capture_output=True, text=True, check=True).stdout


def missing(program):
    header, segments = readelf("-h", program), readelf("-l", program)
    dynamic, symbols = readelf("-d", program), readelf("--dyn-syms", program)
    stack = re.search(r"GNU_STACK.* (R\S*)\s+0x", segments)
    fortified = set(re.findall(r"__\w+_chk\b", symbols)) - {"__stack_chk_fail"}
    wanted = {
        "position-independent (PIE)": "DYN (" in header and re.search(r"FLAGS_1.*\bPIE\b", dynamic),
        "read-only relocations (RELRO)": "GNU_RELRO" in segments,
        "immediate binding (BIND_NOW)": re.search(r"FLAGS.*\b(BIND_)?NOW\b", dynamic),
        "a stack that is not executable": stack and "E" not in stack.group(1),
        "no segment both writable and executable": not re.search(r"LOAD.* RWE ", segments),
        "no text relocations": "TEXTREL" not in dynamic,
        "no search path for libraries": not re.search(r"\((RPATH|RUNPATH)\)", dynamic),
        "stack protector": "__stack_chk_fail" in symbols,
        "fortified calls": fortified,
    }
    return [what for what, there in wanted.items() if not there]


def without_cet(library):
    """Objects not compiled for control-flow enforcement.

    Looks at what we compiled: Debian 12's own start files carry no such mark, so no program on it does.
    """
    if platform.machine() != "x86_64":
        return []
    members = re.split(r"^File: .*\((.*)\)$", readelf("-n", library), flags=re.M)[1:]
    return [name for name, notes in zip(members[::2], members[1::2]) if not re.search("IBT, SHSTK", notes)]


def main():
    build = pathlib.Path(sys.argv[1])
    programs = sorted(path for path in build.glob("bin/*") if path.is_file())
    faults = [f"hardening: {program.name} lacks: {what}" for program in programs for what in missing(program)]
    faults += [f"hardening: {library.name}({name}) lacks: control-flow enforcement (IBT, SHSTK)"
               for library in sorted(build.glob("lib*.a")) for name in without_cet(library)]
    print("\n".join(faults) or f"hardening: {len(programs)} programs have all of it")
    sys.exit(bool(faults))


main()
