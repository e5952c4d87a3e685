"""From a video to people's gaze in a folder; stopped at any moment, the same call goes on with it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isotherm.atomic import atomic_write
from isotherm.data.gaze.states import GazeState
from isotherm.data.video import FrameChoice, probe_video
from isotherm.errors import OptionError
from isotherm.models.gaze_lle.heads import HeadDetector
from isotherm.models.gaze_lle.model import GazeLLE
from isotherm.ops.hashing import state_hash
from isotherm.progress import Say, silent
from isotherm.runs.file import to_json
from isotherm.systems.people_gaze.film import film_people
from isotherm.systems.people_gaze.heads import GivenHeads, WholePicture
from isotherm.systems.people_gaze.look import look_at
from isotherm.systems.people_gaze.parts import GazePart
from isotherm.systems.people_gaze.people import (
    Person,
    forget_people,
    frame_numbers,
    people_of,
    write_person,
    write_table,
)
from isotherm.train.run_folder import RunFolder

FORMAT = "isotherm.people_gaze/1"
RESULTS = "people.json"


@dataclass(frozen=True, kw_only=True)
class PeopleOptions:
    """How people's gaze is looked for.

    Args:
        choice: which frames of the video.
        threshold: from which likelihood on the gaze counts as lying in the picture, of models that say so.
        least_iou: least overlap of a head with itself one frame later.
        memory: frames that a head may be unseen.
        least_frames: people seen less often are left out.
        batch: frames per forward pass.
        film: write a film.
        style: of its heat.
        side: its longer side in pixels.

    Raises:
        OptionError: a likelihood that is none.
    """

    choice: FrameChoice = field(default_factory=FrameChoice)
    threshold: float = 0.5
    least_iou: float = 0.2
    memory: int = 15
    least_frames: int = 2
    batch: int = 4
    film: bool = True
    style: str | None = None
    side: int = 960

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold is {self.threshold}; expected a likelihood from 0 to 1")


@dataclass(frozen=True, eq=False)
class PeopleGaze:
    """What was found.

    Args:
        dpath: the folder with a store of maps (.zarr) and of points (.parquet) for each, ``gaze.csv``, ``people.json``
            and the film.
        people: in the order in which they come.
        frames: how many were looked at.
        film: its path, None where none was asked for.
    """

    dpath: Path
    people: list[Person]
    frames: int
    film: Path | None


def predict_gaze(
    model: GazeLLE,
    video: str | os.PathLike[str],
    heads: HeadDetector,
    dpath: str | os.PathLike[str],
    *,
    options: PeopleOptions | None = None,
    name: str = "Gaze-LLE",
    heads_name: str = "",
    command: str = "",
    say: Say = silent,
) -> PeopleGaze:
    """Look for people's gaze in a video.

    Args:
        model: a Gaze-LLE.
        video: the file.
        heads: what finds heads.
        dpath: a new folder, or that of the same call, which is then gone on with.
        options: how.
        name, heads_name: of model and detector, for the record; another one is another run.
        command: the command line that asks for the same.
        say: told of progress and remarks.

    Raises:
        OptionError: the folder holds something else.
        InputError: the video cannot be read; what is finished is kept.
    """
    options, video = options or PeopleOptions(), Path(video)
    info = probe_video(video)
    choice = options.choice
    recipe = {
        "gaze": FORMAT,
        "video": video.name,
        "bytes": video.stat().st_size,
        "model": name,
        "weights": state_hash(model.decoder),
        "heads": heads_name or type(heads).__name__,
        "frames": {"every": choice.every, "max": choice.max_frames, "start_s": choice.start_s, "end_s": choice.end_s},
    }
    folder = RunFolder(dpath, recipe)
    with folder.started("predict", command=command, model=name, data=str(video)):
        parts = look_at(model, video, choice, heads, folder.dpath, batch=options.batch, say=say)
        index = frame_numbers(parts)
        least = min(options.least_frames, len(index))
        people = people_of(
            parts,
            info.size,
            threshold=options.threshold,
            least_iou=options.least_iou,
            memory=options.memory,
            least_moments=least,
        )
        whole = choice == FrameChoice(every=choice.every)
        for line in (
            heads.unused(info.size, int(index[-1]) + choice.every) if isinstance(heads, GivenHeads) and whole else ()
        ):
            say(line)
        heads_in_all = sum(int(GazePart.load(fpath).count.sum()) for fpath in parts)
        brief = heads_in_all - sum(int(person.seen.sum()) for person in people)
        if brief:
            say(
                f"{brief} of {heads_in_all} heads are of people seen in fewer than {least} frames, who are left out (--least-frames)"
            )
        elif not people:
            say("no head was found in any frame; give another detector or boxes (--heads)")
        forget_people(folder.dpath, people)
        for person in people:
            write_person(person, parts, folder.dpath, video=video.name)
        write_table(people, index, folder.dpath / "gaze.csv")
        film = None
        if options.film:
            film = film_people(
                people,
                parts,
                video,
                choice,
                folder.dpath / "gaze.mp4",
                boxed=not isinstance(heads, WholePicture),
                style=options.style,
                side=options.side,
                command=command,
                say=say,
            )
        with atomic_write(folder.dpath / RESULTS) as file:
            facts = {
                "format": FORMAT,
                **{k: v for k, v in recipe.items() if k != "gaze"},
                "frames_looked_at": len(index),
            }
            facts["people"] = [_described(person) for person in people]
            file.write(json.dumps(to_json(facts), indent=1, allow_nan=False).encode())
    return PeopleGaze(folder.dpath, people, len(index), film)


def _described(person: Person) -> dict[str, Any]:
    states = person.gaze.state
    return {
        "number": person.number,
        "frames_seen": int(person.seen.sum()),
        "frames": {state.name.lower(): int((states == state).sum()) for state in GazeState},
        "points": f"{person.name}.parquet",
        "maps": f"{person.name}.zarr",
    }
