"""Referring expressions in RefCOCO's form: sentences about the objects of a COCO file, each with a box.

The form: refs, a list of objects with ``ann_id``, ``image_id``, ``split`` and ``sentences``; COCO's instances, whose
annotations have ``bbox`` and whose images have ``file_name`` (https://github.com/lichengunc/refer, README;
https://cocodataset.org/#format-data). The published refs are Python pickles, which can run code, so they are refused;
the message says how to write them as JSON.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from isotherm.data.annotation_files import Entry, Skipped, number, part_of, read_json, shown, text_of
from isotherm.data.grounding.records import GroundingRecord, GroundingSet, Place
from isotherm.data.orientation import Orientation
from isotherm.data.picture_folder import PictureFolder, states_in
from isotherm.errors import InputError
from isotherm.points import State
from isotherm.untrusted.plain import reads

PICKLES = (".p", ".pkl", ".pickle")


@reads()
def read_refcoco(
    refs_fpath: str | os.PathLike[str],
    instances_fpath: str | os.PathLike[str],
    images_dpath: str | os.PathLike[str],
    *,
    split: str | None = None,
    orientation: Orientation | None = None,
    skip_bad: bool = False,
) -> GroundingSet:
    """The sentences of a set of referring expressions, a record each; the place is the centre of the object's box.

    Args:
        refs_fpath: the refs, JSON.
        instances_fpath: COCO's instances, JSON.
        images_dpath: the folder of the pictures.
        split: that of the file, such as "train", "val", "testA"; None: all.
        orientation: in which pixels places in turned pictures are, see :mod:`isotherm.data.orientation`; None: upright,
            which is said in ``notes``.
        skip_bad: leave out refs that are wrong, or whose pictures are missing, with a message each in ``skipped``.

    Raises:
        InputError: file, line and what is wrong there, such as an id that is not there or that two entries have, an
            object that lies in another picture, or outside of it, a ref without sentences; a pickle; a split that no
            ref has.
    """
    refs_fpath, instances_fpath = Path(refs_fpath), Path(instances_fpath)
    if refs_fpath.suffix.lower() in PICKLES:
        raise InputError(
            f"{refs_fpath} is a pickle, which can run code while it is opened, so it is not read; where you trust it, write it as JSON once: "
            f"python -c \"import json, pickle; json.dump(pickle.load(open({refs_fpath.name!r}, 'rb')), open('refs.json', 'w'))\""
        )
    whole = read_json(refs_fpath)
    refs = whole if isinstance(whole, list) else whole.get("refs")
    if not isinstance(refs, list):
        raise InputError(f"{refs_fpath}: expected a list of refs, each with ann_id, image_id and sentences")
    instances = read_json(instances_fpath)
    boxes = _by_id(instances, "annotations", instances_fpath)
    images = _by_id(instances, "images", instances_fpath)
    folder = PictureFolder(images_dpath, orientation)
    skipped, records = Skipped(allowed=skip_bad), list[GroundingRecord]()
    splits = set[str]()
    for entry in refs:
        with skipped.one():
            own = str(entry.value.get("split", "")) if isinstance(entry.value, dict) else ""
            splits.add(own)
            if split is None or own == split:
                records += _of_ref(entry, boxes, images, folder)
    if split is not None and split not in splits:
        raise InputError(
            f"{refs_fpath}: no ref is of the split {split!r}; there are {', '.join(sorted(splits)) or 'none'}"
        )
    return GroundingSet(records=records, skipped=tuple(skipped.messages), notes=folder.turns.notes)


def _by_id(whole: Any, key: str, fpath: Path) -> dict[int, Entry]:
    entries = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"{fpath}: there is no list {key!r} in it; expected COCO's instances")
    by_id = dict[int, Entry]()
    for entry in entries:
        number_of = part_of(entry.value, "id", entry.where, int, "a whole number")
        if (first := by_id.setdefault(number_of, entry)) is not entry:
            raise InputError(
                f"{entry.where}: the id {number_of} is that of {first.where} too; expected another one for each of {key}"
            )
    return by_id


def _of_ref(
    entry: Entry, boxes: dict[int, Entry], images: dict[int, Entry], folder: PictureFolder
) -> list[GroundingRecord]:
    ref, where = entry.value, entry.where
    number_of = {key: part_of(ref, key, where, int, "a whole number") for key in ("ann_id", "image_id")}
    for key, known, what in (("ann_id", boxes, "annotation"), ("image_id", images, "image")):
        if number_of[key] not in known:
            raise InputError(f"{where}: there is no {what} {number_of[key]} among the instances")
    box, image = boxes[number_of["ann_id"]], images[number_of["image_id"]]
    of = part_of(box.value, "image_id", box.where, int, "the id of its image")
    if of != number_of["image_id"]:
        raise InputError(
            f"{where}: the ref is about image {number_of['image_id']}, and its annotation {number_of['ann_id']} lies in image {of} ({box.where})"
        )
    name = text_of(
        part_of(image.value, "file_name", image.where, str, "the picture's file name"), image.where, "file_name"
    )
    match = folder.find(name, where)
    path, (h, w) = match.fpath, match.size
    match.check_size(image.value, image.where, name)
    centre = match.turn.points(_centre(box))
    if int(states_in((h, w), centre, torch.full((1,), int(State.LABELLED)))) != int(State.LABELLED):
        raise InputError(
            f"{box.where}: bbox is {shown(box.value['bbox'])}, whose middle lies outside of {name}, which is {w} x {h} pixels"
        )
    place, out = Place(centre), list[GroundingRecord]()
    sentences = part_of(ref, "sentences", where, list, "a list of sentences")
    if not sentences:
        raise InputError(f"{where}: 'sentences' is empty; expected at least one")
    for sentence in sentences:
        words = sentence.get("sent") or sentence.get("raw") if isinstance(sentence, dict) else sentence
        text = text_of(words, where, "a sentence")
        out.append(
            GroundingRecord(pictures=(path,), text=text, places=((place,),), name=f"{name}: {text}", origin=where)
        )
    return out


def _centre(entry: Entry) -> torch.Tensor:
    """(1, 2) the middle of a box (x, y, w, h), whose sides run from edge to edge."""
    box = part_of(entry.value, "bbox", entry.where, list, "a box [x, y, w, h]")
    if len(box) != 4:
        raise InputError(f"{entry.where}: bbox is {shown(box)}; expected [x, y, w, h]")
    x, y, w, h = (number(v, entry.where, "one of bbox") for v in box)
    if w < 0 or h < 0:
        raise InputError(f"{entry.where}: bbox is {shown(box)}; expected a width and a height of at least 0")
    return torch.tensor([[x + w / 2, y + h / 2]])
