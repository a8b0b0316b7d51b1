import pytest

from yieldcast.workspace.server.limits import RateLimit, address_key


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_permits_run_out_and_come_back_at_a_steady_pace():
    clock = Clock()
    limit = RateLimit(3, 60.0, clock=clock)
    assert [limit.take("a") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limit.take("a") == 20.0  # a permit every 20 s
    assert limit.wait("a") == 20.0
    assert limit.take("b") == 0.0
    clock.now += 19
    assert limit.take("a") == pytest.approx(1.0)
    clock.now += 1
    assert limit.take("a") == 0.0
    clock.now += 1000
    assert [limit.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 20.0]


def test_looking_takes_no_permit():
    limit = RateLimit(1, 60.0, clock=Clock())
    assert [limit.wait("a") for _ in range(5)] == [0.0] * 5
    assert limit.take("a") == 0.0


def test_buckets_are_bounded_and_the_longest_unused_is_forgotten():
    limit = RateLimit(1, 60.0, keys=3, clock=Clock())
    for key in "abcd":
        limit.take(key)
    assert len(limit) == 3
    assert limit.take("a") == 0.0
    assert limit.take("d") == 60.0


def test_addresses_of_one_ipv6_subscriber_are_one_key():
    assert address_key("2001:db8:1:2:3:4:5:6") == address_key("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert address_key("2001:db8:1:3::1") != address_key("2001:db8:1:2::1")
    assert address_key("192.0.2.7") == "192.0.2.7" == address_key("::ffff:192.0.2.7")
    assert address_key(None) == "local"
    assert address_key("testclient") == "testclient"
