"""Dataclasses of tensors that move to a device as one."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Value = TypeVar("Value")


class Tensors:
    """Base of dataclasses whose fields are tensors, or hold some."""

    def to(self: Value, device: torch.device) -> Value:
        """The same on that device."""
        return self if device.type == "cpu" else moved(self, device)


def moved(value: Value, device: torch.device) -> Value:
    """The same value with all tensors in it, of dataclasses and lists too, on that device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, list):
        return [moved(item, device) for item in value]
    if is_dataclass(value):
        changed: dict[str, Any] = {field.name: moved(getattr(value, field.name), device) for field in fields(value)}
        return replace(value, **changed)
    return value
