"""Messages between a detector's process and ours: a small JSON header and raw arrays, over pipes.

One message is a prefix of 20 bytes (magic number, version, length of the header, length of the arrays, little-endian),
the header in UTF-8, and the arrays one after the other, each at a multiple of 8 bytes. No pickle: the two sides may be
different versions of Python and numpy, and bytes from another process must not become code.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core.errors import InputError

MAGIC, VERSION = b"SGDP", 1
_PREFIX = struct.Struct("<4sIIQ")
_ALIGN = 8
_MAX_HEADER = 1 << 24
_MAX_ARRAYS = 1 << 31  # bytes; a 4K RGB-D pair with two million points has 0.1 GB
_DTYPES = ("|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")


class WireError(Exception):
    """Bytes that are not a message."""


@dataclass(frozen=True)
class Message:
    """``header`` is what JSON can hold, with the key ``kind``; ``arrays`` are numeric and writable."""

    header: dict[str, Any]
    arrays: dict[str, NDArray]


def encode(header: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> list[memoryview]:
    """The message as buffers to be written in order; contiguous arrays are not copied, InputError if not numeric."""
    buffers, described = [], []
    for name, array in arrays.items():
        array = np.asarray(array)
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        if array.dtype.str not in _DTYPES:
            raise InputError(f"array {name!r} of dtype {array.dtype} cannot be sent to another process")
        described.append([name, array.dtype.str, list(array.shape)])
        if array.nbytes:
            buffers.append(memoryview(array.reshape(-1).view(np.uint8)))
            if gap := -array.nbytes % _ALIGN:
                buffers.append(memoryview(bytes(gap)))
    text = json.dumps({**header, "arrays": described}).encode()
    prefix = _PREFIX.pack(MAGIC, VERSION, len(text), sum(len(b) for b in buffers))
    return [memoryview(prefix + text), *buffers]


def receive(fill: Callable[[memoryview], None]) -> Message:
    """Read one message; ``fill`` fills the buffer it is given, or raises. WireError when it is not a message."""
    start = bytearray(_PREFIX.size)
    fill(memoryview(start))
    magic, version, header_size, arrays_size = _PREFIX.unpack(start)
    if magic != MAGIC:
        raise WireError(f"expected a message, got {bytes(start)!r}")
    if version != VERSION:
        raise WireError(f"the other side speaks version {version} of the protocol, this one {VERSION}")
    if header_size > _MAX_HEADER or arrays_size > _MAX_ARRAYS:
        raise WireError(f"a message of {header_size} + {arrays_size} bytes is not believable")
    text, data = bytearray(header_size), np.empty(arrays_size, dtype=np.uint8)
    fill(memoryview(text))
    fill(memoryview(data))
    try:
        header = json.loads(text)
        return Message(header, _arrays(header.pop("arrays"), data))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WireError(f"malformed message: {type(error).__name__}: {error}") from error


def _arrays(described: list, data: NDArray[np.uint8]) -> dict[str, NDArray]:
    arrays, position = {}, 0
    for name, dtype, shape in described:
        if dtype not in _DTYPES or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError(f"array {name!r} of dtype {dtype} and shape {shape}")
        end = position + math.prod(shape) * np.dtype(dtype).itemsize
        if end > len(data):
            raise ValueError(f"array {name!r} of shape {shape} does not fit into {len(data)} bytes")
        arrays[name] = data[position:end].view(dtype).reshape(shape)
        position = end + -end % _ALIGN
    if position != len(data):
        raise ValueError(f"{len(data) - position} bytes too many")
    return arrays
