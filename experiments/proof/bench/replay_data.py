"""Training samples by their index, from the files that the run read or from the seed that it had.
"""

import gzip
import os

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)


class Refused(Exception):
    """A run that cannot be replayed, and why."""


def read_bytes(path):
    if not os.path.exists(path) and os.path.exists(path + ".gz"):
        path += ".gz"
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        return file.read()


class Images:
    """Images in memory: batch(indices) -> features [n, channels, height, width], labels [n]."""

    def __init__(self, features, labels):
        self.features, self.labels = features, labels.astype(np.int64)

    def batch(self, indices):
        return self.features[indices], self.labels[indices]


def statistics(spec, channels):
    """Mean and deviation of each channel: the spec's, or those of its bytes to four digits, as
    worker/data/pixel_values.h has them.
    """
    if spec.get("mean"):
        return np.float32(spec["mean"]), np.float32(spec["deviation"])
    means, deviations = [], []
    for values in channels:
        counts = np.bincount(values.reshape(-1), minlength=256)
        count, total = int(counts.sum()), sum(int(n) * x for x, n in enumerate(counts))
        spread = count * sum(int(n) * x * x for x, n in enumerate(counts)) - total * total
        means.append(float("%.4g" % (total / count / 255)))
        deviations.append(float("%.4g" % (spread**0.5 / count / 255)) if spread else 1.0)
    return np.float32(means), np.float32(deviations)


def normalized(values, spec):
    """values: [n, channels, height, width] bytes."""
    mean, deviation = statistics(spec, values.swapaxes(0, 1))
    shares = np.arange(256, dtype=np.float32) / np.float32(255)
    table = (shares - mean[:, None]) / deviation[:, None]
    return np.stack([table[c][values[:, c]] for c in range(values.shape[1])], axis=1)


class Mnist(Images):
    def __init__(self, spec):
        pixels = read_bytes(os.path.join(spec["dir"], "train-images-idx3-ubyte"))
        labels = read_bytes(os.path.join(spec["dir"], "train-labels-idx1-ubyte"))
        count, height, width = np.frombuffer(pixels[4:16], dtype=">i4")
        values = np.frombuffer(pixels, dtype=np.uint8, offset=16).reshape(count, 1, height, width)
        if np.frombuffer(labels[:4], dtype=">i4") == 3074:  # rows, which begin with the label
            numbers = np.frombuffer(labels, dtype=">i4", offset=12).reshape(count, -1)[:, 0]
        else:
            numbers = np.frombuffer(labels, dtype=np.uint8, offset=8)
        super().__init__(normalized(values, spec), numbers)


class Cifar10(Images):
    def __init__(self, spec):
        names = ["data_batch_%d.bin" % i for i in range(1, 6)]
        paths = [os.path.join(spec["dir"], name) for name in names]
        rows = np.concatenate([np.frombuffer(read_bytes(path), dtype=np.uint8) for path in paths])
        rows = rows.reshape(-1, 3073)
        super().__init__(normalized(rows[:, 1:].reshape(-1, 3, 32, 32), spec), rows[:, 0])


class Text:
    """Tokens of sample i are bytes [i * context, (i + 1) * context), its labels the bytes one
    further.
    """

    def __init__(self, spec):
        self.context = spec["context"]
        self.bytes = np.frombuffer(read_bytes(spec["file"]), dtype=np.uint8).astype(np.int64)

    def batch(self, indices):
        at = np.asarray(indices)[:, None] * self.context + np.arange(self.context)
        return self.bytes[at], self.bytes[at + 1]


def mix(z):
    """The numbers of SplitMix64 from its states, both uint64."""
    z = np.asarray(z, dtype=np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def first(seed):
    """The first number of a generator."""
    return mix(np.asarray(seed, dtype=np.uint64) + GAMMA)


def mix_seed(seed, stream):
    """common/base/random.h, MixSeed."""
    return first(np.asarray(seed, dtype=np.uint64) ^ first(stream))


def stream_of(seed, count):
    """The first `count` numbers of a generator."""
    steps = np.arange(1, count + 1, dtype=np.uint64)
    return mix(np.asarray(seed, dtype=np.uint64) + steps * GAMMA)


def normals(seed, count):
    """The first `count` standard normal numbers: common/base/random.h, Normal."""
    numbers = stream_of(seed, 2 * count)
    u = ((numbers[0::2] >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0 ** -53
    v = (numbers[1::2] >> np.uint64(11)).astype(np.float64) * 2.0 ** -53
    return (np.sqrt(-2.0 * np.log(u)) * np.cos(6.283185307179586 * v)).astype(np.float32)


class Synthetic:
    """worker/data/synthetic.cc: a prototype for each class plus noise, or texts of a random chain
    of symbols.
    """

    PROTOTYPES, TRAIN = 1, 2
    SUCCESSORS = 4

    def __init__(self, spec, seed):
        self.classes, self.context = spec["classes"], spec.get("context", 0)
        self.train_seed = mix_seed(seed, self.TRAIN)
        self.known = {}
        source = mix_seed(seed, self.PROTOTYPES)
        if self.context:
            table = [self.below(number, self.classes) for number in
                     stream_of(source, self.classes * self.SUCCESSORS)]
            self.successors = np.array(table).reshape(self.classes, self.SUCCESSORS)
            return
        self.shape = (spec["channels"], spec["height"], spec["width"])
        self.noise = np.float32(spec["noise"])
        numbers = normals(source, self.classes * int(np.prod(self.shape)))
        self.prototypes = numbers.reshape((-1,) + self.shape)

    @staticmethod
    def below(number, bound):
        return int(number) * bound >> 64

    def sample(self, index):
        if index not in self.known:
            seed = mix_seed(self.train_seed, index)
            self.known[index] = (self.text(seed) if self.context else
                                 self.image(seed, index % self.classes))
        return self.known[index]

    def image(self, seed, label):
        noise = normals(seed, int(np.prod(self.shape))).reshape(self.shape)
        return self.prototypes[label] + self.noise * noise, label

    def text(self, seed):
        numbers = stream_of(seed, self.context + 1)
        symbols = [self.below(numbers[0], self.classes)]
        for number in numbers[1:]:
            which = (0, 0, 0, 0, 1, 1, 2, 3)[self.below(number, 8)]
            symbols.append(int(self.successors[symbols[-1], which]))
        return np.array(symbols[:-1]), np.array(symbols[1:])

    def batch(self, indices):
        samples = [self.sample(int(index)) for index in indices]
        return (np.stack([inputs for inputs, _ in samples]),
                np.array([labels for _, labels in samples]))


def load(spec):
    """The training samples of a resolved data spec."""
    if spec["name"] == "mnist":
        return Mnist(spec)
    if spec["name"] == "cifar10":
        return Cifar10(spec)
    if spec["name"] == "text":
        return Text(spec["text"])
    if spec["name"] == "synthetic":
        np.seterr(over="ignore")  # wrapping is what the generator does
        return Synthetic(spec["synthetic"], int(spec["seed"]))
    raise Refused("data %s is not known here" % spec["name"])
