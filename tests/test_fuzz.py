"""Every reader is tried: the inputs that were once a fault, changed ones, JSON of any form; and none is left out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isotherm.errors import IsothermError
from isotherm.untrusted.plain import json_of, reading

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "isotherm"
CORPUS = ROOT / "tests" / "corpus"
EACH = 10
"""Changed inputs of every reader, a few of those that build networks."""
READS = re.compile(
    r"json\.loads?\((?!json\.dumps)|np\.load\(|safe_open\(|load_file\(|yaml\.(safe_)?load\(|csv\.(reader|DictReader)\(|torch\.load\("
    r"|ZipFile\(|b64decode\(|np\.memmap\(|literal_eval\(|read_table\(|gzip\.(open|decompress)|read_json\(|read_object\(|json_of\("
    r"|content_of\(|read_npz\(|read_array\(|Image\.open\(|av\.open\(|open_group\("
)
"""What reads a file or a text that somebody else may have written."""
ELSEWHERE = {
    "data/gaze/map_writers.py": "writes; reads back what the same process wrote a moment ago",
    "data/gaze/convert.py": "the note of an unfinished conversion, which is made anew where it is not whole",
    "data/video_writer.py": "writes",
    "draw/animation.py": "writes",
    "jobs/evaluate/gaze_clips.py": "looks at the names in an archive, and leaves reading it to a reader",
    "models/held.py": "opens what recognise and open_weights let through, once the user allowed the file to run code",
    "studio/api/layers.py": "what the studio itself wrote into its folder",
    "studio/desk/facts.py": "a key of a model's configuration, which is checked where the model is opened",
    "studio/exports/bundle.py": "writes",
    "train/anticipation/run.py": "its own words",
    "train/anticipation/features.py": "times beside a cache, which are made anew where they do not fit",
    "untrusted/arrays.py": "read by all others",
    "untrusted/plain.py": "read by all others",
    "zoo/shipped.py": "what the same call wrote a moment ago",
}
"""Files that read and have no reader in the registry, and why."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def fuzz():
    """The parts of bench/fuzz."""
    sys.path.insert(0, str(ROOT))
    try:
        from bench.fuzz import forms, page, readers, state, trial, work
    finally:
        sys.path.remove(str(ROOT))
    return {part.__name__.rpartition(".")[2]: part for part in (forms, page, readers, state, trial, work)}


def test_inputs_that_were_faults_and_changed_ones_are_read_or_refused():
    """In a process without the checks of types that the tests have: a user has none."""
    command = [sys.executable, "-m", "bench.fuzz", "--each", str(EACH), "--corpus", str(CORPUS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(SRC.parent), str(ROOT)))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    readers, inputs = map(int, re.search(r"(\d+) readers, (\d+) inputs, 0 kinds of faults", done.stdout).groups())
    assert inputs > EACH * (readers - 8)


def test_every_input_of_the_corpus_has_a_reader(fuzz):
    names = {fuzz["state"].plain_name(reader.name) for reader in fuzz["readers"].READERS}
    assert {dpath.name for dpath in CORPUS.iterdir()} <= names
    assert max(fpath.stat().st_size for fpath in CORPUS.glob("*/*")) <= 6000


def test_every_file_that_reads_is_in_the_registry(fuzz):
    known = {source for reader in fuzz["readers"].READERS for source in reader.sources}
    reading_files = {str(f.relative_to(SRC)) for f in SRC.rglob("*.py") if READS.search(f.read_text())}
    assert sorted(reading_files - known - ELSEWHERE.keys()) == []
    assert sorted(source for source in known if not (SRC / source).is_file()) == []
    assert READS.search("json.loads(text)")
    assert not READS.search("json.loads(json.dumps(plain))")


def test_the_page_has_the_limits_and_the_figures(fuzz):
    page = ROOT / "docs/limits.md"
    assert fuzz["page"].page(page.read_text()) == page.read_text()


def test_a_reader_that_breaks_is_seen(fuzz, tmp_path):
    """Each kind of fault, by a reader that has it."""
    trial = fuzz["trial"]
    sys.path.insert(0, str(ROOT))
    from bench.fuzz.reader import Reader

    sys.path.remove(str(ROOT))

    def slow(path):
        while True:
            pass

    def unnamed(path):
        raise IsothermError("something is wrong")

    def large(path):
        return bytearray(1 << 32)

    results = []
    for call in (lambda path: {}["x"], slow, unnamed, large, lambda path: path.read_bytes()):
        reader = Reader(name="a", sources=(), form="text", call=call, fname="a.txt", seeds=lambda folder: [b"a"])
        trial.ready(reader, tmp_path / "in")
        with trial.limited():
            results.append(trial.tried(reader, tmp_path / "in", b"a").result)
    assert results == ["error", "slow", "unnamed", "large", "read"]


def test_changed_inputs_follow_their_seed(fuzz):
    seeds = [b'{"a": [1, 2.5, "x"], "b": {"c": null}}', b"[1, 2]"]
    for form in ("json", "lines", "yaml", "csv", "text", "bytes"):
        one, two = (
            [fuzz["forms"].changed(random, form, seeds) for _ in range(50)] for random in (Random(3), Random(3))
        )
        assert one == two
        assert len(set(one)) > 25


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=JSON)
def test_json_of_any_form_is_read_or_refused(fuzz, tmp_path, tree):
    names = ("run.json", "COCO", "beetles", "referring expressions", "heads in JSON", "options of a request")
    mutate = sys.modules["bench.fuzz.mutate"]
    for reader in fuzz["readers"].READERS:
        if reader.name in names:
            folder = tmp_path / fuzz["state"].plain_name(reader.name)
            if not folder.exists():
                fuzz["trial"].ready(reader, folder)
            with fuzz["trial"].limited():
                outcome = fuzz["trial"].tried(reader, folder, mutate.dumped(tree).encode())
            assert outcome.result in ("read", "refused"), (reader.name, outcome)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "\ud800", "", "{]"])
def test_json_that_is_none_is_one_error_with_the_file(text):
    with pytest.raises(IsothermError, match=r"a\.json cannot be read as JSON"):
        json_of(text if text != "\ud800" else b"\xff", "a.json")


def test_an_error_of_the_tree_is_left_as_it_is_and_others_are_named():
    with pytest.raises(IsothermError, match=r"^known$"), reading("a.json"):
        raise IsothermError("known")
    with pytest.raises(IsothermError, match=r"a\.json cannot be read \(OverflowError"), reading("a.json"):
        int(float("inf"))


def test_limits_are_written_once():
    """Modules take theirs from the one file, so that the page is right."""
    assigned = re.compile(
        r"^(MAX_(?:BYTES|PIXELS|VALUES|CHARACTERS|HEADER_BYTES|LIST_BYTES))\b[^=]*= (.+)$", re.MULTILINE
    )
    written = {str(f.relative_to(SRC)): assigned.findall(f.read_text()) for f in SRC.rglob("*.py")}
    assert {
        name: found for name, found in written.items() for _, value in found if not value.startswith("limits.")
    } == {}
