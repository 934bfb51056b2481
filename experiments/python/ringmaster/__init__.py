"""Trains a model of your own under every scheme of Ringmaster: docs/OWN_MODEL.md.

    import ringmaster

    session = ringmaster.Session({"out.weight": w, "out.bias": b},    # in the order of backward
                                 train_samples=len(train), test_samples=len(test))
    session.score(evaluate)                  # evaluate(part) -> (sum of losses, how many are right)
    for batch in session.batches():
        weights, x = session.weights, train[batch.indices]
        ...                                                           # forward
        gradients = session.backward()
        gradients["out.bias"][...] = batch.gradient_scale * ...       # of the mean loss
        session.ready("out.bias")                                     # it leaves from here
        ...
        session.step(loss)

ringmaster.torch.wrap(model, ...) does this for a model in PyTorch. `ringmaster compare --program
'python3 train.py'` runs a script under each arm; alone it is a run of one worker.
"""

from ._library import Error
from ._session import Batch, Part, Session

__all__ = ["Batch", "Error", "Part", "Session"]
