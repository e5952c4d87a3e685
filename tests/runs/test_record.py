"""A run's folder is never shared, never half-written, and keeps its work when the run is killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.ops.hashing import sha256_of, state_hash
from isotherm.runs import file as runs_file
from isotherm.runs.file import to_json
from isotherm.runs.read import list_runs, read_items, read_run
from isotherm.runs.record import Run


def test_runs_are_numbered_and_never_written_over(tmp_path):
    root = tmp_path / "runs"
    first, second = Run("explain", root=root), Run("explain", root=root)
    assert (first.dpath.name, second.dpath.name) == ("explain-001", "explain-002")
    (root / "explain-041").mkdir()
    (root / "explain-x").mkdir()
    assert Run("explain", root=root).dpath.name == "explain-042"
    assert Run("bench", root=root).dpath.name == "bench-001"
    with pytest.raises(OptionError, match="job is 'Ex/plain'"):
        Run("Ex/plain", root=root)


def test_a_whole_answer_fits_into_a_file_name_and_two_stay_two(tmp_path):
    run = Run("explain", root=tmp_path)
    long = [run.fpath("clip.mp4", ".jpg", part=f"{'3 ' * 200}{end}-propagation") for end in "ab"]
    assert len(set(long)) == 2
    assert all(len(fpath.name) < 220 for fpath in long)
    long[0].write_text("fits")
    assert run.fpath("clip.mp4", ".jpg", part="tiger cat").name == "clip.tiger_cat.jpg"


def test_two_at_once_get_a_folder_each(tmp_path, monkeypatch):
    """Both looked before either had made its folder."""
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(()))
    assert [Run("explain", root=tmp_path).dpath.name for _ in range(3)] == ["explain-001", "explain-002", "explain-003"]


@pytest.mark.parametrize("links", [True, False])
def test_of_two_that_begin_in_one_folder_at_once_one_has_it(tmp_path, monkeypatch, links):
    """Both looked into the folder before either wrote; on file systems without hard links as well."""
    both_looked, look = threading.Barrier(2, timeout=30), runs_file._before

    def slow_look(fpath, job):
        before = look(fpath, job)
        both_looked.wait()
        return before

    def no_link(*_):
        raise PermissionError("hard links are not supported")

    monkeypatch.setattr(runs_file, "_before", slow_look)
    if not links:
        monkeypatch.setattr(os, "link", no_link)

    def begin(name):
        try:
            return Run("explain", out=tmp_path / "out", command=["isotherm", name])
        except OptionError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        [run], [refusal] = partition(pool.map(begin, "ab"))
    assert "another run has just begun in" in refusal
    run.done("a.jpg")
    run.finish()
    assert read_run(run.dpath)["status"] == "finished"
    assert [item["name"] for item in read_items(run.dpath)] == ["a.jpg"]
    assert sorted(f.name for f in run.dpath.iterdir()) == ["items.jsonl", "run.json"]


def partition(outcomes):
    """(runs, messages)"""
    outcomes = list(outcomes)
    return [o for o in outcomes if isinstance(o, Run)], [o for o in outcomes if isinstance(o, str)]


def test_the_record_says_how_it_was_made(tmp_path):
    frame = Frame.letterbox((480, 640), (320, 320)).to_grid(stride=8)
    with Run(
        "explain",
        root=tmp_path,
        command=["isotherm", "explain", "my photo.jpg"],
        model={"name": "resnet50", "sha256": "ab" * 32},
        method="hirescam",
        layers=("layer4[-1]",),
        frame=frame,
    ) as run:
        assert read_run(run.dpath)["status"] == "running"
        run.note(target="tabby cat")
    record = read_run(run.dpath)
    assert record["command"] == "isotherm explain 'my photo.jpg'"
    assert record["versions"]["torch"] == torch.__version__
    assert {"isotherm", "python", "numpy", "pillow"} <= set(record["versions"])
    assert record["model"] == {"name": "resnet50", "sha256": "ab" * 32}
    assert (record["method"], record["layers"], record["target"]) == ("hirescam", ["layer4[-1]"], "tabby cat")
    assert record["frame"] == {
        "to_source": [[16.0, 0, 0], [0, 16.0, -80.0]],
        "size": [40, 40],
        "source_size": [480, 640],
    }
    assert (record["status"], record["summary"]) == ("finished", {"done": 0, "failed": []})
    assert record["started"] <= record["ended"]


def test_items_and_summary(tmp_path):
    with Run("explain", root=tmp_path) as run:
        run.done("a.png", score=torch.tensor(0.5), box=np.array([1, 2, 3, 4]), worst=float("nan"))
        run.failed("b.png", InputError("b.png is empty"))
        run.failed("c.png", ValueError("oops"), time_s=0.5)
        assert len(read_items(run.dpath)) == 3  # readable while it goes on
    items = read_items(run.dpath)
    assert [(i["name"], i["status"], i.get("reason")) for i in items] == [
        ("a.png", "done", None),
        ("b.png", "failed", "b.png is empty"),
        ("c.png", "failed", "ValueError: oops"),
    ]
    assert (items[0]["score"], items[0]["box"], items[0]["worst"]) == (0.5, [1, 2, 3, 4], "nan")
    summary = run.summary()
    assert (summary.done, summary.failed) == (1, (("b.png", "b.png is empty"), ("c.png", "ValueError: oops")))
    assert str(summary).startswith("1 done, 2 failed in ")
    assert "  failed: b.png is empty" in str(summary)
    assert read_run(run.dpath)["summary"]["failed"][1] == {"name": "c.png", "reason": "ValueError: oops"}
    with pytest.raises(OptionError, match="has ended"):
        run.done("late.png")


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt, "interrupted"), (InputError("no"), "stopped: InputError: no")],
    ids=["ctrl-c", "error"],
)
def test_an_end_by_error_is_recorded(tmp_path, error, status):
    with pytest.raises((KeyboardInterrupt, InputError)), Run("explain", root=tmp_path) as run:  # noqa: PT012
        run.done("a.png")
        raise error
    record = read_run(run.dpath)
    assert (record["status"], record["summary"]["done"]) == (status, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("no")], ids=["ctrl-c", "error"])
def test_what_an_item_wrote_that_was_ended_in_its_middle_goes_and_all_else_stays(tmp_path, error):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.npz").write_text("of an earlier run")
    ended = pytest.raises((KeyboardInterrupt, InputError))
    with ended, Run("explain", out=tmp_path / "out", overwrite=True) as run:
        run.fpath("film.mp4", ".mp4", of_item=False).write_text("frames")
        for name in ("a.png", "b.png"):
            run.fpath(name, ".npz").write_text("map")
            run.fpath(name, ".jpg").write_text("picture")
            if name == "b.png":
                raise error if isinstance(error, Exception) else error()
            run.done(name)
    names = {fpath.name for fpath in run.dpath.iterdir()}
    assert names == {"a.npz", "a.jpg", "film.mp4", "b.npz", "run.json", "items.jsonl"}


def test_how_far_a_run_came_is_said(tmp_path):
    with Run("explain", root=tmp_path, total=5) as run:
        run.done("a.png")
        run.failed("b.png", "broken")
        summary = run.finish("interrupted")
    assert str(summary).startswith("interrupted after 2 of 5: 1 done, 1 failed in ")
    assert read_run(run.dpath)["summary"]["total"] == 5
    endless = Run("explain", root=tmp_path)
    assert str(endless.finish("cancelled")).startswith("cancelled after 0: 0 done, 0 failed in ")
    assert "total" not in read_run(endless.dpath)["summary"]


def test_outputs_of_different_items_never_meet(tmp_path):
    run = Run("explain", root=tmp_path)
    paths = [run.fpath(n, ".png", part=p).name for n in ("a/cat.jpg", "b/cat.jpg", "a/cat.jpg") for p in ("", "box 2")]
    assert paths == ["cat.png", "cat.box_2.png", "cat-2.png", "cat-2.box_2.png", "cat.png", "cat.box_2.png"]
    assert run.fpath("../../etc/passwd", ".npz").parent == run.dpath
    assert run.fpath("run.png", ".json").name != "run.json"


def test_a_folder_of_ones_own(tmp_path):
    out = tmp_path / "new" / "here"
    with Run("explain", out=out) as run:
        run.done("a.png")
    assert run.dpath == out
    with pytest.raises(OptionError, match="holds an earlier run; give an empty folder, or --overwrite"):
        Run("explain", out=out)
    assert len(read_items(out)) == 1  # untouched by the refusal
    with Run("explain", out=out, overwrite=True):
        pass
    assert read_items(out) == []
    (tmp_path / "mine").mkdir()
    for i in range(4):
        (tmp_path / "mine" / f"{i}.doc").write_text("precious")
    with pytest.raises(OptionError, match=r"holds other files \(0\.doc, 1\.doc, 2\.doc, \.\.\.\)"):
        Run("explain", out=tmp_path / "mine")
    Run("explain", out=tmp_path / "mine", overwrite=True).finish()
    assert (tmp_path / "mine" / "3.doc").read_text() == "precious"
    with pytest.raises(OptionError, match="is a file; expected a folder"):
        Run("explain", out=tmp_path / "mine" / "0.doc")
    with pytest.raises(OptionError, match="cannot be used"):
        Run("explain", out=tmp_path / "mine" / "0.doc" / "below")
    with pytest.raises(InputError, match="no run folder can be made"):
        Run("explain", root=tmp_path / "mine" / "0.doc" / "below")


KILLED = """
import sys, numpy as np
from isotherm.atomic import atomic_write
from isotherm.runs.record import Run
run = Run("explain", root=sys.argv[1])
for i in range(10**9):
    name = f"folder/picture {i}.png"
    with atomic_write(run.fpath(name, ".bin")) as file:
        file.write(bytes([i % 256]) * 300_000)
    run.done(name, values=list(range(2000)))
    run.note(reached=i, filler="x" * 50_000)
    if i == int(sys.argv[2]):
        open(sys.argv[3], "w").close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a matter of POSIX systems")
