"""A strict reader of iCalendar: RFC 5545 as far as the package uses it, and an error for anything else."""

from __future__ import annotations

import re
from typing import NamedTuple

LINE = re.compile(r"([A-Z][A-Z-]*)((?:;[A-Z]+=[A-Z-]+)*):(.*)", re.ASCII)
REQUIRED = {
    "VCALENDAR": {"VERSION", "PRODID"},
    "VEVENT": {"UID", "DTSTAMP", "DTSTART"},
    "VALARM": {"ACTION", "TRIGGER"},
}
FORMS = {
    "VERSION": r"2\.0",
    "DTSTAMP": r"[0-9]{8}T[0-9]{6}Z",
    "DTSTART": r"[0-9]{8}",
    "TRIGGER": r"-P[0-9]+D",
    "ACTION": "DISPLAY",
    "TRANSP": "TRANSPARENT|OPAQUE",
    "CALSCALE": "GREGORIAN",
}
TEXTS = {"NAME", "X-WR-CALNAME", "SUMMARY", "DESCRIPTION"}


class Component(NamedTuple):
    """A component: its name, its properties, each of which occurs once, and the components in it."""

    name: str
    properties: dict[str, str]
    parts: list[Component]


def read_icalendar(content: bytes) -> Component:
    """Return the calendar after checking lines, folds, nesting, required properties and escapes."""
    assert content.endswith(b"\r\n")
    for octets in content.split(b"\r\n"):
        assert len(octets) <= 75, octets
        assert b"\r" not in octets
        assert b"\n" not in octets
        octets.decode()  # a fold never divides a character
    stack = [Component("", {}, [])]
    for line in content.decode().replace("\r\n ", "").split("\r\n")[:-1]:
        match = LINE.fullmatch(line)
        assert match is not None, line
        name, _, value = match.groups()
        if name == "BEGIN":
            stack.append(Component(value, {}, []))
        elif name == "END":
            part = stack.pop()
            assert part.name == value
            assert REQUIRED[value] <= part.properties.keys()
            stack[-1].parts.append(part)
        else:
            assert name not in stack[-1].properties, name
            stack[-1].properties[name] = read_value(name, value)
    ((calendar,), (_,)) = stack[0].parts, stack
    return calendar


def read_value(name: str, value: str) -> str:
    """Return the value of a property after checking its form."""
    if name not in TEXTS:
        assert re.fullmatch(FORMS.get(name, r"[^\x00-\x1f\x7f]+"), value), (name, value)
        return value
    assert re.fullmatch(r"(?:[^\\;,\x00-\x08\x0a-\x1f\x7f]|\\[\\;,n])*", value), value
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], value)
