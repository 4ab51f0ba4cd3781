"""Reads bags: ROS 2 (MCAP, sqlite3; folder or single file) and ROS 1 (.bag), whole or truncated.

What rosbags opens is read by rosbags; damaged files are read record by record up to where they end (bag_salvage).
Messages come out as CDR of the types that are installed here.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Qos, QosDurability
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from grasp_eval.bag_salvage import Salvage, salvage_file
from grasp_eval.bag_types import LiveConverter, UnknownTypeError
from grasp_eval.bag_writer import BagError

SUFFIXES = (".mcap", ".db3", ".bag")


class Message(NamedTuple):
    """One message of a bag: `data` is CDR of the live type `msgtype`, `stamp_ns` its log time."""

    topic: str
    msgtype: str
    stamp_ns: int
    data: bytes


@dataclass
class TopicInfo:
    """A topic of a bag; `problem` says why it cannot be used here, else empty."""

    name: str
    msgtype: str
    count: int
    latched: bool = False
    problem: str = ""


@dataclass
class BagReader:
    """An opened bag. `damage` says what is wrong with the file (empty: nothing); messages up to there are read."""

    path: Path
    topics: dict[str, TopicInfo] = field(default_factory=dict)
    start_ns: int = 0
    end_ns: int = 0
    damage: str = ""
    ros1: bool = False
    read_count: int = 0

    def __post_init__(self) -> None:
        self._reader: AnyReader | None = None
        self._salvages: list[Salvage] = []
        self.path = Path(self.path)
        files = bag_files(self.path)
        self.ros1 = files[0].suffix == ".bag"
        try:
            self._open_whole()
        except Exception as error:  # rosbags lets errors of apsw, struct, zlib through
            self._open_damaged(files, error)
        self._mark_unknown()

    def _open_whole(self) -> None:
        default = get_typestore(Stores.ROS2_KILTED)
        reader = AnyReader([self.path], default_typestore=default)
        reader.open()
        self._reader = reader
        self._convert = LiveConverter(reader.typestore, not self.ros1)
        for connection in reader.connections:
            latched = _is_latched(connection.ext)
            self._add_topic(connection.topic, connection.msgtype, connection.msgcount, latched)
        if reader.message_count:
            self.start_ns, self.end_ns = reader.start_time, reader.end_time

    def _open_damaged(self, files: list[Path], error: Exception) -> None:
        reason = str(error) or type(error).__name__
        self._salvages = [salvage_file(path) for path in files]
        if all(s.damage for s in self._salvages) and not any(s.total for s in self._salvages):
            raise BagError(f"{self.path}: nothing can be read: {reason}") from error
        damage = [f"{s.path.name}: {s.damage}" for s in self._salvages if s.damage]
        self.damage = "; ".join(damage) or f"index or metadata unusable ({reason}); the messages were read one by one"
        store = get_typestore(Stores.EMPTY if any(s.types for s in self._salvages) else Stores.ROS2_KILTED)
        for salvage in self._salvages:
            store.register({k: v for k, v in salvage.types.items() if k not in store.fielddefs})
        self._convert = LiveConverter(store, not self.ros1)
        for salvage in self._salvages:
            for (topic, msgtype), count in salvage.counts.items():
                self._add_topic(topic, msgtype, count, topic in salvage.latched)
        filled = [s for s in self._salvages if s.total]
        if filled:
            self.start_ns, self.end_ns = min(s.first_ns for s in filled), max(s.last_ns for s in filled) + 1

    def _add_topic(self, name: str, msgtype: str, count: int, latched: bool) -> None:
        info = self.topics.setdefault(name, TopicInfo(name, msgtype, 0, latched))
        info.count += count
        info.latched |= latched or name == "/tf_static"
        if info.msgtype != msgtype:
            info.problem = f"has several types: {info.msgtype}, {msgtype}"

    def _mark_unknown(self) -> None:
        for info in self.topics.values():
            if info.problem:
                continue
            try:
                info.msgtype = self._convert.prepare(info.msgtype)
            except UnknownTypeError as error:
                info.problem = str(error)

    @property
    def message_count(self) -> int:
        """Messages in the bag (in what can be read of it)."""
        return sum(t.count for t in self.topics.values())

    @property
    def duration_s(self) -> float:
        """From the first to the last message, s."""
        return max(0, self.end_ns - self.start_ns) * 1e-9

    @property
    def typestore(self) -> Typestore:
        """Types as the bag defines them."""
        return self._convert._bag

    def require(self, name: str, what: str) -> TopicInfo:
        """The topic, or BagError naming those that exist."""
        info = self.topics.get(name)
        if info is None or not info.count:
            have = "\n".join(f"  {t.name} [{t.msgtype}] {t.count}" for t in self.topics.values()) or "  (none)"
            state = "is empty" if info else "is not in the bag"
            raise BagError(f"{self.path}: {what} topic {name} {state}. Topics of the bag:\n{have}")
        if info.problem:
            raise BagError(f"{self.path}: {what} topic {name} cannot be used: {info.problem}")
        return info

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[Message]:
        """Messages of usable topics in order of log time, within [start, stop). Reading stops at damage (see it)."""
        names = {n for n, t in self.topics.items() if not t.problem and (topics is None or n in topics)}
        source = self._whole(names, start_ns, stop_ns) if self._reader else self._salvaged(names, start_ns, stop_ns)
        for topic, msgtype, stamp, data in source:
            self.read_count += 1
            yield Message(topic, self._convert.live_name(msgtype), stamp, self._convert(msgtype, data))

    def _whole(self, names: set[str], start: int | None, stop: int | None) -> Iterator[tuple[str, str, int, bytes]]:
        connections = [c for c in self._reader.connections if c.topic in names]
        if not connections:
            return
        try:
            for connection, stamp, data in self._reader.messages(connections, start=start, stop=stop):
                yield connection.topic, connection.msgtype, stamp, data
        except Exception as error:  # damage in the middle shows only now; back ends raise many types
            self.damage = f"reading stopped after {self.read_count} messages: {error}"

    def _salvaged(self, names: set[str], start: int | None, stop: int | None) -> Iterator[tuple[str, str, int, bytes]]:
        low, high = start or 0, 2**63 if stop is None else stop
        for m in heapq.merge(*(s.messages() for s in self._salvages), key=lambda m: m.stamp_ns):
            if m.topic in names and low <= m.stamp_ns < high:
                yield m.topic, m.msgtype, m.stamp_ns, m.data

    def close(self) -> None:
        """Close the files."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bag_files(path: Path) -> list[Path]:
    """The storage files of a bag. Raises BagError when there is none."""
    if not path.exists():
        raise BagError(f"{path}: no such bag")
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise BagError(f"{path}: not a bag (expected a rosbag2 folder or a file ending in {', '.join(SUFFIXES)})")
        return [path]
    metadata = path / "metadata.yaml"
    if metadata.exists():
        try:
            listed = yaml.safe_load(metadata.read_text())["rosbag2_bagfile_information"]["relative_file_paths"]
            files = [path / Path(name).name for name in listed]
        except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
            files = []
        if files and all(f.exists() for f in files):
            return files
    files = sorted(f for f in path.iterdir() if f.suffix in SUFFIXES)
    if not files:
        raise BagError(f"{path}: no bag in this folder (no {', '.join('*' + s for s in SUFFIXES)} file)")
    return files


def _is_latched(extra: object) -> bool:
    profiles: list[Qos] = getattr(extra, "offered_qos_profiles", None) or []
    if any(p.durability == QosDurability.TRANSIENT_LOCAL for p in profiles):
        return True
    return bool(getattr(extra, "latching", 0))
