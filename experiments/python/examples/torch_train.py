"""The training loop of torch_plain.py under whatever scheme the run has: one worker of it.

    ringmaster compare --program 'python3 torch_train.py' --arms solo,ps,ring --workers 2
"""

import torch

import ringmaster.torch

torch.manual_seed(1)


def bars(count):
    """Pictures [count, 1, 12, 12] of a bar in noise, and in which of 12 columns or rows it is."""
    labels = torch.randint(24, (count,))
    pictures = torch.randn(count, 1, 12, 12)
    for picture, label in zip(pictures, labels.tolist()):
        line = picture[0, label] if label < 12 else picture[0, :, label - 12]
        line += 1.5
    return pictures, labels


x, y = bars(6000)
x_test, y_test = bars(1000)
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.GroupNorm(4, 16), torch.nn.ReLU(),
    torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(576, 128), torch.nn.ReLU(),
    torch.nn.Dropout(0.1), torch.nn.Linear(128, 24))
loss_fn = torch.nn.CrossEntropyLoss()
session = ringmaster.torch.wrap(model, train_samples=len(x), test_samples=len(x_test))


@session.score
def score(part):
    pictures, labels = (x, y) if part.set == "train" else (x_test, y_test)
    scores = model(pictures[part.indices])
    losses = loss_fn(scores, labels[part.indices]) * len(part.indices)
    return losses, (scores.argmax(1) == labels[part.indices]).sum()


for batch in session.batches():
    loss = loss_fn(model(x[batch.indices]), y[batch.indices])
    session.backward(loss)
    session.step()
