"""``evidence frameworks``: the frameworks that the library contains, and those in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spanforge.model_registry._cli.blocks import FactList, Heading, ItemList, Paragraph, print_blocks
from spanforge.model_registry._cli.commands import PROGRAM, examples
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.framework_option import read_framework
from spanforge.model_registry._cli.terminal import print_json
from spanforge.model_registry.compliance._frameworks.shipped import list_shipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._cli.blocks import Block
    from spanforge.model_registry.compliance import Framework
    from spanforge.model_registry.compliance._attestation_parts import ApplicationDate
    from spanforge.model_registry.compliance._frameworks.framework import CheckUse, FrameworkClause


@examples("evidence frameworks", "evidence frameworks eu_ai_act")
def list_frameworks(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Explain this framework: one of the list, or a file.")
    ] = None,
    output: FormatOption = "text",
) -> None:
    """List the frameworks and clauses that evidence can support, or explain one.

    If NAME is a file, the command checks it and reports its faults. The JSON of a framework is a valid framework
    file. To write one of your own, change its id and its clauses.
    """
    if name is None:
        _list_all(output)
        return
    framework = read_framework(name)
    if output == "json":
        print_json(framework.to_dict())
    else:
        print_blocks(_explain_framework(framework))


def _list_all(output: str) -> None:
    shipped = list_shipped()
    if output == "json":
        print_json({key: framework.to_dict() for key, framework in shipped.items()})
        return
    for key, framework in shipped.items():
        clauses = [(clause.id, clause.text) for clause in framework.clauses]
        print_blocks([Heading(key), Paragraph(framework.name), FactList(clauses)])
    print_blocks([Paragraph(f"To explain one, or a file of your own: {PROGRAM} evidence frameworks NAME")])


def _explain_framework(framework: Framework) -> Iterator[Block]:
    yield Heading(framework.id)
    yield Paragraph(framework.name)
    yield FactList([("read in", framework.source), ("checked", framework.checked)])
    for clause in framework.clauses:
        yield from _explain_clause(framework, clause)


def _explain_clause(framework: Framework, clause: FrameworkClause) -> Iterator[Block]:
    yield Heading(f"{clause.id}: {clause.title}")
    yield Paragraph(clause.text)
    source = [] if clause.source == framework.source else [("read in", clause.source), ("checked", clause.checked)]
    dates = [("applies from", _describe_date(each)) for each in clause.applies_from]
    supported = ", ".join(map(_describe_use, clause.checks)) or "no check: nothing in the evidence supports it"
    yield FactList([("supported by", supported), *dates, *source])
    if clause.not_covered:
        yield Paragraph("Not covered:")
        yield ItemList(clause.not_covered)


def _describe_use(use: CheckUse) -> str:
    parameters = ", ".join(f"{name} {value:,}" for name, value in use.parameters)
    return f"{use.check} ({parameters})" if parameters else use.check


def _describe_date(each: ApplicationDate) -> str:
    return f"{each.date}, {each.scope} ({each.checked}: {each.source})"
