"""Small tables of actions in the forms of the published ones; every row is made up."""

from __future__ import annotations

HEADER = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,"
    "narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
)
ROWS = (
    "P90_01_0,P90,P90_01,00:00:09.500,00:00:10.00,00:00:12.00,600,720,open drawer,open,3,drawer,8,\"['drawer', 'hand']\",\"[8, 11]\"",
    "P90_01_1,P90,P90_01,,00:01:00.25,00:01:00.75,3615,3645,take lid,take,0,lid,20,['lid'],[20]",
    "P90_02_0,P90,P90_02,00:00:00.100,00:00:00.40,00:00:03.00,24,180,take lid,take,0,lid,20,['lid'],[20]",
)
VIDEOS = "video_id,duration,fps,resolution\nP90_01,90.5,59.9400599400599,1920x1080\nP90_02,60.0,30.0,1280x720\n"


def write_epic_kitchens(folder, rows=ROWS, header=HEADER):
    """A table of actions, of videos, and of names, as they lie beside each other."""
    fpath = folder / "EPIC_100_validation.csv"
    fpath.write_text("\n".join([header, *rows]) + "\n")
    (folder / "EPIC_100_video_info.csv").write_text(VIDEOS)
    for kind, names in (("verb", {0: "take", 3: "open"}), ("noun", {8: "drawer", 20: "lid"})):
        lines = [f"{i},{name},\"['{name}']\",any" for i, name in names.items()]
        (folder / f"EPIC_100_{kind}_classes.csv").write_text("\n".join(["id,key,instances,category", *lines]) + "\n")
    return fpath
