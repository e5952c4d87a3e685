"""A video explained as one clip, by a model that sees several moments: its maps over all frames, a sheet, a part of the
report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec

import numpy as np
from PIL import Image

from isotherm.cam.explanation import Explanation
from isotherm.cam.premises import RANDOM
from isotherm.draw import ReportEntry, moment_sheet, overlay_frames, save_animation, save_picture, shared_scale
from isotherm.draw.describe import title_of
from isotherm.draw.picture import Picture
from isotherm.draw.sheet import add_title
from isotherm.jobs.explain.outputs import Outputs


def write_moments(explanation: Explanation, outputs: Outputs) -> list[str]:
    """Of every map the values, an animation of all frames under it (GIF where PyAV is missing), and a sheet; the files'
    names.
    """
    clip, name, written = explanation.clip, explanation.name, []
    assert clip is not None
    rate = 10.0 if clip.edges_s is None else len(clip) / (clip.edges_s[-1] - clip.edges_s[0])
    suffix, style = ".mp4" if find_spec("av") else ".gif", outputs.style
    for i, heatmap in enumerate(explanation):
        outputs.drawn(heatmap, ())  # maps of whole frames: refused where boxes are to be renormalised
        part = f"{i:02d}-{heatmap.label}-{heatmap.meta['method']}"
        words = [f"{title_of(heatmap)} · {heatmap.meta['method']} at {heatmap.meta['layer']}"]
        title = " · ".join([*words, *([RANDOM] if explanation.warnings else [])])
        if outputs.raw != "none":
            written.append(heatmap.save(outputs.run.fpath(name, f".{outputs.raw}", part=part)).name)
        line = " · ".join([*([RANDOM] if explanation.warnings else []), *words])
        frames = _labelled(overlay_frames(heatmap, iter(clip.frames), style=style), clip.edges_s, line)
        fpath = outputs.run.fpath(name, suffix, part=part)
        save_animation(frames, fpath, fps=min(60.0, max(0.5, rate)), command=outputs.command, side=1280)
        sheet = moment_sheet(heatmap, style=style, title=title)
        written += [
            fpath.name,
            save_picture(sheet, outputs.run.fpath(name, ".jpg", part=part), command=outputs.command).name,
        ]
    return written


def _labelled(frames: Iterable[Picture], edges_s: Sequence[float] | None, title: str) -> Iterator[Image.Image]:
    """Frames under a line that says when each begins, or which it is where times are not known."""
    for i, frame in enumerate(frames):
        when = f"frame {i}" if edges_s is None else f"{edges_s[i]:.2f} s"
        yield add_title(Image.fromarray(np.asarray(frame)), f"{when} · {title}", lines=1)


def entries_of_moments(explanation: Explanation, source: str, command: str) -> Iterator[ReportEntry]:
    """The clip's part of the report: every moment of every map over its frame, with the verdict on the whole map."""
    verdicts = list(explanation.trust_lines)
    notes = [*explanation.warnings, *explanation.chosen]
    notes += [note for note in explanation.notes if note not in explanation.warnings]
    for i, heatmap in enumerate(explanation):
        assert heatmap.moments is not None
        scale = shared_scale([heatmap])
        for moment, when in zip(heatmap, heatmap.moments.names, strict=True):
            meta = {k: v for k, v in moment.meta.items() if k != "activation"}  # which the title tells already
            yield ReportEntry(
                picture=moment.picture,
                heatmaps=[
                    moment.with_(meta={**meta, "command": command}, picture=None, label=f"{title_of(moment)}, {when}")
                ],
                title=f"{explanation.name}, {when}",
                source=source,
                notes=notes,
                trust=[verdicts[i]] if verdicts else None,
                scale=scale,
            )
