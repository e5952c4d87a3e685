"""A studio from Python: pictures to it, runs from it, maps as arrays. The standard library is all that it needs."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
from jaxtyping import Float

from isotherm.errors import InputError, IsothermError, OptionError
from isotherm.runs.file import to_json
from isotherm.untrusted.plain import json_of, reading

if TYPE_CHECKING:
    from isotherm.heatmap import Heatmap

TIMEOUT_S = 60.0
Picture = str | os.PathLike[str] | bytes
"""A picture's file, or what is in it."""


class StudioError(IsothermError):
    """A studio refused something, or a run of it failed.

    Args:
        message: why, as the studio says it.
        status: of HTTP; 0 where a run failed.
        retry_s: in how many seconds there is likely room, where its queue is full.
    """

    def __init__(self, message: str, status: int = 0, retry_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_s = status, retry_s


@dataclass(frozen=True, eq=False)
class StudioMap:
    """A map that a studio made.

    Args:
        values: (h, w), to one part in a thousand of the largest.
        facts: what is known of it: label, method, layer, score, verdict, statistics, m (picture pixels -> cells).
    """

    values: Float[np.ndarray, "h w"] = field(repr=False)
    facts: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What it is of."""
        return str(self.facts["label"])

    @property
    def verdict(self) -> str | None:
        """Whether to believe it; None where nobody judged it."""
        return self.facts.get("verdict")


@dataclass(frozen=True, eq=False)
class StudioPicture:
    """A picture of a run, with its maps.

    Args:
        name: of the picture.
        maps: all of them.
        facts: what else is known: boxes, labels, findings, notes, lines of a question.
    """

    name: str
    maps: tuple[StudioMap, ...]
    facts: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, eq=False)
class StudioRun:
    """A run that has ended.

    Args:
        id: of the run.
        pictures: those that were explained.
        facts: what the history knows of it: status, command, options, tags, note.
    """

    id: str
    pictures: tuple[StudioPicture, ...]
    facts: Mapping[str, Any] = field(repr=False)

    @property
    def maps(self) -> tuple[StudioMap, ...]:
        """Those of all pictures, in their order."""
        return tuple(one for picture in self.pictures for one in picture.maps)


class Studio:
    """A studio that runs somewhere.

    Args:
        url: as it printed it, without the token: ``http://127.0.0.1:8080``.
        key: of scripts; it stands in the file ``key`` of the studio's folder, or in the one of its ``--key``.
        timeout_s: how long an answer may be silent.
        verify: False for a certificate that nobody has signed.

    Example:
        >>> from isotherm.studio.client import Studio
        >>> studio = Studio("http://127.0.0.1:8080", key)  # doctest: +SKIP
        >>> run = studio.explain("cat.jpg", model="imagenet", top=2)  # doctest: +SKIP
        >>> run.maps[0].label, run.maps[0].values.shape, run.maps[0].verdict  # doctest: +SKIP
        ('tiger cat 39 %', (7, 7), 'believable')
    """

    def __init__(self, url: str, key: str, *, timeout_s: float = TIMEOUT_S, verify: bool = True) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OptionError(f"url is {url!r}; expected such as http://127.0.0.1:8080")
        self._host, self._port, self._timeout_s = parts.hostname, parts.port, timeout_s
        self._tls = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context()
            if not verify:
                self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE
        self._headers = {"authorization": f"Bearer {key}", "accept": "application/json"}

    # --- explaining ----------------------------------------------------------------------------------------------

    def explain(self, pictures: Picture | Sequence[Picture], **options: Any) -> StudioRun:
        """Explain pictures, and wait for it and for the check of the maps.

        Args:
            pictures: one or several.
            **options: of ``isotherm explain`` by their Python names: model, method, layer, top, classes, prompt, ...

        Raises:
            StudioError: the studio refuses it, or the run failed.
            InputError: a file cannot be read, or the studio cannot be reached.
        """
        run_id = self.submit(pictures, **options)
        for _ in self.events(run_id):
            pass
        return self.result(run_id)

    def submit(
        self,
        pictures: Picture | Sequence[Picture] = (),
        *,
        ids: Sequence[str] = (),
        job: str = "explain",
        **options: Any,
    ) -> str:
        """Ask for a run, and wait for nothing; its id.

        Args:
            pictures: one or several, which are sent first.
            ids: of pictures and videos that the studio has.
            job: explain or count.
            **options: of the job.

        Raises:
            StudioError, InputError: as :meth:`explain`.
        """
        several = [pictures] if isinstance(pictures, str | bytes | os.PathLike) else list(pictures)
        every = [*ids, *(self.add_picture(one) for one in several)]
        return self._json("POST", "/api/runs", {"job": job, "pictures": every, "options": options})["id"]

    def add_picture(self, picture: Picture, name: str | None = None) -> str:
        """Send a picture; its id.

        Args:
            picture: its file, or what is in it.
            name: what to call it; the file's name unless given.
        """
        return self._sent("/api/pictures", picture, name)["id"]

    def add_video(self, video: Picture, name: str | None = None) -> dict[str, Any]:
        """Send a video; its id, name, h, w, frames, seconds and fps. ``submit(ids=[...])`` asks about it.

        Args:
            video: its file, or what is in it.
            name: what to call it; the file's name unless given.
        """
        return self._sent("/api/videos", video, name)

    def snapshot(self, camera_id: str = "1") -> str:
        """The id of a picture of what a camera of the studio's machine shows now.

        Args:
            camera_id: "1" for the first one that the studio was started with.
        """
        return self._json("POST", f"/api/live/{quote(camera_id, safe='')}/snapshot")["id"]

    def record(self, camera_id: str = "1", *, seconds: float = 5.0) -> dict[str, Any]:
        """Record a camera of the studio's machine, and wait for it; the video, as :meth:`add_video` gives it.

        Args:
            camera_id: "1" for the first one that the studio was started with.
            seconds: how long.
        """
        return self._json("POST", f"/api/live/{quote(camera_id, safe='')}/record", {"seconds": seconds})

    def sample(self, name: str) -> str:
        """The id of one of the pictures that a studio has to begin with.

        Args:
            name: one of ``state()["samples"]``.
        """
        return self._json("POST", f"/api/samples/{quote(name, safe='')}")["id"]

    def events(self, run_id: str) -> Iterator[dict[str, Any]]:
        """What happens to a run, as it happens, up to its end: queued, running, progress, message, shown (a picture's
        maps can be looked at), files, judged (they were checked), item, finished or failed.

        Args:
            run_id: of the run.
        """
        answer = self._request("GET", f"/api/runs/{run_id}/events")
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
        answer.close()

    def result(self, run_id: str) -> StudioRun:
        """A run that has ended, with its maps.

        Args:
            run_id: of the run.

        Raises:
            StudioError: it failed, or has not ended yet.
        """
        facts = self._json("GET", f"/api/runs/{run_id}")
        if facts["status"] in ("queued", "running"):
            raise StudioError(f"the run {run_id} has not ended yet; wait for the end of its events")
        pictures = self._json("GET", f"/api/runs/{run_id}/view")["pictures"]
        if facts["status"] not in ("finished", "cancelled") or (facts["status"] == "cancelled" and not pictures):
            raise StudioError(f"the run {run_id} is {facts['status']}: {facts['message']}")
        done = (one["index"] for one in pictures if one["status"] == "done")
        return StudioRun(run_id, tuple(self._picture(run_id, index) for index in done), facts)

    def cancel(self, run_id: str) -> None:
        """Ask a run to end; what it did is kept."""
        self._json("POST", f"/api/runs/{run_id}/cancel")

    # --- what is kept --------------------------------------------------------------------------------------------

    def runs(self, **search: Any) -> Iterator[dict[str, Any]]:
        """The runs of the history, the newest first, however many there are.

        Args:
            **search: words, model, label, verdict, tag, status, starred, since_s, until_s, order.
        """
        query = {name: value for name, value in search.items() if value is not None}
        while True:
            page = self._json("GET", f"/api/runs?{urlencode(query)}")
            yield from page["runs"]
            if page["next"] is None:
                return
            query["after"] = page["next"]

    def annotate(self, run_id: str, **remarks: Any) -> dict[str, Any]:
        """Set a run's star, note, tags or marks; its facts afterwards.

        Args:
            run_id: of the run.
            **remarks: star, note, tags, marks.
        """
        return self._json("PATCH", f"/api/runs/{run_id}", remarks)

    def remove(self, run_id: str) -> None:
        """Forget a run and its files."""
        self._request("DELETE", f"/api/runs/{run_id}").close()

    def export(self, run_id: str, form: str, *, index: int = 0, map: int = 0) -> bytes:
        """A map or a run in a form to be taken along.

        Args:
            run_id: of the run.
            form: png, overlay, png16, npy, npz of one map; mp4, pdf, csv, zip, python, command of the run.
            index: the picture's number.
            map: the map's number.
        """
        query = urlencode({"form": form, "index": index, "map": map})
        with self._request("GET", f"/api/runs/{run_id}/export?{query}") as answer:
            return answer.read()

    def heatmap(self, run_id: str, *, index: int = 0, map: int = 0) -> Heatmap:
        """A map to the last bit, with its frame and what its values mean.

        Args:
            run_id: of the run.
            index: the picture's number.
            map: the map's number.
        """
        from isotherm.heatmap import Heatmap  # torch, which nobody else who talks to a studio needs

        with tempfile.TemporaryDirectory() as folder:
            fpath = Path(folder) / "map.npz"
            fpath.write_bytes(self.export(run_id, "npz", index=index, map=map))
            return Heatmap.load(fpath)

    def layers(self, model: str) -> list[dict[str, Any]]:
        """The layers of a model as a tree."""
        return self._json("GET", f"/api/models/{quote(model, safe='')}/layers")

    def choices(self) -> dict[str, list[str]]:
        """What the history can be narrowed by: the models, labels, verdicts and tags that there are in it."""
        return self._json("GET", "/api/choices")

    def state(self) -> dict[str, Any]:
        """What there is to choose from: models, methods, devices, samples, limits."""
        return self._json("GET", "/api/state")

    # --- asking --------------------------------------------------------------------------------------------------

    def _picture(self, run_id: str, index: int) -> StudioPicture:
        place = f"/api/runs/{run_id}/view/{index}"
        facts = self._json("GET", place)
        with self._request("GET", f"{place}/values") as answer:
            data = answer.read()
        return StudioPicture(facts["name"], tuple(_map(one, data) for one in facts["maps"]), facts)

    def _sent(self, path: str, file: Picture, name: str | None) -> Any:
        """The answer to a file that was sent."""
        if isinstance(file, bytes):
            data, name = file, name or "picture"
        else:
            try:
                data, name = Path(file).read_bytes(), name or Path(file).name
            except OSError as error:
                raise InputError(f"{os.fspath(file)} cannot be read ({error.strerror or error})") from error
        return self._json("POST", f"{path}?{urlencode({'name': name})}", data)

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        with self._request(method, path, body) as answer:
            return json_of(answer.read(), f"the answer of the studio to {method} {path}")

    def _request(self, method: str, path: str, body: Any = None) -> http.client.HTTPResponse:
        """The answer to a request; the connection ends with it.

        Raises:
            StudioError: the studio refuses it.
            InputError: nobody answers.
        """
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
        is_data = isinstance(body, bytes)
        kind = {} if body is None else {"content-type": "application/octet-stream" if is_data else "application/json"}
        data = body if is_data or body is None else json.dumps(to_json(body), allow_nan=False).encode()
        try:
            connection.request(method, path, data, {**self._headers, **kind, "connection": "close"})
            answer = connection.getresponse()
        except OSError as error:
            connection.close()
            raise InputError(f"the studio at {self._host}:{self._port} cannot be reached ({error})") from error
        if answer.status >= 400:
            with answer:
                raise _refusal(answer)
        return answer


def _refusal(answer: http.client.HTTPResponse) -> StudioError:
    text = answer.read().decode(errors="replace")
    try:
        reason = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        reason = text[:200]
    retry = answer.getheader("retry-after") or ""
    return StudioError(str(reason), answer.status, float(retry) if re.fullmatch(r"[0-9]{1,9}", retry) else None)


def _map(facts: Mapping[str, Any], data: bytes) -> StudioMap:
    with reading("a map that the studio sent", advice="is it of another version?"):
        halves = np.frombuffer(data, "<f2", facts["bytes"] // 2, facts["offset"])
        values = halves.astype(np.float32) * np.float32(facts["unit"])
        return StudioMap(values.reshape(facts["h"], facts["w"]), facts)
