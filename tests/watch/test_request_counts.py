"""The number of requests of 200 clients to one server."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.registry_server import Reply, serving_registry
from support.request_counts import INTERVAL, Clients
from support.watching import content

from spanforge.model_registry._core import watched_address

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER = 200


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Return a function that replaces the clock of clients."""
    return lambda clock: monkeypatch.setattr(watched_address, "time", clock)


@pytest.mark.slow
def test_requests_of_200_clients(set_clock: Callable[[object], None]) -> None:
    """Each client gets a change once, within the interval; otherwise it asks less than twice in an interval, spread."""
    with serving_registry() as server:
        server.files["/models.json"] = content("a")
        clients = Clients(server.url(), NUMBER, set_clock)
        assert len(clients.run(0)) == NUMBER
        quiet = clients.run(2 * INTERVAL)
        assert 2 * NUMBER <= len(quiet) <= 4 * NUMBER
        assert sum("if-none-match" in request.headers for request in server.requests) == len(quiet)
        busiest = max(Counter(map(int, quiet)).values())
        assert busiest < NUMBER / 2
        server.files["/models.json"] = content("b")
        asked = len(clients.run(INTERVAL))
        assert clients.owners() == {"b"}
        assert len(server.sent) == 2 * NUMBER
        assert len(server.requests) == NUMBER + len(quiet) + asked


@pytest.mark.slow
def test_requests_while_the_server_fails(set_clock: Callable[[object], None]) -> None:
    """While the server fails, clients ask less and less often, at different times, and a repair is noticed."""
    with serving_registry() as server:
        server.reply = lambda _request: Reply(503)
        clients = Clients(server.url(), 20, set_clock)
        first, later = len(clients.run(600)), len(clients.run(600))
        assert later <= 20 * 600 / 150
        assert first <= 20 * 9
        assert len(set(map(int, clients.times))) > len(clients.times) / 10
        server.reply, server.files["/models.json"] = None, content("b")
        clients.run(300)
        assert clients.owners() == {"b"}
