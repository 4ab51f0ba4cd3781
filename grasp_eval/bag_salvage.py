"""Reads damaged bag files record by record, up to the first record that is incomplete.

Formats: MCAP (mcap.dev/spec), rosbag2's sqlite3 tables, ROS 1 bag 2.0 (wiki.ros.org/Bags/Format/2.0).
"""

from __future__ import annotations

import bz2
import io
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import lz4.frame
import zstandard
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Schema
from mcap.records import Message as McapMessage
from mcap.stream_reader import StreamReader, breakup_chunk
from rosbags.typesys import TypesysError, get_types_from_msg

_CHUNK_HEAD = 1 + 8 + 8 + 8 + 8 + 4 + 4  # opcode, length, start, end, size, checksum, size of the compression's name
ROS1_MAGIC = b"#ROSBAG V2.0\n"


class Found(NamedTuple):
    """A message that is still there, as the bag serialized it."""

    topic: str
    msgtype: str
    stamp_ns: int
    data: bytes


@dataclass
class Salvage:
    """What was found in one file: messages per (topic, type), their types, first and last stamp (ns), the damage."""

    path: Path
    counts: Counter = field(default_factory=Counter)
    types: dict = field(default_factory=dict)
    latched: set[str] = field(default_factory=set)
    first_ns: int = 0
    last_ns: int = 0
    damage: str = ""

    @property
    def total(self) -> int:
        """Messages that can be read."""
        return self.counts.total()

    def messages(self) -> Iterator[Found]:
        """The messages in the order of the file, read anew."""
        return _READERS[self.path.suffix](Salvage(self.path))

    def count(self, found: Found) -> Found:
        """Book a message."""
        self.first_ns = min(self.first_ns, found.stamp_ns) if self.total else found.stamp_ns
        self.last_ns = max(self.last_ns, found.stamp_ns)
        self.counts[found.topic, found.msgtype] += 1
        return found

    def learn(self, text: str, msgtype: str) -> None:
        """Take over a type definition; one that cannot be read leaves the type unknown."""
        try:
            self.types.update(get_types_from_msg(text, msgtype))
        except TypesysError as error:
            self.damage = self.damage or f"the definition of {msgtype} is unreadable ({error})"


def salvage_file(path: Path) -> Salvage:
    """Go through one storage file as far as it can be read."""
    result = Salvage(path)
    for _ in _READERS[path.suffix](result):
        pass
    return result


def _cut(result: Salvage, position: int) -> str:
    size = result.path.stat().st_size
    return f"ends early, at byte {position} of {size} ({result.total} messages before it)"


def _salvage_mcap(result: Salvage) -> Iterator[Found]:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with result.path.open("rb") as stream:
        position = 0
        try:
            for record in StreamReader(stream, emit_chunks=True).records:
                inner = breakup_chunk(record, validate_crc=True) if isinstance(record, Chunk) else [record]
                for part in inner:
                    found = _take_mcap(result, part, schemas, channels)
                    if found:
                        yield result.count(found)
                position = stream.tell()
        except Exception as error:  # decompressors and parsers each raise types of their own
            reason = str(error) or type(error).__name__
            stream.seek(position)
            for part in _broken_chunk(stream.read()):
                found = _take_mcap(result, part, schemas, channels)
                if found:
                    yield result.count(found)
            result.damage = f"{_cut(result, position)}: {reason}"


def _broken_chunk(tail: bytes) -> Iterator[object]:
    """The records at the start of an incomplete chunk; `tail` begins with its opcode."""
    if len(tail) < _CHUNK_HEAD or tail[0] != Opcode.CHUNK:
        return
    (name_size,) = struct.unpack_from("<I", tail, 37)
    compression = tail[41 : 41 + name_size].decode(errors="replace")
    payload = tail[41 + name_size + 8 :]
    unpack = {
        "": lambda data: data,
        "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        "lz4": lambda data: lz4.frame.LZ4FrameDecompressor().decompress(data),
    }
    if compression not in unpack:
        return
    try:
        yield from StreamReader(io.BytesIO(unpack[compression](payload)), skip_magic=True).records
    except Exception:  # the end of what is there: the caller reports the damage
        return


def _take_mcap(
    result: Salvage, record: object, schemas: dict[int, Schema], channels: dict[int, Channel]
) -> Found | None:
    if isinstance(record, Schema):
        if record.id not in schemas and record.encoding == "ros2msg":
            result.learn(record.data.decode(), record.name)
        schemas[record.id] = record
    elif isinstance(record, Channel):
        channels[record.id] = record
        profiles = record.metadata.get("offered_qos_profiles", "")
        if "durability: 1\n" in profiles or "transient_local" in profiles:
            result.latched.add(record.topic)
    elif isinstance(record, McapMessage):
        channel = channels[record.channel_id]
        name = schemas[channel.schema_id].name
        return Found(channel.topic, name, record.log_time, record.data)
    return None


