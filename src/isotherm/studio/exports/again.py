"""What makes a run again: the command, and the Python. No torch here."""

from __future__ import annotations

from pprint import pformat

from isotherm.ops.shell import shell_line
from isotherm.studio.requests import JOBS
from isotherm.studio.store.query import RunFacts

SCRIPT = '''"""{title}

What a studio of isotherm {version} did, once more; run it beside the pictures.
"""

from isotherm.jobs.{job}.options import {options}
from isotherm.jobs.{job}.run import run

options = {options}(
{arguments}
)
if __name__ == "__main__":
    print(run(options))
'''


def command_of(run: RunFacts) -> str:
    """The command line that asks for the same, to be given beside the pictures."""
    return shell_line(JOBS[run.job].from_json(run.options).command_line()) + "\n"


def script_of(run: RunFacts, version: str) -> str:
    """The Python that asks for the same, to be run beside the pictures.

    Args:
        run: what was asked for.
        version: of isotherm.
    """
    arguments = {
        name: tuple(value) if isinstance(value, list) else value for name, value in sorted(run.options.items())
    }
    lines = (f"    {name}={pformat(value, width=100)}," for name, value in arguments.items())
    title = run.title.replace("\\", "/").replace('"', "'")
    return SCRIPT.format(
        title=title, version=version, job=run.job, options=JOBS[run.job].__name__, arguments="\n".join(lines)
    )
