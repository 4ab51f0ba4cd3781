"""hand_eye_node and the command's ROS side over DDS, with stand-ins for camera and arm."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.board import Board
from grasp_core.calibration import Calibration
from grasp_core.camera import CameraProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, InputError, SeegraspError
from grasp_ros import qos
from grasp_ros.conversions import array_to_image, info_from_camera, transform_to_matrix, transforms_to_tf
from hand_eye.nodes import calibrate
from hand_eye.nodes.hand_eye_node import HandEyeNode
from hand_eye.nodes.mover import Mover, consent
from hand_eye.nodes.source import Source, lens_of
from test.grasp_ros.kit import rclpy_with, spinning, wait_until
from test.hand_eye.synthetic import make_views
from test.hand_eye.test_hand_eye_files import AXES, LINK, calibration, cell_with

CELL, ARM = Cell.load("bin_picking"), ArmProfile.load("ur5e")
WRIST = CELL.cameras[0]
OPTICAL = WRIST.frame


class Listener(Node):
    """Keeps what /tf_static and /diagnostics say; plays a camera's driver."""

    def __init__(self) -> None:
        super().__init__("listener", use_global_arguments=False)
        self.static: dict[tuple[str, str], np.ndarray] = {}
        self.status: DiagnosticStatus | None = None
        self.create_subscription(TFMessage, "/tf_static", self._on_static, qos.TF_STATIC)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)
        self.publisher = self.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
        self.told = self.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)

    def _on_static(self, msg: TFMessage) -> None:
        for item in msg.transforms:
            self.static[item.header.frame_id, item.child_frame_id] = transform_to_matrix(item.transform)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "hand_eye_node: transforms":
                self.status = status


def test_the_calibration_is_published_and_gives_way_to_the_drivers_tree(ros_domain: int, tmp_path: Path):
    cell = cell_with(tmp_path)
    X = Cell.load(str(cell)).cameras[0].T_parent_optical
    with rclpy_with(["-p", f"cell:={cell}", "-p", "wait:=0.0"]):
        node, listener = HandEyeNode(), Listener()
        with spinning(node, listener):
            wait_until(lambda: ("tool0", OPTICAL) in listener.static, what="the transform")
            np.testing.assert_allclose(listener.static["tool0", OPTICAL], X, atol=1e-6)
            tree = [("camera_link", "camera_color_frame", LINK), ("camera_color_frame", OPTICAL, AXES)]
            listener.publisher.publish(transforms_to_tf(tree, 1))
            wait_until(lambda: ("tool0", "camera_link") in listener.static, what="the driver's root hung onto the arm")
            T = listener.static["tool0", "camera_link"]
            np.testing.assert_allclose(T @ LINK @ AXES, X, atol=1e-6)
            other = DiagnosticStatus(name="camera: Status", hardware_id="999999999999")
            listener.told.publish(DiagnosticArray(status=[other]))
            wait_until(
                lambda: listener.status is not None and "calibrate this one" in listener.status.message,
                what="the word about another camera",
            )


def test_a_camera_that_somebody_else_publishes_is_an_error(ros_domain: int, tmp_path: Path):
    cell = cell_with(tmp_path)
    with rclpy_with(["-p", f"cell:={cell}", "-p", "wait:=0.5"]):
        node, listener = HandEyeNode(), Listener()
        listener.publisher.publish(transforms_to_tf([("tool0", OPTICAL, np.eye(4))], 1))
        with spinning(node, listener):
            wait_until(
                lambda: listener.status is not None and "by somebody else already" in listener.status.message,
                what="the error",
            )
            assert listener.status.level == DiagnosticStatus.ERROR
            np.testing.assert_allclose(listener.static["tool0", OPTICAL], np.eye(4))


# What the command listens to.


@pytest.fixture
def source(ros_domain: int):
    """A Source, and a node that plays camera and arm."""
    with rclpy_with():
        node, driver = Node("seegrasp_calibrate"), Node("driver")
        found = Source(node, WRIST, ARM)
        with spinning(driver):
            yield found, driver
        found.close()
        node.destroy_node()


def test_missing_camera_info_is_named(source):
    with pytest.raises(SeegraspError, match=r"nothing on /camera/camera/color/camera_info for 0\.3 s \(0 publishers\)"):
        source[0].lens(0.3)


def test_pictures_and_camera_info_arrive(source):
    found, driver = source
    camera = WRIST.camera_profile.camera(OPTICAL)
    pictures = driver.create_publisher(Image, WRIST.topic("color"), qos.RELIABLE)
    infos = driver.create_publisher(CameraInfo, WRIST.topic("color_info"), qos.RELIABLE)
    wait_until(lambda: pictures.get_subscription_count() and infos.get_subscription_count(), what="the subscriptions")
    infos.publish(info_from_camera(camera, 5))
    lens = found.lens(5.0)
    assert lens.size == (640, 480)
    assert lens.distortion.size == 0
    pictures.publish(array_to_image(np.full((480, 640, 3), 7, np.uint8), "rgb8", OPTICAL, 5))
    picture, stamp = found.picture(5.0)
    assert (picture.shape, int(picture.max()), stamp) == ((480, 640, 3), 7, 5)
    pictures.publish(array_to_image(np.zeros((480, 640, 3), np.uint8), "rgb8", "other_frame", 6))
    with pytest.raises(
        InputError, match="is in frame 'other_frame', the cell's camera is 'camera_color_optical_frame'"
    ):
        found.picture(5.0)


def test_the_arm_is_missing(source):
    with pytest.raises(SeegraspError, match="tool0"):
        source[0].flange()
    with pytest.raises(SeegraspError, match="no action server move_to within"):
        Mover(source[0].node, "base_link", 0.1).require(0.2)


