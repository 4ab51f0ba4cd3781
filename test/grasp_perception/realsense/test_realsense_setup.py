"""Which device, which modes, which options: what is not there is refused with a list of what is."""

import pyrealsense2 as rs
import pytest

from grasp_core.errors import ConfigError
from grasp_perception.realsense import Mode, Settings, SourceError
from grasp_perception.realsense import library as library_module
from grasp_perception.realsense.devices import Devices, find
from grasp_perception.realsense.plugged import usb_cameras, why_none
from grasp_perception.realsense.streams import Streams
from test.grasp_perception.realsense.soft_camera import VGA, SoftCamera

MODES = (VGA, Mode(1280, 720, 30), Mode(1280, 720, 15))


# Devices.


def test_the_real_context_has_no_camera_here():
    with pytest.raises(SourceError, match="no RealSense found: nothing on the bus"):
        find(Devices(), "", lambda: "nothing on the bus")


def test_a_wrong_serial_number_lists_those_that_are_there(started):
    with pytest.raises(SourceError, match=r"'99' is connected; there are: Intel RealSense D435 \(serial 1234\)"):
        started(SoftCamera(), serial="99")


def test_a_serial_number_chooses_and_several_want_one(started):
    two = SoftCamera(), SoftCamera(serial="5678", name="Intel RealSense D415")
    assert started(*two, serial="5678").facts["model"] == "Intel RealSense D415"
    assert started(*two, serial="_1234").facts["serial"] == "1234"
    with pytest.raises(SourceError, match=r"several.*1234.*5678.*serial number"):
        started(*two)


def usb(tmp_path, product: str, writable: bool = True):
    device = tmp_path / "devices" / "2-1"
    device.mkdir(parents=True)
    told = {"product": product, "busnum": "2", "devnum": "7", "speed": "480"}
    for name, text in told.items():
        (device / name).write_text(text + "\n")
    (tmp_path / "devices" / "usb1").mkdir()
    (tmp_path / "devices" / "usb1" / "product").write_text("xHCI Host Controller\n")
    node = tmp_path / "bus" / "002" / "007"
    if writable:
        node.parent.mkdir(parents=True)
        node.write_bytes(b"")
    return usb_cameras(tmp_path / "devices", tmp_path / "bus")


@pytest.mark.parametrize(
    ("product", "writable", "words"),
    [
        ("Intel(R) RealSense(TM) Depth Camera 435", False, "may not open it: install librealsense's udev rules"),
        ("Intel(R) RealSense(TM) Depth Camera 435", True, "another process may hold it"),
        ("Intel(R) RealSense(TM) L515", True, "2.54.2 was the last"),
    ],
)
def test_what_usb_knows_is_told(tmp_path, product, writable, words):
    found = usb(tmp_path, product, writable)
    text = why_none(found)
    assert words in text
    assert f"{product} at USB port 2-1 (480 Mbit/s)" in text


def test_nothing_on_usb(tmp_path):
    assert "no RealSense is plugged in" in why_none(usb_cameras(tmp_path / "none", tmp_path))


def test_without_the_library(monkeypatch):
    def fail(name: str):
        raise ImportError("no wheel for this Python")

    monkeypatch.setattr(library_module.importlib, "import_module", fail)
    with pytest.raises(ConfigError, match=r"no wheel for this Python.*pip install pyrealsense2.*source:=topics"):
        library_module.realsense()


def test_a_library_that_is_too_old(monkeypatch):
    class Old:
        __file__ = "/old/pyrealsense2"
        software_video_frame = object

    monkeypatch.setattr(library_module.importlib, "import_module", lambda name: Old)
    with pytest.raises(ConfigError, match=r"/old/pyrealsense2 is too old.*L515.*source:=topics"):
        library_module.realsense()


# Modes.


def test_a_mode_that_is_not_offered_lists_the_others(started):
    with pytest.raises(ConfigError, match=r"no depth stream of 640x400x30; it offers: 1280x720 at 15, 30 fps; 640x480"):
        started(SoftCamera(modes=MODES), depth=Mode(640, 400, 30))
    with pytest.raises(ConfigError, match=r"no color stream of 640x480x60.*Over USB 2.1 there are fewer"):
        started(SoftCamera(modes=MODES, usb="2.1"), color=Mode(640, 480, 60))


def test_a_mode_is_chosen_and_usb_2_is_a_concern(started):
    source = started(SoftCamera(modes=MODES, usb="2.1"), depth=Mode(1280, 720, 15))
    assert (source.facts["depth_mode"], source.facts["color_mode"]) == ("1280x720x15", "640x480x30")
    assert "USB 2.1" in source.concerns[0]


