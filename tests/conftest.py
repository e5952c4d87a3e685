"""What all tests share: one thread, explicit seeds, no network."""

from __future__ import annotations

import atexit
import gc
import io
import logging
import os
import random
import socket
from functools import cache
from importlib import import_module

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")
# otherwise torch's compiler first compiles programs that try the vector instructions which the processor lists
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")
# a Ray that one process starts and another uses: without the token, anybody who reaches this machine could use it
os.environ.setdefault("RAY_AUTH_MODE", "token")

# networks so small that two threads wait for each other, by far the longest on a busy machine; for what tests start as well
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest

from rigs.breadth import every_rule_has_a_row
from rigs.browser import SCREENSHOTS
from rigs.forked_programs import ForkedPrograms
from rigs.programs import unskipped

# Without a handler, Python prints what is logged. pytest's own are off (pyproject.toml): they come and go six times a test
logging.getLogger().addHandler(logging.NullHandler())


def pytest_configure(config):
    """The process that only hands tests to others has no use for torch, and they would wait for it to be imported."""
    if config.getoption("dist", "no") != "no":
        return
    import torch

    import checker

    checker.install()  # before anything of isotherm is imported
    torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Modules and tests stay until the end: looking for garbage among them is a seventh of collecting, and a second each later time.

    So it is not looked for once: three objects in a hundred are garbage then, of no size that could be measured.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # packages in C complain of what is left when Python ends
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if not any("::" in one for one in config.args):
        every_rule_has_a_row(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    unskipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    unskipped(report)
    return report


def pytest_terminal_summary(terminalreporter):
    if SCREENSHOTS.is_dir():
        terminalreporter.write_line(f"pictures of pages, to be looked at: {SCREENSHOTS}")


def _state() -> dict[str, object]:
    """What a test can change for all that come after it."""
    import torch

    return {
        "the number of threads": torch.get_num_threads(),
        "gradients on": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "the type of new tensors": torch.get_default_dtype(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "the folder": os.getcwd(),  # noqa: PTH109  (a path is made of it for no test but one that leaves it)
    }


@cache
def _seed_of_torch():
    """torch.manual_seed notes where it was called, once for each kind of accelerator, also where there is none."""
    import torch

    return torch.manual_seed if torch.accelerator.is_available() else torch.default_generator.manual_seed


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    """Every test begins with the same seeds. What it leaves changed would decide how the next one ends: it is put back,
    and the test that did it fails.
    """
    _seed_of_torch()(0)
    np.random.seed(0)  # noqa: NPY002  (the generator that other packages draw from)
    random.seed(0)
    before = _state()
    yield
    monkeypatch.undo()
    after = _state()
    if after != before:  # only then: torch's switch for deterministic algorithms loads its compiler, for seconds
        import torch

        torch.set_num_threads(before["the number of threads"])
        torch.set_grad_enabled(before["gradients on"])
        torch.set_default_dtype(before["the type of new tensors"])
        torch.use_deterministic_algorithms(before["deterministic algorithms"])
        os.chdir(before["the folder"])
    assert after == before


@pytest.fixture(autouse=True, scope="session")
def _no_network():
    """Any connection beyond this machine fails loudly instead of downloading."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {address}; tests run without a network")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture
def logged():
    """What is logged from here on, as a function that gives its text."""
    handler = logging.StreamHandler(text := io.StringIO())
    logging.getLogger().addHandler(handler)
    yield text.getvalue
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def unchecked():
    """The run-time shape checker off: what a user without it gets to see."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def unchecked_process():
    """Python as users have it: for what cannot be compiled with the checker's wrappers in it."""
    from rigs.unchecked_process import UncheckedProcess

    process = UncheckedProcess()
    process.start()
    yield process
    process.close()


@pytest.fixture(scope="session")
def programs():
    """Programs in processes that find torch imported: for what ends or kills its process."""
    forked = ForkedPrograms()
    yield forked
    forked.close()


@pytest.fixture(scope="session")
def forks():
    """What studios are started from: how one starts by itself is the matter of ``studio/test_serve``."""
    from rigs.studio_forks import Forks

    made = Forks()
    yield made
    made.close()


@cache
def _opened(family: str):
    from isotherm.models.transformers.vlm.view import TransformersVlm
    from rigs.vlm_models import FAMILIES

    return TransformersVlm(*FAMILIES[family]())


@pytest.fixture
def quick_verdicts(monkeypatch):
    """Verdicts that rest on 8 changed pictures of each target instead of 42, and are made and told in the same way."""
    assess = import_module("isotherm.metrics.assess")  # the package has a function of this name
    monkeypatch.setattr(assess, "FAST_STEPS", 2)
    monkeypatch.setattr(assess, "FAST_ORDERS", 2)


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
