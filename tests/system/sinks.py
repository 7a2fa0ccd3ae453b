"""Sinks of the audit log that are files, and what must be in them."""
import json
import os

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
