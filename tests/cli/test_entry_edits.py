"""Changes of registry files: only the changed entry's lines differ, and the result is that of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.file_edits import change

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry, RegistryFileError
from spanforge.model_registry._core.storage import encode_entries

if TYPE_CHECKING:
    from support.file_edits import Operate


def test_json_in_the_form_that_save_writes(registry_of_two: list[ModelRegistryEntry]) -> None:
    """The file is then what ``save`` would write of the changed entries."""
    new, after = change("models.json", encode_entries(registry_of_two), lambda registry: registry.retire("m1"))
    assert new == encode_entries([registry_of_two[0], after])


@pytest.fixture
def registry_of_two() -> list[ModelRegistryEntry]:
    registry = ModelRegistry(auto_emit=False)
    return [registry.register(f"m{i}", "N", "1", "low", "team", "test") for i in range(2)]


SHARED = """\
- &base
  model_id: m0
  name: N
  version: "1"
  risk_tier: low
  owner: &team chat-team
  purpose: p
  metadata: &meta {contact: "#chat"}
- <<: *base
  model_id: m1
  owner: *team
- model_id: m2
  name: N
  version: "1"
  risk_tier: low
  owner: x
  purpose: p
  metadata:
    <<: *meta
    own: 1
"""


def register_again(model_id: str, **values: Any) -> Operate:
    def operate(registry: ModelRegistry) -> ModelRegistryEntry:
        entry = registry.get(model_id)
        assert entry is not None
        fields = {field: getattr(entry, field) for field in ("name", "version", "risk_tier", "owner", "purpose")}
        return registry.register(model_id, **{**fields, **values}, metadata={**entry.metadata}, replace=True)

    return operate


@pytest.mark.parametrize("model_id", ["m0", "m1"])
def test_values_that_entries_share_are_refused(model_id: str) -> None:
    """The error says so: the change would reach other entries, or end what they share."""
    with pytest.raises(RegistryFileError) as caught:
        change("models.yaml", SHARED.encode(), register_again(model_id, owner="other"))
    assert caught.value.reason.startswith("cannot be changed by a command, because it shares values with other entries")
    assert caught.value.model_id == model_id


def test_own_values_beside_shared_ones() -> None:
    """A change that reaches no other entry is made, and an alias of a text is replaced."""
    new, _ = change("models.yaml", SHARED.encode(), register_again("m2", owner="other"))
    assert new.decode().startswith(SHARED.replace("owner: x", "owner: other"))
    alone = SHARED.replace("  purpose: p\n  metadata: &meta", "  purpose: p\n  x: &meta")
    text = (
        alone.replace('  x: &meta {contact: "#chat"}\n', "")
        .replace("    <<: *meta\n", "")
        .replace("- <<: *base", "- name: N")
    )
    text = text.replace("  model_id: m1\n", "  model_id: m1\n  version: '1'\n  risk_tier: low\n  purpose: p\n")
    new, _ = change("models.yaml", text.encode(), register_again("m1", owner="other"))
    assert "owner: other\n" in new.decode()
    assert new.decode().count("&team chat-team") == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_flow_style_and_encodings(encoding: str) -> None:
    """A file in brackets stays in brackets, and keeps its encoding."""
    first = "{model_id: m0, name: N, version: '1', risk_tier: low, owner: é, purpose: p}"
    text = f"[ {first},\n  {{model_id: m1, name: N, version: '1', risk_tier: low, owner: o, purpose: 'p' }} ]\n"
    new, _ = change("m.yml", text.encode(encoding), lambda registry: registry.retire("m1"))
    assert new.decode(encoding).startswith(
        text[: text.index("purpose: 'p'") + len("purpose: 'p'")] + ", status: retired"
    )
    new, _ = change("m.yml", text.encode(encoding), lambda registry: registry.register("m2", "N", "1", "low", "o", "p"))
    assert new.decode(encoding).startswith(text[:-3] + ", {model_id: m2,") or ",\n" in new.decode(encoding)
    new, _ = change(
        "m.yml", "[]\n".encode(encoding), lambda registry: registry.register("m2", "A", "1", "low", "o", "p")
    )
    assert new.decode(encoding).startswith("- model_id: m2\n  name: A\n")


def test_aligned_comments_stay_in_their_column() -> None:
    """A comment that is aligned with others stays where it is."""
    text = SHARED[SHARED.index("- model_id: m2") : SHARED.index("  metadata:\n")]
    text = text.replace("owner: x\n", "owner: x      # who\n").replace("purpose: p\n", "purpose: p    # why\n")
    new, _ = change("models.yaml", text.encode(), register_again("m2", owner="team", purpose="a long purpose"))
    assert "  owner: team   # who\n  purpose: a long purpose # why\n" in new.decode()


def test_a_new_entry_has_the_fields_of_the_others() -> None:
    """A retired last entry does not lead to a date of retirement that is null."""
    text = SHARED[SHARED.index("- model_id: m2") : SHARED.index("  metadata:\n    <<")].encode()
    retired, _ = change("models.yaml", text, lambda registry: registry.retire("m2"))
    new, _ = change("models.yaml", retired, lambda registry: registry.register("m3", "A", "1", "low", "o", "p"))
    added = new.decode().removeprefix(retired.decode())
    assert [line.split(":")[0].strip(" -") for line in added.splitlines()][:7] == [
        *("model_id", "name", "version", "risk_tier", "owner", "purpose", "status")
    ]
    assert "null" not in added
