"""One URL says all that redis-py and Celery want to know about a Redis behind Sentinels."""

import pytest
from kombu import Connection

from settings import InvalidSetting, Settings
from workers.app import make_celery
from workers.sentinel import SentinelUrl

FULL = "sentinel://me:p%40ss%3A@a.internal:1,b.internal,[::1]:3/4?master=hemline&sentinel_password=s%26t"


def test_a_url_says_everything() -> None:
    url = SentinelUrl.parse(FULL)

    assert url.sentinels == (("a.internal", 1), ("b.internal", 26379), ("::1", 3))
    assert (url.username, url.password, url.database) == ("me", "p@ss:", 4)
    assert (url.master, url.sentinel_password) == ("hemline", "s&t")


def test_a_short_url_has_defaults() -> None:
    url = SentinelUrl.parse("sentinel://host?master=hemline")

    assert url.sentinels == (("host", 26379),)
    assert (url.username, url.password, url.database, url.sentinel_password) == (None, None, 0, None)


@pytest.mark.parametrize(
    "url", ["sentinel://a,b/0", "sentinel://?master=m", "sentinel://a,/0?master=m", "sentinel://a?master=m&ssl=1"]
)
def test_what_is_no_such_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        SentinelUrl.parse(url)


def test_celery_reads_the_same_from_it() -> None:
    with Connection(make_celery(FULL).conf.broker_url) as broker:
        assert [broker.hostname, broker.port] == ["a.internal", 1]
        assert [broker.userid, broker.password, broker.virtual_host] == ["me", "p@ss:", "4"]
        assert broker.alt == [
            "sentinel://me:p%40ss%3A@a.internal:1/4", "sentinel://me:p%40ss%3A@b.internal:26379/4",
            "sentinel://me:p%40ss%3A@[::1]:3/4",
        ]  # fmt: skip


def test_the_masters_name_cannot_be_forgotten() -> None:
    assert Settings.from_env({"HEMLINE_REDIS_URL": FULL}).redis() == FULL
    with pytest.raises(InvalidSetting, match="master=NAME"):
        Settings.from_env({"HEMLINE_REDIS_URL": "sentinel://a,b/0"})
