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
from torch.distributed.nn.functional import all_reduce
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


def spread(network: nn.Module, world: World, unused: bool = False) -> nn.Module:
    """The network as DistributedDataParallel; itself in a world of one. `unused`: some parameters
    get no gradient."""
    if world.size == 1:
        return network
    return DistributedDataParallel(
        network,
        broadcast_buffers=False,
        find_unused_parameters=unused,
        gradient_as_bucket_view=True,
    )


def synchronised(network: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The network with BatchNorm statistics that are taken over all processes: by SyncBatchNorm on
    GPUs, and by `CPUSyncBatchNorm` on the CPU, for which PyTorch has none."""
    if world.size == 1:
        return network
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                shared = CPUSyncBatchNorm(child.num_features, child.eps, child.momentum)
                shared.load_state_dict(child.state_dict())
                setattr(module, name, shared)
    return network


class CPUSyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the batch of all processes, on the CPU: sums of x and x^2 are added up by
    Gloo, forwards and backwards. For tests and small runs.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        count = x.new_tensor([x.numel() / x.shape[1]])
        sums = torch.cat([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3)), count])  # (2 C + 1,)
        total = all_reduce(sums)
        mean, square = (total[:-1] / total[-1]).chunk(2)
        variance = square - mean * mean
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None and self.momentum is not None
            self.num_batches_tracked += 1
            unbiased = variance * total[-1] / (total[-1] - 1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        scale = (self.weight * (variance + self.eps).rsqrt())[:, None, None]
        return (x - mean[:, None, None]) * scale + self.bias[:, None, None]
