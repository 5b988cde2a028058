"""Properties of the texts of sources, of addresses, and of the times of requests."""

from __future__ import annotations

import re
import string

from hypothesis import example, given
from hypothesis import strategies as st

from spanforge.model_registry._core.polling import MAX_PAUSE, MAX_RETRY_AFTER, choose_pause
from spanforge.model_registry._core.registry_addresses import (
    hide_credentials,
    is_registry_address,
    parse_registry_address,
)
from spanforge.model_registry._core.registry_sources import split_sources
from spanforge.model_registry._core.setting_parsers import hide_headers

WORDS = st.text(string.ascii_letters + string.digits + "._-%*?", min_size=1, max_size=8)
PATHS = st.builds(
    lambda start, parts, end: start + "/".join(parts) + end,
    st.sampled_from(["/", "./", "../", "/etc/"]),
    st.lists(WORDS.filter(lambda word: not word.startswith(".")), min_size=1, max_size=3),
    st.sampled_from([".json", ".yaml", "/"]),
)
"""Paths that a separator ends anywhere, because they begin with a slash or a dot and end with an ending or a slash."""
TAILS = st.lists(st.one_of(WORDS, st.sampled_from([",", ":", ";", "=", "&", ",b", ":8", ",.x"])), max_size=5).map(
    "".join
)
ADDRESSES = st.builds(
    lambda scheme, user, host, path, tail: f"{scheme}://{user}{host}/{path}{tail}",
    st.sampled_from(["https", "HTTPS", "http"]),
    st.sampled_from(["", "user@", "user:p@", "u:a%2Fb@"]),
    st.sampled_from(["host", "host:8443", "127.0.0.1", "[::1]:8443"]),
    WORDS,
    TAILS,
).map(lambda address: address.rstrip(",:;"))
"""Addresses with separators of sources in them, none of which a path or an address follows."""
SOURCES = st.lists(st.one_of(PATHS, ADDRESSES), min_size=1, max_size=5, unique=True)


@given(SOURCES, st.sampled_from(":;"), st.data())
@example(["https://host:8443/models.json", "/etc/models/"], ":", None)
@example(["https://host/a,b.json"], ":", None)
@example(["/etc/models/", "https://host/a,b.json", "https://host/c"], ";", None)
def test_joined_sources_are_split_again(sources: list[str], separator: str, data: st.DataObject | None) -> None:
    """Sources that are joined by separators or commas, with blanks or repeated separators, are found again."""
    between = st.sampled_from([separator, ",", f" {separator} ", ", ", separator * 2])
    text = sources[0]
    for source in sources[1:]:
        text += (separator if data is None else data.draw(between)) + source
    assert split_sources(text, separator) == tuple(sources)


@given(st.text(string.ascii_letters + "/:;,. \\@?#", max_size=40), st.sampled_from(":;"))
def test_any_text_is_split(text: str, separator: str) -> None:
    """Any text has distinct sources without blanks around them, and each character of them is in the text."""
    sources = split_sources(text, separator)
    assert len(set(sources)) == len(sources)
    assert all(source and source == source.strip() and source in text for source in sources)
    if "://" not in text:
        assert all(separator not in source for source in sources)


SECRETS = st.text(string.ascii_letters + string.digits, min_size=12, max_size=20)


@given(st.lists(ADDRESSES, max_size=3), SECRETS, st.sampled_from([",", ":", " "]))
def test_no_secret_is_shown(others: list[str], secret: str, separator: str) -> None:
    """A password and a query are never shown, in one address and in a text of several."""
    url = f"https://user:{secret}@host/models.json?token={secret}"
    text = separator.join([*others, url, *others])
    assert secret not in hide_credentials(text)
    assert secret not in parse_registry_address(url).shown
    assert secret not in hide_headers(f"authorization={secret}, x = {secret}")


@given(st.text(max_size=60).map("https://{}".format))
def test_any_address_is_parsed(url: str) -> None:
    """Any text after ``https://`` is an address with a problem, or one that can be sent in a request."""
    assert is_registry_address(url)
    address = parse_registry_address(url)
    if address.problem is None:
        assert address.host
        assert re.fullmatch(r"/[!-~]*", address.target)
        assert 0 < address.port < 65_536


@given(st.floats(0.1, 86_400), st.integers(0, 10_000), st.one_of(st.none(), st.floats(0, 1e9)), st.floats(0, 1))
def test_time_of_the_next_request(interval: float, failures: int, retry_after: float | None, spread: float) -> None:
    """A good answer leads to a request within the interval; failures and ``Retry-After`` delay it within limits."""
    pause = choose_pause(interval, failures, retry_after, spread)
    assert pause >= interval / 2
    if not failures:
        assert pause < interval
    else:
        assert pause <= max(MAX_PAUSE, interval, 1.5 * MAX_RETRY_AFTER)
        assert pause >= min(retry_after or 0, MAX_RETRY_AFTER)
