"""Annotations read the slow and obvious way, from the formats' own words."""

from __future__ import annotations

import json
import math


def coco_points(text, image_sizes):
    """Points in edge-origin pixels and states of every annotation, NaN where v = 0.

    image_sizes: (w, h) by file name. States: 0 unlabelled, 1 labelled, 2 occluded, 3 out of frame.
    """
    whole = json.loads(text)
    files = {image["id"]: image["file_name"] for image in whole["images"]}
    points, states = [], []
    for annotation in whole["annotations"]:
        w, h = image_sizes[files[annotation["image_id"]]]
        flat = annotation["keypoints"]
        points.append([])
        states.append([])
        for k in range(0, len(flat), 3):
            x, y, v = flat[k] + 0.5, flat[k + 1] + 0.5, flat[k + 2]
            if v == 0:
                x = y = math.nan
                state = 0
            elif x < 0 or y < 0 or x > w or y > h:
                state = 3
            elif v == 1:
                state = 2
            else:
                state = 1
            points[-1].append((x, y))
            states[-1].append(state)
    return points, states
