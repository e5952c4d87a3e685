"""Maps and runs in forms to be taken along."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.background import BackgroundTask

from isotherm.errors import InputError
from isotherm.studio.api.ids import Id
from isotherm.studio.api.refusals import Refused, refusals
from isotherm.studio.exports.again import command_of, script_of
from isotherm.studio.exports.bundle import bundle
from isotherm.studio.exports.forms import FORMS, file_name
from isotherm.studio.exports.table import statistics_csv
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.store.history import RECORD
from isotherm.studio.store.query import RunFacts
from isotherm.studio.studio import Studio
from isotherm.studio.view_files import pictures_of, read_from, view_of
from isotherm.version import __version__

FormName = Literal["png", "overlay", "png16", "npy", "npz", "mp4", "pdf", "csv", "zip", "python", "command"]
VIDEOS = (".mp4", ".gif")
"""Suffixes of videos in a run's folder; the second where no MP4 could be written."""


def routes(studio: Studio) -> APIRouter:
    """The route of exports."""
    router = APIRouter(tags=["exports"])

    @router.get(
        "/api/runs/{run_id}/export",
        response_class=Response,
        responses={
            200: {"content": {form.kind.partition(";")[0]: {} for form in FORMS.values()}},
            **refusals(404, 409, 422),
        },
    )
    def export(
        run_id: Id,
        form: FormName,
        index: Annotated[int, Query(ge=0, le=99_999, description="the picture's number, for forms of one map")] = 0,
        map: Annotated[int, Query(ge=0, le=9_999, description="the map's number, for forms of one map")] = 0,
    ) -> Response:
        """A map (png, overlay, png16, npy, npz) or the whole run (mp4, pdf, csv, zip, python, command) as a file.

        The mp4 of a video is its heatmap video; that of several pictures shows one after the other; of one there is
        none.
        """
        run = studio.history.run(run_id)
        if form == "command":
            return _text(form, command_of(run), run)
        if form == "python":
            return _text(form, script_of(run, __version__), run)
        if FORMS[form].of_map:
            # the run may end while another process draws, and its folder is then elsewhere
            return read_from(
                lambda: studio.room.folder(run_id), lambda folder: _drawn(studio, form, run, folder, index, map)
            )
        if studio.room.place(run_id) is not None:
            raise Refused(
                409,
                "the run has not ended yet, so there is no verdict on its maps; take single maps, or wait until it has ended",
            )
        folder = studio.room.folder(run_id)
        if not (folder / RECORD).is_file():
            why = f": {run.message}" if run.message else ""
            raise Refused(409, f"the run ended without results ({run.status}{why}); ask for it again")
        if form == "csv":
            return _text(form, statistics_csv(folder), run)
        if form == "zip":
            parts = bundle(run, folder, _pictures(studio, run))
            return StreamingResponse(parts, media_type=FORMS[form].kind, headers=_named(file_name(form, run.title)))
        if form == "mp4" and (video := _video(run, folder)) is not None:
            return video
        return _drawn(studio, form, run, folder, index, map)

    return router


def _drawn(studio: Studio, form: str, run: RunFacts, folder: Path, index: int, number: int) -> Response:
    """What another process draws, however long it takes; the file is gone when it was sent."""
    name = file_name(form, run.title)
    if FORMS[form].of_map:
        view = view_of(folder, index)
        if number >= len(view["maps"]):
            raise NotThere(f"picture {index} of the run has {len(view['maps'])} map(s); they are numbered from 0")
        name = file_name(form, view["name"], view["maps"][number]["label"], view["maps"][number]["method"] or "")
    place = studio.dpath / "exports"
    place.mkdir(exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=place)) / f"export{FORMS[form].suffix}"
    remarks = {
        **{key: getattr(run, key) for key in ("title", "command", "note")},
        "tags": list(run.tags),
        "time": f"{datetime.fromtimestamp(run.created_s, UTC):%Y-%m-%d %H:%M} UTC",
        "version": f"isotherm {__version__}",
    }
    try:
        studio.exports.do(
            "export",
            form=form,
            out=str(made),
            folder=str(folder),
            index=index,
            number=number,
            pictures={name: str(path) for name, path in _pictures(studio, run).items()},
            options=run.options,
            remarks=remarks,
        )
    except BaseException:
        _forget(made)
        raise
    return FileResponse(made, media_type=FORMS[form].kind, filename=name, background=BackgroundTask(_forget, made))


def _forget(fpath: Path) -> None:
    fpath.unlink(missing_ok=True)
    with suppress(OSError):
        fpath.parent.rmdir()


def _pictures(studio: Studio, run: RunFacts) -> dict[str, Path]:
    """The originals that are still there, by name."""
    there: dict[str, Path] = {}
    for one in run.pictures:
        with suppress(InputError):
            there[one["name"]] = studio.history.picture(one["id"])[1]
    return there


def _video(run: RunFacts, folder: Path) -> Response | None:
    """The run's heatmap video; None where its pictures are to be made one.

    Raises:
        Refused: it has no video, and too few pictures with a map to make one.
    """
    for suffix in VIDEOS:
        if (video := next(iter(sorted(folder.glob(f"*{suffix}"))), None)) is not None:
            kind = "video/mp4" if suffix == ".mp4" else "image/gif"
            return FileResponse(video, media_type=kind, filename=Path(file_name("mp4", run.title)).stem + suffix)
    maps = sum(1 for one in pictures_of(folder) if one["status"] == "done" and one["maps"])
    if maps < 2:
        raise Refused(
            409, f"an MP4 shows several moments or pictures, and this run has a map of {maps}; take the PNG of it"
        )
    return None


def _text(form: str, text: str | bytes, run: RunFacts) -> Response:
    return Response(text, media_type=FORMS[form].kind, headers=_named(file_name(form, run.title)))


def _named(name: str) -> dict[str, Any]:
    return {"content-disposition": f"attachment; filename*=utf-8''{quote(name)}"}
