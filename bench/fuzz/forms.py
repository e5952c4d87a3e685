"""Inputs changed by their form: a JSON file stays mostly JSON, an archive mostly an archive, and so on."""

from __future__ import annotations

import ast
import csv
import io
import json
import zipfile
from collections.abc import Sequence
from random import Random
from typing import Any

from bench.fuzz.mutate import NUMBERS, TOKENS, WORDS, changed_bytes, changed_text, changed_tree, dumped
from bench.fuzz.reader import Form

ROUGH = 0.2
"""Share of inputs that are changed as bytes or text, whatever their form."""
MOST = 4_000_000
"""Bytes of an input."""


def changed(random: Random, form: Form, seeds: Sequence[bytes]) -> bytes:
    """One input, made of valid or earlier ones.

    Args:
        random: decides everything.
        form: of the inputs.
        seeds: at least one.
    """
    seed = random.choice(seeds)
    try:
        if form != "bytes" and random.random() >= ROUGH:
            return _FORMS[form](random, seed, seeds)[:MOST]
    except Exception:  # an earlier input that has lost its form
        pass
    if form in ("bytes", "npz", "zip", "safetensors") or random.random() < 0.5:
        return changed_bytes(random, seed, seeds)[:MOST]
    return _text(random, seed, seeds)[:MOST]


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _text(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    return _encoded(changed_text(random, _decoded(seed), [_decoded(s) for s in seeds]))


def _json(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    tree = json.loads(seed)
    text = dumped(changed_tree(random, tree), indent=random.choice((None, None, 1)))
    if random.random() < 0.03 and isinstance(tree, dict) and tree:  # a key twice
        key = random.choice(list(tree))
        text = text.replace("{", "{" + json.dumps(key) + ": null, ", 1)
    return text.encode()


def _lines(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    lines = seed.split(b"\n")
    i = random.randrange(len(lines))
    kind = random.randrange(6)
    if kind == 0:
        lines.insert(i, random.choice(random.choice(seeds).split(b"\n")))
    elif kind == 1:
        del lines[i]
    elif lines[i].strip():
        lines[i] = _json(random, lines[i], seeds)
    return b"\n".join(lines)


def _csv(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    text = _decoded(seed)
    delimiter = max(",;\t", key=text[:2000].count)
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    for _ in range(random.choice((1, 1, 2, 3))):
        row = random.choice(rows) if random.random() < 0.8 else rows[0]
        kind, j = random.randrange(7), random.randrange(len(row) + 1)
        if kind <= 2 and j < len(row):
            row[j] = (
                random.choice((*WORDS, *TOKENS[:13], *(str(n) for n in NUMBERS if abs(n) < 1e300)))
                if kind
                else row[j] * 2
            )
        elif kind == 3 and j < len(row):
            for other in rows if random.random() < 0.5 else [row]:
                del other[j : j + 1]
        elif kind == 4:
            row.insert(j, random.choice(WORDS))
        elif kind == 5:
            rows.insert(random.randrange(len(rows) + 1), list(random.choice(rows)))
        elif kind == 6 and len(rows) > 1:
            rows.remove(row)
        if not rows:
            break
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=random.choice(("\n", "\n", "\r\n", "\r"))).writerows(rows)
    return _encoded(out.getvalue())


def _safetensors(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    length = int.from_bytes(seed[:8], "little")
    header, data = json.loads(seed[8 : 8 + length]), seed[8 + length :]
    kind = random.randrange(8)
    if kind <= 3:
        metadata = header.setdefault("__metadata__", {})
        key = random.choice(list(metadata) or ["isotherm"])
        try:
            metadata[key] = dumped(changed_tree(random, json.loads(metadata.get(key, "{}"))))
        except ValueError:
            metadata[key] = changed_text(random, metadata[key], [metadata[key]])
    elif kind == 4:
        header = changed_tree(random, header)
    elif kind == 5:  # other tensors, and all of the file fits them
        names = [n for n in header if n != "__metadata__"]
        for name in random.sample(names, min(len(names), random.choice((1, 2, len(names))))):
            entry = header[name]
            shape = random.choice(
                ([], [0], [1], [0, 2**40], [2, 2], [1] * 60, entry["shape"][::-1], entry["shape"][:1])
            )
            entry["shape"], entry["dtype"] = shape, random.choice(("F32", "F16", "BF16", "I64", "U8", "BOOL", "F64"))
        data = _laid_out(header, data)
    elif kind == 6:
        for i in range(_many(random)):
            header[f"x{i}"] = {"dtype": "F32", "shape": [0], "data_offsets": [len(data), len(data)]}
    else:
        names = [n for n in header if n != "__metadata__"]
        for name in random.sample(names, min(len(names), random.choice((1, len(names) // 2)))):
            del header[name]
        data = _laid_out(header, data)
    text = dumped(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _many(random: Random) -> int:
    """How many of something: seldom very many, since each of those inputs takes its time."""
    return random.choice((1, 10)) if random.random() < 0.99 else 20_000


def _laid_out(header: dict[str, Any], data: bytes) -> bytes:
    sizes = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "BOOL": 1, "F64": 8, "I32": 4}
    out = b""
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        count = sizes.get(entry["dtype"], 4)
        for side in entry["shape"]:
            count *= side
        part = data[entry["data_offsets"][0] : entry["data_offsets"][1]]
        entry["data_offsets"] = [len(out), len(out) + count]
        out += (part + bytes(max(0, min(count, MOST) - len(part))))[:count]
    return out


def _npy(random: Random, data: bytes) -> bytes:
    length = int.from_bytes(data[8:10], "little")
    header, body = data[10 : 10 + length].decode("latin-1"), data[10 + length :]
    described = ast.literal_eval(header)
    kind = random.randrange(6)
    if kind == 0:
        shape = list(described["shape"]) or [1]
        shape[random.randrange(len(shape))] = random.choice((0, -1, 1, 2**31, 2**62, 10**30))
        described["shape"] = tuple(shape)
    elif kind == 1:
        described["descr"] = random.choice(
            ("<f8", ">f4", "|O", "<U99999999", "|S0", "<M8[ns]", "|V2000000000", "<c16", "|b1", "<i8", [("a", "<f4")])
        )
    elif kind == 2:
        described["shape"] = random.choice(
            ((), (0,), (2**40, 0), (1,) * 33, described["shape"][::-1], [1], None, (True,))
        )
    elif kind == 3:
        described["fortran_order"] = random.choice((True, 1, None, "no"))
    elif kind == 4:
        body = body[: random.randrange(len(body) + 1)] if random.random() < 0.5 else body + bytes(random.randrange(99))
    if kind == 5:
        header = random.choice(("(4,", "{" * 3000, "9" * 5000, changed_text(random, header, [header]), "[" * 9000))
    else:
        header = repr(described)
    raw = header.encode("utf-8", "replace")[:60_000]
    return data[:8] + len(raw).to_bytes(2, "little") + raw + body


def _npz(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    if seed.startswith(b"\x93NUMPY"):
        return _npy(random, seed)
    with zipfile.ZipFile(io.BytesIO(seed)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(members))
    kind = random.randrange(10)
    if kind <= 4:
        members[name] = _member(random, members[name])
    elif kind == 5:
        del members[name]
    elif kind == 6:
        members[random.choice(("", "../x.npy", "x", f"{name}.npy", "values.npy", "header.npy"))] = members.pop(name)
    elif kind == 7:
        members[name] = changed_bytes(random, members[name], list(members.values()))
    elif kind == 8:
        members |= {f"x{i}.npy": members[name] for i in range(_many(random) // 10 + 1)}
    else:
        other = random.choice(list(members))
        members[name], members[other] = members[other], members[name]
    few = len(members) < 20 and random.random() < 0.3
    packed = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)) if few else zipfile.ZIP_STORED
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packed) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    whole = bytearray(out.getvalue())
    if random.random() < 0.05:  # the mark of encryption
        at = whole.find(b"PK\x01\x02")
        whole[at + 8] |= 1
        whole[6] |= 1
    return bytes(whole)


def _member(random: Random, data: bytes) -> bytes:
    """A member of an archive: an array, of bytes of JSON perhaps, or JSON itself."""
    if not data.startswith(b"\x93NUMPY"):
        return _json(random, data, [data]) if data[:1] in b"{[" else changed_bytes(random, data, [data])
    body = data[10 + int.from_bytes(data[8:10], "little") :]
    if body[:1] != b"{" or random.random() < 0.3:
        return _npy(random, data)
    text = dumped(changed_tree(random, json.loads(body))).encode()
    header = repr({"descr": "|u1", "fortran_order": False, "shape": (len(text),)}).encode()
    return data[:8] + len(header).to_bytes(2, "little") + header + text


_FORMS = {
    "json": _json,
    "lines": _lines,
    "yaml": lambda random, seed, seeds: (_json if seed[:1] in b"{[" else _text)(random, seed, seeds),
    "csv": _csv,
    "text": _text,
    "safetensors": _safetensors,
    "npz": _npz,
    "zip": _npz,
}
