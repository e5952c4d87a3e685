"""Who listens is woken as long as the block lasts, and may leave while being woken."""

from __future__ import annotations

from isotherm.studio.work.listeners import Listeners


def test_each_is_woken_as_long_as_it_listens():
    listeners, woken = Listeners(), []
    with listeners.waking(lambda: woken.append("a")):
        with listeners.waking(lambda: woken.append("b")):
            listeners.wake()
        listeners.wake()
    listeners.wake()
    assert sorted(woken) == ["a", "a", "b"]


def test_one_that_leaves_while_it_is_woken_holds_up_nobody():
    listeners, woken = Listeners(), []
    block = listeners.waking(lambda: (woken.append("a"), block.__exit__(None, None, None)))
    block.__enter__()
    listeners.wake()
    listeners.wake()
    assert woken == ["a"]
