"""Pictures by the names that annotations give: found within the folder, measured by their headers, or refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.data.picture_folder import PictureFolder, states_in
from isotherm.data.pictures import read_picture, read_picture_size
from isotherm.errors import InputError
from isotherm.points import State
from rigs.breadth import wide

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8))


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


# every orientation in one format, and every format turned in one way
@pytest.mark.parametrize(
    ("suffix", "orientation"),
    [
        *((".png", orientation) for orientation in range(1, 9)),
        *((suffix, 6) for suffix in (".jpg", ".webp", ".tif")),
        *wide((suffix, turned) for suffix in (".jpg", ".webp", ".tif") for turned in range(1, 9) if turned != 6),
    ],
)
def test_the_size_is_that_of_the_picture_as_it_is_read(tmp_path, suffix, orientation):
    fpath = tmp_path / f"a{suffix}"
    PHOTO.save(fpath, exif=exif(orientation))
    assert read_picture_size(fpath) == read_picture(fpath).size == ((40, 30) if orientation > 4 else (30, 40))


def test_only_the_header_is_read(tmp_path):
    file = io.BytesIO()
    PHOTO.save(file, "PNG")
    (tmp_path / "cut.png").write_bytes(file.getvalue()[:200])
    assert read_picture_size(tmp_path / "cut.png") == (30, 40)
    with pytest.raises(InputError, match="cut short"):
        read_picture(tmp_path / "cut.png")


def test_damaged_exif_turns_nothing(tmp_path):
    PHOTO.save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_picture_size(tmp_path / "a.jpg") == read_picture(tmp_path / "a.jpg").size == (30, 40)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"hello, this is not a picture", "is not a picture that can be read"),
        (b"", r"is empty \(0 bytes\)"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "its header cannot be read|damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\2\0\0\0" + b"\0\0\0\0", "damaged|megapixels"),
    ],
)
def test_files_that_are_no_pictures(tmp_path, content, says):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_picture_size(tmp_path / "a.png")


def test_a_picture_of_too_many_pixels(tmp_path):
    PHOTO.save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"40 x 30 = 0\.0 megapixels; at most 0\.001"):
        read_picture_size(tmp_path / "a.png", max_pixels=1000)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures" / "day").mkdir(parents=True)
    PHOTO.save(tmp_path / "pictures" / "day" / "one.png")
    PHOTO.save(tmp_path / "secret.png")
    (tmp_path / "pictures" / "text.png").write_text("not a picture at all")
    (tmp_path / "pictures" / "link.png").symlink_to(tmp_path / "secret.png")
    return tmp_path / "pictures"


@pytest.mark.parametrize("name", ["day/one.png", "./day/../day/one.png", "day\\one.png", "link.png", "absolute"])
def test_names_that_lead_to_a_picture(folder, name):
    name = str(folder / "day" / "one.png") if name == "absolute" else name
    found = PictureFolder(folder).find(name, "a:1")
    fpath = found.fpath
    assert found.size == (30, 40)
    assert fpath.parent in (folder, folder / "day")
    assert fpath.exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../secret.png", "lies outside of the folder"),
        ("day/../../secret.png", "lies outside of the folder"),
        ("..\\secret.png", "lies outside of the folder"),
        ("/etc/hostname", "lies outside of the folder"),
        (".", "lies outside of the folder"),
        ("../pictures-more/a.png", "lies outside of the folder"),
        ("day", "is a folder"),
        ("day/ones.png", r"there is no picture .*did you mean .*one\.png"),
        ("text.png", "is not a picture that can be read"),
        ("a\0b.png", "there is no picture|cannot be opened"),
        ("x" * 300, "there is no picture|cannot be opened"),
    ],
)
def test_names_that_lead_nowhere(folder, name, says):
    pictures = PictureFolder(folder)
    for where in ("a:1", "a:2"):  # kept answers say where they were asked for, too
        with pytest.raises(InputError, match=rf"(?s)^{where}: .*({says})"):
            pictures.find(name, where)


def test_a_folder_that_is_not_there(folder):
    with pytest.raises(InputError, match=r"there is no folder of pictures .*did you mean"):
        PictureFolder(folder.with_name("picture"))


def test_a_picture_is_looked_at_once(folder, monkeypatch):
    pictures = PictureFolder(folder)
    first = pictures.find("day/one.png", "a:1")
    (folder / "day" / "one.png").unlink()
    assert pictures.find("day/one.png", "a:2") is first


def test_points_outside_of_the_picture():
    points = torch.tensor([[0.0, 0.0], [40, 30], [-0.1, 5], [5, 30.1], [torch.nan, 1], [99, 99], [-9, 0]])
    state = torch.tensor(
        [
            State.LABELLED,
            State.OCCLUDED,
            State.LABELLED,
            State.OCCLUDED,
            State.UNLABELLED,
            State.ABSENT,
            State.OUT_OF_FRAME,
        ]
    )
    assert states_in((30, 40), points, state).tolist() == [1, 2, 3, 3, 0, 4, 3]