def test_lens_models():
    profile = CameraProfile.load("d435")
    info = info_from_camera(profile.camera("f"), 1)
    info.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(lens_of(info, profile, "/t").distortion, info.d)
    info.distortion_model = "equidistant"
    with pytest.raises(InputError, match="/t: distortion model 'equidistant' with 5 coefficients"):
        lens_of(info, profile, "/t")


# Consent and options.


def test_nothing_moves_without_consent():
    with pytest.raises(SeegraspError, match="not allowed"):
        consent("plan", False, ask=lambda _: "y")
    consent("plan", False, ask=lambda _: " YES ")
    consent("plan", True, ask=lambda _: pytest.fail("asked although it was allowed"))


def test_nobody_to_ask_is_no_consent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(SeegraspError, match="nobody to ask whether the arm may move"):
        consent("plan", False)


@pytest.mark.parametrize(
    "options", [["--speed", "0.9"], ["--poses", "2"], ["--touch", "20"], ["--check", "--touch", "1"]]
)
def test_options_that_make_no_sense(options: list[str]):
    with pytest.raises(SystemExit) as ended:
        calibrate.main(options)
    assert ended.value.code == 2


class Still:
    """A session whose arm goes where it is told, and a board that lies below it."""

    T_flange_tcp = np.eye(4)
    cell, board, source = CELL, Board.load("a4"), None

    def __init__(self, mode: str) -> None:
        self.mode, self.source = mode, self
        self.at = se3.make(se3.rpy_matrix(np.pi, 0.0, 0.0), [0.5, 0.0, 0.3])

    def flange(self) -> np.ndarray:
        return self.at

    def go(self, T_base_tcp: np.ndarray, straight: bool = True) -> None:
        self.at = T_base_tcp

    def say(self, text: str) -> None:
        print(text)


class Terminal(io.StringIO):
    """Somebody who types the same every time."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("mode", "predicted", "typed", "word", "code"),
    [
        ("eye_to_hand", True, "", "not measured", 1),
        ("eye_to_hand", True, "1.0", "good", 0),
        ("eye_to_hand", True, "9.0", "not good", 1),
        ("eye_in_hand", True, "", "not measured", 1),
        ("eye_in_hand", False, "", "not good", 1),
        ("eye_in_hand", True, "1.0", "good", 0),
        ("eye_in_hand", False, "1.0", "not good", 1),
    ],
)
def test_a_touch_that_nobody_measured_is_not_good(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    mode: str,
    predicted: bool,
    typed: str,
    word: str,
    code: int,
):
    Y = se3.make(se3.rpy_matrix(np.pi, 0.0, 0.0), [0.4, 0.0, 0.01])
    monkeypatch.setattr(calibrate.checking, "lying", lambda *_: Y)
    monkeypatch.setattr(calibrate.checking, "predict", lambda *_: SimpleNamespace(good=predicted, Y=Y))
    monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n" * 5))
    args = calibrate.parser().parse_args(["--check", "--touch", "20", "--yes"])
    still = Still(mode)
    assert calibrate._check(args, still, still, np.eye(4)) == code
    assert capsys.readouterr().out.splitlines()[-1] == word


def test_the_mode_follows_from_the_cameras_parent():
    assert calibrate.find_mode(None, WRIST, ARM) == "eye_in_hand"
    assert calibrate.find_mode("eye_to_hand", CELL.cameras[1], ARM) == "eye_to_hand"
    with pytest.raises(
        ConfigError, match="--mode eye_to_hand, but the cell profile has camera camera fixed to 'tool0'"
    ):
        calibrate.find_mode("eye_to_hand", WRIST, ARM)
    with pytest.raises(ConfigError, match="expected the arm's flange"):
        calibrate.find_mode(None, WRIST.model_copy(update={"parent": "wrist_1_link"}), ARM)
    with pytest.raises(ConfigError, match="has no camera 'front'; it has: camera, overhead"):
        calibrate.find_camera(CELL, "front")


def test_a_check_is_of_the_file_that_the_cell_names(tmp_path: Path):
    camera = Cell.load(str(cell_with(tmp_path))).cameras[0]
    other = calibration(serial="2")
    other.save(tmp_path / "other.yaml")
    assert calibrate.find_kept(None, camera, tmp_path / "nowhere.yaml") == camera.hand_eye
    assert calibrate.find_kept("other.yaml", camera, tmp_path / "other.yaml") == other
    assert calibrate.find_kept(None, WRIST, tmp_path / "other.yaml") == other
    with pytest.raises(ConfigError, match="nowhere"):
        calibrate.find_kept(None, WRIST, tmp_path / "nowhere.yaml")


def test_printing_needs_neither_camera_nor_arm(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert calibrate.main(["--print", str(tmp_path / "b.pdf")]) == 0
    assert "100 %" in capsys.readouterr().out
    assert calibrate.main(["--board", "b5", "--print", str(tmp_path / "b.pdf")]) == 1
    assert "there are: a3, a4" in capsys.readouterr().err


def test_calculating_again_from_kept_views(tmp_path: Path, capsys: pytest.CaptureFixture):
    views, X, _ = make_views("eye_in_hand", 0, pixel=0.1)
    views.save(tmp_path / "v.npz")
    out = tmp_path / "c.yaml"
    assert calibrate.main(["--solve", str(tmp_path / "v.npz"), "--out", str(out), "--serial", "1"]) == 0
    assert "verdict: trust it" in capsys.readouterr().out
    kept = Calibration.load(out)
    assert kept.serial == "1"
    assert np.linalg.norm(kept.T_parent_child[:3, 3] - X[:3, 3]) < 5e-4
    assert se3.rotation_angle(kept.T_parent_child[:3, :3], X[:3, :3]) < 1e-3
