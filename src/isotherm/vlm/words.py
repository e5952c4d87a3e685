"""Words that a model has no tokens for. Real vocabularies spell anything; a small one drops what it does not know, and the question is another one then."""

from __future__ import annotations

from isotherm.vlm.view import LanguageView


def unknown_words(view: LanguageView, text: str) -> list[str]:
    """Words of a text, between spaces, that the model's vocabulary has not, in order and once each."""
    return [word for word in dict.fromkeys(text.split()) if not view.vocabulary.decode(view.vocabulary.encode(word)).strip()]


def note_unknown_words(view: LanguageView, text: str) -> list[str]:
    """A line about them, if there are any."""
    unknown = unknown_words(view, text)
    return [f"the vocabulary of {view.name} has no {', '.join(map(repr, unknown))}: give a prompt of words that it knows"] if unknown else []
