"""Trackers get what is logged, and are finished whatever happens."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest

from isotherm.errors import OptionError
from isotherm.train.recipe import from_plain
from isotherm.train.tracker import NoTracker
from isotherm.train.tracking import Tracking


def test_tensorboard_reads_what_was_logged(tmp_path):
    with Tracking(to="tensorboard").tracker(tmp_path, {}) as tracker:
        for step in (10, 20):
            tracker.log({"step": step, "loss": 1.0 / step, "validation point_err_px": 2.0})
        tracker.picture("worst-1", np.zeros((8, 8, 3), np.uint8), 20)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, pytest.approx(e.value)) for e in events.Scalars("loss")] == [(10, 0.1), (20, 0.05)]
    assert events.Tags()["images"] == ["worst-1"]
    assert "validation/point_err_px" in events.Tags()["scalars"]


WANDB = """
import sys
from isotherm.train.tracking import Tracking
from pathlib import Path
import numpy as np
if __name__ == "__main__":
    with Tracking(to="wandb", project="beetles", name="one", tags=("toy",)).tracker(Path(sys.argv[1]), {"training": {"rate": 0.1}}, job="eval") as tracker:
        print("id", tracker.run.id, tracker.run.offline, tracker.run.name, tracker.run.job_type, dict(tracker.run.config))
        tracker.log({"step": 10, "loss": 0.5})
        tracker.picture("worst", np.zeros((8, 8, 3), np.uint8), 10)
        if sys.argv[2] == "fails":
            raise KeyError("lost")
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["well", "fails"])
def test_wandb_offline_is_finished_also_after_an_error(tmp_path, end):
    script = tmp_path / "script.py"
    script.write_text(WANDB)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(tmp_path), end], capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (end == "well"), done.stderr
    assert "True one eval {'training': {'rate': 0.1}}" in done.stdout
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 1
    assert list(_exits(next(runs[0].glob("*.wandb")))) == [0 if end == "well" else 1]


def _exits(fpath):
    """How a run ended, from its file: a LevelDB log (blocks of 32 KiB; per part a checksum, a length, a type) of protobuf records."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole = fpath.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # no header fits into what is left of the block
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        if kind == 0:
            break
        whole = data[at + 7 : at + 7 + length] if kind in (1, 2) else whole + data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            if record.WhichOneof("record_type") == "exit":
                yield record.exit.exit_code


def test_no_tracker_takes_everything(tmp_path):
    with Tracking().tracker(tmp_path, {}) as tracker:
        assert isinstance(tracker, NoTracker)
        tracker.log({"step": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_does_not_exist():
    with pytest.raises(OptionError, match=r"tracking: to: .*given 'notes'"):
        from_plain(Tracking, {"to": "notes"}, where="tracking")
