"""The registry: every reader, by what it reads."""

from __future__ import annotations

from bench.fuzz.reader import Reader
from bench.fuzz.readers import actions, gaze, labels, maps, models, runs, studio, texts

READERS: tuple[Reader, ...] = (
    *maps.READERS,
    *models.READERS,
    *runs.READERS,
    *labels.READERS,
    *actions.READERS,
    *gaze.READERS,
    *texts.READERS,
    *studio.READERS,
)
"""All of them."""
