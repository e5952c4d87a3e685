"""A hub that cannot be reached is told in one line, at once."""

from __future__ import annotations

import socket
import time

import pytest
from huggingface_hub import constants

from isotherm import open_model
from isotherm.cli import main
from isotherm.errors import WeightsError
from isotherm.models.weights import hub


@pytest.fixture
def cut_off(tmp_path, monkeypatch):
    """No network, an empty cache, and nobody who waits."""

    def refuse(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    def wait(_):
        raise AssertionError("somebody waits to ask again")

    for name in hub.PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(time, "sleep", wait)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return constants


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody/no-such-model", r"nobody/no-such-model is not here, .* huggingface\.co cannot be reached"),
        ("timm:vit_tiny_r_s16_p8_224", r"could not be fetched \(huggingface\.co cannot be reached \(Name or service"),
    ],
)
def test_a_hub_name_without_a_network_is_one_line_at_once(cut_off, name, words, capsys):
    with pytest.raises(WeightsError, match=words):
        open_model(name)
    assert "Retrying" not in capsys.readouterr().err
    assert cut_off.HF_HUB_OFFLINE is False  # as it was


def test_the_command_line_says_what_to_do_in_its_own_words(cut_off, capsys):
    assert main(["layers", "--model", "timm:vit_tiny_r_s16_p8_224"]) == 2
    message = capsys.readouterr().err
    assert message.endswith("check the network, give a file as --weights, or --weights none for random ones\n")
    assert len(message.splitlines()) == 1


def test_a_proxy_is_left_to_the_packages(cut_off, monkeypatch):
    assert hub.unreachable() == "huggingface.co cannot be reached (Name or service not known)"
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:1")
    assert hub.unreachable() is None
