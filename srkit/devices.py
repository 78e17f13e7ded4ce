"""Where networks run: a GPU where there is one, else the CPU; and in which precision."""

import platform
from contextlib import suppress
from pathlib import Path

import torch


def pick_device(device: str = "auto") -> torch.device:
    """ "auto" is the GPU where there is one, else the CPU. Raises ValueError where there is none of
    that name."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"no CUDA device for {device!r}; use auto or cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"unknown device {device!r}; accepted: auto, cpu, cuda") from error


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 faster than float32: a GPU that supports it, and CPUs with
    AMX (four times as fast at convolutions) or AVX512-BF16 (twice as fast)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return False


def machine(device: str = "cpu") -> str:
    """What the last digits of float32 sums hang on: torch, processor and threads, or the GPU."""
    name = platform.processor()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    where = f"{name or platform.machine()}, {torch.get_num_threads()} threads"
    if device.startswith("cuda"):
        where = torch.cuda.get_device_name()
    return f"torch {torch.__version__.partition('+')[0]}, {where}"
