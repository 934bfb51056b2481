"""What it costs to bring gradients of PyTorch to an arena, in turns on one thread.

    none    autograd keeps each gradient in memory of its own, which is freed before the next step
    copied  the same, and a hook copies each to the arena and frees it
    added   `.grad` are views of the arena, which is zeroed first; autograd adds to them, as it does
            for ringmaster.torch

Prints the milliseconds before forward and of backward, medians over all turns.
"""

import statistics
import time

import torch

TURNS, STEPS = 20, 10


class Model:
    """A transformer's encoder with 12.6 MB of parameters, and two arenas that take turns."""

    def __init__(self):
        layer = torch.nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True)
        self.model = torch.nn.TransformerEncoder(layer, 4)
        self.parameters = list(self.model.parameters())[::-1]
        self.x = torch.randn(2, 4, 256)
        self.arenas = [torch.zeros(sum(p.numel() for p in self.parameters)) for _ in range(2)]
        self.views = [[part.view(parameter.shape) for part, parameter in zip(
            arena.split([p.numel() for p in self.parameters]), self.parameters)]
                      for arena in self.arenas]
        self.way, self.slot = "none", 0
        self.nodes = [self.hook(*pair) for pair in enumerate(self.parameters)]

    def hook(self, number, parameter):
        def bring(*_):
            if self.way == "copied":
                view = self.views[self.slot][number]
                view.copy_(parameter.grad)
                parameter.grad = view
        node = parameter.expand_as(parameter).grad_fn.next_functions[0][0]
        node.register_hook(bring)
        return node  # it lives as long as somebody holds it

    def step(self):
        """Returns (seconds before forward, seconds of backward)."""
        begin = time.perf_counter()
        self.slot = 1 - self.slot
        if self.way == "added":
            self.arenas[self.slot].zero_()
        for parameter, view in zip(self.parameters, self.views[self.slot]):
            parameter.grad = view if self.way == "added" else None
        prepared = time.perf_counter()
        loss = self.model(self.x).pow(2).mean()
        forward = time.perf_counter()
        loss.backward()
        return prepared - begin, time.perf_counter() - forward


def main():
    torch.set_num_threads(1)
    model, times = Model(), {"none": [], "copied": [], "added": []}
    for _ in range(TURNS):
        for model.way, made in times.items():
            made += [model.step() for _ in range(STEPS)]
    for way, made in times.items():
        before, backward = (statistics.median(column) * 1e3 for column in zip(*made))
        print(f"{way:6}  {before:6.3f} ms before forward, {backward:7.3f} ms of backward")


if __name__ == "__main__":
    main()
