"""The tests of the pages' scripts, which run in Node."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from rigs.programs import NODE, needs

TESTS = Path(__file__).parent / "js"


@needs("node")
def test_the_scripts_of_the_pages_do_what_their_tests_say():
    files = sorted(map(str, TESTS.glob("*.test.js")))
    run = subprocess.run([NODE, "--test", "--test-reporter=tap", *files], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    passed = int(re.search(r"^# pass (\d+)$", run.stdout, re.MULTILINE)[1])
    assert passed >= len(files) > 0
