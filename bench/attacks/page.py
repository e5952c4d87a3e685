"""The tables of docs/hardening.md on attacks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.attacks.registry import ATTACKS


def tables(worlds: Sequence[dict[str, Any]]) -> str:
    """A line of counts, and what each attack meets at its first door in the first world.

    Args:
        worlds: of each order of imports and switch, its outcomes (name, kind, door, result, message, seconds).
    """
    every = [outcome for world in worlds for outcome in world["outcomes"]]
    counts = Counter(outcome[3] for outcome in every)
    effects = sum(n for result, n in counts.items() if result not in ("refused", "opened"))
    orders, switches = (len({world[key] for world in worlds}) for key in ("order", "switch"))
    slowest = max(every, key=lambda outcome: outcome[5])
    head = (
        f"{len(ATTACKS)} attacks at {len({o[2] for o in every})} doors, under {orders} orders of imports and {switches} "
        f"settings of the environment: {len(every):,} attempts. {counts['refused']:,} were refused, {counts['opened']:,} "
        f"opened without effect (what is hostile in them is not looked at), {effects} had one. The slowest took "
        f"{slowest[5]:.2f} s of processor time ({slowest[0]})."
    )
    rows = ["| of | the attack | what it is after | doors | what it meets |", "|---|---|---|---|---|"]
    for attack in ATTACKS:
        its = [o for o in every if o[0] == attack.name and o[1] == attack.kind]
        results = Counter(o[3] for o in its)
        first = next(o for o in its if o[2] == attack.doors[0])
        opened = "opened, without effect" if results["opened"] == len(its) else None
        met = opened or (
            _short(first[4]) if first[3] == "refused" else _short(next(o[4] for o in its if o[3] == "refused"))
        )
        rows.append(f"| {attack.kind} | {attack.name} | {attack.goal} | {', '.join(attack.doors)} | {met} |")
    return "\n".join([head, "", *rows])


def _short(message: str, most: int = 160) -> str:
    """The beginning of a message, as one cell of a table."""
    text = (
        re.sub(r"\s+", " ", message)
        .replace("|", "\\|")
        .replace("<", "&lt;")
        .replace(".../attack/", "")
        .replace("`", "'")
    )
    return text if len(text) <= most else text[: most - 3].rsplit(" ", 1)[0] + " ..."
