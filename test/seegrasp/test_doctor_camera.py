"""Whether depth is aligned to colour, from what was seen of both."""

import pytest

from seegrasp.doctor import Status
from seegrasp.doctor_camera import Seen, check_alignment

COLOR = Seen(640, 480, "camera_color_optical_frame")
DEPTH = Seen(848, 480, "camera_depth_optical_frame")


@pytest.mark.parametrize(
    ("seen", "status", "words"),
    [
        ({"depth": COLOR, "color": COLOR, "depth_info": COLOR}, Status.OK, "aligned to colour, 640x480"),
        ({"depth": DEPTH, "color": COLOR}, Status.PROBLEM, "depth is not aligned to colour: depth is 848x480"),
        ({"depth": COLOR._replace(frame="x"), "color": COLOR}, Status.PROBLEM, "depth is 640x480 in x"),
        ({"depth": COLOR, "depth_info": DEPTH, "color": COLOR}, Status.PROBLEM, "its camera_info 848x480"),
        ({"color": COLOR, "color_info": DEPTH}, Status.PROBLEM, "color is 640x480"),
    ],
)
def test_what_was_seen_is_judged(seen, status, words):
    (finding,) = check_alignment("camera", seen)
    assert finding.status is status
    assert words in finding.what


def test_without_both_images_there_is_nothing_to_say():
    assert check_alignment("camera", {"depth": DEPTH, "color_info": COLOR}) == []
