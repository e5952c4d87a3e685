"""The page and its files: those that lie in two folders of the package, by bare names, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi import Path as PathParameter

from isotherm.studio.api.packed import Encodings, packed_answer
from isotherm.studio.api.refusals import refusals
from isotherm.studio.page_files import PageFile, page_files, viewer_files
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.studio import Studio

Name = Annotated[str, PathParameter(max_length=80, examples=["main.js"])]
Tag = Annotated[str | None, Header(alias="if-none-match", max_length=4000, include_in_schema=False)]
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"*/*": {}}},
    304: {"description": "The browser has it."},
    **refusals(404, 422),
}


def routes(studio: Studio) -> APIRouter:
    """The routes of the page."""
    router = APIRouter(tags=["page"])
    ours, viewer = page_files(), viewer_files()

    @router.head("/", include_in_schema=False)
    @router.get("/", response_class=Response, responses=FILE)
    def page(if_none_match: Tag = None, accept_encoding: Encodings = None) -> Response:
        """The page."""
        return _answer(ours, "index.html", if_none_match, accept_encoding)

    @router.get("/page/{name}", response_class=Response, responses=FILE)
    def page_file(name: Name, if_none_match: Tag = None, accept_encoding: Encodings = None) -> Response:
        """A file of the page."""
        return _answer(ours, name, if_none_match, accept_encoding)

    @router.get("/draw/page/{name}", response_class=Response, responses=FILE)
    def viewer_file(name: Name, if_none_match: Tag = None, accept_encoding: Encodings = None) -> Response:
        """A file of the viewer, which the page shares with reports."""
        return _answer(viewer, name, if_none_match, accept_encoding)

    return router


def _answer(files: Mapping[str, PageFile], name: str, tag: str | None, encodings: str | None) -> Response:
    """A file, or that the browser has it already."""
    if name not in files:
        raise NotThere(f"the page has no file {name!r}")
    file = files[name]
    # asked for again each time, which costs a few bytes: modules import each other by plain names, without versions
    headers = {"etag": file.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if tag is not None and file.tag in tag:
        return Response(status_code=304, headers=headers)
    return packed_answer(file, encodings, headers)
