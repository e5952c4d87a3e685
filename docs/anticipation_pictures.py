"""Makes the picture of anticipation.md: generated clips of every part, with the gaze that they come with.

Run: python docs/anticipation_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from isotherm.cli.demo_gaze import CLIP, OTHER, panels_of
from isotherm.data.egocentric.clips import EgocentricClip, EgocentricClips, make_many
from isotherm.data.egocentric.config import HELD_OUT, EgocentricConfig
from isotherm.data.egocentric.story import TARGET
from isotherm.data.gaze.states import GazeState
from isotherm.draw import save_picture
from isotherm.draw.gaze import draw_gaze
from isotherm.draw.gaze_panels import gaze_panels
from isotherm.draw.sheet import Tile, add_title, arrange
from isotherm.gaze.film import gaze_track

SIDE = 128
FRAMES = (0, 3, 5, 7)
"""Of eight, in which each look is seen."""
ROWS = (
    ("gaze alone decides", "gaze", GazeState.TRACKED),
    ("gaze leaves the picture", "out_of_frame", GazeState.OUT_OF_FRAME),
    ("gaze is missing", "out_of_frame", GazeState.MISSING),
    ("the picture decides", "video", GazeState.TRACKED),
)
"""What a row is called, the part of the set, and the state of gaze in the end."""
COMMAND = "python docs/anticipation_pictures.py"


def chosen(clips: EgocentricClips) -> list[tuple[str, EgocentricClip]]:
    """The first clip of every row; where the picture decides, one in which gaze ends on another thing."""
    wanders = clips.stories.looked[:, -1] != TARGET
    return [
        (title, next(clips[i] for i in range(len(clips)) if fits(clips[i], part, state, bool(wanders[i]))))
        for title, part, state in ROWS
    ]


def fits(clip: EgocentricClip, part: str, state: GazeState, wanders: bool) -> bool:
    return clip.part == part and clip.state[-1] == state and (wanders or part != "video")


def row(title: str, clip: EgocentricClip) -> list[Tile]:
    track = gaze_track(clip.recording())
    tiles = []
    for i in FRAMES:
        at_s = float(clip.time_s[i])
        frame = Image.fromarray(clip.video[i].transpose(1, 2, 0).copy())
        before = f"{at_s - float(clip.time_s[-1]):.2f} s"
        caption = title if i == 0 else f"then: {clip.label}" if i == FRAMES[-1] else before
        tiles.append(Tile(draw_gaze(frame, track, at_s), caption))
    return tiles


def main() -> None:
    config = EgocentricConfig(side=SIDE, look="varied", gaze=1, out_of_frame=1, video=1)
    made = make_many(range(HELD_OUT.start, HELD_OUT.start + 40), config)
    rows = [row(title, clip) for title, clip in chosen(made)]
    sheet = add_title(arrange(rows, font_size=15), "Before four actions, which are not shown")
    fpath = Path(__file__).parent / "pictures" / "egocentric.jpg"
    print(save_picture(sheet, fpath, command=COMMAND, quality=82))
    print(save_picture(predictions(), fpath.with_name("gaze_next.jpg"), command=COMMAND, quality=82))


def predictions() -> Image.Image:
    """What the shipped model predicts at the end of a clip with the person's gaze, another's and none."""
    clips = make_many([CLIP, OTHER], EgocentricConfig(side=SIDE))
    clip, other = clips[0], clips[1]
    frames = list(clip.video.transpose(0, 2, 3, 1))
    sheets = gaze_panels(frames, panels_of(clip, other), clip.time_s, right=clip.label, title="What happens next?")
    return list(sheets)[-1]


if __name__ == "__main__":
    main()
