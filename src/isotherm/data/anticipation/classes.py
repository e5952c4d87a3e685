"""Which classes a model has, in an order that depends on nothing but the ids: kept in its checkpoint.

Numbers that come from the order of a set, or of a file, belong to that very file; a model trained with them answers
wrongly with any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int64

from isotherm.data.anticipation.actions import Action, ActionTable
from isotherm.errors import InputError
from isotherm.untrusted.plain import DAMAGE, json_of

FORMAT = "isotherm.action_classes/1"
UNKNOWN = -1
"""The number of a class that a model does not have: no answer to it can be right."""


@dataclass(frozen=True)
class ClassNumbers:
    """The classes of actions as numbers of a model's outputs; UNKNOWN where it has none.

    Args:
        verb, noun, action: of each of the n actions.
    """

    verb: Int64[np.ndarray, " n"]
    noun: Int64[np.ndarray, " n"]
    action: Int64[np.ndarray, " n"]


@dataclass(frozen=True)
class Absent:
    """What of a table a model cannot answer, because it was not in what it learnt from.

    Args:
        rows: actions whose pair of verb and noun is absent.
        of: actions in all.
        verbs, nouns: ids, in order.
        pairs: (verb, noun), in order.
    """

    rows: int
    of: int
    verbs: tuple[int, ...]
    nouns: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return (
            f"{self.rows} of {self.of} actions are of {len(self.pairs)} pairs that were not learnt ({len(self.verbs)} verbs and "
            f"{len(self.nouns)} nouns among them); they are kept, and no answer to them counts as right"
        )


@dataclass(frozen=True)
class Classes:
    """The classes of a model.

    Args:
        verbs, nouns: ids, sorted; the place of an id is the number of the model's output.
        actions: (verb, noun) ids, sorted.
        verb_names, noun_names: by id, where they have names.

    Raises:
        InputError: they are not sorted, occur twice, or an action has a verb or noun that is none of them.
    """

    verbs: tuple[int, ...]
    nouns: tuple[int, ...]
    actions: tuple[tuple[int, int], ...]
    verb_names: Mapping[int, str] = field(default_factory=dict)
    noun_names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        in_order = {
            "verbs": self.verbs == tuple(sorted(set(self.verbs))),
            "nouns": self.nouns == tuple(sorted(set(self.nouns))),
            "actions": self.actions == tuple(sorted(set(self.actions))),
        }
        for name, fine in in_order.items():
            if not fine:
                raise InputError(f"the classes' {name} are not sorted, or occur twice; expected each once, in order")
        strays = [pair for pair in self.actions if pair[0] not in self.verbs or pair[1] not in self.nouns]
        if strays:
            raise InputError(f"the action {strays[0]} is of a verb or a noun that is not among the classes")

    @classmethod
    def of(cls, table: ActionTable) -> Classes:
        """The classes that occur in a table; actions without a class are passed over.

        Args:
            table: what a model learns from.

        Example:
            >>> rows = (Action("a", 0, 1, 7, 2), Action("a", 1, 2, 3, 2))
            >>> Classes.of(ActionTable(rows)).actions
            ((3, 2), (7, 2))
        """
        pairs = sorted({_pair(action) for action in table if action.verb is not None})
        verbs, nouns = sorted({v for v, _ in pairs}), sorted({n for _, n in pairs})
        return cls(
            tuple(verbs),
            tuple(nouns),
            tuple(pairs),
            {v: table.verbs[v] for v in verbs if v in table.verbs},
            {n: table.nouns[n] for n in nouns if n in table.nouns},
        )

    def numbers(self, table: ActionTable) -> ClassNumbers:
        """The classes of a table's actions as numbers of a model's outputs.

        Args:
            table: of any actions; classes that the model does not have, or that are not known, are UNKNOWN.
        """
        verbs, nouns, actions = ({of: i for i, of in enumerate(ids)} for ids in (self.verbs, self.nouns, self.actions))
        return ClassNumbers(
            np.array([verbs.get(a.verb, UNKNOWN) for a in table], np.int64),
            np.array([nouns.get(a.noun, UNKNOWN) for a in table], np.int64),
            np.array([actions.get((a.verb, a.noun), UNKNOWN) for a in table], np.int64),
        )

    def absent(self, table: ActionTable) -> Absent:
        """What of a table the model cannot answer; actions without a class are passed over.

        Args:
            table: such as that of the validation.
        """
        pairs = [_pair(action) for action in table if action.verb is not None]
        known = set(self.actions)
        return Absent(
            sum(pair not in known for pair in pairs),
            len(pairs),
            tuple(sorted({v for v, _ in pairs} - set(self.verbs))),
            tuple(sorted({n for _, n in pairs} - set(self.nouns))),
            tuple(sorted(set(pairs) - known)),
        )

    def label(self, number: int) -> str:
        """An action by its number, in words.

        Args:
            number: of the model's output.
        """
        verb, noun = self.actions[number]
        return f"{self.verb_names.get(verb, verb)} {self.noun_names.get(noun, noun)}"

    def to_json(self) -> str:
        """The classes as text for a checkpoint."""
        return json.dumps(
            {
                "format": FORMAT,
                "verbs": [[v, self.verb_names.get(v)] for v in self.verbs],
                "nouns": [[n, self.noun_names.get(n)] for n in self.nouns],
                "actions": [list(pair) for pair in self.actions],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Classes:
        """The classes of a checkpoint.

        Args:
            text: from :meth:`to_json`.

        Raises:
            InputError: it is none.
        """
        try:
            content: Any = json_of(text, "the classes")
            if content["format"] != FORMAT:
                raise InputError(f"the classes are in the form {content['format']!r}; expected {FORMAT!r}")
            verbs, nouns = ([(int(i), name) for i, name in content[key]] for key in ("verbs", "nouns"))
            pairs = tuple((int(v), int(n)) for v, n in content["actions"])
        except (*DAMAGE, InputError) as error:
            if isinstance(error, InputError) and "are in the form" in str(error):
                raise
            raise InputError(
                f"this is no JSON of action classes ({error}); expected what a checkpoint holds"
            ) from error
        names = ({i: str(name) for i, name in ids if name is not None} for ids in (verbs, nouns))
        return cls(tuple(i for i, _ in verbs), tuple(i for i, _ in nouns), pairs, *names)


def _pair(action: Action) -> tuple[int, int]:
    assert action.verb is not None
    assert action.noun is not None
    return action.verb, action.noun
