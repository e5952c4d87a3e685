"""Threads that explain one model: each gets what it would get by itself."""

from __future__ import annotations

import threading

import numpy as np
import torch
from torch import nn

from isotherm import explain, open_model
from isotherm.relevance.alone import alone

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)


def network():
    torch.manual_seed(0)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), *head).eval()


def in_threads(work, count):
    results, errors = [None] * count, []

    def one(i):
        try:
            results[i] = work(i)
        except Exception as error:  # of a thread, which nobody would see
            errors.append(error)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    return results


def test_threads_that_explain_one_module_get_what_one_gets():
    net = network()
    alone_ = [explain(net, PICTURE, size=32, target=i % 5, trust="off")[0].values for i in range(5)]
    got = in_threads(lambda i: explain(net, PICTURE, size=32, target=i % 5, trust="off")[0].values, 10)
    assert all(torch.equal(values, alone_[i % 5]) for i, values in enumerate(got))


def test_threads_of_one_view_are_judged_with_the_weights_of_the_model():
    """The check draws random weights for a moment, which another thread would have explained."""
    view = open_model(network(), size=32)
    one = explain(view, PICTURE, target=1, seed=2)
    lines, values = one.trust_lines, one[0].values

    def work(_):
        maps = explain(view, PICTURE, target=1, seed=2)
        return maps.trust_lines, maps[0].values

    for trust_lines, other in in_threads(work, 4):
        assert trust_lines == lines
        assert torch.equal(other, values)


def test_other_models_are_not_waited_for():
    first, second, entered = network(), network(), threading.Event()

    def work():
        with alone(second):
            entered.set()

    with alone(first):
        thread = threading.Thread(target=work)
        thread.start()
        assert entered.wait(30)
    thread.join()
    with alone("a name"), alone(first), alone(first):
        pass
