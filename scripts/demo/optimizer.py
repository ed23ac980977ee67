"""Muon for the matrices and AdamW for everything else, over parameters that two processes share.

Each process computes gradients of its half of a step into buffers that both see; then each updates
its own share of the parameters with the mean of the two.
"""

import torch

from . import mixture

MUON_RATE = 0.02
ADAM_RATE = 3e-3
NO_MUON = ("embed_tokens.weight", "router.proj.weight")


def orthogonal(g, steps=5):
    """The Newton-Schulz iteration of Muon, batched over leading dimensions; rows <= columns."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = (g / (g.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(mixture.FAST_TYPE)
    for _ in range(steps):
        s = x @ x.transpose(-2, -1)
        x = a * x + (b * s + c * (s @ s)) @ x
    return x.float()


def as_matrices(name, tensor):
    """A view of small matrices, rows <= columns: gate and up apart, tall ones transposed."""
    if name.endswith("gate_up_proj"):
        tensor = tensor.view(tensor.shape[0], 2, -1, tensor.shape[-1])
    return tensor.transpose(-2, -1) if tensor.shape[-2] > tensor.shape[-1] else tensor


class Optimizer:
    def __init__(self, named, rank, world):
        """`named`: all (name, parameter); this process updates those it owns by balanced size."""
        self.muon, self.adam, self.buffers = [], [], {}
        load = [0] * world
        for i, (name, p) in sorted(enumerate(named), key=lambda item: -item[1][1].numel()):
            owner = load.index(min(load))
            load[owner] += p.numel()
            if owner != rank:
                continue
            matrix = p.dim() >= 2 and not name.endswith(NO_MUON)
            (self.muon if matrix else self.adam).append((i, name, p))
        self.steps = 0

    def buffer(self, key, like):
        if key not in self.buffers:
            self.buffers[key] = torch.zeros_like(like)
        return self.buffers[key]

    @torch.no_grad()
    def step(self, gradients, factor):
        """`gradients(i)` gives the mean gradient of parameter i; `factor` scales the rates."""
        self.steps += 1
        for i, name, p in self.muon:
            g = gradients(i)
            momentum = self.buffer((i, 0), p)
            momentum.lerp_(g, 0.05)
            update = g.lerp(momentum, 0.95)
            step = orthogonal(as_matrices(name, update))
            outputs = p.shape[-2] // (2 if name.endswith("gate_up_proj") else 1)
            scale = max(1.0, outputs / p.shape[-1]) ** 0.5
            as_matrices(name, p).add_(step, alpha=-MUON_RATE * factor * scale)
        for i, _, p in self.adam:
            g = gradients(i)
            first, second = self.buffer((i, 1), p), self.buffer((i, 2), p)
            first.lerp_(g, 0.1)
            second.lerp_(g * g, 0.02)
            high = second / (1 - 0.98 ** self.steps)
            p.addcdiv_(first, high.sqrt_().add_(1e-8),
                       value=-ADAM_RATE * factor / (1 - 0.9 ** self.steps))
