"""A fault that nobody foresaw is answered, told in one line, and ends no connection."""

from __future__ import annotations

import sqlite3

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from isotherm.errors import InputError
from isotherm.studio.app import make_app
from isotherm.studio.faults import debugging, in_a_line

NO_ROOM = OSError(28, "No space left on device")
FULL = OperationalError("SELECT 1", {}, sqlite3.OperationalError("database or disk is full"))


@pytest.fixture
def client(studio):
    """One that raises what the application lets through."""
    return TestClient(make_app(studio.studio))


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (NO_ROOM, 507, "the studio's disk is full"),
        (FULL, 507, "the studio's disk is full"),
        (KeyError("secret"), 500, "not foreseen: KeyError"),
    ],
)
def test_a_fault_is_answered_and_told_in_a_line(studio, client, monkeypatch, capsys, error, status, words):
    def fail():
        raise error

    monkeypatch.setattr(studio.history, "choices", fail)
    answer = client.get("/api/choices")
    assert (answer.status_code, words in answer.json()["error"]) == (status, True)
    assert "secret" not in answer.text
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("GET /api/choices: ")
    assert words in line


def test_the_traceback_is_told_where_it_is_asked_for(studio, client, monkeypatch, capsys):
    def fail():
        raise KeyError("secret")

    monkeypatch.setattr(studio.history, "choices", fail)
    with debugging(True):
        assert client.get("/api/choices").status_code == 500
    told = capsys.readouterr().err
    assert "Traceback (most recent call last)" in told
    assert 'raise KeyError("secret")' in told
    client.get("/api/choices")
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_that_came_from_a_full_disk_is_one(studio, client, monkeypatch):
    def fail():
        raise InputError("it could not be written") from NO_ROOM

    monkeypatch.setattr(studio.history, "choices", fail)
    answer = client.get("/api/choices")
    assert (answer.status_code, "disk is full" in answer.json()["error"]) == (507, True)


def test_what_sounds_like_a_full_disk_is_none(studio, client):
    answer = client.post("/api/runs", json={"pictures": ["0" * 32], "options": {"model": "no space left on device"}})
    assert answer.status_code == 404


def test_a_line_has_no_break():
    assert in_a_line(ValueError("a\nb")) == "not foreseen: ValueError: a b"
