"""Pictures are decoded once while their pixels are kept, and none is taken for another."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from isotherm.data.pictures import read_picture
from isotherm.errors import InputError
from isotherm.studio.work import decoded
from isotherm.studio.work.decoded import DecodedPictures


@pytest.fixture
def reads(monkeypatch):
    """What was decoded, by the names that it was read under."""
    names: list[str] = []

    def counting(source, *, name=None):
        names.append(str(name))
        return read_picture(source, name=name)

    monkeypatch.setattr(decoded, "read_picture", counting)
    return names


def save(fpath, value, size=(20, 30), form="PNG"):
    fpath.parent.mkdir(exist_ok=True)
    pixels = np.full((*size, 3), value, np.uint8)
    Image.fromarray(pixels).save(fpath, form)
    return fpath


def test_a_picture_that_is_asked_for_twice_is_decoded_once(tmp_path, reads):
    pictures = DecodedPictures()
    first, again = save(tmp_path / "one" / "cat.png", 7), save(tmp_path / "two" / "dog.png", 7)  # the same bytes
    picture, same = pictures.read(first, name="cat"), pictures.read(again, name="dog")
    assert (reads, picture.name, same.name, len(pictures)) == (["cat"], "cat", "dog", 1)
    np.testing.assert_array_equal(same.array, read_picture(again).array)
    assert (same.format, same.mode, same.stored_size) == ("PNG", "RGB", (20, 30))


def test_another_picture_of_the_same_name_is_another_one(tmp_path, reads):
    pictures, fpath = DecodedPictures(), tmp_path / "cat.png"
    values = []
    for value in (7, 8, 7):
        save(fpath, value)
        values.append(int(pictures.read(fpath).array.mean()))
    assert (values, len(reads)) == ([7, 8, 7], 2)


def test_remarks_on_a_name_are_those_of_that_name(tmp_path):
    pictures = DecodedPictures()
    right, wrong = save(tmp_path / "cat.png", 7), save(tmp_path / "cat.jpg", 7, form="PNG")
    notes = [pictures.read(fpath).notes for fpath in (right, wrong, right, wrong)]
    assert notes == [(), ("the name ends in .jpg but the file is PNG",)] * 2


def test_who_writes_into_a_picture_changes_nobody_elses(tmp_path):
    pictures, fpath = DecodedPictures(), save(tmp_path / "cat.png", 7)
    for _ in range(3):
        array = pictures.read(fpath).array
        assert array.mean() == 7
        array[:] = 0


def test_what_is_kept_has_a_bound_and_the_oldest_go_first(tmp_path, reads):
    each = 20 * 30 * 3
    pictures = DecodedPictures(most_bytes=2 * each)
    one, two, three = (save(tmp_path / f"{value}.png", value) for value in (1, 2, 3))
    for fpath in (one, two, one, three):
        pictures.read(fpath)
    assert (len(pictures), pictures.size_bytes, len(reads)) == (2, 2 * each, 3)
    pictures.read(one)
    assert len(reads) == 3  # two was not asked for longest
    pictures.read(two)
    assert len(reads) == 4
    large = save(tmp_path / "large.png", 4, size=(40, 60))
    assert [pictures.read(large).size for _ in range(2)] == [(40, 60)] * 2
    assert (len(reads), len(pictures), pictures.size_bytes) == (6, 2, 2 * each)  # nothing was forgotten for it


def test_what_cannot_be_read_says_the_same_and_is_not_kept(tmp_path):
    cut, pictures = tmp_path / "cut.png", DecodedPictures()
    cut.write_bytes(save(tmp_path / "whole.png", 7).read_bytes()[:-20])
    for fpath in (cut, tmp_path / "nothing.png", tmp_path):
        with pytest.raises(InputError) as own:
            pictures.read(fpath)
        with pytest.raises(InputError) as other:
            read_picture(fpath)
        assert str(own.value) == str(other.value)
    assert len(pictures) == 0
