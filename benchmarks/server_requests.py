"""The requests of 200 clients to one server of a registry file: in a quiet hour, for a change, and in an outage.

Run it with ``PYTHONPATH=tests python -m benchmarks.server_requests``. The requests are real, over loopback and without
TLS. The clock of the clients jumps to the time of the next request.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from support.registry_server import Reply, serving_registry
from support.request_counts import INTERVAL, Clients
from support.watching import content

from spanforge.model_registry._core import watched_address

if TYPE_CHECKING:
    from collections.abc import Sequence


def _set_clock(clock: object) -> None:
    watched_address.time = clock  # type: ignore[assignment]


def _describe(name: str, times: Sequence[float], sent: int) -> str:
    busiest = max(Counter(map(int, times)).values(), default=0)
    return f"{name}: {len(times):,} requests, {sent:,} with the file; at most {busiest} in a second"


def main() -> None:
    """Print the numbers of requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3_600)
    arguments = parser.parse_args()
    with serving_registry() as server:
        server.files["/models.json"] = content("a")
        clients = Clients(server.url(), arguments.clients, _set_clock)
        print(_describe("start of all clients at once", clients.run(0), len(server.sent)))
        before = len(server.sent)
        print(_describe("a quiet hour", clients.run(arguments.seconds), len(server.sent) - before))
        before, server.files["/models.json"] = len(server.sent), content("b")
        print(_describe(f"{INTERVAL:g} seconds after a change", clients.run(INTERVAL), len(server.sent) - before))
        print(f"clients with the new version: {clients.owners() == {'b'}}")
        server.reply = lambda _request: Reply(503)
        print(_describe("the first hour of an outage", clients.run(arguments.seconds), 0))
        server.reply, before = None, len(server.sent)
        server.files["/models.json"] = content("c")
        print(_describe("300 seconds after its end", clients.run(300), len(server.sent) - before))
        print(f"clients with the new version: {clients.owners() == {'c'}}")


if __name__ == "__main__":
    main()
