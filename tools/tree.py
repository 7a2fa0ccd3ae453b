"""What the lint checks agree on: where the code is, what a function is, how a check ends."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTSIDE_LAYERS = ("tests", "fuzz", "bench")
TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)


def read_layers():
    """layers.txt as ({module: modules it may include}, {header prefix: modules that may include it})."""
    granted, owners = {}, {}
    for line in (ROOT / "layers.txt").read_text().splitlines():
        name, colon, rest = line.split("#")[0].partition(":")
        if not colon:
            continue
        name, rest = name.strip(), rest.split()
        if name.startswith("<"):
            owners[name.strip("<>")] = rest
            continue
        unknown = [module for module in rest if module not in granted]
        if unknown:
            sys.exit(f"layers.txt: {name} names {' '.join(unknown)}, not declared above it")
        granted[name] = {*rest, name}
    return granted, owners


def modules():
    return [name for name in read_layers()[0] if (ROOT / name).is_dir()]


def files(folders, *suffixes):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def c_files():
    return files([*modules(), *OUTSIDE_LAYERS], ".c", ".h")


def place(path):
    return str(path.relative_to(ROOT))


def functions(lines):
    """(name, first line, length) of each function; the format puts its braces in column 0."""
    opened = None
    for number, line in enumerate(lines):
        if line.startswith("{"):
            opened = number
        elif line.startswith("}") and opened is not None:
            head = opened - 1
            while head > 0 and lines[head].startswith((" ", "\t")):
                head -= 1
            name = re.search(r"(\w+)\s*\(", lines[head])
            yield name.group(1) if name else lines[head], head + 1, number - opened + 1
            opened = None


def read_reasons(name):
    """An allow-list of tools/: {what is allowed: why}. A line without a why is a fault."""
    reasons = {}
    for line in (ROOT / "tools" / name).read_text().splitlines():
        what, _, why = line.split("#")[0].strip().partition(" ")
        if what and not why.strip():
            sys.exit(f"tools/{name}: {what} gives no reason")
        if what:
            reasons[what] = why.strip()
    return reasons


def unused(name, reasons, used):
    return [f"tools/{name}: {what} is no longer needed" for what in reasons if what not in used]


def finish(check, faults, fine):
    """End the process the way every check ends: the faults, or one line saying what was looked at."""
    print("\n".join(f"{check}: {fault}" for fault in faults) or f"{check}: {fine}")
    sys.exit(bool(faults))