def test_a_killed_run_leaves_whole_files(tmp_path, programs):
    count = 5
    process = programs.start(KILLED, [str(tmp_path), str(count), str(tmp_path / "go")], cwd=tmp_path)
    while process.runs() and not (tmp_path / "go").exists():
        threading.Event().wait(0.005)
    assert process.kill().returncode == -signal.SIGKILL
    dpath = tmp_path / "explain-001"
    record, items = read_run(dpath), read_items(dpath)
    assert record["status"] == "running"
    assert len(items) > count
    assert all(item["values"] == list(range(2000)) for item in items)
    whole = [f for f in dpath.iterdir() if f.suffix == ".bin" and not f.name.startswith(".")]
    assert len(whole) >= len(items)
    assert {f.stat().st_size for f in whole} == {300_000}
    assert record["filler"] == "x" * 50_000


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a matter of POSIX systems")
def test_what_a_killed_run_left_is_swept_when_the_next_is_made(tmp_path, programs):
    killed = """
import os, signal, sys
from isotherm.atomic import atomic_write
from isotherm.runs.record import Run
run = Run("explain", root=sys.argv[1], command=["x"])
with atomic_write(run.dpath / "a.bin") as file:
    file.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert programs.run(killed, [str(tmp_path)], cwd=tmp_path).returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("explain-001/.isotherm-*.part"))) == 1
    with Run("explain", root=tmp_path):
        assert list(tmp_path.glob("*/.isotherm-*.part")) == []
    assert read_run(tmp_path / "explain-001")["status"] == "running"


def test_a_last_line_without_an_end_is_left_out(tmp_path):
    with Run("explain", root=tmp_path) as run:
        run.done("a.png")
    fpath = run.dpath / "items.jsonl"
    whole = fpath.read_bytes()
    for cut in range(1, 20):
        fpath.write_bytes(whole + whole[:-cut])
        assert [i["name"] for i in read_items(run.dpath)] == ["a.png"]
    fpath.write_bytes(b"{}\nnot json\n")
    with pytest.raises(InputError, match="line 2 cannot be read as JSON"):
        read_items(run.dpath)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"holds no run\.json"),
        (b"", "cannot be read"),
        (b"[1]", "is not the record"),
        (b'{"format": 2}', "is not the record"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
    ids=["none", "empty", "list", "format", "bytes", "deep"],
)
def test_what_is_not_a_run(tmp_path, content, words):
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_run(tmp_path)


def test_the_record_itself_may_be_named_for_its_folder(tmp_path):
    with Run("explain", root=tmp_path) as run:
        run.done("a")
    assert read_run(run.dpath / "run.json") == read_run(run.dpath)
    assert read_items(run.dpath / "run.json") == read_items(run.dpath / "items.jsonl") == read_items(run.dpath)
    assert list_runs(run.dpath / "run.json")[0].dpath == run.dpath


def test_values_become_plain(tmp_path):
    assert to_json(
        {1: (tmp_path, {3, 2}, np.float32(0.5), torch.ones(1, 2, requires_grad=True), float("inf"), None, True)}
    ) == {"1": [str(tmp_path), [2, 3], 0.5, [[1.0, 1.0]], "inf", None, True]}
    with pytest.raises(TypeError, match="cannot hold a object"):
        to_json([object()])
    with Run("explain", root=tmp_path) as run:
        run.done("caf\udce9.png")  # a name that is not UTF-8
    assert read_items(run.dpath)[0]["name"] == "caf\udce9.png"
    json.loads((run.dpath / "items.jsonl").read_text("utf-8"))


# --- hashes --------------------------------------------------------------------------------------------------


def test_file_hash(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(InputError, match="cannot be read"):
        sha256_of(tmp_path / "b")
    with pytest.raises(InputError, match="cannot be read"):
        sha256_of(tmp_path)


def model():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(2, 2))


def test_state_hash_by_hand():
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(2.0)
    digest = hashlib.sha256()
    digest.update(b"bias torch.float32 (1,)\n" + np.array([2.0], "<f4").tobytes())
    digest.update(b"weight torch.float32 (1, 1)\n" + np.array([1.0], "<f4").tobytes())
    assert state_hash(layer) == digest.hexdigest()


def test_state_hash_stays_for_the_same_weights():
    expected = state_hash(model())
    assert state_hash(model().eval().requires_grad_(False)) == expected
    assert state_hash(model().to(memory_format=torch.channels_last)) == expected
    assert state_hash(nn.DataParallel(model())) == expected
    compiled = nn.Module()
    compiled._orig_mod = model()  # what torch.compile makes of it, without its long import
    assert state_hash(compiled) == expected
    assert state_hash(model().double().float()) == expected


def test_state_hash_changes_with_any_tensor():
    seen = {state_hash(model()), state_hash(model().bfloat16())}
    for name, _ in [*model().named_parameters(), *model().named_buffers()]:
        changed = model()
        with torch.no_grad():
            dict([*changed.named_parameters(), *changed.named_buffers()])[name].view(-1)[0] += 1
        seen.add(state_hash(changed))
    hidden = model()
    hidden.register_buffer("scale", torch.tensor(1.0), persistent=False)
    seen.add(state_hash(hidden))
    assert len(seen) == 2 + len([*model().named_parameters(), *model().named_buffers()]) + 1


def test_state_hash_of_every_dtype():
    module = nn.Module()
    for dtype in (torch.bool, torch.int64, torch.uint8, torch.float16, torch.complex64, torch.float8_e4m3fn):
        module.register_buffer(str(dtype).replace(".", "_"), torch.zeros(2, dtype=dtype))
    module.register_buffer("empty", torch.zeros(0, 3))
    assert len(state_hash(module)) == 64
    with pytest.raises(ShapeError, match=r"weight is a meta tensor|bias is a meta tensor"):
        state_hash(nn.Linear(2, 2, device="meta"))
