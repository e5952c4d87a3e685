"""What the page is set up with: JSON, Python's own colours, and no torch on the way to it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import numpy as np

from isotherm.draw import STYLES, colour_table
from isotherm.draw.page_settings import page_settings


def test_settings_are_json_and_hold_the_colours_that_python_draws_with():
    settings = json.loads(json.dumps(page_settings(), allow_nan=False))
    assert set(settings["tables"]) == {*settings["unsigned"], *settings["signed"]}
    for name, text in settings["tables"].items():
        table = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, 3)
        np.testing.assert_array_equal(table, colour_table(name).mul(255).round().byte().numpy())
    assert set(settings["styles"]) == set(STYLES)
    assert settings["styles"]["lines"]["lines"] == list(STYLES["lines"].lines)


def test_a_server_has_settings_and_scripts_without_torch():
    program = """
import sys
from isotherm.draw.page_script import module_text
from isotherm.draw.page_settings import page_settings
page_settings(), module_text("viewer.js")
print("torch" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
