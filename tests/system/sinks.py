"""Sinks of the audit log that are files, and what must be in them."""
import json
import os
import pathlib
import time

import place

EXPORTER = place.USERS["exporter"]


def make_folder(path):
    """That the exporter may write to."""
    path.mkdir()
    if place.is_root():
        os.chown(path, EXPORTER, EXPORTER)


def lines_of(path):
    text = path.read_bytes()
    assert text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


def wait_exported(made, seconds=180):
    """All that is in the log now has been had by every sink; how many records that is."""
    def status():
        return made.api("GET", "/v1/status")
    records = status()["audit_records"]
    place.wait_for(f"{records} records exported", lambda: (status()["audit_exported"] or 0) >= records, seconds)
    return records


def assert_all_there(indexes, records):
    """None missing; the first of each comes in order; how many came again."""
    assert set(range(records)) <= set(indexes), sorted(set(range(records)) - set(indexes))[:20]
    first = list(dict.fromkeys(indexes))
    assert first == sorted(first)
    return len(indexes) - len(first)


def switches(pid):
    """How often a process has waited for something, all its threads."""
    told = (line.split() for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for line in (task / "status").read_text().splitlines())
    return sum(int(words[1]) for words in told if words[0] == "voluntary_ctxt_switches:")


def assert_it_rests(made, *, most, after=3):
    """The exporter, when all went out: it turns at most so often in 12 s, while the log does not grow."""
    for _ in range(3):  # a late record of what was before is not the log's own growth; that would never end
        wait_exported(made)
        time.sleep(after)  # what it tells of the last of them goes out
        records = wait_exported(made)
        pid, = made.running.pids("exporter")
        before = switches(pid)
        time.sleep(12)
        turns = switches(pid) - before
        grown = made.api("GET", "/v1/status")["audit_records"] - records
        if grown == 0:
            break
    assert grown == 0, f"the log grows by itself: {made.audit()[:grown]}"
    print(f"{turns} turns in 12 s")
    assert turns <= most, f"{turns} turns in 12 s"
