"""Text without end leaves a picture a picture; what belongs to it stays whole in the file as far as that can hold it."""

from __future__ import annotations

import pytest
from PIL import Image

from isotherm.draw import read_command, save_picture
from isotherm.draw.save import MOST_COMMENT_BYTES
from isotherm.draw.sheet import MOST_FOOTER_LINES, MOST_TITLE_LINES, add_footer, add_title

PHOTO = Image.new("RGB", (400, 300))


def test_a_long_title_and_a_long_footer_end():
    for add, most in ((add_title, MOST_TITLE_LINES), (add_footer, MOST_FOOTER_LINES)):
        few, many = (add(PHOTO, "a word " * count).height for count in (500, 2500))
        assert few == many < 300 + 24 * most
        lines = add(PHOTO, "\n".join("line" for _ in range(most))).height
        assert lines == few
        assert add(PHOTO, "\n".join("line" for _ in range(most - 1))).height < lines


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_command_is_kept_as_far_as_the_file_holds_it(suffix, tmp_path):
    long, longer = "red " * 3000, f"{'größer' * 9} " * 1300
    assert read_command(save_picture(PHOTO, tmp_path / f"a{suffix}", command=long)) == long
    kept = read_command(save_picture(PHOTO, tmp_path / f"b{suffix}", command=longer))
    if suffix == ".png":
        assert kept == longer
    else:
        assert kept.endswith(" ...")
        assert longer.startswith(kept[:-4])
        assert len(kept.encode()) > MOST_COMMENT_BYTES - 10
