"""Explaining models that see and speak: which parts of which pictures an answer rests on."""
