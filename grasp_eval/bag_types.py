"""Message types of bags: definitions from the ament index, live Python classes, conversion of old or ROS 1 messages."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rosbags.convert.converter import generate_message_converter
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

SEPARATOR = "=" * 80
RENAMED = {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}  # ROS 1 name -> ROS 2 name


class UnknownTypeError(Exception):
    """A message type that is not installed on this machine."""


@cache
def definition_text(msgtype: str) -> str:
    """The .msg file of one type ("package/msg/Name") as installed. Raises UnknownTypeError."""
    package, _, name = msgtype.partition("/msg/")
    if not name:
        raise UnknownTypeError(f"{msgtype!r} is not a message type (expected package/msg/Name)")
    try:
        path = Path(get_package_share_directory(package)) / "msg" / f"{name}.msg"
        return path.read_text(encoding="utf-8")
    except (PackageNotFoundError, FileNotFoundError) as error:
        hint = f"install or build the package {package!r} and source its workspace"
        raise UnknownTypeError(f"message type {msgtype} is not installed ({error}); {hint}") from error


def _referenced(fields: list[tuple[str, tuple]]) -> list[str]:
    names = []
    for _, (kind, value) in fields:
        if kind in (Nodetype.SEQUENCE, Nodetype.ARRAY):
            kind, value = value[0]
        if kind == Nodetype.NAME:
            names.append(value)
    return names


@cache
def definition_closure(msgtype: str) -> tuple[tuple[str, str], ...]:
    """(type, .msg text) of a type and of all types that it uses, itself first. Raises UnknownTypeError."""
    found: dict[str, str] = {}
    pending = [msgtype]
    while pending:
        current = pending.pop(0)
        if current in found:
            continue
        found[current] = definition_text(current)
        fields = get_types_from_msg(found[current], current)[current][1]
        pending.extend(_referenced(fields))
    return tuple(found.items())


def full_definition(msgtype: str) -> str:
    """The text that MCAP stores as a `ros2msg` schema: the definition followed by all that it uses."""
    (_, text), *others = definition_closure(msgtype)
    parts = [text.rstrip("\n") + "\n"]
    for name, body in others:
        parts.append(f"{SEPARATOR}\nMSG: {name.replace('/msg/', '/')}\n{body.rstrip(chr(10))}\n")
    return "".join(parts)


def add_live_type(store: Typestore, msgtype: str) -> None:
    """Register a type as installed on this machine, with all that it uses. Raises UnknownTypeError."""
    types = {}
    for name, text in definition_closure(msgtype):
        if name not in store.fielddefs:
            types.update(get_types_from_msg(text, name))
    store.register(types)


@cache
def type_hash(msgtype: str) -> str:
    """RIHS01 type hash of an installed type. Raises UnknownTypeError."""
    store = get_typestore(Stores.EMPTY)
    add_live_type(store, msgtype)
    return store.hash_rihs01(msgtype)


def message_class(msgtype: str) -> type:
    """The Python class of an installed message type. Raises UnknownTypeError."""
    parts = msgtype.split("/")
    if len(parts) != 3:
        raise UnknownTypeError(f"{msgtype!r} is not a message type (expected package/msg/Name)")
    try:
        return getattr(importlib.import_module(f"{parts[0]}.{parts[1]}"), parts[2])
    except (ImportError, AttributeError) as error:
        raise UnknownTypeError(f"message type {msgtype} has no Python class here ({error})") from error


class LiveConverter:
    """Turns serialized messages of a bag into CDR of the types that are installed here.

    Fields that the installed type lacks are dropped, fields that the bag lacks get defaults (rosbags' migration);
    ROS 1 serialization becomes CDR. Types with the same wire format pass through untouched.
    """

    def __init__(self, bag_types: Typestore, ros2: bool) -> None:
        self._bag = bag_types
        self._ros2 = ros2
        self._live = get_typestore(Stores.EMPTY)
        self._cache: dict[str, object] = {}
        self._converters: dict[str, tuple[str, Callable[[bytes], memoryview]]] = {}

    def live_name(self, msgtype: str) -> str:
        """Name under which a type of the bag is known here."""
        return RENAMED.get(msgtype, msgtype)

    def prepare(self, msgtype: str) -> str:
        """Make ready to convert a type of the bag; its live name. Raises UnknownTypeError."""
        if msgtype in self._converters:
            return self._converters[msgtype][0]
        name = self.live_name(msgtype)
        add_live_type(self._live, name)
        message_class(name)
        if msgtype not in self._bag.fielddefs:
            if not self._ros2:
                raise UnknownTypeError(f"the bag has no definition of {msgtype}")
            self._converters[msgtype] = (name, memoryview)
            return name
        try:
            convert = generate_message_converter(
                self._bag, self._live, msgtype, name, self._cache, src_is2=self._ros2, dst_is2=True
            )
        except (KeyError, TypesysError) as error:
            raise UnknownTypeError(f"{msgtype} of the bag cannot be converted to {name}: {error!r}") from error
        self._converters[msgtype] = (name, convert)
        return name

    def __call__(self, msgtype: str, data: bytes) -> bytes:
        """CDR of one message as the live type."""
        self.prepare(msgtype)
        return bytes(self._converters[msgtype][1](data))
