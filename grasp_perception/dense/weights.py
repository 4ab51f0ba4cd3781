"""Files of weights: safetensors whose header says which network they belong to and what their checksum is."""

import hashlib
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from grasp_core.errors import ConfigError
from grasp_perception.dense.config import DenseConfig
from grasp_perception.dense.model import DenseModel
from grasp_perception.dense.sparse import is_fused

FORMAT = "seegrasp-dense/1"


def shipped() -> Path:
    """Where the weights are that come with the package; its model card lies beside them."""
    return Path(__file__).parent / "shipped" / "dense.safetensors"


def save(model: DenseModel, path: str | Path, dtype: torch.dtype = torch.float32, **notes: str) -> None:
    """Write the weights of a network that was not fused.

    Args:
        model: what to save.
        path: the file; its folder exists. It is replaced in one step.
        dtype: of the numbers in the file; what ``load`` makes of them is float32 again.
        notes: more entries of the header, such as recipe or commit.

    Raises:
        ConfigError: the file cannot be written, the network is fused, or a note has a name that the format uses.
    """
    file = _library()
    path = Path(path)
    if is_fused(model):
        raise ConfigError(f"{path}: a fused network cannot be saved: its normalisations are gone")
    tensors = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
        for name, value in model.state_dict().items()
    }
    header = {"format": FORMAT, "config": model.config.model_dump_json(), "sha256": _digest(tensors)}
    if taken := sorted(set(notes) & set(header)):
        raise ConfigError(f"{path}: notes may not be called {taken}")
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(file.torch.save(tensors, metadata={**header, **notes}))  # save_file makes it private
        partial.replace(path)
    except (OSError, file.SafetensorError) as error:
        raise ConfigError(f"{path}: cannot be written: {error}") from error


def load(path: str | Path, device: str = "cpu") -> DenseModel:
    """The network in a file, in inference mode, not fused.

    Raises:
        ConfigError: the file is missing, is not such a file, is of another format or version, is damaged, or does not
            fit the network that its header describes.
    """
    header, tensors = _read(Path(path))
    model = DenseModel(DenseConfig.from_json(header["config"], str(path)))
    expected = model.state_dict()
    wrong = sorted(set(expected) ^ set(tensors))
    wrong += [name for name in sorted(set(expected) & set(tensors)) if expected[name].shape != tensors[name].shape]
    if wrong:
        raise ConfigError(
            f"{path}: {len(wrong)} tensors do not fit the network that its header describes, the first is {wrong[0]!r}"
        )
    if bad := [name for name, value in tensors.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ConfigError(f"{path}: {bad[0]!r} has NaN or infinite entries")
    model.load_state_dict(tensors)
    return model.to(device).eval()


def notes(path: str | Path) -> dict[str, str]:
    """The header of a file of weights; raises ConfigError as ``load`` does."""
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    file = _library()
    if not path.is_file():
        raise ConfigError(f"no weights of the dense detector at {path}; {_remedy(path)}")
    try:
        with file.safe_open(path, framework="pt") as opened:
            header = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, file.SafetensorError) as error:
        raise ConfigError(f"{path}: damaged, or not a safetensors file: {error}; {_remedy(path)}") from error
    if header.get("format") != FORMAT:
        raise ConfigError(
            f"{path}: its format is {header.get('format')!r}, this version reads {FORMAT!r}; {_remedy(path)}"
        )
    if missing := sorted({"config", "sha256"} - set(header)):
        raise ConfigError(f"{path}: its header lacks {missing}")
    if _digest(tensors) != header["sha256"]:
        raise ConfigError(f"{path}: the checksum of its weights is not the one in its header; {_remedy(path)}")
    return header, tensors


def _remedy(path: Path) -> str:
    """What to do about a file that cannot be used."""
    if path == shipped():
        return f"it belongs to the repository: `git checkout -- {path.parent}` there brings it back, then set up again"
    return "get it again, or make it with `seegrasp learn export`; without `weights` the shipped ones are used"


def _digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _library() -> ModuleType:
    try:
        import safetensors
        import safetensors.torch
    except ImportError as error:
        raise ConfigError("weights need the package safetensors: run `make setup`") from error
    return safetensors
