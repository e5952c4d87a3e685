"""Answers that are packed for browsers that take it: files of the page, which are packed once, and JSON."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header, Response

from isotherm.studio.page_files import PageFile

SMALL = 512
"""Bytes below which packing is not worth it."""

Encodings = Annotated[str | None, Header(alias="accept-encoding", max_length=400, include_in_schema=False)]


def packed_answer(file: PageFile, encodings: str | None, headers: Mapping[str, str]) -> Response:
    """What is in a file, as gzip where that is taken and the file is large.

    Args:
        file: ready to be sent.
        encodings: that are taken.
        headers: of the answer.
    """
    if _worth_it(file.content, encodings):
        return Response(file.packed, media_type=file.kind, headers={**headers, "content-encoding": "gzip"})
    return Response(file.content, media_type=file.kind, headers=dict(headers))


def packed_json(facts: Any, encodings: str | None) -> Response:
    """Facts as JSON, as gzip where that is taken and they are many.

    Args:
        facts: of mappings, lists, texts and finite numbers.
        encodings: that are taken.
    """
    content = json.dumps(facts, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"vary": "accept-encoding"}
    if _worth_it(content, encodings):
        content, headers["content-encoding"] = gzip.compress(content, 6, mtime=0), "gzip"
    return Response(content, media_type="application/json", headers=headers)


def _worth_it(content: bytes, encodings: str | None) -> bool:
    return encodings is not None and "gzip" in encodings and len(content) > SMALL
