"""What all tests share: two threads, explicit seeds, no network."""

from __future__ import annotations

import os
import socket
from functools import cache

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")
# otherwise torch's compiler first compiles programs that try the vector instructions which the processor lists
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")

import numpy as np
import pytest
import torch

# two workers share two cores; one process alone may have both
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Any connection beyond this machine fails loudly instead of downloading."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {address}; tests run without a network")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def unchecked():
    """The run-time shape checker off: what a user without it gets to see."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def one_thread():
    """For networks so small that two threads wait for each other, by far the longest on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def _opened(family: str):
    from isotherm.models.transformers.vlm.view import TransformersVlm
    from rigs.vlm_models import FAMILIES

    return TransformersVlm(*FAMILIES[family]())


@pytest.fixture
def families():
    """A view of a family of vision-language models, each opened once, and a question in work."""
    from isotherm.vlm.question import Question

    def make(family: str, *, count: int = 1, prompt: str = "how many red ?"):
        view = _opened(family)
        rng = np.random.default_rng(0)
        pictures = [rng.integers(0, 255, (50, 70 - 20 * i, 3), dtype=np.uint8) for i in range(count)]
        return view, Question.of(view, view.ask(pictures, prompt))

    return make
