"""All attacks."""

from __future__ import annotations

from bench.attacks import archives, folders, pickles, tensors, texts

ATTACKS = (*pickles.ATTACKS, *archives.ATTACKS, *tensors.ATTACKS, *folders.ATTACKS, *texts.ATTACKS)
