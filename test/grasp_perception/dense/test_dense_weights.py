"""Files of weights: what was saved comes back, and whatever is wrong with a file is said."""

import hashlib
import json
import struct
from importlib import resources
from pathlib import Path

import pytest
import torch

from grasp_core.errors import ConfigError
from grasp_perception.dense import detector, weights
from grasp_perception.dense.model import DenseModel
from grasp_perception.dense.ranking import Ranking
from grasp_perception.dense.sparse import fuse
from grasp_perception.detectors import make_detector
from test.grasp_perception.dense.dense_scenes import SMALL, encoded, random_model, table_with_box

pytest.importorskip("safetensors", reason="weights need safetensors")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    weights.save(random_model(), path, commit="abc")
    return path


def rewrite(path: Path, **metadata: str | None) -> None:
    """Change entries of the header, None removes one; the tensors stay as they are."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    merged = header["__metadata__"] | metadata
    header["__metadata__"] = {k: v for k, v in merged.items() if v is not None}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])


def test_round_trip(file: Path) -> None:
    model, loaded = random_model(), weights.load(file)
    assert loaded.config == SMALL
    assert not loaded.training
    for (name, a), (_, b) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    with torch.no_grad():
        scenes = encoded(table_with_box())
        assert torch.equal(model(scenes).score, loaded(scenes).score)
    assert weights.notes(file)["commit"] == "abc"
    assert not list(file.parent.glob("*.partial"))
    (file.parent / "plain").write_bytes(b"")
    assert file.stat().st_mode == (file.parent / "plain").stat().st_mode


def test_half_as_many_bytes(tmp_path: Path) -> None:
    model, sizes = random_model(), []
    for dtype in (torch.float32, torch.float16):
        weights.save(model, tmp_path / "w.safetensors", dtype)
        sizes.append((tmp_path / "w.safetensors").stat().st_size)
        for (name, a), b in zip(
            model.state_dict().items(), weights.load(tmp_path / "w.safetensors").state_dict().values(), strict=True
        ):
            assert b.dtype == a.dtype, name
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)
    assert sizes[1] < 0.7 * sizes[0]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no weights of the dense detector at .*none\.safetensors.*learn export"):
        weights.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [None, b"broken"])
def test_shipped_weights_that_cannot_be_used_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    lost = tmp_path / "dense.safetensors"
    if content is not None:
        lost.write_bytes(content)
    for module in (weights, detector):
        monkeypatch.setattr(module, "shipped", lambda: lost)
    with pytest.raises(ConfigError, match=rf"{lost}.*`git checkout -- {tmp_path}`"):
        make_detector("dense")


def test_what_is_shipped_is_what_its_card_says() -> None:
    data, card = weights.shipped().read_bytes(), weights.shipped().with_suffix(".md").read_text(encoding="utf-8")
    assert len(data) <= 30_000_000
    assert hashlib.sha256(data).hexdigest() in card
    notes = weights.notes(weights.shipped())
    assert notes["commit"] in card
    assert notes["licence"] == "Apache-2.0"
    assert weights.load(weights.shipped()).config.ranking != Ranking()


def test_shipped_weights_lie_in_the_package() -> None:
    assert weights.shipped().is_relative_to(resources.files("grasp_perception.dense"))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, struct.pack("<Q", 2**60)])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="damaged, or not a safetensors file"):
        weights.load(path)


def test_truncated_file(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ConfigError, match="damaged"):
        weights.load(file)


def test_a_flipped_bit_is_noticed(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[-2000] ^= 4
    file.write_bytes(raw)
    with pytest.raises(ConfigError, match="checksum"):
        weights.load(file)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": "seegrasp-dense/99"}, "seegrasp-dense/99"),
        ({"format": None}, "its format is None"),
        ({"config": None}, r"lacks \['config'\]"),
        ({"config": '{"wings": 1}'}, "wings"),
        ({"config": SMALL.model_copy(update={"seed_channels": 17}).model_dump_json()}, "do not fit the network"),
    ],
)
def test_headers_that_do_not_fit(file: Path, metadata: dict[str, str | None], message: str) -> None:
    rewrite(file, **metadata)
    with pytest.raises(ConfigError, match=message):
        weights.load(file)


def test_nan_is_not_loaded(file: Path) -> None:
    model: DenseModel = random_model()
    torch.nn.init.constant_(model.point_head.layers[0].weight, float("nan"))
    weights.save(model, file)
    with pytest.raises(ConfigError, match="NaN"):
        weights.load(file)


def test_saving_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        weights.save(random_model(), tmp_path / "nowhere" / "w.safetensors")
    with pytest.raises(ConfigError, match="fused"):
        weights.save(fuse(random_model()), tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match="may not be called"):
        weights.save(random_model(), tmp_path / "w.safetensors", sha256="0")
