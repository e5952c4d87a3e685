"""Words that a model has no tokens for. Real vocabularies spell anything; a small one drops what it does not know, and
the question is another one then.

One rule holds wherever a question is asked: the words that are left are asked, and a note names those that were not
read. Where none is left, there is no question, and it is refused.
"""

from __future__ import annotations

from isotherm.errors import TargetError
from isotherm.vlm.view import LanguageView

SMALL = 64
"""Words of a vocabulary that is named whole."""


def unknown_words(view: LanguageView, text: str) -> list[str]:
    """Words of a text, between spaces, that the model's vocabulary has not, in order and once each."""
    return [
        word for word in dict.fromkeys(text.split()) if not view.vocabulary.decode(view.vocabulary.encode(word)).strip()
    ]


def note_unknown_words(view: LanguageView, text: str) -> list[str]:
    """A line about them, if there are any.

    Raises:
        TargetError: the model's vocabulary has no word of the text.
    """
    unknown = unknown_words(view, text)
    left = [word for word in text.split() if word not in unknown and any(c.isalnum() for c in word)]
    if unknown and not left:
        raise TargetError(
            f"the vocabulary of {view.name} has no word of {text!r}, so there is nothing to ask; {_known(view)}"
        )
    return (
        [f"the vocabulary of {view.name} has no {', '.join(map(repr, unknown))}: give a prompt of words that it knows"]
        if unknown
        else []
    )


def _known(view: LanguageView) -> str:
    words = [text.strip() for text in view.vocabulary.texts() if any(c.isalnum() for c in text)]
    return f"it knows {', '.join(words)}" if len(words) <= SMALL else "give a prompt of words that it knows"
