"""Runs as the page shows them: the maps that the job wrote, over pictures as the model saw them."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from isotherm.heatmap import Heatmap
from rigs.studio import events_of, finished_run, png, saved, send


@pytest.fixture(scope="module")
def scene(studio):
    """A detector's run on a shipped scene."""
    picture = studio.post("/api/samples/scene-1").json()["id"]
    return finished_run(studio, [picture], model="detector")


def test_a_view_has_the_maps_that_the_job_wrote(studio, scene):
    (picture,) = studio.get(f"/api/runs/{scene}/view").json()["pictures"]
    view = studio.get(f"/api/runs/{scene}/view/0").json()
    run = studio.get(f"/api/runs/{scene}").json()
    values = studio.get(f"/api/runs/{scene}/view/0/values")
    assert values.headers["content-type"] == "application/octet-stream"
    assert picture["maps"] == len(view["maps"]) == len(run["maps"]) > 0
    classes = {one["label"] for one in view["findings"]}
    assert {one["label"] for one in run["maps"]} <= classes <= set(studio.get("/api/choices").json()["label"])
    assert all(label.startswith(tuple(classes)) for label in picture["labels"])
    assert picture["verdicts"] == [one["verdict"] for one in run["maps"]]
    for one in view["maps"]:
        (npz,) = (name for name in one["files"] if name.endswith(".npz"))
        raw = Heatmap.load(studio.history.runs.path(scene) / npz)
        back = np.frombuffer(values.content, "<f2", one["bytes"] // 2, one["offset"]).reshape(one["h"], one["w"])
        np.testing.assert_allclose(back * one["unit"], raw.values.numpy(), rtol=1e-3, atol=1e-4 * one["unit"])
        assert one["m"] == raw.frame.from_source.flatten().tolist()
        assert 0 <= max(one["statistics"]["mass_per_box"]) <= 1
        assert one["command"] == "isotherm explain scene-1.jpg --model detector"
    assert view["maps"][0]["judgement"]["gain"]["kept"]
    assert len(view["boxes"]) == len(view["labels"]) == len(view["findings"])


def test_one_answer_has_all_that_several_have_and_the_worker_hears_of_it(studio, scene, monkeypatch):
    looked: list[str] = []
    monkeypatch.setattr(studio.studio.room, "looked", looked.append)
    path = f"/api/runs/{scene}"
    whole = studio.get(f"{path}/view/0/whole").json()
    assert whole.pop("run") == studio.get(path).json()
    assert whole.pop("pictures") == studio.get(f"{path}/view").json()["pictures"]
    assert whole.pop("picture") == studio.get(f"{path}/view/0").json()
    assert base64.b64decode(whole.pop("values")) == studio.get(f"{path}/view/0/values").content
    assert (whole, looked) == ({}, [scene])
    assert studio.get(f"{path}/view/7/whole").status_code == 404
    assert studio.get(f"/api/runs/{'0' * 32}/view/0/whole").status_code == 404


def test_pictures_of_a_view(studio, scene):
    (picture,) = studio.get(f"/api/runs/{scene}/view").json()["pictures"]
    view = studio.get(f"/api/runs/{scene}/view/0").json()
    image, thumb = (Image.open(io.BytesIO(studio.get(url).content)) for url in (view["image"], picture["thumb"]))
    assert image.size == (view["w"], view["h"]) == (640, 480)
    assert thumb.size == (160, 120)
    for path in ("view/7", "view/7/image", "view/7/values", "view/7/thumb"):
        assert studio.get(f"/api/runs/{scene}/{path}").status_code == 404
    assert studio.get(f"/api/runs/{'0' * 32}/view").status_code == 404
    assert studio.get(f"/api/runs/{scene}/view/-1").status_code == 422


def test_every_finished_map_is_a_file_by_its_time(studio, scene):
    view = studio.get(f"/api/runs/{scene}/view/0").json()
    names = [one["heatmap"] for one in view["maps"]]
    assert len(set(names)) == len(names)
    for name, one in zip(names, view["maps"], strict=True):
        assert re.fullmatch(r"heatmap_\d{8}_\d{6}(_\d+)?\.jpg", name)
        drawn = next(file for file in one["files"] if file.endswith(".jpg"))
        kept = studio.studio.heatmaps.path(name).read_bytes()
        assert kept == (studio.history.runs.path(scene) / drawn).read_bytes()


def half_and_half(mode: str = "RGB") -> Image.Image:
    """Dark on the left and light on the right."""
    array = np.zeros((40, 60, 3), np.uint8)
    array[:, 30:] = 200
    return Image.fromarray(array).convert(mode)


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the picture is at the right
    return saved(half_and_half(), "JPEG", exif=exif, quality=95)


def sixteen_bits() -> bytes:
    array = np.full((40, 60), 2_000, np.uint16)
    array[:, 30:] = 51_400
    return saved(Image.fromarray(array))


@pytest.mark.parametrize(
    ("data", "size", "note"),
    [
        (rotated(), (40, 60), "rot|turn|upright"),
        (sixteen_bits(), (60, 40), "16"),
        (saved(half_and_half("CMYK"), "JPEG", quality=95), (60, 40), "CMYK"),
        (saved(half_and_half("LA")), (60, 40), ""),
        (saved(half_and_half(), "GIF", save_all=True, append_images=[half_and_half().rotate(180)]), (60, 40), "frame"),
    ],
    ids=["rotated", "16-bit", "cmyk", "grey with transparency", "animated"],
)
def test_pictures_of_every_kind_are_shown_upright_in_rgb(studio, data, size, note):
    answer = studio.post("/api/pictures", params={"name": "odd.png"}, content=data).json()
    assert (answer["w"], answer["h"]) == size
    assert re.search(note, " ".join(answer["notes"])), answer
    image = Image.open(io.BytesIO(studio.get(f"/api/pictures/{answer['id']}/image").content))
    assert (image.mode, image.size) == ("RGB", size)
    pixels = np.asarray(image).mean(-1)
    first, second = (pixels[:25], pixels[-25:]) if size == (40, 60) else (pixels[:, :25], pixels[:, -25:])
    assert first.mean() < 20
    assert second.mean() == pytest.approx(200, abs=12)


def test_what_failed_is_in_the_gallery_with_its_reason(studio, monkeypatch):
    good = send(studio, png(3), "good.png")
    other = send(studio, png(4), "gone.png")
    studio.history.pictures.path(other).write_bytes(png(4)[:100])  # the disk, or somebody else
    run_id = studio.post("/api/runs", json={"pictures": [good, other], "options": {"model": "scenes"}}).json()["id"]
    events_of(studio, run_id)
    first, second = studio.get(f"/api/runs/{run_id}/view").json()["pictures"]
    assert (first["status"], second["status"], second["thumb"]) == ("done", "failed", None)
    assert "damaged" in second["error"]
