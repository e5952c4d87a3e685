"""Whether a YOLOE has classes of its own is read from its file without opening it, and agrees with opening it."""

from __future__ import annotations

import pytest

pytest.importorskip("ultralytics", reason="ultralytics is not installed")
from isotherm.errors import AdapterError
from isotherm.models.ultralytics.view import load, wrap
from isotherm.models.ultralytics.vocabulary import lacks_classes
from rigs.yolo_models import fresh


def test_a_file_says_what_opening_it_would_say(tmp_path):
    yolo = fresh("yoloe-11s-seg.yaml")
    yolo.save(tmp_path / "yoloe-kept.pt")
    wrap(yolo.model)  # is not refused
    assert not lacks_classes(tmp_path / "yoloe-kept.pt")
    del yolo.model.pe
    yolo.save(tmp_path / "yoloe-bare.pt")
    with pytest.raises(AdapterError, match="has no classes of its own"):
        load(str(tmp_path / "yoloe-bare.pt"))
    assert lacks_classes(tmp_path / "yoloe-bare.pt")


def test_what_cannot_be_known_is_not_refused(tmp_path):
    (tmp_path / "yoloe-damaged.pt").write_bytes(b"no weights")
    for name in (tmp_path / "yoloe-damaged.pt", "yoloe-11s-seg.pt", "yolo11n.yaml", "yolov8s-world.pt"):
        assert not lacks_classes(name), name
