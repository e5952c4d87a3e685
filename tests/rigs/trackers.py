"""A tracker that keeps what it is told."""

from __future__ import annotations

from isotherm.train.tracker import Tracker


class KeptTracker(Tracker):
    """In place of Weights & Biases. ``recipe`` and ``job`` are what it was made for, ``ends`` whether each end was a failure."""

    def __init__(self, recipe, job):
        self.recipe, self.job, self.rows, self.pictures, self.ends = dict(recipe), job, [], [], []

    def log(self, row):
        self.rows.append(dict(row))

    def picture(self, name, rgb, step):
        self.pictures.append((name, rgb, step))

    def finish(self, *, failed):
        self.ends.append(failed)
