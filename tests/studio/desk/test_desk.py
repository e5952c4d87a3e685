"""What a desk's process tells of an error."""

from __future__ import annotations

import pytest

from isotherm.errors import OptionError
from isotherm.studio.desk.desk import Desk, Fault
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.unkept import Unkept

TASKS = {name: f"rigs.desk_tasks:{name}" for name in ("full", "locked", "wrong", "stumble", "moved", "absent")}


def test_errors_come_back_as_what_they_are():
    desk = Desk("test", tasks=TASKS)
    kinds = {
        "full": Unkept,
        "locked": Unkept,
        "wrong": OptionError,
        "stumble": Fault,
        "moved": NotThere,
        "absent": NotThere,
    }
    try:
        for name, kind in kinds.items():
            with pytest.raises(kind):
                desk.do(name)
    finally:
        desk.close()