def _salvage_sqlite(result: Salvage) -> Iterator[Found]:
    try:
        database = sqlite3.connect(f"file:{result.path}?mode=ro", uri=True)
    except sqlite3.Error as error:
        result.damage = f"cannot be opened: {error}"
        return
    try:
        database.execute("PRAGMA writable_schema=ON")  # or a file that is shorter than its header says is refused
        topics = {row[0]: (row[1], row[2]) for row in database.execute("SELECT id, name, type FROM topics")}
        for topic_id, stamp, data in database.execute("SELECT topic_id, timestamp, data FROM messages"):
            yield result.count(Found(*topics[topic_id], stamp, data))
    except (sqlite3.Error, KeyError) as error:
        result.damage = f"ends early, after {result.total} messages: {error}"
    finally:
        database.close()


def _ros1_records(stream: BinaryIO) -> Iterator[tuple[dict[str, bytes], bytes]]:
    while head := stream.read(4):
        header = _exact(stream, struct.unpack("<I", head)[0])
        data = _exact(stream, struct.unpack("<I", _exact(stream, 4))[0])
        yield _ros1_header(header), data


def _exact(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError(f"{size - len(data)} bytes of a record are missing")
    return data


def _ros1_header(raw: bytes) -> dict[str, bytes]:
    fields, offset = {}, 0
    while offset < len(raw):
        (size,) = struct.unpack_from("<I", raw, offset)
        name, _, value = raw[offset + 4 : offset + 4 + size].partition(b"=")
        fields[name.decode()] = value
        offset += 4 + size
    return fields


def _salvage_ros1(result: Salvage) -> Iterator[Found]:
    connections: dict[bytes, tuple[str, str]] = {}
    with result.path.open("rb") as stream:
        if stream.read(len(ROS1_MAGIC)) != ROS1_MAGIC:
            result.damage = "is not a ROS 1 bag of version 2.0"
            return
        position = stream.tell()
        try:
            for header, data in _ros1_records(stream):
                inner = [(header, data)]
                if header["op"] == b"\x05":
                    inner = list(_ros1_records(io.BytesIO(_ros1_unpack(header, data))))
                for part, payload in inner:
                    found = _take_ros1(result, part, payload, connections)
                    if found:
                        yield result.count(found)
                position = stream.tell()
        except (EOFError, struct.error, KeyError, OSError, RuntimeError, ValueError) as error:
            stream.seek(position)
            for part, payload in _broken_ros1_chunk(stream):
                found = _take_ros1(result, part, payload, connections)
                if found:
                    yield result.count(found)
            result.damage = f"{_cut(result, position)}: {error}"


def _broken_ros1_chunk(stream: BinaryIO) -> Iterator[tuple[dict[str, bytes], bytes]]:
    """The records at the start of an incomplete chunk that begins here."""
    unpack = {
        b"none": lambda data: data,
        b"bz2": lambda data: bz2.BZ2Decompressor().decompress(data),
        b"lz4": lambda data: lz4.frame.LZ4FrameDecompressor().decompress(data),
    }
    try:
        header = _ros1_header(_exact(stream, struct.unpack("<I", _exact(stream, 4))[0]))
        if header["op"] == b"\x05":
            stream.read(4)
            yield from _ros1_records(io.BytesIO(unpack[header["compression"]](stream.read())))
    except (EOFError, struct.error, KeyError, OSError, RuntimeError, ValueError):
        return  # the end of what is there: the caller reports the damage


def _ros1_unpack(header: dict[str, bytes], data: bytes) -> bytes:
    method = header["compression"].decode()
    unpack = {"none": bytes, "bz2": bz2.decompress, "lz4": lz4.frame.decompress}
    return unpack[method](data)


def _take_ros1(
    result: Salvage, header: dict[str, bytes], data: bytes, connections: dict[bytes, tuple[str, str]]
) -> Found | None:
    if header["op"] == b"\x07" and header["conn"] not in connections:
        details = _ros1_header(data)
        package, name = details["type"].decode().split("/")
        msgtype = f"{package}/msg/{name}"
        connections[header["conn"]] = (header["topic"].decode(), msgtype)
        if details.get("latching") == b"1":
            result.latched.add(header["topic"].decode())
        result.learn(details["message_definition"].decode(), msgtype)
    elif header["op"] == b"\x02":
        seconds, nanoseconds = struct.unpack("<II", header["time"])
        topic, msgtype = connections[header["conn"]]
        return Found(topic, msgtype, seconds * 10**9 + nanoseconds, data)
    return None


_READERS = {".mcap": _salvage_mcap, ".db3": _salvage_sqlite, ".bag": _salvage_ros1}
