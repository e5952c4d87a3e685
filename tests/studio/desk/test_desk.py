"""What a desk's process tells of an error."""

from __future__ import annotations

import pytest

from isotherm.errors import OptionError
from isotherm.studio.desk.desk import Desk, Fault
from isotherm.studio.disk_full import DiskFull

TASKS = {name: f"rigs.desk_tasks:{name}" for name in ("full", "wrong", "stumble")}


def test_errors_come_back_as_what_they_are():
    desk = Desk("test", tasks=TASKS)
    try:
        for name, kind in {"full": DiskFull, "wrong": OptionError, "stumble": Fault}.items():
            with pytest.raises(kind):
                desk.do(name)
    finally:
        desk.close()
