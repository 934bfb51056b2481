"""The models in PyTorch, from the tensors' names and shapes alone (docs/FORMATS.md)."""

import torch
import torch.nn.functional as F

from replay_data import Refused


class Model:
    """loss(inputs, labels) -> (mean loss, statistics of the batch by name), over `tensors`, which
    it only reads.
    """

    def __init__(self, spec, tensors):
        self.spec = spec
        self.tensors = tensors
        self.statistics = {}
        forwards = {"mlp": self.mlp, "lenet": self.lenet, "cnn": self.cnn, "resnet": self.resnet,
                    "transformer": self.transformer}
        if spec["name"] not in forwards:
            raise Refused("model %s is not known here" % spec["name"])
        self.forward = forwards[spec["name"]]

    def loss(self, inputs, labels):
        self.statistics = {}
        logits = self.forward(inputs)
        rows = logits.reshape(-1, logits.shape[-1])
        return F.cross_entropy(rows, labels.reshape(-1)), self.statistics

    def linear(self, name, x):
        return F.linear(x, self.tensors[name + ".weight"], self.tensors.get(name + ".bias"))

    def conv(self, name, x, stride=1, padding=0):
        return F.conv2d(x, self.tensors[name + ".weight"], self.tensors.get(name + ".bias"), stride,
                        padding)

    def mlp(self, x):
        x = x.flatten(1)
        layers = sum(1 for name in self.tensors if name.endswith(".weight"))
        for i in range(1, layers):
            x = F.relu(self.linear("fc%d" % i, x))
        return self.linear("fc%d" % layers, x)

    def convolutions(self, x, padding):
        x = F.relu(F.max_pool2d(self.conv("conv1", x, padding=padding), 2))
        x = F.relu(F.max_pool2d(self.conv("conv2", x, padding=padding), 2))
        return self.linear("fc2", F.relu(self.linear("fc1", x.flatten(1))))

    def lenet(self, x):
        return self.convolutions(x, 0)

    def cnn(self, x):
        return self.convolutions(x, 2)

    def norm(self, name, x):
        weight, bias = self.tensors[name + ".weight"], self.tensors[name + ".bias"]
        if name + ".running_mean" not in self.tensors:
            return F.group_norm(x, self.spec["resnet"]["groups"], weight, bias)
        mean = torch.zeros_like(self.tensors[name + ".running_mean"])
        variance = torch.zeros_like(mean)
        # With momentum 1 the "running" statistics are the batch's own.
        y = F.batch_norm(x, mean, variance, weight, bias, training=True, momentum=1.0)
        self.statistics[name + ".running_mean"] = mean
        self.statistics[name + ".running_var"] = variance
        return y

    def resnet(self, x):
        x = F.relu(self.norm("bn1", self.conv("conv1", x, padding=1)))
        for stage in range(1, 4):
            for block in range(self.spec["resnet"]["blocks"]):
                name = "layer%d.%d" % (stage, block)
                stride = 2 if stage > 1 and block == 0 else 1
                y = F.relu(self.norm(name + ".bn1", self.conv(name + ".conv1", x, stride, 1)))
                y = self.norm(name + ".bn2", self.conv(name + ".conv2", y, 1, 1))
                if name + ".downsample.0.weight" in self.tensors:
                    x = self.norm(name + ".downsample.1",
                                  self.conv(name + ".downsample.0", x, stride))
                x = F.relu(x + y)
        return self.linear("fc", x.mean(dim=(2, 3)))

    def layer_norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.tensors[name + ".weight"],
                            self.tensors[name + ".bias"])

    def attention(self, name, x):
        batch, context, width = x.shape
        heads = self.spec["transformer"]["heads"]
        q, k, v = (part.view(batch, context, heads, width // heads).transpose(1, 2)
                   for part in self.linear(name + ".qkv", x).split(width, dim=2))
        scores = q @ k.transpose(2, 3) / (width // heads) ** 0.5
        future = torch.ones(context, context, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, float("-inf")).softmax(dim=3) @ v
        return self.linear(name + ".proj", mixed.transpose(1, 2).reshape(batch, context, width))

    def transformer(self, tokens):
        x = F.embedding(tokens, self.tensors["tok.weight"]) + self.tensors["pos.weight"]
        for i in range(self.spec["transformer"]["layers"]):
            block = "blocks.%d" % i
            x = x + self.attention(block + ".attn", self.layer_norm(block + ".norm1", x))
            y = self.linear(block + ".mlp.fc", self.layer_norm(block + ".norm2", x))
            x = x + self.linear(block + ".mlp.proj", gelu(y))
        x = self.layer_norm("norm", x)
        # A tied head has no tensor of its own.
        return F.linear(x, self.tensors.get("head.weight", self.tensors["tok.weight"]))


def gelu(x):
    """GELU in its tanh form, as GPT-2 has it."""
    return 0.5 * x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * x ** 3)))
