"""Stands in for OpenAI's CLIP, of which YOLOE needs the tokenizer alone. On the module path of one process, never of the tests."""

from . import clip as clip
