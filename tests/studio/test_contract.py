"""The interface keeps to its own description, whatever it is sent: no fault of the server, no answer that it does not
describe.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from isotherm.studio.access import Access
from isotherm.studio.app import make_app
from isotherm.studio.guard import LOOPBACK, Guard
from rigs.breadth import wide
from rigs.studio import KEY, png, studio_in
from rigs.videos import write_clip

EXAMPLES = [2, *wide([5])]
"""Requests of each kind for each address."""
JOBS = {"explain": ("rigs.studio_jobs:AnyJob", "rigs.studio_jobs:refuse")}
"""Every run ends at once."""
UPLOADS = {
    "POST /api/pictures": ((413, 415), lambda folder: png(1)),
    "POST /api/videos": ((413, 415), lambda folder: write_clip(folder / "a.mp4").read_bytes()),
    "POST /generate_heatmap": ((409, 413, 415, 422), None),  # every run fails here, which it says
}
"""Where a description cannot say which bytes are a picture or a video: what such a request may be refused with, and a
body that is none of these.
"""
AUTHORISED = {"authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    """All addresses and methods of a studio, as its description has them."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    schemathesis.serializer.alias("video/*", "application/octet-stream")
    with studio_in(tmp_path_factory.mktemp("contract"), jobs=JOBS, example=["0" * 32]) as studio:
        studio.room.ask = lambda *question, **wait: []
        guarded = Guard(make_app(studio), Access(key=KEY), hosts=(*LOOPBACK, "testserver"))
        schema = schemathesis.openapi.from_asgi("/openapi.json", guarded, headers=AUTHORISED)
        yield [result.ok() for result in schema.get_all_operations()]


def faults(operation, mode, examples, folder) -> list[str]:
    """What is wrong with the answers to requests made for an address."""
    from schemathesis.checks import load_all_checks
    from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

    load_all_checks()
    wrong, left_out = [], []
    refusals, body = UPLOADS.get(operation.label, ((), None))
    if refusals:
        left_out = [positive_data_acceptance]
    if mode.value == "negative":  # what else is wrong with it may be refused otherwise, and before its bytes are
        refusals, body = (), None

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        answer = case.call_and_validate(headers=AUTHORISED, excluded_checks=left_out)
        assert not refusals or answer.status_code < 300 or answer.status_code in refusals, answer.text
        if body is not None:
            case.body = body(folder)
            case.call_and_validate(headers=AUTHORISED, excluded_checks=[negative_data_rejection])

    try:
        ask()
    except BaseExceptionGroup as group:
        wrong += [str(error) for error in group.exceptions]
    except Unsatisfiable:  # nothing can be wrong with a request without any part
        assert not [*operation.iter_parameters(), *operation.body]
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")
    return [f"{operation.label}: {text}" for text in wrong]


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_answer_is_one_that_is_described(operations, mode, examples, tmp_path):
    from schemathesis import GenerationMode

    assert len(operations) > 25
    wrong = [text for one in operations for text in faults(one, GenerationMode(mode), examples, tmp_path)]
    assert wrong == []
