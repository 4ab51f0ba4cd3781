"""Sparse convolutions in plain torch; the kernel maps are shared by all layers of a level. A row is a voxel.

By pairs: for each offset gather the rows that have that neighbour, multiply, add; nothing is multiplied in vain. By
table: gather all neighbours of some rows side by side, zeros where there is none, and multiply once; more is
multiplied, but in one large product, which few channels and bfloat16 gain from (32 channels at 18 000 voxels: float32 7
against 9 ms, bfloat16 on AMX 3 against 9), and in few calls, which a GPU gains from. By choice, where coarse voxels
are spread over fine ones: multiply each coarse row with the weights of all offsets, and let each fine one take its own.
The rows are taken in blocks that stay in the cache.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from grasp_perception.dense.voxels import KernelMap, Level

_FEW_CHANNELS = 32  # up to here a table is faster in float32
_BLOCK = 1 << 19  # gathered numbers in a block
_LEAST_ROWS = 256


class _Convolution(torch.autograd.Function):
    """``out[target] += x[source] @ weight[k]`` over all pairs; what is gathered is made again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.kmap = kmap
        return _gathered(x, weight, kmap)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        kmap, grad = ctx.kmap, grads[0].contiguous()
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = _gathered(grad, weight.transpose(1, 2), kmap.transposed)
        if ctx.needs_input_grad[1]:
            grad_weight = _grad_weight(x, grad, weight, kmap)
        return grad_x, grad_weight, None


