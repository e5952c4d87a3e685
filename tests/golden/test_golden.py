"""Today's answers beside those that were written down: moving code must not change them.

``python -m golden.written`` (in tests/) writes them down anew, after a change that is meant; the changelog then says what changed and why.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from golden.cases import CASES
from golden.written import VALUES, sampled
from rigs.breadth import wide

TOLERANCE = 1e-5
"""Of an array's largest number; processors differ in the last bits."""

NOTHING = 1e-30
"""Numbers below it are what is left where float32 underflows, such as a Gaussian far from its centre: no two processors agree on them."""

DRIFT = 0.05
"""Of the norm of trained weights: sixty steps multiply what the last bits begin with."""


HERE = Path(__file__).parent
FIRST = ("scenes", "verdicts", "detector", "questions", "losses", "decoders", "arrays", "training")
"""Every kind of answer once; of maps, the others are more methods, ways of smoothing and networks."""


@pytest.mark.parametrize("case", [*FIRST, *wide(case.__name__ for case in CASES if case.__name__ not in FIRST)])
def test_answers_are_those_written_down(case, unchecked_process, tmp_path):
    """In a process as users have it: without the checks of types that tests run under."""
    fpath = tmp_path / "answers.npz"
    unchecked_process.run(
        f"import sys; sys.path.insert(0, {str(HERE.parent)!r})\n"
        f"from golden.cases import {case}, save; save({str(fpath)!r}, [{case}])"
    )
    with np.load(fpath) as file:
        got = {name: file[name] for name in file.files}
    with np.load(VALUES) as written:
        expected = {name: written[name] for name in written.files if name.startswith(f"{case}/")}
    assert got.keys() == expected.keys()
    numbers = {name: value for name, value in expected.items() if value.dtype != np.uint8}
    for name in expected.keys() - numbers.keys():
        assert bytes(got[name]).decode() == bytes(expected[name]).decode(), name
    if case == "training":
        ours, theirs = (np.concatenate(v) for v in ([sampled(got[name]) for name in numbers], list(numbers.values())))
        assert np.linalg.norm(ours - theirs) < DRIFT * np.linalg.norm(theirs)
        return
    for name, value in numbers.items():
        atol = max(NOTHING, TOLERANCE * float(np.abs(value[np.isfinite(value)]).max(initial=0.0)))
        np.testing.assert_allclose(sampled(got[name]), value, rtol=0, atol=atol, err_msg=name)
