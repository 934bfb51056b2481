"""A program that does what its argument says, in step 3 of rank 1; "well" does nothing wrong."""

import os
import pathlib
import signal
import sys

import numpy

import ringmaster

mistake = sys.argv[1]
columns = 5
if mistake == "shapes":  # others than when it was asked what it trains
    asked = pathlib.Path(sys.argv[2])
    columns += asked.exists()
    asked.touch()
session = ringmaster.Session(
    [("out.bias", numpy.zeros(3, numpy.float32)),
     ("hidden.weight", numpy.ones((4, columns), numpy.float32))],
    train_samples="many" if mistake == "samples_of_text" else 320,
    test_samples=64 if mistake.startswith("score") else 0)


def now(name):
    return mistake == name and batch.step == 3 and session.rank == 1


SCORES = {"score_raises": None, "score_of_none": None, "score_of_text": (0.0, "all"),
          "score_of_a_share": (0.0, 0.5), "score_of_four": (0.0, 1, 2, 3)}


@session.score
def score(part):
    if session.rank != 1:
        return 0.0, 0
    if mistake == "score_raises":
        raise KeyError("who")
    return SCORES.get(mistake, (0.0, 0))


for batch in session.batches():
    if now("raises"):
        raise ValueError("no such luck")
    if now("leaves"):
        break
    if now("exits"):
        os._exit(3)
    if now("dies"):
        os.kill(os.getpid(), signal.SIGKILL)
    if now("hangs"):
        signal.pause()
    gradients = session.backward()
    for name, gradient in gradients.items():
        gradient[...] = session.weights[name] * batch.gradient_scale
        if not (now("forgets") and name == "hidden.weight"):
            session.ready(name)
    if now("twice"):
        session.ready("out.bias")
    if now("unknown"):
        session.ready("nobody")
    if now("backward_twice"):
        session.backward()
    if now("second_session"):
        ringmaster.Session({"out": numpy.zeros(3, numpy.float32)}, train_samples=1)
    if not now("goes_on"):
        session.step(numpy.nan if now("not_a_number") else 1.0)

assert session.weights["hidden.weight"].shape == (4, 5)
assert 0 < session.weights["hidden.weight"].max() < 1
print("weights stay")
