"""What ringmaster.torch says of models that cannot be trained in a session, before it opens one."""

import sys
import unittest

import torch

import runs

sys.path.insert(0, str(runs.PACKAGE))
import ringmaster.torch as wrapped  # pylint: disable=wrong-import-position


class ModelTest(unittest.TestCase):
    def refused(self, model, *words, **options):
        with self.assertRaises(ValueError) as caught:
            wrapped.wrap(model, train_samples=10, **options)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_models_that_cannot_be_trained_are_refused_with_what_to_change(self):
        linear = torch.nn.Linear(3, 2)
        self.refused(torch.nn.Linear(3, 2).double(), "weight", "torch.float64", "model.float()")
        self.refused(torch.nn.Linear(3, 2).requires_grad_(False), "needs a gradient")
        self.refused(torch.nn.Sequential(torch.nn.LazyLinear(2)), "0.weight", "run once")
        self.refused(torch.nn.DataParallel(linear), "model.module")
        self.refused(torch.nn.Sequential(torch.nn.SyncBatchNorm(2)), "0 is a SyncBatchNorm")
        self.refused(torch.nn.Sequential(torch.nn.BatchNorm1d(2, momentum=0.2)), "momentum 0.2")
        self.refused(torch.nn.Sequential(torch.nn.BatchNorm1d(2, momentum=None)), "momentum None")
        self.refused(linear, "weight", order=["bias"])
        self.refused(linear, "other", order=["bias", "weight", "other"])

    def test_a_watched_order_is_that_of_backward_and_leaves_no_trace(self):
        torch.manual_seed(1)
        # Used in another order than they are defined in; the last is not used.
        model = torch.nn.ModuleDict({name: torch.nn.Linear(3, 3) for name in "abc"})
        norm = model["norm"] = torch.nn.BatchNorm1d(3)
        named = list(model.named_parameters())
        state, mean = torch.get_rng_state(), norm.running_mean.clone()
        loss = lambda: model["a"](norm(torch.nn.functional.dropout(  # noqa: E731
            model["b"](torch.randn(4, 3)), 0.5))).sum()
        order = wrapped._watched_order(named, {"norm": norm}, loss)
        self.assertEqual([name.split(".")[0] for name in order],
                         ["a", "a", "norm", "norm", "b", "b", "c", "c"])
        self.assertTrue(torch.equal(torch.get_rng_state(), state))
        self.assertTrue(torch.equal(norm.running_mean, mean))
        self.assertTrue(all(parameter.grad is None for _, parameter in named))

    def test_a_parameter_with_two_uses_is_brought_once_with_the_sum(self):
        weight = torch.nn.Parameter(torch.ones(3))
        calls = []
        hook = wrapped._AccumulateHook(weight, lambda *_: calls.append(weight.grad.clone()))
        (weight * 2 + weight * weight).sum().backward()
        self.assertEqual([call.tolist() for call in calls], [[4.0, 4.0, 4.0]])
        hook.remove()
        weight.grad = None
        weight.sum().backward()
        self.assertEqual(len(calls), 1)


if __name__ == "__main__":
    sys.exit(unittest.main())
