"""Latest-wins synchroniser and slot."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from grasp_ros.sync import LatestSlot, Synchroniser


def test_matches_within_slop_only():
    sync = Synchroniser(("depth", "color"), slop_ns=10)
    assert sync.add("depth", 100, "d100") is None
    assert sync.add("color", 120, "c120") is None
    assert sync.add("depth", 115, "d115") == {"depth": "d115", "color": "c120"}
    assert sync.dropped == 1  # d100 is obsolete


def test_a_late_partner_matches_its_own_frame():
    sync = Synchroniser(("depth", "color"), slop_ns=5)
    for stamp in (100, 200):
        assert sync.add("depth", stamp, stamp) is None
    assert sync.add("color", 101, 101) == {"depth": 100, "color": 101}
    assert sync.add("color", 201, 201) == {"depth": 200, "color": 201}
    assert sync.dropped == 0


def test_closest_partner_is_taken_and_partners_are_used_once():
    sync = Synchroniser(("depth", "color"), slop_ns=20)
    sync.add("color", 90, 90)
    sync.add("color", 102, 102)
    assert sync.add("depth", 100, 100) == {"depth": 100, "color": 102}
    assert sync.add("depth", 110, 110) is None


def test_missing_stream_drops_and_stays_small():
    sync = Synchroniser(("depth", "color"), slop_ns=5, keep=3)
    for stamp in range(10):
        assert sync.add("depth", stamp * 100, stamp) is None
    assert sync.dropped == 7


def test_one_stream_passes_through_and_reset_forgets():
    assert Synchroniser(("depth",), 0).add("depth", 1, "x") == {"depth": "x"}
    sync = Synchroniser(("depth", "color"), slop_ns=5)
    sync.add("depth", 100, 1)
    sync.reset()
    assert sync.add("color", 100, 2) is None


@given(st.lists(st.tuples(st.sampled_from(["depth", "color"]), st.integers(0, 50)), max_size=60))
def test_sets_hold_slop_and_every_reference_is_accounted_for(events):
    sync = Synchroniser(("depth", "color"), slop_ns=3, keep=4)
    references = matched = 0
    for stream, stamp in events:
        references += stream == "depth"
        found = sync.add(stream, stamp, stamp)
        if found:
            matched += 1
            assert abs(found["depth"] - found["color"]) <= 3
    waiting = len(sync._waiting["depth"])
    assert matched + sync.dropped + waiting <= references
    assert waiting <= 4


def test_slot_keeps_the_newest():
    slot = LatestSlot()
    for i in range(3):
        slot.put(i)
    assert (slot.take(), slot.overwritten) == (2, 2)
    slot.put(1)
    slot.clear()
    taken = []
    thread = threading.Thread(target=lambda: taken.append(slot.take()))
    thread.start()
    slot.close()
    thread.join(timeout=5)
    assert taken == [None]
