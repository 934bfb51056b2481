"""An MLP in NumPy alone, on points around ten centres: one worker of a run under any scheme.

    ringmaster compare --program 'python3 numpy_mlp.py' --arms solo,ps,ring --workers 2
"""

import numpy

import ringmaster

INPUTS, HIDDEN, CLASSES = 32, 64, 10
random = numpy.random.default_rng(1)
centres = random.normal(size=(CLASSES, INPUTS))
labels = {"train": random.integers(CLASSES, size=4000), "test": random.integers(CLASSES, size=1000)}
inputs = {part: (centres[y] + random.normal(size=(len(y), INPUTS))).astype(numpy.float32)
          for part, y in labels.items()}


def layer(rows, columns):
    return (random.normal(size=(rows, columns)) / columns ** 0.5).astype(numpy.float32)


def forward(w, x, y):
    """The hidden layer, the probabilities of all classes, and each sample's loss."""
    hidden = numpy.maximum(x @ w["hidden.weight"].T + w["hidden.bias"], 0)
    scores = hidden @ w["out.weight"].T + w["out.bias"]
    powers = numpy.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    return hidden, probabilities, -numpy.log(probabilities[numpy.arange(len(y)), y])


# In the order in which backward finishes their gradients.
session = ringmaster.Session(
    {"out.bias": numpy.zeros(CLASSES, numpy.float32), "out.weight": layer(CLASSES, HIDDEN),
     "hidden.bias": numpy.zeros(HIDDEN, numpy.float32), "hidden.weight": layer(HIDDEN, INPUTS)},
    train_samples=len(labels["train"]), test_samples=len(labels["test"]))


@session.score
def score(part):
    y = labels[part.set][part.indices]
    _, probabilities, losses = forward(session.weights, inputs[part.set][part.indices], y)
    return losses.sum(), (probabilities.argmax(axis=1) == y).sum()


for batch in session.batches():
    w, x, y = session.weights, inputs["train"][batch.indices], labels["train"][batch.indices]
    hidden, delta, losses = forward(w, x, y)
    g = session.backward()
    delta[numpy.arange(len(y)), y] -= 1
    delta *= batch.gradient_scale / len(y)  # of the mean loss
    g["out.bias"][...] = delta.sum(axis=0)
    numpy.matmul(delta.T, hidden, out=g["out.weight"])
    session.ready("out.bias", "out.weight")  # they leave while the rest is computed
    delta = (delta @ w["out.weight"]) * (hidden > 0)
    g["hidden.bias"][...] = delta.sum(axis=0)
    numpy.matmul(delta.T, x, out=g["hidden.weight"])
    session.ready("hidden.bias", "hidden.weight")
    session.step(losses.mean())
