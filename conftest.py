"""Doctests see torch and a temporary folder without importing them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _doctest_names(request, doctest_namespace):
    if isinstance(request.node, pytest.DoctestItem):  # the others ask for a folder where they want one
        import torch

        doctest_namespace["torch"] = torch
        doctest_namespace["tmp_path"] = request.getfixturevalue("tmp_path")
