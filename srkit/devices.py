"""Where networks run: a GPU where there is one, else the CPU."""

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
