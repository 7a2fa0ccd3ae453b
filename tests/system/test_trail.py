"""The judge of test_kills.py is judged: what it must not let pass, it does not."""
import pytest

import trail

AUTHORITY, DOOR, OTHER, SIGNER = 1, 2, 3, 4
BEGINS = "a door's spool begins"


def log(*rows):
    """Records of (source, sequence), and log.spool of a spool's name."""
    records = []
    for row in rows:
        source, sequence, spool = (AUTHORITY, 0, row) if isinstance(row, str) else (*row, None)
        fields = {"target": f"spool {spool}", "reason": BEGINS} if spool else {}
        records.append(trail.Record(len(records), "log.spool" if spool else "publish", "allowed", source, sequence, 0, fields))
    return records


@pytest.mark.parametrize("rows", [
    [(DOOR, 1), "a", (DOOR, 2), (AUTHORITY, 0), (DOOR, 3)],
    [(DOOR, 1), "a", (OTHER, 1), "b", (DOOR, 2), (OTHER, 2)],
    [(DOOR, 1), "a", (DOOR, 2), (DOOR, 1), "b", (DOOR, 2)],  # it lost its spool, and said so
    [(SIGNER, 4), (SIGNER, 9)],
])
def test_what_is_in_order_passes(rows):
    trail.check_sequences(log(*rows))


@pytest.mark.parametrize("rows", [
    [(DOOR, 1), "a", (DOOR, 2), (DOOR, 1), (DOOR, 2)],            # taken twice from its beginning
    [(DOOR, 1), "a", (DOOR, 2), (DOOR, 1), "a", (DOOR, 2)],       # likewise, and told as new
    [(DOOR, 1), (AUTHORITY, 0), (DOOR, 2)],                       # never told of
    [(DOOR, 1), "a", (DOOR, 2), (DOOR, 2)],
    [(DOOR, 1), "a", (DOOR, 3)],
    [(DOOR, 2), "a"],
    [(SIGNER, 4), (SIGNER, 4)],
    [(SIGNER, 4), (SIGNER, 1)],
    [(SIGNER, 1), (SIGNER, 1), "a"],
])
def test_doubles_and_holes_do_not(rows):
    with pytest.raises(trail.Broken):
        trail.check_sequences(log(*rows, (AUTHORITY, 0)))


def test_the_newest_record_may_be_ahead_of_its_word():
    trail.check_sequences(log((DOOR, 1)))
