"""One run on several processes, by PyTorch's own engine: torchrun and DistributedDataParallel.

    torchrun --nproc-per-node 8 -m srkit train ...

Each process takes its share of every step's batch, and gradients are averaged, so that the number
of processes changes how fast a run goes and not where it goes.
"""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class World:
    """The processes of a run, and which one this is."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same in each."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether it is true in any process; all of them get the same answer."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=device)))

    def least(self, values: Tensor) -> Tensor:
        """The smallest over all processes, element by element, the same in each."""
        if self.size > 1:
            dist.all_reduce(values, dist.ReduceOp.MIN)
        return values

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


def join(device: torch.device) -> World:
    """This process among those that torchrun started, or alone without torchrun.

    Over NCCL on GPUs, each process on its own, and over Gloo on the CPU.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return World(dist.get_rank(), dist.get_world_size())


def first() -> bool:
    """Whether this is the process that prints, before or after it has joined the others."""
    return os.environ.get("RANK", "0") == "0"


def leave() -> None:
    """End the process group, where there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process where torchrun started several, else the device as it is."""
    if device.type == "cuda" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    return device


def data_parallel(network: nn.Module, world: World, unused: bool = False) -> nn.Module | None:
    """The network in DistributedDataParallel; None in a world of one. `unused`: some parameters get
    no gradient."""
    if world.size == 1:
        return None
    return DistributedDataParallel(
        network,
        broadcast_buffers=False,
        find_unused_parameters=unused,
        gradient_as_bucket_view=True,
    )


def synchronised(network: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The network with BatchNorm statistics that are taken over all processes, on GPUs; on the CPU,
    for which PyTorch has no such layer, each process takes its own."""
    if world.size == 1 or device.type != "cuda":
        return network
    return nn.SyncBatchNorm.convert_sync_batchnorm(network)
