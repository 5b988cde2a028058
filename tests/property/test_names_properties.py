"""Model names: any text has parts, and the parts of a written name are found again."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from support.name_strategies import NAMES, SPAN_PROVIDERS

from spanforge.model_registry._core.form_table import FormTable
from spanforge.model_registry._core.name_tables import PROVIDER_WORDS
from spanforge.model_registry._core.names import canonical_provider, clean, entry_key, is_placeholder, parse

STARTS = tuple(word.text for word in PROVIDER_WORDS if word.text.endswith("-"))
BASES = st.from_regex(r"[a-z]{2,6}-[1-9]\.[1-9]-(pro|mini|flash|instruct)", fullmatch=True).filter(
    lambda base: not base.startswith(STARTS)
)
"""Names that do not start with a word that some provider adds."""
ROUTES = st.sampled_from(
    ["", "openai/", "openrouter/meta-llama/", "azure/eu/", "bedrock/us.meta.", "models/", "publishers/google/models/"]
)
DAYS = st.dates(date(2019, 1, 1), date(2039, 12, 31))
FORMATS = st.sampled_from(["-%Y-%m-%d", "-%Y%m%d", "@%Y%m%d", "-%y%m%d"])


@given(NAMES, SPAN_PROVIDERS)
def test_any_text_has_parts(name: str, provider: str | None) -> None:
    """Nothing is raised, whatever the text, and the first key is the key of an entry with this id."""
    parsed = parse(name, provider)
    texts = [key.text for key in parsed.list_keys()]
    assert 1 <= len(texts) == len(set(texts)) <= 5
    assert parse(name).list_keys()[0].text == entry_key(name).text
    assert isinstance(clean(name), str)
    assert is_placeholder(name) in (True, False)
    assert canonical_provider(name) is None or canonical_provider(name)


@given(NAMES, SPAN_PROVIDERS)
def test_a_base_name_has_no_other_parts(name: str, provider: str | None) -> None:
    """The base name of a base name is itself, and there is nothing left to remove."""
    base = parse(name, provider).base
    again = parse(base)
    assert (again.base, again.snapshot, again.moving) == (base, None, False)


@given(BASES, ROUTES, DAYS, FORMATS, st.booleans())
def test_written_names_are_found(base: str, route: str, day: date, form: str, upper: bool) -> None:  # noqa: FBT001
    """A name with a route and a snapshot has the base name and the snapshot from which it was written."""
    name = f"{route}{base}{day:{form}}"
    parsed = parse(name.upper() if upper else name)
    assert parsed.base == parse(base).base
    assert parsed.snapshot == f"{day:%Y-%m-%d}"
    assert entry_key(base).text in [key.text for key in parsed.list_keys()]


@given(BASES, st.sampled_from(["-", "_", "p"]))
def test_spellings_are_one(base: str, separator: str) -> None:
    """The separator between digits, and the hyphen before them, do not matter."""
    word, _, rest = base.partition("-")
    assert parse(base).base == parse(f"{word}{rest.replace('.', separator)}").base


@given(NAMES, SPAN_PROVIDERS)
def test_the_quick_way_to_parse_gives_the_same_parts(name: str, provider: str | None) -> None:
    """White space around a name is removed, but such a name takes the slow way."""
    assert parse(name, provider) == parse(f" {name}\n", provider)


@given(st.lists(NAMES | BASES, max_size=8, unique=True), NAMES, SPAN_PROVIDERS)
def test_a_table_knows_quickly_which_names_it_may_have(texts: list[str], name: str, provider: str | None) -> None:
    """No name that an id matches by its form is left out, also if the ids were added one after another."""
    together, one_by_one = FormTable(texts), FormTable()
    for text in texts:
        one_by_one = one_by_one.with_texts([text])
    for each in (name, *texts, *(f"openai/{text}-2024-05-13" for text in texts)):
        keys = parse(each, provider).list_keys()
        found = [together.list_texts(key) for key in keys]
        assert found == [one_by_one.list_texts(key) for key in keys]
        if any(found):
            assert together.has_form_of(each, provider)
            assert one_by_one.has_form_of(each, provider)
