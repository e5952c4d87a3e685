"""Arrays are read as NumPy reads them, and what they claim is checked before memory is asked for."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from isotherm import limits
from isotherm.errors import InputError
from isotherm.untrusted.arrays import read_array, read_npz

ARRAYS = {
    "floats": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "one": np.array(2.5),
    "none": np.zeros((0, 4), np.uint8),
    "truth": np.array([True, False]),
    "big": np.arange(3, dtype=">i4"),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "packed"])
def test_arrays_are_those_that_numpy_reads(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    read = read_npz(tmp_path / "a.npz")
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.save(tmp_path / "a.npy", array)
        for one in (read[name], read_array(tmp_path / "a.npy")):
            assert (one.dtype, one.shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(one, array)


def npy(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + body


def described(shape, kind="<f4") -> str:
    return str({"descr": kind, "fortran_order": False, "shape": shape})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (npy(described((1 << 40,))), "claims 1099511627776 values; at most 268435456"),
        (npy(described((1 << 40, 0))), "claims 1099511627776 values"),
        (npy(described((1000,))), "claims 4000 bytes of numbers and has"),
        (npy(described((1,) * 33)), "expected at most 16 sizes"),
        (npy(described((-1,))), "expected at most 16 sizes"),
        (npy(described((1,), "<U99999999")), "expected numbers: nothing else is read"),
        (npy(described((1,), "|V2000000000")), "expected numbers"),
        (npy(described((1,), "|O")), "Python objects, which are never run here"),
        (npy("(4,"), "cannot be read"),
        (npy("[" * 9000), "cannot be read"),
        (npy("9" * 5000), "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_what_a_header_claims_is_checked(tmp_path, content, says):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=says) as one:
        read_array(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("values.npy", content)
    with pytest.raises(InputError, match=says) as other:
        read_npz(tmp_path / "a.npz")
    assert "a.npy" in str(one.value)
    assert "a.npz" in str(other.value)


def test_archives_that_unpack_to_too_much_or_hold_too_many_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "values.npy", npy(described((limits.UNPACKED_BYTES // 4 + 1,)), bytes(limits.UNPACKED_BYTES + 4))
        )
    with pytest.raises(InputError, match=r"bomb\.npz would unpack .* at most 64 times"):
        read_npz(tmp_path / "bomb.npz")
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as archive:
        for i in range(limits.TENSORS + 1):
            archive.writestr(str(i), b"")
    with pytest.raises(InputError, match=r"many\.npz has 20001 members"):
        read_npz(tmp_path / "many.npz")


def test_encrypted_and_changed_members_are_refused(tmp_path):
    file = io.BytesIO()
    np.savez(file, values=np.ones(3))
    whole = bytearray(file.getvalue())
    whole[6] |= 1
    whole[whole.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.npz").write_bytes(whole)
    with pytest.raises(InputError, match=r"a\.npz cannot be read .*encrypted"):
        read_npz(tmp_path / "a.npz")
    whole = bytearray(file.getvalue())
    whole[whole.find(b"PK\x01\x02") - 3] ^= 1
    (tmp_path / "a.npz").write_bytes(whole)
    with pytest.raises(InputError, match=r"a\.npz: values.* cannot be read .*CRC"):
        read_npz(tmp_path / "a.npz")
