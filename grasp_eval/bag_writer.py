"""Writes rosbag2 bag folders (MCAP storage) that `ros2 bag`, Foxglove and this project open.

Layout and metadata follow rosbag2 version 8 (the newest that every distribution since Humble reads) and the MCAP
profile "ros2": zstd chunks, `ros2msg` schemas, RIHS01 type hashes and offered QoS profiles per channel.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from mcap.writer import CompressionType, Writer

from grasp_eval.bag_types import full_definition, type_hash

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNKNOWN_QOS = 3


class BagError(Exception):
    """A bag that cannot be written or read; the message names the file and what to do."""


def free_space(path: Path) -> str:
    """Free space of the file system that holds a path, for messages."""
    return f"{shutil.disk_usage(path).free / 1e6:.1f} MB free"


class _Output:
    """Unbuffered file that keeps whole records: a failed write leaves the file as it was before.

    A reserve of disk space is held beside it and given up when the disk is full, so that what was recorded can
    still be completed with its index.
    """

    def __init__(self, path: Path, reserve_bytes: int) -> None:
        self.path = path
        self.full = False
        self.broken = False
        self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        self._position = 0
        self._reserve = path.with_suffix(".reserve")
        if reserve_bytes:
            self._hold_reserve(reserve_bytes)

    def _hold_reserve(self, size: int) -> None:
        fd = os.open(self._reserve, os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.close()
            raise BagError(f"{self.path.parent}: no room for a bag ({free_space(self.path.parent)})") from error
        finally:
            os.close(fd)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing is buffered here; the kernel has it."""

    def write(self, data: bytes) -> int:
        if self.broken:
            raise BagError(f"{self.path}: not writable any more")
        try:
            self._write_all(data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._retry_on_reserve(data, error)
        self._position += len(data)
        return len(data)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def _rewind(self) -> None:
        os.ftruncate(self._fd, self._position)
        os.lseek(self._fd, self._position, os.SEEK_SET)

    def _retry_on_reserve(self, data: bytes, error: OSError) -> None:
        self._rewind()
        self.full = True
        self._reserve.unlink(missing_ok=True)
        try:
            self._write_all(data)
        except OSError as again:
            self._rewind()
            self.broken = True
            raise BagError(f"{self.path}: cannot write: {error.strerror} ({free_space(self.path.parent)})") from again

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._reserve.unlink(missing_ok=True)


def qos_yaml(profiles: Sequence[Mapping[str, object]]) -> str:
    """Offered QoS profiles in the text form of rosbag2 (version 8: numbers of the rmw enumerations)."""
    return yaml.safe_dump([dict(p) for p in profiles], sort_keys=False).strip() if profiles else ""


def make_qos(
    *, reliability: int = 1, durability: int = 2, history: int = UNKNOWN_QOS, depth: int = 0
) -> dict[str, object]:
    """One profile for `qos_yaml`: reliability 1 reliable, 2 best effort; durability 1 transient local, 2 volatile."""
    forever = {"sec": 9223372036, "nsec": 854775807}
    return {
        "history": history,
        "depth": depth,
        "reliability": reliability,
        "durability": durability,
        "deadline": dict(forever),
        "lifespan": dict(forever),
        "liveliness": 1,
        "liveliness_lease_duration": dict(forever),
        "avoid_ros_namespace_conventions": False,
    }


LATCHED_QOS = make_qos(durability=1, history=1, depth=1)


@dataclass
class _Topic:
    name: str
    msgtype: str
    qos: str
    hash: str
    channel: int
    count: int = 0
    sequence: int = field(default=0, repr=False)


class BagWriter:
    """A rosbag2 folder being written. Thread safe.

    When the disk fills up, `write` raises BagError once what was taken so far is safe; `close` then completes the
    bag on space held in reserve (or, where even that fails, leaves an MCAP whose complete chunks stay readable).
    """

    def __init__(self, folder: Path, *, chunk_bytes: int = 786432, reserve_bytes: int = 8 << 20) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError as error:
            raise BagError(f"{self.folder} exists already; choose another folder for the bag") from error
        self.file = self.folder / f"{self.folder.name}_0.mcap"
        self._lock = threading.Lock()
        self._topics: dict[str, _Topic] = {}
        self._schemas: dict[str, int] = {}
        self._first = self._last = 0
        self._closed = False
        try:
            self._output = _Output(self.file, reserve_bytes)
            self._writer = Writer(self._output, chunk_size=chunk_bytes, compression=CompressionType.ZSTD)
            self._writer.start(profile="ros2", library="seegrasp")
        except OSError as error:
            raise BagError(f"{self.file}: {error.strerror} ({free_space(self.folder)})") from error

    @property
    def full(self) -> bool:
        """Whether the disk became full."""
        return self._output.full

    @property
    def size(self) -> int:
        """Bytes in the file so far."""
        return self._output.tell()

    @property
    def counts(self) -> dict[str, int]:
        """Messages per topic."""
        return {name: topic.count for name, topic in self._topics.items()}

    def add_topic(
        self,
        name: str,
        msgtype: str,
        *,
        qos: Sequence[Mapping[str, object]] = (),
        hash_text: str = "",
        definition: str | None = None,
    ) -> None:
        """Declare a topic. The definition comes from the ament index unless given. Raises UnknownTypeError."""
        with self._lock:
            if name in self._topics:
                return
            if msgtype not in self._schemas:
                text = full_definition(msgtype) if definition is None else definition
                self._schemas[msgtype] = self._writer.register_schema(msgtype, "ros2msg", text.encode())
            digest = hash_text or (type_hash(msgtype) if definition is None else "")
            profiles = qos_yaml(qos)
            metadata = {"offered_qos_profiles": profiles, "topic_type_hash": digest}
            channel = self._writer.register_channel(name, "cdr", self._schemas[msgtype], metadata)
            self._topics[name] = _Topic(name, msgtype, profiles, digest, channel)

    def write(self, topic: str, data: bytes, stamp_ns: int, publish_ns: int | None = None) -> None:
        """Append one CDR-serialized message. Raises BagError when the disk is full."""
        with self._lock:
            if self._closed:
                raise BagError(f"{self.file}: the bag is closed")
            entry = self._topics[topic]
            stamp_ns = max(0, stamp_ns)
            self._first = stamp_ns if not sum(self.counts.values()) else min(self._first, stamp_ns)
            self._last = max(self._last, stamp_ns)
            entry.count += 1
            entry.sequence += 1
            publish = stamp_ns if publish_ns is None else publish_ns
            self._writer.add_message(entry.channel, stamp_ns, bytes(data), publish, entry.sequence)
            if self._output.full:
                raise BagError(f"{self.file}: the disk is full ({free_space(self.folder)}); the recording ends here")

    def flush(self) -> None:
        """Write the chunk in progress, so that a crash loses nothing older than this call."""
        with self._lock:
            if not self._closed:
                self._writer.flush()

    def close(self) -> None:
        """Complete the file with its index and write metadata.yaml. Raises BagError when that is impossible."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                if not self._output.broken:
                    self._writer.finish()
            except OSError as error:
                raise BagError(f"{self.file}: {error.strerror}; complete chunks stay readable") from error
            finally:
                self._output.close()
            self._write_metadata()

    def _write_metadata(self) -> None:
        path = self.folder / "metadata.yaml"
        partial = path.with_suffix(".yaml.tmp")
        try:
            partial.write_text(yaml.safe_dump({"rosbag2_bagfile_information": self._information()}, sort_keys=False))
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise BagError(f"{path}: {error.strerror} ({free_space(self.folder)}); {self.file} is complete") from error

    def _information(self) -> dict[str, object]:
        total = sum(self.counts.values())
        start = {"nanoseconds_since_epoch": self._first}
        duration = {"nanoseconds": self._last - self._first}
        topics = [
            {
                "topic_metadata": {
                    "name": t.name,
                    "type": t.msgtype,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": t.qos,
                    "type_description_hash": t.hash,
                },
                "message_count": t.count,
            }
            for t in self._topics.values()
        ]
        part = {"path": self.file.name, "starting_time": start, "duration": duration, "message_count": total}
        return {
            "version": 8,
            "storage_identifier": "mcap",
            "duration": dict(duration),
            "starting_time": dict(start),
            "message_count": total,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self.file.name],
            "files": [part],
            "custom_data": None,
            "ros_distro": os.environ.get("ROS_DISTRO", "seegrasp"),
        }

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
