"""What is checked beside: one at a time, and what it raises comes first."""

import threading

import pytest

from unitdb.errors import CorruptReleaseError
from unitdb.verification.reading._beside import Beside


def refuse(name):
    raise CorruptReleaseError(name)


def refuse_after(check, given, name):
    with Beside() as beside:
        beside.run(check, given)
        refuse(name)


def test_it_runs_in_another_thread_one_at_a_time():
    threads = []
    with Beside() as beside:
        for _ in range(3):
            beside.run(lambda: threads.append(threading.get_ident()))
    assert len(threads) == 3
    assert set(threads) != {threading.get_ident()}


def test_what_it_raises_is_raised_by_the_next_call():
    with Beside() as beside:
        beside.run(refuse, "first")
        with pytest.raises(CorruptReleaseError, match="first"):
            beside.run(refuse, "second")
        beside.wait()  # nothing was started


def test_what_it_raises_is_raised_at_the_end():
    with pytest.raises(CorruptReleaseError, match="first"), Beside() as beside:
        beside.run(refuse, "first")


def test_what_was_found_before_comes_before_what_the_block_raises():
    with pytest.raises(CorruptReleaseError, match="first") as caught:
        refuse_after(refuse, "first", "later")
    assert "later" in str(caught.value.__context__)


def test_what_the_block_raises_is_kept_where_nothing_else_was_found():
    with pytest.raises(CorruptReleaseError, match="alone"):
        refuse_after(int, "1", "alone")
