"""For on-call engineers: from the model in an alert or on a span to its owner, contact and successor.

Usage: on_call_engineer.py [NAME]    a model's name or id, as an alert or a span has it
"""

from __future__ import annotations

import sys
from pathlib import Path

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry

FILE = Path(__file__).parents[1] / "command_line" / "models.yaml"
ALERT = "ModelRegistrySunsetNear"


def main(arguments: list[str]) -> int:
    """Show who owns the model, and what to use instead."""
    name = (arguments or ["acme-chat-1-2026-05-01"])[0]
    registry = ModelRegistry()
    registry.load(FILE)
    print(f"The alert {ALERT}, or a span,\nhas the model {name}.")
    resolution = registry.resolve(name)
    for warning in resolution.warnings:
        print(f"  ! {warning}")
    if resolution.entry is None:
        return 1
    print(f"\nModel      {resolution.entry.model_id}, found by the rule {resolution.rule}")
    show(resolution.entry)
    successor = registry.get(str(resolution.entry.metadata.get("successor")))
    if successor is None:
        print("\nSuccessor  none: ask the owner which model to use")
    else:
        print(f"\nSuccessor  {successor.model_id} ({successor.status})")
        show(successor)
    print(f"\nMore: spanforge-models show {resolution.entry.model_id} -f examples/command_line/models.yaml")
    return 0


def show(entry: ModelRegistryEntry) -> None:
    """Print the facts that an on-call engineer needs."""
    print(f"  owner    {entry.owner}, contact {entry.metadata.get('contact', 'none')}")
    print(f"  risk     {entry.risk_tier}")
    print(f"  purpose  {entry.purpose}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
