"""The rate of an encoder's matrix products alone: the limit of what training can reach."""

import time
from functools import partial
from typing import Literal

import torch

Precision = Literal["fp32", "bf16", "fp16"]

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def matrix_rate(width: int, tokens: int, precision: Precision, device: torch.device) -> float:
    """Floating-point operations a second of an encoder layer's linear maps, forward and backward.

    Args:
        width: of the hidden states; a layer has four square maps, and two of four times the width.
        tokens: rows of the input.
        precision: number format.
        device: where.
    """
    make = partial(torch.randn, device=device, dtype=FORMATS[precision], requires_grad=True)
    shapes = [(width, width)] * 4 + [(4 * width, width), (width, 4 * width)]
    layers = [(make(tokens, inner), make(outer, inner)) for outer, inner in shapes]
    # Of the output's gradient there are as many as outputs.
    gradients = [torch.randn_like(x @ w.T) for x, w in layers]
    operations = sum(3 * 2 * tokens * outer * inner for outer, inner in shapes)

    def once() -> None:
        for (x, w), gradient in zip(layers, gradients, strict=True):
            torch.autograd.grad(torch.nn.functional.linear(x, w), (x, w), gradient)

    repeats = 20 if device.type == "cuda" else 2
    best = float("inf")
    for _ in range(4):
        synchronise()
        began = time.perf_counter()
        for _ in range(repeats):
            once()
        synchronise()
        best = min(best, (time.perf_counter() - began) / repeats)
    return operations / best


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
