"""``isotherm layers``: the tree of a model's layers and the automatic choice."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import say
from isotherm.cli.options import Layers
from isotherm.jobs.open_model import open_model
from isotherm.relevance.modules import resolve, tree
from isotherm.vlm.view import LanguageView


def run(options: Layers, arguments: Sequence[str]) -> int:
    opened = open_model(options)
    view = opened.view
    at = resolve(view.model, options.at)[0].name if options.at else ""
    say(tree(view.model, at, width=200))
    if isinstance(view, LanguageView):
        print(
            "\nauto: vision tokens\n      a model that answers is explained where its language model gets the pictures"
        )
        return 0
    choice = view.auto_layers()
    say(f"\nauto: {', '.join(choice.layers)}\n      {choice.reason}")
    return 0
