"""A small convolutional net in PyTorch on pictures of bars, and a loop as everybody has one."""

import torch

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
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for indices in torch.randperm(len(x)).split(128):
    optimizer.zero_grad()
    loss = loss_fn(model(x[indices]), y[indices])
    loss.backward()
    optimizer.step()

model.eval()
with torch.no_grad():
    scores = model(x_test)
right = (scores.argmax(1) == y_test).float().mean()
print(f"test loss {loss_fn(scores, y_test):.4f}, accuracy {right:.4f}")
