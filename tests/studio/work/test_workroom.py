"""The workroom: runs wait, are done, are cancelled, and die with their process alone."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from isotherm.errors import InputError
from isotherm.jobs.explain.options import ExplainJob
from isotherm.runs.read import read_items
from isotherm.studio.store.history import History
from isotherm.studio.unkept import FULL
from isotherm.studio.work import workroom
from isotherm.studio.work.events import Events
from isotherm.studio.work.models import Models
from isotherm.studio.work.workroom import QueueFull, Workroom
from rigs.studio_jobs import JOBS, PlayJob


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "studio")
    yield made
    made.close()


@pytest.fixture
def room(history):
    made = Workroom(history, jobs=JOBS, most_waiting=3)
    yield made
    made.close()


def submit(room: Workroom, *steps: str) -> str:
    return room.submit(PlayJob(steps=steps), key="k", title=" ".join(steps))


def told(room: Workroom, run_id: str) -> list[dict]:
    """Everything that a run tells, up to its end."""
    return [pair[1] for pair in room.events.of(run_id, timeout_s=60) if pair is not None]


def pid_of(room: Workroom, run_id: str) -> int:
    return read_items(room.history.runs.path(run_id))[0]["pid"]


def test_a_run_is_taken_in_done_and_kept(room):
    run_id = submit(room, "cat", "dog")
    events = told(room, run_id)
    assert [event["event"] for event in events] == [
        "queued", "running", "progress", "progress", "item", "progress", "item", "finished"
    ]  # fmt: skip
    assert events[2]["stage"] == "opening the model"
    assert events[5] == {"event": "progress", "step": 1, "total": 2, "text": "", "stage": "playing"}
    assert events[4] == {"event": "item", "name": "cat", "status": "done", "maps": 1}
    run = room.history.run(run_id)
    assert (run.status, run.message) == ("finished", "")
    assert [(one.picture, one.label, one.verdict) for one in run.maps] == [
        ("cat", "a cat", "doubtful"),
        ("dog", "a dog", "doubtful"),
    ]
    assert run.command == "isotherm play --steps cat --steps dog"
    record = json.loads((room.history.runs.path(run_id) / "run.json").read_text())
    assert record["command"] == run.command.split()  # without the folder of this machine
    assert room.place(run_id) is None
    # the process stays, with what it has opened, for the next run
    again = submit(room, "cat")
    assert told(room, again)[-1]["event"] == "finished"
    assert pid_of(room, again) == pid_of(room, run_id)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (("refuse",), "this is no picture"),
        (("stumble",), "KeyError: 'a fault of the code'"),
        (("cat", "die"), "died (it was killed, signal 9"),
        (("fail", "fail"), "fail: damaged; fail: damaged"),
    ],
)
def test_a_run_that_fails_says_why_and_the_next_one_is_done(room, steps, message):
    run_id, after = submit(room, *steps), submit(room, "cat")
    last = told(room, run_id)[-1]
    assert (last["event"], last["status"]) == ("failed", "failed")
    assert message in last["error"]
    assert room.history.run(run_id).status == "failed"
    assert message in room.history.run(run_id).message
    assert told(room, after)[-1]["event"] == "finished"
    assert {path.name for path in room.history.runs.dpath.iterdir()} == {after}


def test_items_that_failed_are_told_beside_what_was_done(room):
    run_id = submit(room, "cat", "fail")
    assert told(room, run_id)[-1]["failures"] == ["fail: damaged"]
    run = room.history.run(run_id)
    assert (run.status, run.message, len(run.maps)) == ("finished", "1 failed: fail: damaged", 1)


def test_a_cancelled_run_keeps_what_it_did(room):
    run_id = submit(room, "cat", "wait for cancel", "dog")
    for pair in room.events.of(run_id):
        if pair is not None and pair[1].get("step") == 1:
            room.cancel(run_id)
            room.cancel(run_id)  # again does no harm
    run = room.history.run(run_id)
    assert (run.status, [one.picture for one in run.maps]) == ("cancelled", ["cat"])
    assert read_items(room.history.runs.path(run_id))[0]["name"] == "cat"
    assert room.history.sweep(older_than_s=0.0) == []


def test_a_run_that_waits_is_cancelled_at_once_and_those_behind_move_up(room):
    first = submit(room, "wait for cancel")
    second, third = submit(room, "cat"), submit(room, "dog")
    wait_for(room, first, "running")
    assert [room.place(run_id) for run_id in (first, second, third)] == [0, 1, 2]
    room.cancel(second)
    assert told(room, second)[-1] == {
        "event": "failed",
        "status": "cancelled",
        "error": "it was cancelled before it began",
    }
    assert room.place(third) == 1
    room.cancel(first)
    places = [event["place"] for event in told(room, third) if event["event"] == "queued"]
    assert places[-1] == 1
    assert room.history.run(third).status == "finished"


def wait_for(room: Workroom, run_id: str, event: str) -> None:
    next(pair for pair in room.events.of(run_id) if pair is not None and pair[1]["event"] == event)


def test_more_than_may_wait_are_refused_and_not_taken_down(room):
    first = submit(room, "wait for cancel")
    wait_for(room, first, "running")
    waiting = [submit(room, "cat") for _ in range(3)]
    with pytest.raises(QueueFull, match="3 runs are waiting already; try again in about") as caught:
        submit(room, "dog")
    assert caught.value.retry_s >= 1
    assert room.history.counts() == {"running": 1, "queued": 3}
    room.cancel(first)
    assert [told(room, run_id)[-1]["event"] for run_id in waiting] == ["finished"] * 3


def test_nobody_hears_that_a_run_is_at_work_before_the_history_says_so(room, monkeypatch):
    known: list[str] = []
    tell = room.events.add

    def asking(run_id, event):
        if event["event"] in ("running", "finished", "failed"):
            known.append(f"{event['event']}: {room.history.run(run_id).status}")
        tell(run_id, event)

    monkeypatch.setattr(room.events, "add", asking)
    told(room, submit(room, "cat"))
    told(room, submit(room, "refuse"))
    assert known == ["running: running", "finished: finished", "running: running", "failed: failed"]


def test_a_run_that_cannot_be_taken_down_as_at_work_is_not_gone_on_with(room, monkeypatch):
    write = room.history.set_status

    def full(run_id, status, message=""):
        if status == "running":
            raise OSError(28, "No space left on device")
        write(run_id, status, message)

    with monkeypatch.context() as change:
        change.setattr(room.history, "set_status", full)
        run_id = submit(room, "wait for cancel")
        assert told(room, run_id)[-1]["error"] == f"the studio could not keep it ({FULL})"
    assert room.history.run(run_id).status == "failed"
    assert told(room, submit(room, "dog"))[-1]["event"] == "finished"  # the first would have been waited for


def test_a_run_that_takes_too_long_ends_with_its_process(room, monkeypatch):
    warm = submit(room, "cat")
    assert told(room, warm)[-1]["event"] == "finished"
    monkeypatch.setattr(workroom, "GRACE_S", 0.0)
    room.timeout_s = 0.5
    late = told(room, submit(room, "hang"))[-1]
    assert late == {"event": "failed", "status": "failed", "error": "it took longer than 0.5 s"}
    room.timeout_s = 60.0
    again = submit(room, "cat")
    assert told(room, again)[-1]["event"] == "finished"
    assert pid_of(room, again) != pid_of(room, warm)


def test_a_run_that_does_not_end_when_it_is_cancelled_ends_with_its_process(room, monkeypatch):
    monkeypatch.setattr(workroom, "GRACE_S", 0.0)
    run_id = submit(room, "hang")
    wait_for(room, run_id, "progress")
    room.cancel(run_id)
    assert told(room, run_id)[-1]["status"] == "cancelled"
    assert told(room, submit(room, "cat"))[-1]["event"] == "finished"


def test_closing_interrupts_what_is_at_work_and_what_waits(history):
    room = Workroom(history, jobs=JOBS)
    first, second = submit(room, "hang"), submit(room, "cat")
    wait_for(room, first, "progress")
    room.close()
    assert [history.run(run_id).status for run_id in (first, second)] == ["interrupted", "interrupted"]
    assert list(history.runs.dpath.iterdir()) == []


def test_a_run_that_is_expected_finds_its_process_there(history):
    nowhere = ("no.module:Options", "no.module:run")  # what cannot be imported is the run's affair
    room = Workroom(history, jobs={**JOBS, "nothing": nowhere})
    for job in ("nothing", "play"):
        room.expect(job)
    there = room._worker.pid
    run_id = submit(room, "cat")
    assert told(room, run_id)[-1]["event"] == "finished"
    assert pid_of(room, run_id) == there
    room.close()


def test_a_room_that_never_did_anything_closes(history):
    Workroom(history, jobs=JOBS).close()


def test_a_glance_gives_way_to_runs_and_says_what_is_wrong(room):
    asks = PlayJob(steps=())
    with pytest.raises(InputError, match="NoneType"):  # this job has no model that could look
        room.glance(asks, b"a picture")
    run_id = submit(room, "cat", "wait for cancel", "dog")
    events = room.events.of(run_id, timeout_s=60)
    while next(events)[1]["event"] != "item":
        pass
    assert room.glance(asks, b"a picture", wait_s=0.0) is None
    room.cancel(run_id)
    assert told(room, run_id)[-1]["status"] == "cancelled"
    with pytest.raises(InputError, match="NoneType"):
        room.glance(asks, b"a picture", wait_s=60.0)
    room.close()
    assert room.glance(asks, b"a picture") is None


def test_jobs_that_the_studio_does_not_do(room):
    with pytest.raises(InputError, match="does not do 'explain'; it does play"):
        room.submit(ExplainJob(sources=("a.jpg",)), key="k", title="t")


def test_a_photograph_of_the_shipped_network_through_the_real_worker(history, tmp_path):
    from isotherm.data.demo_pictures import demo_picture_paths

    room = Workroom(history)
    options = ExplainJob(sources=(str(demo_picture_paths()[0]),), model="scenes", trust="off")
    run_id = room.submit(options, key="k", title="scene-1.jpg")
    events = told(room, run_id)
    room.close()
    assert events[-1]["event"] == "finished", events[-1]
    run = history.run(run_id)
    assert run.maps[0].method
    assert run.maps[0].statistics["max"] > 0
    assert (history.runs.path(run_id) / "report.html").is_file()


def test_whoever_listens_again_misses_nothing():
    events = Events()
    for k in range(3):
        events.add("r", {"event": "progress", "step": k})
    listening = events.of("r", after=1)
    assert next(listening) == (2, {"event": "progress", "step": 1})
    assert next(listening)[0] == 3
    threading.Timer(0.05, events.add, ("r", {"event": "finished"})).start()
    assert list(listening) == [(4, {"event": "finished"})]
    assert next(events.of("nobody", timeout_s=0.01)) is None


def test_events_do_not_grow_without_end():
    events = Events(most_runs=2, most_events=10)
    for k in range(1000):
        events.add("a", {"event": "progress", "step": k})
    events.add("a", {"event": "finished"})
    pairs = list(events.of("a"))
    assert len(pairs) == 11
    assert pairs[-2:] == [(1000, {"event": "progress", "step": 999}), (1001, {"event": "finished"})]
    for name in ("b", "c"):
        events.add(name, {"event": "finished"})
    assert next(events.of("a", timeout_s=0.01)) is None


def test_models_that_were_not_used_for_longest_are_let_go_first():
    opened: list[str] = []

    def open_model(options):
        opened.append(options.model)
        return options.model

    models = Models(open_model, len, most_bytes=8)
    for name in ("abcd", "efgh", "abcd", "ij", "abcd", "efgh"):
        assert models.get(ExplainJob(sources=(), model=name)) == name
    assert opened == ["abcd", "efgh", "ij", "efgh"]
    models.get(ExplainJob(sources=(), model="x" * 20))
    assert (len(models), models.size_bytes) == (1, 20)
    models.get(ExplainJob(sources=(), model="x" * 20, confidence=0.5))
    assert opened[-2:] == ["x" * 20, "x" * 20]


def test_a_model_that_is_open_is_asked_with_another_confidence_and_not_opened_anew():
    opened: list[float | None] = []

    def open_model(options):
        opened.append(options.confidence)
        return f"{options.model} at {options.confidence}"

    def at(model, confidence):
        return None if model.startswith("fixed") else f"{model.split(' ')[0]} at {confidence}"

    models = Models(open_model, len, most_bytes=1000, at=at)
    asks = [ExplainJob(sources=(), model="free", confidence=one) for one in (0.3, 0.4, 0.3)]
    assert asks[1] not in models
    assert [models.get(one) for one in asks] == ["free at 0.3", "free at 0.4", "free at 0.3"]
    assert (opened, asks[1] in models) == ([0.3], True)
    assert models.get(replace(asks[0], size="320")) == "free at 0.3"
    assert models.get(replace(asks[0], confidence=None)) == "free at None"  # whatever is its own
    fixed = [ExplainJob(sources=(), model="fixed", confidence=one) for one in (0.3, 0.4)]
    assert [models.get(one) for one in fixed] == ["fixed at 0.3", "fixed at 0.4"]
    assert opened == [0.3, 0.3, None, 0.3, 0.4]


def test_a_run_that_cannot_be_kept_fails_and_the_studio_goes_on(room, monkeypatch):
    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as change:
        change.setattr(room.history, "finish", full)
        run_id = submit(room, "cat")
        assert told(room, run_id)[-1]["error"] == f"the studio could not keep it ({FULL})"
    assert room.history.run(run_id).status == "failed"
    assert told(room, submit(room, "dog"))[-1]["event"] == "finished"


def test_the_process_hears_that_somebody_has_fetched_a_map_of_its_run(room):
    run_id = submit(room, "cat", "wait for a look")
    for pair in room.events.of(run_id, timeout_s=60):
        if pair is not None and pair[1]["event"] == "item":
            room.looked("another")
            room.looked(run_id)
    assert room.history.run(run_id).status == "finished"
