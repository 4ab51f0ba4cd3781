"""The shipped protocols have the constants of the papers that they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from grasp_core.camera import CameraProfile
from grasp_core.config import config_dir
from grasp_core.errors import ConfigError
from grasp_eval.bench.protocol import Protocol, SceneRules
from grasp_eval.bench.stage import stage_cell
from grasp_sim.noise import DepthNoise

SHIPPED = sorted(path.stem for path in (config_dir() / "protocols").glob("*.yaml"))
TABLE_ABOVE_FLOOR = 0.05  # m: VGN's cube starts one finger depth below the table top


def test_what_is_shipped() -> None:
    assert SHIPPED == ["edge", "explore", "giga", "heavy", "seegrasp", "vgn"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_protocol_is_complete(name: str) -> None:
    protocol = Protocol.load(name)
    assert protocol.name == name
    assert protocol.source
    profile = CameraProfile.load(protocol.camera)
    DepthNoise.from_profile(profile, protocol.noise)
    for scene in protocol.scenes:
        stage_cell(protocol, scene)
    nearest = protocol.views.radius[0] * protocol.workspace - protocol.workspace / 2
    assert nearest > profile.near


@pytest.mark.parametrize("name", ["vgn", "giga", "edge"])
def test_what_the_published_protocols_share(name: str) -> None:
    protocol = Protocol.load(name)
    assert protocol.deviations
    assert protocol.workspace == 0.30  # 6 finger depths of 5 cm
    assert set(protocol.scenes) == {"pile", "packed"}
    # dropped in the middle third, scaled by 0.8 to 1; stood up within 0.08 to 0.22 m, in at most 12 tries
    assert protocol.rules("pile") == SceneRules(count=5, scale=(0.8, 1.0), half=0.05)
    packed = protocol.rules("packed")
    assert (packed.count, packed.half, packed.gap, packed.tries) == (5, 0.07, 0.0, 12)
    assert packed.scale == ((0.7, 0.8) if name == "edge" else (0.7, 0.9))
    assert protocol.max_failures == 2
    assert protocol.repeats
    motion = protocol.motion
    assert (motion.approach, motion.speed, motion.lift_above, motion.touch) == (0.05, 0.10, 60.0, "start")
    profile = CameraProfile.load(protocol.camera)
    assert (profile.width, profile.height, profile.fx, profile.fy) == (640, 480, 540.0, 540.0)


def test_heavy_looks_as_our_own_protocol_does() -> None:
    heavy, own = Protocol.load("heavy"), Protocol.load("seegrasp")
    assert (heavy.camera, heavy.noise, heavy.views, heavy.workspace) == (
        own.camera,
        own.noise,
        own.views,
        own.workspace,
    )
    assert heavy.motion == own.motion.model_copy(update={"max_slip": 0.02})
    assert (heavy.max_attempts, heavy.rules("single").count) == (1, 1)


def test_explore_differs_from_our_own_in_what_is_tried() -> None:
    explore, own = Protocol.load("explore").model_dump(), Protocol.load("seegrasp").model_dump()
    differing = {key for key in own if explore[key] != own[key]}
    assert differing == {"name", "source", "scenes", "max_failures", "max_attempts", "choice"}
    assert all(own["scenes"][kind] == rules for kind, rules in explore["scenes"].items())


def test_vgn() -> None:
    protocol = Protocol.load("vgn")
    views = protocol.views
    assert (views.count, views.polar, views.radius) == (6, (30.0, 30.0), (2.0, 2.0))  # r = 0.6 m
    assert views.height * protocol.workspace == pytest.approx(-TABLE_ABOVE_FLOOR, abs=1e-5)
    assert (protocol.noise, protocol.choice, protocol.min_score, protocol.skips) == ("none", "random", 0.9, 0)
    assert protocol.motion.retreat == 0.10
    assert not protocol.motion.shake


def test_giga() -> None:
    protocol = Protocol.load("giga")
    views = protocol.views
    assert (views.count, views.polar, views.radius) == (1, (60.0, 60.0), (2.0, 2.0))
    assert views.azimuth[0] == views.azimuth[1]
    assert views.height * protocol.workspace == pytest.approx(0.30 / 3 - TABLE_ABOVE_FLOOR, abs=1e-5)
    assert (protocol.noise, protocol.choice, protocol.min_score, protocol.skips) == ("gamma_gp", "best", 0.0, 0)
    assert protocol.motion.retreat == 0.10
    assert not protocol.motion.shake


def test_edge() -> None:
    protocol = Protocol.load("edge")
    views = protocol.views
    assert (views.count, views.polar, views.radius) == (1, (45.0, 60.0), (2.0, 2.5))
    assert views.azimuth == (0.0, 180.0)
    assert views.height * protocol.workspace == pytest.approx(0.25 - TABLE_ABOVE_FLOOR, abs=1e-5)
    assert (protocol.friction, protocol.skips, protocol.choice) == (0.75, 3, "best")
    assert protocol.motion.retreat == 0.20
    assert protocol.motion.shake


def test_ours() -> None:
    protocol = Protocol.load("seegrasp")
    assert {kind: rules.count for kind, rules in protocol.scenes.items()} == {
        "pile": 10,
        "packed": 6,
        "bin": 10,
        "single": 1,
        "occluded": 10,
    }
    assert [r * protocol.workspace for r in protocol.views.radius] == pytest.approx([0.55, 0.75])
    assert protocol.views.polar == (0.0, 50.0)
    assert (protocol.camera, protocol.noise) == ("d435", "stereo")
    assert (protocol.max_failures, protocol.skips, protocol.repeats) == (3, 2, False)
    assert protocol.motion.shake


def test_bad_protocols_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="edge, explore, giga, heavy, seegrasp, vgn"):
        Protocol.load("gigga")
    with pytest.raises(ConfigError, match="no scene 'bin'; it has pile, packed"):
        Protocol.load("giga").rules("bin")
    path = tmp_path / "mine.yaml"
    path.write_text(
        (config_dir() / "protocols" / "giga.yaml").read_text().replace("radius: [2.0, 2.0]", "radius: [3, 2]")
    )
    with pytest.raises(ConfigError, match="radius"):
        Protocol.load(str(path))