@pytest.mark.parametrize("text", ["", "640x480", "640x480x0", "axbxc", "640x480x30x2"])
def test_a_mode_that_is_none(text):
    with pytest.raises(ConfigError, match=r"realsense\.depth is .* expected <width>x<height>"):
        Mode.parse(text, "realsense.depth")


def test_modes_are_written_like_realsense_ros():
    assert Mode.parse("848x480x90", "x") == Mode.parse("848,480,90", "x") == Mode(848, 480, 90)


# Options.


def test_preset_then_emitter(started):
    camera = SoftCamera()
    started(camera, preset="High Accuracy", emitter="off")
    assert camera.value("visual_preset") == int(rs.rs400_visual_preset.high_accuracy)
    assert camera.value("emitter_enabled") == 0.0


def test_emitter_is_kept(started):
    camera = SoftCamera()
    camera.depth_stream.sensor.set_option(rs.option.emitter_enabled, 2.0)
    started(camera)
    assert camera.value("emitter_enabled") == 2.0


def test_clocks_are_joined(started):
    camera = SoftCamera()
    camera.option("global_time_enabled", 0.0, 1.0, 0.0)
    started(camera)
    assert camera.value("global_time_enabled") == 1.0


def test_an_unknown_preset_lists_the_known(started):
    with pytest.raises(ConfigError, match=r"no preset 'Best'; it has: .*high_accuracy, high_density"):
        started(SoftCamera(), preset="Best")


def test_options_that_the_device_lacks(started):
    with pytest.raises(ConfigError, match="has no option laser_power"):
        started(SoftCamera(), laser_power=150.0)
    camera = SoftCamera()
    camera.option("laser_power", 0.0, 360.0, 150.0)
    with pytest.raises(ConfigError, match=r"laser_power is 400: .* takes 0 to 360"):
        started(camera, laser_power=400.0)


class Advanced:
    """The library's advanced mode and JSON reader, which software devices do not have."""

    enabled, loaded, refuses = True, "", False

    def __init__(self, device) -> None:
        pass

    def is_enabled(self) -> bool:
        return Advanced.enabled

    def load_json(self, text: str) -> None:
        if Advanced.refuses:
            raise RuntimeError("unknown key")
        Advanced.loaded = text


@pytest.fixture
def advanced(monkeypatch):
    for name, value in (("enabled", True), ("loaded", ""), ("refuses", False)):
        monkeypatch.setattr(Advanced, name, value)
    monkeypatch.setattr(rs, "rs400_advanced_mode", Advanced)
    monkeypatch.setattr(rs, "serializable_device", Advanced)
    return Advanced


def test_a_preset_file(advanced, started, tmp_path):
    preset = tmp_path / "bin.json"
    preset.write_text('{"param-depthunits": "100"}')
    started(SoftCamera(), preset=str(preset))
    assert advanced.loaded == preset.read_text()
    advanced.refuses = True
    with pytest.raises(ConfigError, match=r"bin.json: .* does not take it: unknown key"):
        started(SoftCamera(), preset=str(preset))
    advanced.enabled = False
    with pytest.raises(ConfigError, match=r"advanced mode of .* is off"):
        started(SoftCamera(), preset=str(preset))


def test_bad_settings(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        Settings(preset=str(tmp_path / "none.json"))
    with pytest.raises(ConfigError, match="emitter is 'maybe'"):
        Settings(emitter="maybe")
    with pytest.raises(ConfigError, match="decimation is 9"):
        Settings(decimation=9)


# Starting.


def test_a_camera_that_another_process_holds(camera):
    class Held:
        def get_info(self, _):
            return "Stereo Module"

        def open(self, _):
            raise RuntimeError("xioctl(VIDIOC_S_FMT) failed, errno=16 Last Error: Device or resource busy")

    depth = camera.depth_stream.sensor.get_stream_profiles()[0]
    color = camera.color_stream.sensor.get_stream_profiles()[0]
    with pytest.raises(SourceError, match=r"cannot be started: .*busy\. Another process may hold the camera"):
        Streams("D435", (Held(), depth), (camera.color_stream.sensor, color))


def test_starting_again_after_a_stop(camera, started):
    source = started(camera)
    source.stop()
    with pytest.raises(SourceError, match="does not stream"):
        source.read(0.01)
    source.start()
    for _ in range(4):
        camera.send(1e6 + 33.3 * camera.number)
        frame = source.read(0.1)
    assert frame is not None
