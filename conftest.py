"""Doctests see torch and a temporary folder without importing them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace, tmp_path):
    import torch

    doctest_namespace["torch"] = torch
    doctest_namespace["tmp_path"] = tmp_path
