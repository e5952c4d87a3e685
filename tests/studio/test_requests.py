"""What a request may ask for: nothing by which it names a file of this machine or an address, however it is put."""

from __future__ import annotations

from dataclasses import fields

import pytest

from isotherm.errors import OptionError
from isotherm.studio.requests import JOBS, OF_THE_MACHINE, file_names, options_of
from rigs.studio import events_of, png, send

WORDS = {
    "model", "classes", "size", "dtype", "device", "cls", "versus", "prompt", "answer", "fill", "box", "like", "target",
    "method", "compare", "layer", "fuse", "smooth", "trust", "style", "colormap", "grid", "category", "strategy", "crop", "point",
    "activation", "instruction",
}  # fmt: skip
"""Options in words that were looked at: what they name is no file. A model is one of a list, all others are parsed."""


@pytest.mark.parametrize("job", JOBS)
def test_no_option_of_a_request_names_a_file(job):
    """A new option in words has to be looked at, and then stands in one of the two lists."""
    may_be_set = {one.name: str(one.type) for one in fields(JOBS[job]) if one.name not in OF_THE_MACHINE}
    assert {name for name, kind in may_be_set.items() if "Path" in kind} == set()
    in_words = {name for name, kind in may_be_set.items() if "str" in kind or "Literal" in kind}
    assert in_words <= WORDS


@pytest.mark.parametrize(
    ("job", "more"),
    [("explain", {option: "/etc/passwd"}) for option in sorted(OF_THE_MACHINE - {"config", "mask", "raw"})]
    + [("explain", {"mask": "/etc/passwd"}), ("explain", {"raw": True})]
    + [("count", {"category": "red", "config": "/etc/passwd"})],
)
def test_what_names_a_file_of_this_machine_is_refused_before_anything_is_read(job, more):
    with pytest.raises(OptionError, match=r"cannot be set here; what can be is .*model"):
        options_of(job, {"model": "tiny-vlm", **more}, ["a.jpg"], models=["tiny-vlm"])


def test_what_is_to_be_looked_for_is_shown_by_boxes_and_never_by_a_file_of_this_machine(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(4712))
    told = set()
    for fpath in (secret, tmp_path / "none.png"):
        with pytest.raises(OptionError) as refused:
            options_of("explain", {"model": "scenes", "like": str(fpath)}, ["a.jpg"], models=["scenes"])
        told.add(str(refused.value).replace(str(fpath), "FILE"))
    assert len(told) == 1  # nor is it said whether there is such a file
    options = options_of("explain", {"model": "scenes", "like": "gear=1,2,30,40"}, ["a.jpg"], models=["scenes"])
    assert options.like == "gear=1,2,30,40"


@pytest.mark.parametrize("name", ["a.txt", "a.TXT", "a.lst", ".txt", "a.png.txt", "../a.txt"])
def test_no_name_is_that_of_a_list(name):
    assert not file_names([name])[0].lower().endswith((".txt", ".lst"))


@pytest.mark.parametrize("before", [False, True], ids=["sent now", "kept before"])
def test_a_picture_that_reads_as_a_list_of_paths_and_addresses_is_a_picture(studio, tmp_path, before):
    """A PPM is text, and may go on behind its pixels."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(4711))
    rest = f"\n{secret}\nhttp://192.0.2.1/{before}.png\n".encode()
    data = b"P3\n8 8\n255\n" + 64 * b"9 9 9 " + rest
    picture_id = studio.history.add_picture("list.txt", [data]) if before else send(studio, data, "list.txt")
    run_id = studio.post("/api/runs", json={"pictures": [picture_id], "options": {"model": "scenes", "trust": "off"}})
    run_id = run_id.json()["id"]
    assert events_of(studio, run_id)[-1][1] == "finished"
    told = studio.get(f"/api/runs/{run_id}").json()
    name = "list_txt" if before else "list_txt.ppm"
    assert ({one["picture"] for one in told["maps"]}, told["message"]) == ({name}, "")
    assert secret.name not in str(told)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a.mp4", "a.mp4.png"), ("a", "a.png"), ("a.JPG", "a.JPG"), ("1", "1.png"), ("a.pdf", "a.pdf.png")],
)
def test_a_picture_is_kept_under_the_name_of_a_picture(studio, name, kept):
    """Which is how a run knows that it is no video, list or camera."""
    answer = studio.post("/api/pictures", params={"name": name}, content=png(len(name) + 4800))
    assert answer.json()["name"] == kept
