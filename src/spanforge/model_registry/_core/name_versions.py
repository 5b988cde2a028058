"""Snapshots, revisions and tags of model names, and the one spelling of numbers."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.name_routes import LAST_WORDS, PROVIDER_SPELLINGS, NameDraft
from spanforge.model_registry._core.version_tables import NAME_TAGS, REVISIONS, SNAPSHOTS

FULL_DATE: Final = len("2024-05-13")
"""The length of a snapshot with year, month and day."""
MONTH: Final = len("2024-05")
"""The length of a snapshot with year and month."""

_TAG_ROWS: Final = {row.text: row for row in NAME_TAGS}
_AT_DIGIT: Final = re.compile(r"@(?=[0-9])")
# The patterns begin with what they remove, because the regular expression's engine can search for that quickly.
_BETWEEN_DIGITS: Final = re.compile(r"[._p:](?=[0-9])(?<=[0-9].)(?:(?<!:)|(?=[0-9]\Z))")
_BEFORE_DIGIT: Final = re.compile(r"-(?<=[a-z]-)(?<![0-9]p-)(?<!-v-)(?:v(?![0-9]{1,3}\Z))?(?=[0-9])")
"""A hyphen between a letter and a digit, with the ``v`` of a version, but not of a version at the end."""


DATE_PARTS: Final = {
    "{Y}": "(20(?:19|[23][0-9]))",
    "{y}": "((?:19|[23][0-9]))",
    "{M}": "(0[1-9]|1[0-2])",
    "{D}": "(0[1-9]|[12][0-9]|3[01])",
}
"""The regular expressions of years, months and days, from the largest to the smallest."""


def _compile_revisions(*, at_bedrock: bool) -> re.Pattern[str]:
    """Return the regular expression of the revisions at the end of a name."""
    patterns = [row.pattern for row in REVISIONS if at_bedrock or not row.at_bedrock]
    return re.compile(rf"(?:{'|'.join(patterns)})\Z")


def _compile_snapshots() -> tuple[re.Pattern[str], dict[int, tuple[str, tuple[int, ...]]]]:
    """Return the regular expression of the snapshots, and by its last group the century and the groups of a date."""
    patterns, layouts, count = [], {}, 0
    for row in SNAPSHOTS:
        pattern, used = row.pattern, [part for part in DATE_PARTS if part in row.pattern]
        order = sorted(used, key=pattern.index)
        layouts[count + len(used)] = (
            "20" if "{y}" in used else "",
            tuple(count + 1 + order.index(part) for part in used),
        )
        count += len(used)
        for part in used:
            pattern = pattern.replace(part, DATE_PARTS[part])
        patterns.append(pattern)
    return re.compile(rf"-(?:{'|'.join(patterns)})\Z"), layouts


VERSION_PATTERNS: Final = (
    *(re.sub(r"\{[YyMD]\}", lambda match: DATE_PARTS[match[0]], row.pattern) for row in SNAPSHOTS),
    *(row.pattern[1:] for row in REVISIONS if ":" not in row.pattern and "v" not in row.pattern),
)
"""The regular expressions of what follows the last hyphens of a name and is removed, unless it has a ``v``."""
_REVISION: Final = _compile_revisions(at_bedrock=False)
_BEDROCK_REVISION: Final = _compile_revisions(at_bedrock=True)
_SNAPSHOT, _LAYOUTS = _compile_snapshots()


def spell_digits(text: str) -> str:
    """Return text with hyphens between digits, in place of dots, underscores, and the ``p`` of ``v3p3``."""
    return _BETWEEN_DIGITS.sub("-", text)


def join_digits(text: str) -> str:
    """Return text without hyphens between letters and digits."""
    return _BEFORE_DIGIT.sub("", text)


def spell(text: str) -> str:
    """Return text with the spelling of base names, such as the fixed text of a glob. Nothing else is removed."""
    return join_digits(spell_digits(text.lower()))


def strip_tags(draft: NameDraft) -> None:
    """Remove the tags at the end of a name, and the revisions that have a colon or a ``v``."""
    pattern = _BEDROCK_REVISION if draft.is_bedrock else _REVISION
    draft.text = _AT_DIGIT.sub("-", draft.text)
    while _strip_revision(draft, pattern) or _strip_tag(draft):
        pass


def _strip_tag(draft: NameDraft) -> bool:
    start = max(draft.text.rfind(":"), draft.text.rfind("@"))
    if start <= 0:
        return False
    tag = draft.text[start + 1 :]
    row = _TAG_ROWS.get(tag)
    if row is not None and row.moving:
        draft.moving = True
    elif not draft.is_tagged or (row is None and tag not in PROVIDER_SPELLINGS):
        return False
    elif row is None:
        draft.provider = draft.provider or PROVIDER_SPELLINGS[tag]
    draft.text = draft.text[:start]
    return True


def strip_versions(draft: NameDraft) -> None:
    """Remove snapshots, revisions, and words such as ``latest`` from the end of a name."""
    is_shorter = True
    while is_shorter:
        end = draft.text[-4:]
        if not "0" <= end[-1:] <= "9":
            is_shorter = _strip_last_word(draft)
        elif end[:2] == "-0":
            is_shorter = _strip_revision(draft, _REVISION) or _strip_snapshot(draft)
        else:
            # Every snapshot ends with two digits. Most names that end with a digit have one only.
            is_shorter = "0" <= end[-2:-1] <= "9" and _strip_snapshot(draft)


def _strip_snapshot(draft: NameDraft) -> bool:
    match = _SNAPSHOT.search(draft.text)
    if match is None or match.start() == 0:
        return False
    century, groups = _LAYOUTS[match.lastindex or 0]
    snapshot = century + "-".join(match.group(*groups))
    if len(snapshot) != MONTH and not _is_date(snapshot):
        return False
    draft.text, draft.snapshot = draft.text[: match.start()], _put_before(snapshot, draft.snapshot)
    return True


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text if len(text) == FULL_DATE else f"2020-{text}")
    except ValueError as error:
        pass_interruption(error)
        return False
    return True


def _strip_revision(draft: NameDraft, pattern: re.Pattern[str]) -> bool:
    match = pattern.search(draft.text)
    if match is None or match.start() == 0:
        return False
    if match.lastindex:
        draft.revision = _put_before(match[match.lastindex], draft.revision)
    draft.text = draft.text[: match.start()]
    return True


def _put_before(text: str, following: str | None) -> str:
    return text if following is None else f"{text}+{following}"


def _strip_last_word(draft: NameDraft) -> bool:
    head, _, word = draft.text.rpartition("-")
    if not head:
        return False
    if word == "latest":
        draft.moving = True
    else:
        row = LAST_WORDS.get(word)
        if row is None:
            return False
        draft.provider = draft.provider or row.provider
    draft.text = head
    return True
