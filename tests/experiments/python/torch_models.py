"""Models of PyTorch for the tests, their data and their loss."""

import math

import torch
from torch import nn


class Lenet(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(20, 50, 5),
                         nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(800, 500), nn.ReLU(),
                         nn.Linear(500, 10))


class Transformer(nn.Module):
    """A decoder over 40 symbols, with its table as head: a parameter with two uses."""

    def __init__(self, width=64, layers=2, context=16):
        super().__init__()
        self.table = nn.Embedding(40, width)
        self.places = nn.Parameter(torch.randn(context, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.1, batch_first=True,
                                           norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers)
        self.register_buffer("mask", torch.full((context, context), -math.inf).triu(1))

    def forward(self, x):
        hidden = self.blocks(self.table(x) + self.places, self.mask)
        return (hidden @ self.table.weight.T).flatten(0, 1)


class Lstm(nn.Module):
    """Reads a picture row by row; its first layer is frozen."""

    def __init__(self):
        super().__init__()
        self.bring = nn.Linear(28, 32)
        self.bring.requires_grad_(False)
        self.lstm = nn.LSTM(32, 48, num_layers=2, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        return self.head(self.lstm(self.bring(x.squeeze(1)))[0][:, -1])


class Depthwise(nn.Sequential):
    """Depthwise and pointwise convolutions with batch norm."""

    def __init__(self):
        layers = [nn.Conv2d(1, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
                       nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
        super().__init__(*layers, nn.Flatten(), nn.Linear(8 * 13 * 13, 10))


class Mlp(nn.Sequential):
    def __init__(self, hidden=512):
        super().__init__(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(),
                         nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10))


MODELS = {"lenet": Lenet, "transformer": Transformer, "lstm": Lstm, "depthwise": Depthwise,
          "mlp": Mlp}


def make(name, seed=1, **sizes):
    torch.manual_seed(seed)
    return MODELS[name](**sizes)


def data(name, count, context=16):
    """(inputs, labels) that can be learnt: pictures of ten kinds in noise, or periodic texts."""
    random = torch.Generator().manual_seed(7)
    if name == "transformer":
        begin = torch.randint(40, (count, 1), generator=random)
        pace = torch.randint(1, 4, (count, 1), generator=random)
        text = (begin + pace * torch.arange(context + 1)) % 40
        return text[:, :-1], text[:, 1:]
    kinds = torch.randn(10, 1, 28, 28, generator=random)
    labels = torch.randint(10, (count,), generator=random)
    return kinds[labels] + torch.randn(count, 1, 28, 28, generator=random), labels


def loss_of(scores, labels):
    return nn.functional.cross_entropy(scores, labels.flatten())
