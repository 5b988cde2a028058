"""The number of examples, and valid entries: ``st.from_type(ModelRegistryEntry)``.

``HYPOTHESIS_PROFILE=thorough`` tries many more examples.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.validation import RESERVED
from spanforge.model_registry._core.values import parse_date

for profile, max_examples in {"usual": 40, "thorough": 2_000}.items():
    settings.register_profile(
        profile,
        max_examples=max_examples,
        deadline=None,
        derandomize=bool(os.environ.get("CI")),  # a run of CI fails only because of the change that it tests
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))

TEXTS = st.text(min_size=1, max_size=12).filter(lambda text: not text.isspace())
IDS = TEXTS.map(str.strip)
NAMES = IDS.filter(lambda text: text.count("*") <= 8)
OFFSETS = st.integers(-(24 * 60 - 1), 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@st.composite
def dates(draw: st.DrawFn) -> str:
    """Draw a date or date-time in one of the forms that are allowed."""
    moment = draw(st.datetimes(timezones=st.none() | OFFSETS))
    text = moment.isoformat(draw(st.sampled_from("T ")), draw(st.sampled_from(["seconds", "milliseconds"])))
    return draw(st.sampled_from([text[:10], text, text.lower(), text.replace("+00:00", "Z")]))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
KEYS = st.text(min_size=1, max_size=12)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=6
)
RECORDS = st.fixed_dictionaries(
    {"at": dates(), "status": st.sampled_from(STATUSES), "owner": TEXTS, "risk_tier": st.sampled_from(RISK_TIERS)},
    optional={"reason": TEXTS, "actor": TEXTS},
)


def _moment(record: dict[str, Any]) -> datetime:
    return parse_date(record["at"], "at")


VALUES_BY_KIND: dict[str, st.SearchStrategy[Any]] = {
    "aliases": st.lists(NAMES, max_size=2),
    "text": st.none() | TEXTS,
    "names": st.none() | TEXTS | st.lists(TEXTS, min_size=1, max_size=2),
    "date": st.none() | dates(),
    "history": st.lists(RECORDS, max_size=3).map(lambda records: sorted(records, key=_moment)),
}
RESERVED_VALUES = {key: VALUES_BY_KIND[row.kind] for key, row in RESERVED.items()}


@st.composite
def metadata(draw: st.DrawFn) -> dict[str, Any]:
    """Draw metadata: the user's own, and some of the keys that the library reads."""
    own = draw(st.dictionaries(KEYS.filter(lambda key: key not in RESERVED), JSON, max_size=3))
    read = draw(st.fixed_dictionaries({}, optional=RESERVED_VALUES))
    return dict(draw(st.permutations([*own.items(), *read.items()])))


st.register_type_strategy(
    ModelRegistryEntry,
    st.builds(
        ModelRegistryEntry,
        model_id=IDS,
        name=TEXTS,
        version=TEXTS,
        risk_tier=st.sampled_from(RISK_TIERS),
        owner=TEXTS,
        purpose=TEXTS,
        status=st.sampled_from(STATUSES),
        deployment_date=st.none() | dates(),
        decommission_date=st.none() | dates(),
        metadata=metadata(),
    ),
)
