"""Features of clips from an encoder that does not change, computed once and read as they are needed.

A cache is named by a hash of everything that decides the features: the bytes of the videos, the moments of the clips,
the transform and the encoder's weights. So it cannot be mistaken for that of another model, and what was begun is found
again. Its shards are safetensors files; each is whole or not there, and is read back before it counts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from filelock import FileLock
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.data.anticipation.anchors import PlannedClip
from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.headed import HeadedFile
from isotherm.ops.names import known_word
from isotherm.progress import Progress, Say, silent
from isotherm.untrusted.plain import json_of, read_json, reading

FORMAT = "isotherm.clip_features/1"
FILE = HeadedFile(format=FORMAT, noun="a shard of clips' features", error=InputError, advice="compute it again")
SHARD_BYTES = 256 << 20
PIECE = 1 << 20
"""Bytes of a video's beginning, middle and end that say which one it is."""
NOTE = "features.json"
Kept = Literal["float32", "float16", "bfloat16"]
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
Encode = Callable[[list[int]], Float[Tensor, "b n d"]]


def video_identity(fpath: str | os.PathLike[str]) -> str:
    """A hash of a video's length and of a mebibyte each of its beginning, middle and end, whatever it is called.

    Args:
        fpath: the file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        there = Path(fpath).stat()
        return _identity(str(Path(fpath).absolute()), there.st_size, there.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{fpath} cannot be read ({error.strerror or error}); check the path") from error


@lru_cache(maxsize=4096)
def _identity(path: str, size: int, changed: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    with Path(path).open("rb") as file:
        for start in sorted({0, max(0, size // 2 - PIECE // 2), max(0, size - PIECE)}):
            file.seek(start)
            digest.update(file.read(PIECE))
    return digest.hexdigest()


def clip_identity(fpath: str | os.PathLike[str], planned: PlannedClip) -> str:
    """A hash of what a clip shows: its video and its moments.

    Args:
        fpath: the video file.
        planned: the moments.

    Raises:
        InputError: the file cannot be read.
    """
    digest = hashlib.sha256(video_identity(fpath).encode())
    digest.update(planned.time_s.tobytes())
    digest.update(float(planned.end_s).hex().encode())
    return digest.hexdigest()


def cache_features(
    clips: Sequence[str],
    encode: Encode,
    dpath: str | os.PathLike[str],
    *,
    weights: str,
    settings: Mapping[str, Any],
    kept: Kept = "float16",
    batch: int = 8,
    shard: int | None = None,
    say: Say = silent,
) -> CachedFeatures:
    """Compute the features of clips once, or find them done. What was interrupted goes on behind its last whole shard.

    Args:
        clips: the identity of each, such as of :func:`clip_identity`; for clips that are made, anything that decides
            them.
        encode: numbers of clips -> their features (b, n, d), without anything random.
        dpath: a folder; the cache is a folder in it.
        weights: of the encoder, as :func:`isotherm.ops.hashing.state_hash` gives it.
        settings: what else decides the features, as plain data: the transform, and how the encoder is called.
        kept: as what numbers lie on the disk; half as many bytes, and what that costs is said in the notes.
        batch: clips that are encoded together.
        shard: clips of a file; None: as many as fit into 256 MiB, at least one.
        say: told how far it is.

    Raises:
        OptionError: no such ``kept``, no clips, or features that float16 cannot hold.
        ShapeError: features of another shape than those before.
        InputError: a shard that was just written reads back otherwise.
    """
    if kept not in get_args(Kept) or batch < 1 or (shard is not None and shard < 1) or not clips:
        raise OptionError(
            f"kept is {kept!r}, batch {batch} and shard {shard} for {len(clips)} clips; expected one of {', '.join(get_args(Kept))}, at least 1, "
            "at least 1 or None, and at least one clip"
        )
    key = features_key(clips, weights=weights, settings=settings, kept=kept)
    folder = Path(dpath) / key
    folder.mkdir(parents=True, exist_ok=True)
    # one process computes it; others wait and find it done. The lock ends with its process
    with FileLock(folder / ".lock"):
        _build(folder, key, len(clips), encode, kept, batch, shard, say)
    return CachedFeatures(folder)


def features_key(clips: Sequence[str], *, weights: str, settings: Mapping[str, Any], kept: Kept) -> str:
    """The name of a cache: a hash of everything that decides its bytes.

    Args:
        clips, weights, settings, kept: as of :func:`cache_features`.

    Raises:
        OptionError: settings that are not plain data.
    """
    try:
        words = json.dumps([FORMAT, weights, dict(settings), kept, list(clips)], sort_keys=True)
    except TypeError as error:
        raise OptionError(
            f"the settings are {settings!r}; expected plain data: text, numbers, lists ({error})"
        ) from error
    return hashlib.sha256(words.encode()).hexdigest()[:24]


class CachedFeatures:
    """Features on the disk, mapped into memory; nothing is read before it is asked for.

    Args:
        dpath: the folder of a cache.

    Attributes:
        dpath: the folder.
        shape: (n, d) of a clip's features.
        kept: as what they lie there.
        notes: what a person should know of them.

    Raises:
        InputError: it is not whole.

    Example:
        >>> encode = lambda rows: torch.tensor(rows).float()[:, None, None].expand(-1, 2, 3)
        >>> cache = cache_features(["a", "b", "c"], encode, tmp_path, weights="w", settings={}, batch=2)
        >>> cache[torch.tensor([2, 0])][:, 0, 0].tolist()
        [2.0, 0.0]
    """

    def __init__(self, dpath: str | os.PathLike[str]) -> None:
        self.dpath = Path(dpath)
        note = _note_of(self.dpath)
        if note is None:
            raise InputError(f"{dpath} holds no features of clips; compute them with cache_features")
        with reading(self.dpath / NOTE, advice="compute the features again with cache_features"):
            numbers = [*note["shape"], note["clips"], note["shard"]]
            if len(numbers) != 4 or not all(type(n) is int and 0 < n < 1 << 40 for n in numbers):
                raise ValueError(f"its shape, clips and shard are {str(numbers)[:80]}")
            self.shape: tuple[int, int] = numbers[0], numbers[1]
            self.kept = cast(Kept, known_word(note["kept"], get_args(Kept), "kept"))
            self._count, self._shard, self._key = numbers[2], numbers[3], str(note["key"])
        self._open: dict[int, Any] = {}
        there = sum(1 for _ in self.dpath.glob("*.safetensors"))
        if there < (shards := -(-self._count // self._shard)):
            raise InputError(
                f"{dpath} is not whole: {shards - there} of {shards} shards are missing; compute them with cache_features, which goes on"
            )
        headers = [self._header(i) for i in range(shards)]
        missing = [i for i, header in enumerate(headers) if header is None]
        if missing:
            raise InputError(
                f"{dpath} is not whole: {len(missing)} of {len(headers)} shards are missing, the first is {_shard_path(self.dpath, missing[0]).name}; "
                "compute them with cache_features, which goes on"
            )
        worst = max(header["apart"] for header in headers if header is not None)
        self.notes: tuple[str, ...] = (
            (f"kept as {self.kept}: up to {worst:.2g} of the largest value of a clip away from what was computed",)
            if self.kept != "float32"
            else ()
        )

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Int[Tensor, " b"]) -> Float[Tensor, "b n d"]:
        """Features of clips by number, as float32."""
        rows = index.tolist()
        if rows and not 0 <= min(rows) <= max(rows) < self._count:
            raise OptionError(f"clips {min(rows)} to {max(rows)} were asked for; there are {self._count}, from 0")
        out = torch.empty(len(rows), *self.shape)
        for k, i in enumerate(rows):
            out[k] = self._mapped(i // self._shard)[i % self._shard]
        return out

    def verify(self) -> None:
        """Read everything and compare it with the hashes that were noted when it was computed.

        Raises:
            InputError: a shard has changed.
        """
        for i in range(-(-self._count // self._shard)):
            fpath, header = _shard_path(self.dpath, i), self._header(i)
            if header is None or _hash(FILE.read(fpath).tensors["features"]) != header["sha256"]:
                raise InputError(f"{fpath} has changed since it was computed; delete it, and compute it again")

    def _mapped(self, i: int) -> Any:
        if i not in self._open:
            from safetensors import safe_open

            with safe_open(_shard_path(self.dpath, i), framework="pt") as file:
                self._open[i] = file.get_slice("features")
        return self._open[i]

    def _header(self, i: int) -> dict[str, Any] | None:
        rows = min(self._shard, self._count - i * self._shard)
        return _header_of(_shard_path(self.dpath, i), self._key, (rows, *self.shape))


def _build(
    folder: Path, key: str, count: int, encode: Encode, kept: Kept, batch: int, shard: int | None, say: Say
) -> None:
    note = _note_of(folder)
    first: Tensor | None = None
    if note is None:
        first = _encoded(encode, list(range(min(batch, count))), None)
        size = first[0].numel() * DTYPES[kept].itemsize
        per = max(1, SHARD_BYTES // max(1, size)) if shard is None else shard
        note = {
            "format": FORMAT,
            "key": key,
            "clips": count,
            "shape": list(first.shape[1:]),
            "kept": kept,
            "shard": per,
        }
        with atomic_write(folder / NOTE) as file:
            file.write(json.dumps(note).encode())
    per, shape = int(note["shard"]), (int(note["shape"][0]), int(note["shape"][1]))
    for i, start in enumerate(range(0, count, per)):
        rows = list(range(start, min(start + per, count)))
        fpath = _shard_path(folder, i)
        if _header_of(fpath, key, (len(rows), *shape)) is not None:
            continue
        parts = []
        for at in range(0, len(rows), batch):
            part = rows[at : at + batch]
            again = first is not None and part == list(range(len(first)))
            parts.append(first if again and first is not None else _encoded(encode, part, shape))
            say(Progress(step=part[-1] + 1, total=count, stage="encoding clips"))
        _write(fpath, torch.cat(parts), kept, key)


def _encoded(encode: Encode, rows: list[int], shape: tuple[int, int] | None) -> Float[Tensor, "b n d"]:
    with torch.no_grad():
        values = encode(rows).float().cpu()
    if values.ndim != 3 or len(values) != len(rows) or (shape is not None and tuple(values.shape[1:]) != shape):
        wanted = "(b, n, d)" if shape is None else f"({len(rows)}, {shape[0]}, {shape[1]})"
        raise ShapeError(f"the features of {len(rows)} clips have shape {tuple(values.shape)}; expected {wanted}")
    return values


def _write(fpath: Path, values: Float[Tensor, "m n d"], kept: Kept, key: str) -> None:
    small = values.to(DTYPES[kept])
    if not bool(torch.isfinite(small).all()):
        cause = "not finite" if not bool(torch.isfinite(values).all()) else f"up to {float(values.abs().max()):.3g}"
        raise OptionError(f"features are {cause}, which {kept} cannot hold; keep them as bfloat16 or float32")
    largest = values.abs().amax((1, 2)).clamp(min=torch.finfo(torch.float32).tiny)
    apart = float(((small.float() - values).abs().amax((1, 2)) / largest).max())
    digest = _hash(small)
    FILE.write(fpath, {"features": small}, {"key": key, "sha256": digest, "apart": apart})
    if _hash(FILE.read(fpath).tensors["features"]) != digest:
        fpath.unlink()
        raise InputError(f"{fpath} reads back otherwise than it was written; check the disk")


def _hash(values: Tensor) -> str:
    return hashlib.sha256(values.contiguous().view(torch.uint8).numpy().data).hexdigest()


def _shard_path(folder: Path, i: int) -> Path:
    return folder / f"{i:05d}.safetensors"


def _header_of(fpath: Path, key: str, shape: tuple[int, int, int]) -> dict[str, Any] | None:
    """What a shard says of itself; None where it is not there, broken, or of something else."""
    from safetensors import SafetensorError, safe_open

    if not fpath.is_file():
        return None
    try:
        with safe_open(fpath, framework="pt") as file:
            header = json_of((file.metadata() or {}).get("isotherm", "{}"), fpath)
            fits = tuple(file.get_slice("features").get_shape()) == shape and isinstance(header, dict)
    except (SafetensorError, OSError, ValueError, InputError):
        return None
    known = fits and header.get("format") == FORMAT and header.get("key") == key
    return header if known and isinstance(header.get("apart"), float) and "sha256" in header else None


def _note_of(folder: Path) -> dict[str, Any] | None:
    try:
        note = read_json(folder / NOTE)
    except (FileNotFoundError, InputError):
        return None
    return note if isinstance(note, dict) and note.get("format") == FORMAT else None