def _gathered(x: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
    if _prefers_tables(x) and kmap.single:
        return _by_choice(x, weight, kmap)
    if _prefers_tables(x) or (kmap.centre is not None and x.shape[1] <= _FEW_CHANNELS):
        return _by_table(x, weight, kmap.table)
    return _by_pairs(x, weight, kmap)


def _prefers_tables(x: Tensor) -> bool:
    return x.is_cuda or x.dtype == torch.bfloat16


def _by_pairs(x: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
    out = x.new_zeros(kmap.n_target, weight.shape[2]) if kmap.centre is None else x @ weight[kmap.centre]
    for k, source, target in kmap.pairs():
        out.index_add_(0, target, x.index_select(0, source) @ weight[k])
    return out


def _by_table(x: Tensor, weight: Tensor, table: Tensor) -> Tensor:
    offsets, channels, out_channels = weight.shape
    padded = torch.cat([x, x.new_zeros(1, channels)])
    matrix = weight.reshape(offsets * channels, out_channels)
    rows = _rows(x, offsets * channels, len(table))
    places = _filled(table, rows, len(x))
    out = x.new_empty(len(places), out_channels)
    for i in range(0, len(places), rows):
        gathered = padded.index_select(0, places[i : i + rows].reshape(-1)).view(-1, offsets * channels)
        torch.mm(gathered, matrix, out=out[i : i + rows])
    return out[: len(table)]


def _by_choice(x: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
    """All offsets of every row at once, of which each row of the output takes one."""
    offsets, channels, out_channels = weight.shape
    matrix = weight.transpose(0, 1).reshape(channels, offsets * out_channels)
    rows = _rows(x, offsets * out_channels, len(x))
    filled = _filled(x, rows, 0)
    out = x.new_empty(len(filled), offsets * out_channels)
    for i in range(0, len(filled), rows):
        torch.mm(filled[i : i + rows], matrix, out=out[i : i + rows])
    return out.view(-1, out_channels).index_select(0, kmap.choice)


def _grad_weight(x: Tensor, grad: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
    if _prefers_tables(x) and kmap.single:
        return _grad_by_table(grad, x, kmap.transposed.table).transpose(1, 2).to(weight.dtype)
    if _prefers_tables(x):
        return _grad_by_table(x, grad, kmap.table).to(weight.dtype)
    grad_weight = torch.zeros_like(weight)
    if kmap.centre is not None:
        grad_weight[kmap.centre] = x.T @ grad
    for k, source, target in kmap.pairs():
        grad_weight[k] = x.index_select(0, source).T @ grad.index_select(0, target)
    return grad_weight


def _grad_by_table(x: Tensor, grad: Tensor, table: Tensor) -> Tensor:
    """Sum over all rows of the gathered x times grad, (offsets, channels of x, channels of grad) float32."""
    offsets, channels = table.shape[1], x.shape[1]
    padded = torch.cat([x, x.new_zeros(1, channels)])
    rows = _rows(x, offsets * channels, len(table))
    places, grads = _filled(table, rows, len(x)), _filled(grad, rows, 0)
    total = torch.zeros(offsets * channels, grad.shape[1], device=x.device)
    for i in range(0, len(places), rows):
        gathered = padded.index_select(0, places[i : i + rows].reshape(-1)).view(-1, offsets * channels)
        total += gathered.T @ grads[i : i + rows]
    return total.view(offsets, channels, grad.shape[1])


def _rows(x: Tensor, width: int, count: int) -> int:
    """Rows of a block; the same for every cloud, since a CPU compiles its bfloat16 products anew for each shape."""
    return max(count, 1) if x.is_cuda else max(_LEAST_ROWS, _BLOCK // width)


def _filled(rows: Tensor, block: int, value: int) -> Tensor:
    """With rows of ``value`` at the end, up to whole blocks."""
    return torch.nn.functional.pad(rows, (0, 0, 0, -len(rows) % block), value=value)


class SparseConv(nn.Module, ABC):
    """A convolution over voxels: weight (offsets, in, out), bias (out,) or None.

    Computes in the type of the features, or in that of an autocast around it; deterministic on a CPU.
    """

    offsets: int

    def __init__(self, channels: int, out_channels: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(self.offsets, channels, out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / (self._fan() * channels)))

    def _fan(self) -> float:
        """Number of offsets that usually meet a voxel."""
        return 1.0

    @abstractmethod
    def _map(self, level: Level) -> KernelMap:
        """Which voxels each offset joins."""

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """Features (N, in) to (N', out); ``level`` is the finer one where two levels take part."""
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        out = _Convolution.apply(x, self.weight.to(x.dtype), self._map(level))
        return out if self.bias is None else out + self.bias.to(x.dtype)


class SubMConv3d(SparseConv):
    """3x3x3 convolution whose output has the voxels of its input."""

    offsets = 27

    def _fan(self) -> float:
        return 10.0  # a surface fills about ten of the 27 places

    def _map(self, level: Level) -> KernelMap:
        return level.near


class DownConv(SparseConv):
    """2x2x2 convolution with stride 2, to the voxels of the next level."""

    offsets = 8

    def _fan(self) -> float:
        return 4.0

    def _map(self, level: Level) -> KernelMap:
        if level.down is None:
            raise ValueError("the coarsest level has none below it")
        return level.down


class UpConv(SparseConv):
    """The transpose of a DownConv: from the next level back to ``level``."""

    offsets = 8

    def _map(self, level: Level) -> KernelMap:
        if level.down is None:
            raise ValueError("the coarsest level has none below it")
        return level.down.transposed


class ConvNorm(nn.Module):
    """A convolution and its batch normalisation, which ``fuse`` makes one."""

    def __init__(self, conv: SparseConv) -> None:
        super().__init__()
        self.conv = conv
        self.norm: nn.Module = nn.BatchNorm1d(conv.weight.shape[2])

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """Features of the convolution, normalised."""
        return self.norm(self.conv(x, level))

    def fuse(self) -> None:
        """Fold the running statistics into the convolution; for inference only, done at most once."""
        if isinstance(self.norm, nn.BatchNorm1d):
            scale, shift = folded(self.norm)
            self.conv.weight = nn.Parameter(self.conv.weight.detach() * scale)
            old = 0.0 if self.conv.bias is None else self.conv.bias.detach() * scale
            self.conv.bias = nn.Parameter(shift + old)
            self.norm = nn.Identity()


class LinearNorm(nn.Module):
    """A linear layer and its batch normalisation over rows, which ``fuse`` makes one."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, out_channels, bias=False)
        self.norm: nn.Module = nn.BatchNorm1d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Rows (N, in) to (N, out)."""
        return self.norm(self.linear(x))

    def fuse(self) -> None:
        """See ConvNorm."""
        if isinstance(self.norm, nn.BatchNorm1d):
            scale, shift = folded(self.norm)
            self.linear.weight = nn.Parameter(self.linear.weight.detach() * scale[:, None])
            self.linear.bias = nn.Parameter(shift)
            self.norm = nn.Identity()


def folded(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) that a batch normalisation applies in inference."""
    scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias.detach() - norm.running_mean * scale


def fuse(module: nn.Module) -> nn.Module:
    """Put a network into inference mode with all its normalisations folded; returns it."""
    module.eval()
    for part in module.modules():
        if isinstance(part, ConvNorm | LinearNorm):
            part.fuse()
    return module


def is_fused(module: nn.Module) -> bool:
    """Whether any normalisation of a network was folded."""
    pairs = [part for part in module.modules() if isinstance(part, ConvNorm | LinearNorm)]
    return any(isinstance(part.norm, nn.Identity) for part in pairs)
