"""The provider calendar in evidence: calls past a shutdown as it was known then, the column, and the file."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.calendars import announce
from support.evidence import csv_rows, make_entry, write_key_pair
from support.scans import HOUR

from spanforge.model_registry import RegistryFileError
from spanforge.model_registry._core.shutdowns import begin_of_day
from spanforge.model_registry.calendar import Announcement, Calendar
from spanforge.model_registry.compliance import verify_package
from spanforge.model_registry.compliance._page.render import render_page

if TYPE_CHECKING:
    from pathlib import Path

    from support.evidence import EvidenceCase
    from support.otlp import Otlp

    from spanforge.model_registry.compliance import EvidencePackage
    from spanforge.model_registry.compliance._attestation_parts import CheckResult

CHECK = "no_calls_past_provider_shutdown"
LIMIT = "The evidence does not show that the provider calendar is complete and correct."
JANUARY = ("2026-01-01", "2026-02-01")
PROVIDER = "gen_ai__provider__name"
RESPONSE = "gen_ai__response__model"


def tell(day: str, **fields: Any) -> Announcement:
    """Return an announcement that ``openai`` stops serving ``gpt`` on a day, read on 2025-12-01."""
    return announce(fields.pop("model", "gpt"), shutdown_on=day, **{"checked_on": "2025-12-01", **fields})


def generate(case: EvidenceCase, *announcements: Announcement, **options: Any) -> EvidencePackage:
    """Return the evidence about January, with a calendar of these announcements."""
    path = case.folder / "calendar.json"
    Calendar(announcements).save(path)
    engine = case.engine(make_entry(), make_entry("other"), calendar=path)
    package = case.package(engine, period=JANUARY, **options)
    assert b"<dt>Provider calendar</dt><dd><bdi>calendar.json</bdi>" in render_page(package.attestation)
    return package


def find_check(package: EvidencePackage) -> CheckResult:
    (check,) = (check for check in package.attestation.checks if check.check == CHECK)
    return check


def figures(package: EvidencePackage) -> tuple[str, int, int]:
    check = find_check(package)
    return check.status, check.population, check.exceptions


def call_on(otlp: Otlp, day: str, name: str = "gpt", offset: int = 0, **attributes: Any) -> Any:
    return otlp.span(name, begin_of_day(day) + offset, **attributes)


@pytest.mark.slow
def test_calls_on_and_after_the_shutdown_day(case: EvidenceCase, otlp: Otlp) -> None:
    """A call from the first instant of the shutdown day on is an exception, also of a model that is not registered."""
    late = call_on(otlp, "2026-01-10")
    strange = call_on(otlp, "2026-01-20", "strange")
    case.write(otlp.line(call_on(otlp, "2026-01-10", offset=-1), late, strange, call_on(otlp, "2026-01-05", "other")))
    made = generate(case, tell("2026-01-10"), tell("2026-01-20", model="strange"))
    check = find_check(made)
    assert (check.status, check.population, check.exceptions) == ("findings", 3, 2)
    assert check.notes == (
        "models called on or after the day on which their provider stopped serving them: 2",
        "calls of models without a shutdown day in the calendar: 1",
    )
    assert [sample.span_id for sample in check.samples] == [late["spanId"], strange["spanId"]]
    assert made.attestation.overall_status == "findings"
    assert any(limit.startswith(LIMIT) for limit in made.attestation.limits)
    days = {row["model_id"]: row["provider_sunset_date"] for row in csv_rows(made)}
    assert days == {"gpt": "2026-01-10", "other": "", "strange": "2026-01-20"}


@pytest.mark.parametrize(
    ("announcements", "exceptions", "unknown"),
    [
        ([tell("2026-01-10", checked_on="2026-01-20")], 1, 1),
        ([tell("2026-01-10", checked_on="2026-01-20", announced_on="2026-01-09")], 2, 0),
        ([tell("2026-01-10", checked_on="2026-03-01")], 0, 2),
        ([tell("2026-01-10"), tell("2026-03-10", checked_on="2026-01-21")], 1, 0),
        ([tell("2026-03-10"), tell("2026-01-10", checked_on="2026-01-21")], 1, 1),
        ([tell("2026-03-10"), tell("2026-01-10", source="another")], 2, 0),
        ([announce("gpt", not_before="2026-01-10", checked_on="2025-12-01")], 0, 0),
    ],
    ids=["read later", "announced before", "read after all", "moved back", "moved forward", "disagreeing", "promise"],
)
def test_what_was_known_on_the_day(
    case: EvidenceCase, otlp: Otlp, announcements: list[Announcement], exceptions: int, unknown: int
) -> None:
    """Calls on 15 and 25 January are judged by the announcements that were known on those days."""
    case.write(otlp.line(call_on(otlp, "2026-01-15"), call_on(otlp, "2026-01-25")))
    check = find_check(generate(case, *announcements))
    assert check.exceptions == exceptions
    note = f"calls on or after a shutdown day that was not known when they started: {unknown}"
    assert (note in check.notes) == bool(unknown)


def test_the_provider_of_the_call_decides(case: EvidenceCase, otlp: Otlp) -> None:
    """Calls of one model by two providers are judged by the days of these providers."""
    days = {"openai": "2026-01-10", "azure": "2026-01-20"}
    case.write(
        otlp.line(*(call_on(otlp, "2026-01-15", **{PROVIDER: provider}) for provider in (*days, "groq"))),
        otlp.line(call_on(otlp, "2026-01-15", "azure/gpt")),
    )
    made = generate(case, *(tell(day, provider=provider) for provider, day in days.items()))
    assert figures(made) == ("findings", 3, 1)
    assert csv_rows(made)[0]["provider_sunset_date"] == "2026-01-10;2026-01-20"


def test_the_base_model_that_answered_decides(case: EvidenceCase, otlp: Otlp) -> None:
    """A call of a deployment is judged by the day of the base model that answered, or else by the earliest day."""
    path = case.folder / "calendar.json"
    Calendar([tell("2026-01-10", model="first"), tell("2026-02-10", model="second")]).save(path)
    answers: list[dict[str, str]] = [{}, {RESPONSE: "first-2025-01-01"}, {RESPONSE: "second-2025-01-01"}]
    case.write(otlp.line(*(call_on(otlp, "2026-01-15", **answer) for answer in answers)))
    engine = case.engine(make_entry(metadata={"base_model": ["second", "first"]}), calendar=path)
    assert figures(case.package(engine, period=JANUARY)) == ("findings", 3, 2)


def test_models_without_calls_have_their_day(case: EvidenceCase, otlp: Otlp) -> None:
    """The column has the day of a registered model without calls; without a listed call the check is not applicable."""
    case.write(otlp.line(call_on(otlp, "2026-01-05", "other")))
    made = generate(case, tell("2027-05-01"))
    assert {row["model_id"]: row["provider_sunset_date"] for row in csv_rows(made)} == {
        "gpt": "2027-05-01",
        "other": "",
    }
    assert figures(made) == ("not_applicable", 0, 0)


def test_without_a_calendar(case: EvidenceCase, otlp: Otlp) -> None:
    """Without a calendar the check is not applicable and says so; the argument is null."""
    case.write(otlp.line(otlp.span("gpt")))
    made = case.package(case.engine(make_entry()))
    assert figures(made) == ("not_applicable", 0, 0)
    assert find_check(made).notes == ("no provider calendar was given",)
    assert made.attestation.arguments.calendar is None
    assert made.calendar_file is None
    assert not any(limit.startswith(LIMIT) for limit in made.attestation.limits)


def test_the_file_is_in_the_package(case: EvidenceCase, otlp: Otlp, tmp_path: Path) -> None:
    """The bytes of the file are in the package, signed, with their digest in the arguments; changed bytes fail."""
    case.write(otlp.line(otlp.span("gpt")))
    made = generate(case, tell("2027-05-01"))
    content = (case.folder / "calendar.json").read_bytes()
    stated = json.loads(made.to_json())["arguments"]["calendar"]
    assert stated == {
        "name": "calendar.json",
        "file": "calendar-calendar.json",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "announcements": 1,
    }
    private, public = write_key_pair(tmp_path, Ed25519PrivateKey.generate())
    made.write(tmp_path / "package", signing_key=private)
    assert (tmp_path / "package" / "calendar-calendar.json").read_bytes() == content
    assert verify_package(tmp_path / "package", trusted_keys=[public]).framework == "soc2"
    made.to_zip(tmp_path / "package.zip", signing_key=private)
    assert verify_package(tmp_path / "package.zip", trusted_keys=[public]).framework == "soc2"
    (tmp_path / "package" / "calendar-calendar.json").write_bytes(content + b" ")
    with pytest.raises(Exception, match=r"calendar-calendar\.json"):
        verify_package(tmp_path / "package", trusted_keys=[public])


def test_the_setting_names_the_calendar(case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the argument, the setting names the file; a bad file is an error."""
    path = case.folder / "calendar.json"
    Calendar([tell("2026-01-01")]).save(path)
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_CALENDAR", str(path))
    case.write(otlp.line(otlp.span("gpt", otlp.start + HOUR)))
    assert figures(case.package(case.engine(make_entry()))) == ("findings", 1, 1)
    path.write_text("[1]")
    with pytest.raises(RegistryFileError, match="column 2: must be a mapping; got a number"):
        case.package(case.engine(make_entry()))


def test_senders_have_the_check(case: EvidenceCase, otlp: Otlp) -> None:
    """The figures of senders have the check, and untrusted calls change no result."""
    late = {"model_registry__sender": "untrusted"}
    case.write(otlp.line(call_on(otlp, "2026-01-15", **late)))
    made = generate(case, tell("2026-01-10"))
    assert figures(made) == ("no_evidence", 0, 0)
    counts = {
        each.sender: (check.population, check.exceptions)
        for each in made.attestation.senders
        for check in each.checks
        if check.check == CHECK
    }
    assert counts["untrusted"] == (1, 1)
