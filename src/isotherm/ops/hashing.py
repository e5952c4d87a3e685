"""Hashes that say which file and which weights a result came from."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from isotherm.errors import InputError, ShapeError


def sha256_of(fpath: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits, read in pieces.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with Path(fpath).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"{fpath} cannot be read ({error.strerror or error}); check the path and its permissions"
        ) from error


def state_hash(module: nn.Module) -> str:
    """SHA-256 of all parameters and buffers of a model: names, dtypes, shapes and bytes.

    The same for the same weights on any device, in any memory format, in train or eval mode, compiled or wrapped
    in DataParallel or not. Another for another dtype, because results differ. Buffers outside of the state dict
    count too, because they shape the result.

    Raises:
        ShapeError: a tensor without values (meta) or of a layout without plain bytes (sparse, quantised).

    Example:
        >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> state_hash(a) == state_hash(b)
        False
        >>> _ = b.load_state_dict(a.state_dict())
        >>> state_hash(a) == state_hash(b)
        True
    """
    while isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        module = module.module
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    digest = hashlib.sha256()
    # torch.compile puts its prefix before every name that it wraps
    for name, tensor in sorted(((n.replace("_orig_mod.", ""), t) for n, t in named), key=lambda pair: pair[0]):
        if tensor.is_meta or tensor.layout != torch.strided or tensor.is_quantized:
            kind = "meta" if tensor.is_meta else "quantised" if tensor.is_quantized else str(tensor.layout)
            raise ShapeError(
                f"{name} is a {kind} tensor, which has no plain bytes to hash; load or convert the model first"
            )
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def pixels_key(pixels: Tensor) -> int:
    """A number from 0 to 2^63 - 1 that the values of a tensor alone decide, for random draws that belong to one
    picture.

    The same on any device and in any memory format; 0 and -0 count as one.

    Example:
        >>> pixels_key(torch.zeros(2, 3)) == pixels_key(-torch.zeros(2, 3)), pixels_key(torch.ones(2, 3)) == pixels_key(torch.ones(3, 2))
        (True, False)
    """
    plain = (pixels.detach().cpu().float() + 0.0).contiguous()
    digest = hashlib.blake2b(f"{tuple(plain.shape)}".encode(), digest_size=8)
    digest.update(plain.numpy().data)
    return int.from_bytes(digest.digest(), "big") >> 1
