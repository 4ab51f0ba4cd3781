"""Training on several processes, started by ``torchrun``: each sees other scenes, gradients are averaged."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is, and which of its machine's."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """The one that writes files and prints."""
        return self.rank == 0


def join(device: str) -> Ranks:
    """Join the processes that ``torchrun`` started; alone where there was none. device: cpu or cuda."""
    if "WORLD_SIZE" not in os.environ:
        return Ranks()
    ranks = Ranks(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    if device == "cuda":
        torch.cuda.set_device(ranks.local)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    return ranks


def leave() -> None:
    """Undo ``join``."""
    if dist.is_initialized():
        dist.destroy_process_group()


def wait(ranks: Ranks) -> None:
    """Until all processes are here."""
    if ranks.world > 1:
        dist.barrier()


def average_gradients(model: nn.Module, ranks: Ranks) -> None:
    """Make the gradients the mean over all processes."""
    if ranks.world == 1:
        return
    grads = [value.grad for value in model.parameters() if value.grad is not None]
    flat = torch.cat([grad.reshape(-1) for grad in grads])
    dist.all_reduce(flat)
    flat /= ranks.world
    for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(mean.view_as(grad))


def any_rank(value: bool, ranks: Ranks, device: torch.device) -> bool:
    """Whether that is so on any process."""
    if ranks.world == 1:
        return value
    flag = torch.tensor([float(value)], device=device)
    dist.all_reduce(flag)
    return bool(flag.item() > 0)
