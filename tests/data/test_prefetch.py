"""Items in order, one thread ahead, which ends whatever happens."""

from __future__ import annotations

import threading
import time

import pytest

from isotherm.data.prefetch import Prefetch
from isotherm.errors import InputError, OptionError


def loaders():
    return [thread for thread in threading.enumerate() if thread.name == "loader"]


def test_all_items_come_in_order_from_another_thread():
    threads = set()

    def items():
        for n in range(50):
            threads.add(threading.current_thread().name)
            yield n

    with Prefetch(items(), ahead=3) as prefetched:
        assert list(prefetched) == list(range(50))
        assert list(prefetched) == []
    assert threads == {"loader"}
    assert loaders() == []


def test_no_more_than_asked_for_lie_ahead():
    made = []

    def items():
        for n in range(20):
            made.append(n)
            yield n

    with Prefetch(items(), ahead=2) as prefetched:
        assert next(prefetched) == 0
        time.sleep(0.05)
        assert len(made) <= 4  # taken, two ready, and one waiting for room
    assert loaders() == []


def test_the_loaders_error_is_raised_where_its_item_would_come():
    def items():
        yield 1
        raise InputError("a.mp4 is broken")

    prefetched = Prefetch(items())
    assert next(prefetched) == 1
    with pytest.raises(InputError, match="is broken"):
        next(prefetched)
    with pytest.raises(StopIteration):
        next(prefetched)
    assert loaders() == []


def test_an_error_of_who_works_on_the_items_ends_the_loader():
    def work():
        with Prefetch(iter(range(1000))) as prefetched:
            next(prefetched)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert loaders() == []


def test_waiting_is_counted():
    """A loader that is slower than the work is waited for; one that is faster is not."""
    slow = threading.Event()

    def items(seconds):
        for n in range(4):
            slow.wait(seconds)
            yield n

    with Prefetch(items(0.03)) as prefetched:
        list(prefetched)
        assert prefetched.waited_s > 0.09
        assert prefetched.loaded_s > 0.11
        assert prefetched.share_waited(1.0) == prefetched.waited_s
    with Prefetch(items(0.0)) as prefetched:
        assert prefetched.share_waited(0.0) == 0


def test_none_ahead_is_refused():
    with pytest.raises(OptionError, match="at least 1"):
        Prefetch([], ahead=0)
