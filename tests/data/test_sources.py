"""Whatever a user names becomes items, lazily, in natural order, and one failure stops nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isotherm.data import sources
from isotherm.data.names import natural_key
from isotherm.data.pictures import MAX_PIXELS, Picture
from isotherm.data.sources import expand
from isotherm.errors import InputError, MissingExtraError, OptionError
from isotherm.runs.record import Stems
from rigs.videos import write_clip


def save(fpath, value=0):
    fpath.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), value, np.uint8)).save(fpath)
    return fpath


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(["p10.png", "p9.png", "P1.jpg", "sub/p2.png", "sub/deep/p3.webp"]):
        save(tmp_path / "in" / name, i)
    (tmp_path / "in" / "notes.md").write_text("words")
    (tmp_path / "in" / ".hidden.png").write_bytes(b"")
    return tmp_path / "in"


def names(args, **options):
    return [item.name for item in expand(args, **options)]


def test_one_picture(folder):
    [item] = expand([folder / "p9.png"])
    assert (item.name, item.kind, item.index, item.time_s, item.source) == (
        "p9.png",
        "picture",
        0,
        None,
        str(folder / "p9.png"),
    )
    assert item.load().array[0, 0, 0] == 1
    assert item.load().name == str(folder / "p9.png")


def test_no_two_items_have_one_name(folder, tmp_path, monkeypatch):
    # results are written by name: of two photo.jpg in two folders the second would replace the first one's
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "other" / "p9.png", 7)
    args = ["in/p9.png", "other/p9.png", "in/p9.png", "in"]
    found = list(expand(args))
    assert [i.name for i in found] == ["p9.png", "other/p9.png", "in/p9.png", "P1.jpg", "in/p9.png (2)", "p10.png"]
    assert [i.load().array[0, 0, 0] for i in found[:3]] == [1, 7, 1]
    stems = Stems()
    assert len({stems.claim(i.name) for i in found}) == len(found)


def test_frames_of_two_videos_of_one_name_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(name).mkdir()
        write_clip(Path(name) / "clip.mp4")
    found = names(["a/clip.mp4", "b/clip.mp4"], max_frames=2)
    assert found == ["clip.mp4#000000", "clip.mp4#000001", "b/clip.mp4#000000", "b/clip.mp4#000001"]


def test_a_folder_in_natural_order(folder):
    found = expand([str(folder)])
    assert [i.name for i in found] == ["P1.jpg", "p9.png", "p10.png"]
    assert found.total == 3
    assert [i.index for i in found] == [0, 1, 2]
    assert names([folder], recursive=True) == ["P1.jpg", "p9.png", "p10.png", "sub/deep/p3.webp", "sub/p2.png"]


def test_patterns(folder, monkeypatch):
    assert names([f"{folder}/*.png"]) == ["p9.png", "p10.png"]
    assert names([f"{folder}/*"]) == ["P1.jpg", "p9.png", "p10.png"]
    assert names([f"{folder}/**/p[23].*"]) == ["deep/p3.webp", "p2.png"]
    monkeypatch.chdir(folder)
    assert names(["**/*.png"]) == ["p9.png", "p10.png", "sub/p2.png"]
    save(folder / "odd[1].png")
    assert names(["odd[1].png"]) == ["odd[1].png"]  # a file of that very name wins over the pattern


def test_a_list_is_relative_to_itself(folder, monkeypatch):
    content = f"\ufeff# my pictures\r\np9.png\r\n\r\n  sub/p2.png \r\nhttps://x.example/a.png\r\n{folder / 'p10.png'}\r\nnone.png\r\n"
    (folder / "list.txt").write_bytes(content.encode())
    found = expand([folder / "list.txt"])
    assert [i.name for i in found] == [
        "p9.png",
        "sub/p2.png",
        "https://x.example/a.png",
        str(folder / "p10.png"),
        "none.png",
    ]
    assert found.total == 5
    items = list(found)
    assert [items[i].load().array[0, 0, 0] for i in (0, 1, 3)] == [1, 3, 0]
    with pytest.raises(InputError, match=r"list\.txt: there is no file 'none\.png'"):
        items[4].load()


def test_one_bad_picture_does_not_stop_a_folder(folder):
    (folder / "p9.png").write_bytes((folder / "p9.png").read_bytes()[:40])
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    results = {}
    for item in expand([folder]):
        try:
            results[item.name] = item.load().size
        except InputError as error:
            results[item.name] = str(error)
    assert results["P1.jpg"] == results["p10.png"] == (4, 6)
    assert "cut short" in results["p9.png"]
    assert "there is no picture" in results["gone.png"]


def test_nothing_is_decoded_before_it_is_asked_for(folder, monkeypatch):
    monkeypatch.setattr(sources, "read_picture", lambda *a, **k: pytest.fail("decoded too early"))
    monkeypatch.setattr(sources.Item, "load", lambda *a, **k: pytest.fail("decoded too early"))
    assert len(list(expand([folder]))) == 3


def test_a_video_gives_frames(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")
    found = expand([clip], every=5)
    assert found.total == 3
    items = list(found)
    assert [i.name for i in items] == ["clip.mp4#000000", "clip.mp4#000005", "clip.mp4#000010"]
    assert [i.time_s for i in items] == pytest.approx([0, 0.5, 1.0])
    assert {i.kind for i in items} == {"frame"}
    picture = items[1].load()  # after the whole video was gone through
    assert (picture.name, picture.size) == ("clip.mp4#000005", (48, 64))
    assert abs(int(picture.array[-4, -4, 0]) - 100) <= 8


def test_a_broken_video_leaves_the_rest(tmp_path):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "z.png")
    (tmp_path / "in" / "b.mp4").write_bytes(b"nothing")
    late = write_clip(tmp_path / "in" / "c.avi", frames=30)
    late.write_bytes(late.read_bytes()[: int(late.stat().st_size * 0.85)])
    items = list(expand([tmp_path / "in"], every=4))
    assert [i.index for i in items] == list(range(len(items)))
    assert (items[0].name, items[-1].name) == ("a.png", "z.png")
    failed = []
    for item in items:
        try:
            item.load()
        except InputError as error:
            failed.append((item.name, str(error)))
    last = [item for item in items if item.name.startswith("c.avi#")][-1]
    after = f"c.avi, behind frame {int(last.name[-6:])} ({last.time_s:.2f} s)"
    assert [name for name, _ in failed] == ["b.mp4", after]
    assert "breaks off after" in failed[1][1]
    with pytest.raises(InputError, match="cannot be opened as a video"):
        expand([tmp_path / "in" / "b.mp4"])  # alone, it is refused at once


def test_addresses_become_pictures_or_streams(monkeypatch):
    asked = []

    def fake(url, max_pixels):
        asked.append(url)
        return Picture(url, np.zeros((1, 1, 3), np.uint8))

    monkeypatch.setattr(sources, "fetch_picture", fake)
    found = expand(["https://x.example/a.png", "HTTP://x.example/show?id=3"])
    assert (found.total, [i.kind for i in found], asked) == (2, ["url", "url"], [])
    assert [i.load().name for i in found] == asked == ["https://x.example/a.png", "HTTP://x.example/show?id=3"]
    opened = []
    monkeypatch.setattr(sources, "read_frames", lambda source, **o: iter(opened.append((source, o)) or ()))
    streams = ["rtsp://cam.example:554/live", "http://x.example/live.m3u8", "https://x.example/clip.mp4?t=1"]
    found = expand(streams, every=2, max_frames=7)
    assert found.total is None
    assert opened == []
    assert list(found) == []
    assert opened == [
        (s, {"every": 2, "max_frames": 7, "start_s": 0.0, "end_s": None, "max_pixels": MAX_PIXELS}) for s in streams
    ]


def test_a_camera_by_number(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "camera", lambda index: f"/dev/video{index}")
    assert expand(["0"]).total is None
    save(tmp_path / "0.png").rename("0")
    with pytest.raises(InputError, match=r"0 is both a camera's number and a file here; write \./0"):
        expand(["0"])
    assert names(["./0"]) == ["0"]


def test_content_decides_where_the_name_says_nothing(folder):
    (folder / "p9.png").rename(folder / "photo")
    assert names([folder / "photo"]) == ["photo"]
    assert expand([folder / "photo", folder / "p10.png", folder]).total == 4


def test_without_pyav_a_video_is_refused_and_a_folder_goes_on(tmp_path, monkeypatch):
    import sys

    save(tmp_path / "a.png")
    clip = write_clip(tmp_path / "clip.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError):
        expand([clip])
    picture, video = expand([tmp_path])
    assert picture.load().size == (4, 6)
    with pytest.raises(InputError, match="isotherm\\[video\\]"):
        video.load()


def test_wrong_names_get_the_near_ones(folder):
    with pytest.raises(InputError, match=r"there is no file or folder .*p8\.png'; did you mean .*p9\.png"):
        expand([folder / "p8.png"])
    with pytest.raises(InputError, match=r"did you mean .*P1\.jpg"):
        expand([folder / "p1.jpeg"])
    with pytest.raises(InputError, match=r"there is no sup in .*; did you mean .*sub\?"):
        expand([folder / "sup" / "p2.png"])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "nothing was given"),
        (["EMPTY"], r"holds no picture or video \(1 other files\)"),
        (["OUTER"], "its 1 folders were not searched: add --recursive"),
        (["EMPTY/*.png"], "nothing matches it"),
        (["EMPTY/*"], "it matches 1 files or folders, but no picture or video"),
        (["EMPTY/readme.docx"], "is neither a picture nor a video; expected pictures"),
        (["LIST/empty.txt"], "names nothing"),
        (["LIST/binary.txt"], "is not a list of paths"),
        (["LIST/none.png"], "check the path"),
        (["ftp://x.example/a.png"], "scheme 'ftp'; expected http"),
        (["file:///etc/passwd"], "scheme 'file'"),
        (["http://[::1/a.png"], "is not an address"),
        (["a\0b.png"], "there is no file"),
        (["x" * 5000], "there is no file"),
        (["/dev/null"], "is not a regular file"),
        ([""], "an empty name"),
    ],
)
def test_what_cannot_be_expanded(args, words, tmp_path, monkeypatch):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "EMPTY" / "readme.docx").write_bytes(b"PK\x03\x04 words")
    save(tmp_path / "OUTER" / "inner" / "a.png")
    (tmp_path / "LIST").mkdir()
    (tmp_path / "LIST" / "empty.txt").write_text("\n# nothing\n\n")
    (tmp_path / "LIST" / "binary.txt").write_bytes(b"\xff\xfe\x00\x01")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        expand(args)


def test_lists_hold_neither_streams_nor_lists_nor_folders(folder):
    (folder / "other.txt").write_text("p9.png")
    (folder / "list.txt").write_text(
        "rtsp://x.example/a\nhttp://x.example/a.m3u8\nother.txt\nsub\nftp://x.example/a.png\np9.png\n"
    )
    words = ["not from a list", "not from a list", "a list within a list", "is a folder", "scheme 'ftp'"]
    for item, expected in zip(list(expand([folder / "list.txt"]))[:-1], words, strict=True):
        with pytest.raises(InputError, match=expected):
            item.load()


@pytest.mark.parametrize("text", ["Dear reader,\nthis is a letter.\n", "phot.png\n", "{'a': 1}"])
def test_a_text_that_is_no_list_of_pictures_is_said_to_be_none(tmp_path, text):
    (tmp_path / "notes.txt").write_text(text)
    names = "its only line names none" if len(text.splitlines()) == 1 else "none of its 2 lines names one"
    with pytest.raises(InputError, match=rf"notes\.txt is a text, and a text is read as a list of pictures.*{names}"):
        expand([tmp_path / "notes.txt"])


def test_wrong_options(folder):
    with pytest.raises(OptionError, match="every is 0"):
        expand([folder], every=0)


# --- names ---------------------------------------------------------------------------------------------------


def test_natural_order_by_hand():
    given_ = ["img12", "img2", "IMG1", "img02", "a", "10", "9", "img2b"]
    assert sorted(given_, key=natural_key) == ["9", "10", "a", "IMG1", "img02", "img2", "img2b", "img12"]


@given(st.lists(st.text(max_size=8)))
def test_natural_order_is_total(texts):
    assert sorted(texts, key=natural_key) == sorted(reversed(texts), key=natural_key)


@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.sampled_from(["a.png", "A.jpg", "b/a.png", "a-2.png", "con", "run.json", "é" * 200]),
        ),
        max_size=30,
    )
)
def test_stems_never_collide_and_fit_any_file_system(given_):
    stems = Stems()
    claimed = [stems.claim(name) for name in given_]
    assert len({c.casefold() for c in claimed}) == len(claimed)
    for stem in claimed:
        assert stem
        assert not set(stem) & set('./\\:*?"<>|\0\n ')
        assert len(stem.encode()) <= 140
        assert stem.casefold() not in {"con", "nul", "run", "items", "index"}
    again = Stems()
    assert [again.claim(name) for name in given_] == claimed


def test_stems_by_hand():
    stems = Stems()
    assert [
        stems.claim(n) for n in ("a/cat.jpg", "b/cat.png", "a-2.png", "x/CAT.tif", "run.jpg", "..", "日本.png")
    ] == ["cat", "cat-2", "a-2", "CAT-3", "run-2", "picture", "日本"]


def test_one_of_several_that_cannot_be_looked_at_is_a_failed_item(folder):
    for name, content in {"empty": b"", "empty.mp4": b"", "list.txt": b"\n", "notes.md": b"words"}.items():
        (folder / name).write_bytes(content)
    (folder / "nothing").mkdir()
    broken = [str(folder / name) for name in ("empty", "empty.mp4", "list.txt", "notes.md", "nothing")]
    found = expand([folder / "p9.png", *broken, folder / "p10.png"])
    assert found.total == 7
    first, *failing, last = found
    assert (first.load().array[0, 0, 0], last.load().array[0, 0, 0]) == (1, 0)
    assert [item.name for item in failing] == broken
    for item in failing:
        with pytest.raises(InputError):
            item.load()
    for source in broken:  # alone it is still a mistake, found before anything is done
        with pytest.raises((InputError, MissingExtraError)):
            expand([source])
    with pytest.raises(InputError, match=r"empty is empty"):
        expand([folder / "empty", folder / "notes.md"])
    with pytest.raises(InputError, match=r"there is no file or folder '.*p99\.png'"):  # a slip, and no broken file
        expand([folder / "p9.png", str(folder / "p99.png")])


def test_whether_all_are_pictures(folder):
    assert expand([folder]).all_pictures
    (folder / "broken.mp4").write_bytes(b"")
    assert not expand([folder]).all_pictures
    assert not expand([folder / "p9.png", "rtsp://camera/1.mp4"]).all_pictures
