"""The analytic detector on exact synthetic scenes: grasps straddle their object and touch nothing else."""

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import ConfigError, DetectorError, ErrorCode, InputError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_eval.synthetic import Scene, clutter, tabletop, wrist_camera
from grasp_perception.detectors import Detector, make_detector, names

GRIPPER = Gripper.load("robotiq_2f85")
REGION = Box([0.3, -0.2, 0.003], [0.7, 0.2, 0.3])
ABOVE = se3.look_at([0.5, -0.08, 0.6], [0.5, 0.0, 0.0])


def _detect(scene: Scene, noise: float = 0.0005, region: Box = REGION, **params: object) -> tuple[Grasps, Observation]:
    seen = scene.observe(wrist_camera(), ABOVE, noise=noise)
    return make_detector("analytic", **params).detect(seen, GRIPPER, region), seen


def _inside(points: np.ndarray, R: np.ndarray, t: np.ndarray, centre: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Which points lie in a box given in the grasp frame: plain numpy, one grasp at a time."""
    local = (points.astype(np.float64) - t) @ R - centre
    return (np.abs(local) < np.asarray(size) / 2.0 - 1e-6).all(axis=1)


def _hits(points: np.ndarray, grasps: Grasps, back: float = 0.0) -> list[int]:
    """Number of points inside the gripper's boxes for each grasp, ``back`` m before its pose."""
    counts = []
    for i in range(len(grasps)):
        centres, sizes = GRIPPER.boxes(float(grasps.width[i]))
        R, t = grasps.R[i].astype(np.float64), grasps.t[i].astype(np.float64)
        boxes = zip(centres, sizes, strict=True)
        counts.append(sum(int(_inside(points, R, t - back * R[:, 2], c, s).sum()) for c, s in boxes))
    return counts


def _between(points: np.ndarray, grasps: Grasps, i: int) -> int:
    size = [float(grasps.width[i]), GRIPPER.finger.width, GRIPPER.finger.length]
    centre = np.array([0.0, 0.0, -GRIPPER.finger.length / 2.0])
    return int(_inside(points, grasps.R[i].astype(np.float64), grasps.t[i], centre, size).sum())


SHAPES = {
    "box": lambda: Scene().add("box", (0.05, 0.09, 0.06), (0.5, 0.0, 0.03), (0, 0, 0.4)),
    "standing cylinder": lambda: Scene().add("cylinder", (0.03, 0.03, 0.1), (0.5, 0.02, 0.05)),
    "lying cylinder": lambda: Scene().add("cylinder", (0.025, 0.025, 0.12), (0.5, 0.0, 0.025), (np.pi / 2, 0, 0.9)),
    "sphere": lambda: Scene().add("sphere", (0.03,) * 3, (0.48, 0.0, 0.03)),
    "flat box": lambda: Scene().add("box", (0.04, 0.1, 0.018), (0.5, 0.0, 0.009)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_grasps_straddle_a_single_object(shape: str) -> None:
    scene = SHAPES[shape]()
    grasps, seen = _detect(scene)
    assert len(grasps) >= 3
    assert np.all(np.diff(grasps.score) <= 0)
    points = seen.cloud.points
    high = points[points[:, 2] > 0.007]
    assert max(_hits(high, grasps)) == 0
    assert max(_hits(high, grasps, back=0.05)) == 0
    for i in range(min(10, len(grasps))):
        assert _between(high, grasps, i) >= 5
    # the best grasp reaches past the object's top and holds it near the middle
    centre = scene.solids[0].T_base_solid[:3, 3]
    top = high[:, 2].max()
    assert grasps.t[0, 2] < top - min(0.012, 0.5 * top)
    assert np.linalg.norm(grasps.t[0, :2] - centre[:2]) < 0.025
    assert grasps.stability[0] > 0.6


def test_best_grasp_closes_on_parallel_faces() -> None:
    yaw = 0.4
    grasps, _ = _detect(SHAPES["box"]())
    across = np.array([np.cos(yaw), np.sin(yaw), 0.0])  # normal of the narrow pair of faces
    assert abs(grasps.R[0, :, 0] @ across) > np.cos(np.deg2rad(12.0))
    assert grasps.width[0] >= 0.05 + 2 * 0.004
    assert grasps.R[0, 2, 2] < -0.9


def test_stability_counts_as_much_as_it_is_told_to() -> None:
    scene = Scene().add("box", (0.03, 0.22, 0.03), (0.5, 0.0, 0.015), (0, 0, 0.4))
    without, with_it = (_detect(scene, stability_weight=weight)[0] for weight in (0.0, 3.0))
    assert with_it.stability[0] > 0.8
    assert with_it.stability[:5].mean() > without.stability[:5].mean()
    assert len(without) >= len(with_it)


def test_fingertips_stay_above_the_support() -> None:
    grasps, _ = _detect(SHAPES["flat box"]())
    centres, sizes = GRIPPER.boxes(grasps.width.astype(np.float64))
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    corners = centres[:, :2, None] + signs * sizes[:, :2, None] / 2.0
    world = np.einsum("nij,nbcj->nbci", grasps.R.astype(np.float64), corners) + grasps.t[:, None, None]
    assert world[..., 2].min() > 0.001


def test_bin_walls_are_obstacles_and_not_grasped() -> None:
    scene = Scene(support=0.006).add_bin((0.5, 0.0), (0.4, 0.3), 0.10)
    scene.add("box", (0.04, 0.08, 0.05), (0.5, 0.0, 0.031)).add("sphere", (0.03,) * 3, (0.38, -0.08, 0.036))
    region = Box([0.31, -0.14, 0.01], [0.69, 0.14, 0.25])
    grasps, seen = _detect(scene, region=region)
    assert len(grasps) >= 10
    high = seen.cloud.points[seen.cloud.points[:, 2] > 0.014]
    assert max(_hits(high, grasps)) == 0
    objects = np.array([[0.5, 0.0], [0.38, -0.08]])
    distance = np.linalg.norm(grasps.t[:, None, :2] - objects, axis=2).min(axis=1)
    assert distance.max() < 0.06


def test_a_wall_is_not_taken_together_with_the_object_at_it() -> None:
    scene = Scene(support=0.006).add_bin((0.5, 0.0), (0.4, 0.3), 0.06)
    scene.add("box", (0.055, 0.09, 0.05), (0.6725, 0.0, 0.031))  # touches the wall at x = 0.7
    region = Box([0.31, -0.14, 0.01], [0.69, 0.14, 0.25])
    everywhere, _ = _detect(scene, region=Box([0.2, -0.3, 0.01], [0.8, 0.3, 0.25]))
    across = np.abs(everywhere.R[:, 0, 0]) > 0.9
    assert (across & (everywhere.t[:, 0] + everywhere.width / 2 > 0.71)).any()  # the trap is there
    grasps, _ = _detect(scene, region=region)
    finger = grasps.t[:, 0] + np.abs(grasps.R[:, 0, 0]) * grasps.width / 2
    assert np.all(finger < 0.71)


def test_two_objects_are_not_taken_at_once() -> None:
    scene = (
        Scene().add("box", (0.03, 0.08, 0.06), (0.48, 0.0, 0.03)).add("box", (0.03, 0.08, 0.03), (0.512, 0.0, 0.015))
    )
    grasps, seen = _detect(scene)
    best = grasps[0]
    left = seen.cloud.points[(seen.cloud.points[:, 2] > 0.035)]
    right = seen.cloud.points[(seen.cloud.points[:, 2] < 0.032) & (seen.cloud.points[:, 2] > 0.02)]
    held = [_between(part, best, 0) > 3 for part in (left, right)]
    assert sum(held) == 1 or abs(best.R[0, 0, 0]) < 0.5


def test_clutter_gives_many_free_grasps_and_few_are_alike() -> None:
    region = Box([0.2, -0.25, 0.003], [0.82, 0.25, 0.3])
    grasps, seen = _detect(tabletop(), region=region)
    high = seen.cloud.points[seen.cloud.points[:, 2] > 0.007]
    assert len(grasps) >= 200
    assert max(_hits(high, grasps)) == 0
    near = np.linalg.norm(grasps.t[:, None] - grasps.t[None], axis=2) < 0.03 - 1e-4
    flip = np.diag([-1.0, -1.0, 1.0])
    angle = np.minimum(
        se3.rotation_angle(grasps.R[:, None], grasps.R[None]), se3.rotation_angle(grasps.R[:, None], grasps.R @ flip)
    )
    alike = near & (angle < np.deg2rad(29.5))
    assert alike.sum() == len(grasps)  # only with itself


def test_same_input_gives_the_same_grasps() -> None:
    seen = clutter(3, 8).observe(wrist_camera(), ABOVE, noise=0.001)
    detector = make_detector("analytic")
    first, second = (detector.detect(seen, GRIPPER, REGION) for _ in range(2))
    fresh = make_detector("analytic").detect(seen, GRIPPER, REGION)
    for other in (second, fresh):
        for name in ("R", "t", "width", "score", "stability", "depth"):
            assert np.array_equal(getattr(first, name), getattr(other, name)), name


@pytest.mark.parametrize("yaw", [0.35, 1.1, 2.5])
def test_turning_the_scene_turns_the_grasps(yaw: float) -> None:
    scene = (
        Scene().add("box", (0.045, 0.1, 0.06), (0.0, 0.0, 0.03)).add("cylinder", (0.02, 0.02, 0.08), (0.12, 0.02, 0.04))
    )
    seen = scene.observe(wrist_camera(), se3.look_at([0.02, 0.0, 0.7], [0.02, 0.0, 0.0]), voxel=0.004)
    turn = se3.make(se3.rpy_matrix(0, 0, yaw), [0.0, 0.0, 0.0])
    turned = Observation(seen.cloud.transformed(turn, "base_link"), T_base_cam=turn @ seen.T_base_cam)
    detector = make_detector("analytic")
    before = detector.detect(seen, GRIPPER).transformed(turn)
    after = detector.detect(turned, GRIPPER)
    for one, other in ((before, after), (after, before)):
        for i in range(3):  # the best of one has a close relative among the good ones of the other
            distance = np.linalg.norm(other.t - one.t[i], axis=1)
            closing = np.abs(other.R[:, :, 0] @ one.R[i, :, 0])
            relative = (distance < 0.03) & (closing > np.cos(np.deg2rad(25.0))) & (other.score > 0.5 * one.score[i])
            assert relative.any(), (i, one.t[i], one.score[i])


def test_region_limits_the_grasps() -> None:
    scene = Scene().add("box", (0.04, 0.08, 0.05), (0.4, 0.0, 0.025)).add("box", (0.04, 0.08, 0.05), (0.6, 0.0, 0.025))
    grasps, _ = _detect(scene, region=Box([0.5, -0.2, 0.003], [0.7, 0.2, 0.3]))
    assert len(grasps) > 0
    assert grasps.t[:, 0].min() > 0.5


def test_empty_table_gives_no_grasps() -> None:
    grasps, _ = _detect(Scene(), noise=0.001)
    assert len(grasps) == 0
    assert grasps.detector == "analytic"


def test_cloud_without_camera_pose_is_enough() -> None:
    seen = SHAPES["box"]().observe(wrist_camera(), ABOVE)
    grasps = make_detector("analytic").detect(Observation(seen.cloud), GRIPPER, None)
    assert len(grasps) >= 5


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.full((100, 3), np.nan), np.zeros((20, 3))])
def test_too_few_points_are_an_error(points: np.ndarray) -> None:
    with pytest.raises(InputError, match="at least 50") as error:
        make_detector("analytic").detect(Observation(Cloud(points)), GRIPPER)
    assert error.value.code == ErrorCode.EMPTY_CLOUD


def test_two_million_points_are_an_error_that_says_what_to_do() -> None:
    points = np.random.default_rng(0).uniform(0, 1, (2_000_000, 3)).astype(np.float32)
    with pytest.raises(InputError, match="voxelise"):
        make_detector("analytic").detect(Observation(Cloud(points)), GRIPPER)


def test_far_flung_cloud_is_an_error() -> None:
    points = np.random.default_rng(0).uniform(-50, 50, (1000, 3)).astype(np.float32)
    with pytest.raises(InputError, match="crop it"):
        make_detector("analytic").detect(Observation(Cloud(points)), GRIPPER)


def test_parameters_are_checked() -> None:
    with pytest.raises(ConfigError, match="no parameter"):
        make_detector("analytic", speed=3)
    with pytest.raises(ConfigError, match="must be positive"):
        make_detector("analytic", cell=0.0)
    with pytest.raises(ConfigError, match="stability_weight must not be negative"):
        make_detector("analytic", stability_weight=-1.0)
    with pytest.raises(ConfigError, match="rising"):
        make_detector("analytic", depths=(0.02, 0.01))
    with pytest.raises(ConfigError, match="not usable"):
        make_detector("analytic", device="no-such-device")


class _Plugin:
    def __init__(self, result: object) -> None:
        self.result = result

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> object:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def plugin(kind: str = "good") -> _Plugin:
    """Factory that the registry finds as ``test.grasp_perception.test_analytic:plugin``."""
    R, t, width = np.eye(3)[None], np.zeros((1, 3)), np.array([0.05])
    results = {
        "good": lambda: Grasps.create(R, t, width, detector="mine"),
        "sheared": lambda: Grasps.create(R + 0.3, t, width),
        "nan": lambda: Grasps.create(R, t * np.nan, width),
        "wide": lambda: Grasps.create(R, t, width + 1.0),
        "list": lambda: [1, 2, 3],
        "raises": lambda: ZeroDivisionError("division by zero"),
    }
    return _Plugin(results[kind]())


def no_detector() -> int:
    """A factory that makes something else."""
    return 3


PLUGIN = f"{__name__}:plugin"


def test_plugin_is_found_by_module_and_factory() -> None:
    seen = Observation(Cloud(np.zeros((1, 3))))
    detector = make_detector(PLUGIN)
    assert isinstance(detector, Detector)
    assert detector.detect(seen, GRIPPER).detector == "mine"
    assert names() == ["analytic", "dense"]


@pytest.mark.parametrize("kind", ["sheared", "nan", "wide", "list", "raises"])
def test_malformed_results_of_a_plugin_are_detector_errors(kind: str) -> None:
    with pytest.raises(DetectorError, match="test_analytic:plugin") as error:
        make_detector(PLUGIN, kind=kind).detect(Observation(Cloud(np.zeros((1, 3)))), GRIPPER)
    assert error.value.code == ErrorCode.DETECTOR_FAILED


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unknown", "choose one of"),
        ("no.such.module:make", "cannot be loaded"),
        (f"{__name__}:nothing", "cannot be loaded"),
        (f"{__name__}:GRIPPER", "expected a callable"),
        (f"{__name__}:no_detector", "without a detect"),
    ],
)
def test_detectors_that_do_not_exist_are_config_errors(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_detector(name)
