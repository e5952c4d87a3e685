"""The file with the key of scripts: what it may hold, and what is said of everything else."""

from __future__ import annotations

import pytest

from isotherm.errors import InputError
from isotherm.studio.access import key_in, key_there


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", "schlüssel".encode(), b"one\ntwo", b"a key", b"x" * 5000, b"\0"])
def test_a_file_that_holds_no_key_is_refused_by_name(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(InputError, match=r"key file .*key holds no key; expected one line of letters, digits, - and _"):
        key_in(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == content


def test_places_where_no_key_can_be(tmp_path):
    with pytest.raises(InputError, match=r"key file .* is no file"):
        key_in(tmp_path)
    with pytest.raises(InputError, match=r"there is no folder .*; create it first"):
        key_in(tmp_path / "missing" / "key")


def test_a_key_that_somebody_wrote(tmp_path):
    (tmp_path / "key").write_text("my_key-1\n")
    assert key_in(tmp_path / "key") == "my_key-1"
    assert key_there(tmp_path / "none") is None
