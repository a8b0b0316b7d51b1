import threading

import pytest

from yieldcast.workspace.server.recent import Recent


class Counter:
    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return self.made


def test_a_value_is_kept_for_its_time_and_by_its_key():
    now, make = [0.0], Counter()
    recent = Recent(2.0, clock=lambda: now[0])
    assert [recent.get("a", make), recent.get("a", make), recent.get("b", make)] == [1, 1, 2]
    now[0] = 2.0
    assert recent.get("a", make) == 3
    recent.clear()
    assert recent.get("a", make) == 4


def test_keys_are_bounded():
    recent, make = Recent(60.0, limit=2), Counter()
    for key in "abc":
        recent.get(key, make)
    assert recent.get("c", make) == 3
    assert recent.get("a", make) == 4


def test_many_who_ask_at_once_wait_for_one_maker():
    recent, make, began = Recent(60.0), Counter(), threading.Barrier(8)

    def ask(found):
        began.wait()
        found.append(recent.get("a", make))

    found = []
    threads = [threading.Thread(target=ask, args=(found,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8


def test_an_error_is_passed_on_and_not_kept():
    recent = Recent(60.0)
    with pytest.raises(ZeroDivisionError):
        recent.get("a", lambda: 1 // 0)
    assert recent.get("a", lambda: 7) == 7
