"""The commands ``collector``: the enrichment for the OpenTelemetry Collector."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.output_files import ReplacedFileOption, replace_output
from spanforge.model_registry._cli.registries import FilesOption, load_registry
from spanforge.model_registry._cli.resolving import NameMatchOption
from spanforge.model_registry._cli.terminal import print_line
from spanforge.model_registry._core.settings import SPAN_ATTRIBUTES
from spanforge.model_registry.collector import (
    render_lookup,
    render_lookup_processor,
    render_lookup_source,
    render_transform,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LookupOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Read the models from the file at this path, which the command lookup writes.",
    ),
]
SourceOption = Annotated[
    str,
    typer.Option(
        metavar="PATH",
        help="The path at which the Collector finds the file of the command lookup-source.",
        show_default=False,
    ),
]
IntervalOption = Annotated[
    str, typer.Option(metavar="TIME", help="The interval at which the Collector reads that file again.")
]
SpanAttributesOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Short names of all attributes that spans get, or changes such as +contact,-version. Default: the setting "
        f"{SPAN_ATTRIBUTES.variable}.",
    ),
]


@examples(
    "collector transform -f models.yaml --lookup-file lookup.yaml",
    "collector transform -f models.yaml -o enrichment.yaml",
)
def write_transform(
    files: FilesOption = None,
    lookup_file: LookupOption = None,
    match: NameMatchOption = None,
    span_attributes: SpanAttributesOption = None,
    output: ReplacedFileOption = None,
) -> None:
    """Write the Collector's transform processor that enriches spans.

    Pass the result to the Collector as a further --config. With --lookup-file, the result contains no models. Write the
    lookup file with the command lookup, and replace it when the registry changes.
    """
    render = partial(render_transform, lookup_file=lookup_file, match=match, span_attributes=span_attributes)
    _write_rendered(files, render, output)


@examples("collector lookup -f models.yaml -o lookup.yaml")
def write_lookup(
    files: FilesOption = None,
    match: NameMatchOption = None,
    span_attributes: SpanAttributesOption = None,
    output: ReplacedFileOption = None,
) -> None:
    """Write the lookup file to which the transform processor refers.

    Pass the same --match and --span-attributes as to the command transform.
    """
    _write_rendered(files, partial(render_lookup, match=match, span_attributes=span_attributes), output)


@examples("collector lookup-processor --source-file /etc/otelcol/source.yaml -o lookup-processor.yaml")
def write_lookup_processor(
    source_file: SourceOption,
    reload_interval: IntervalOption = "30s",
    match: NameMatchOption = None,
    span_attributes: SpanAttributesOption = None,
    output: ReplacedFileOption = None,
) -> None:
    """Write the Collector's lookup processor, which reads models again without a restart.

    Pass the result to the Collector as a further --config, and put its processors before the transform processor in the
    pipeline. The Collector must contain the lookup processor.
    """
    text = render_lookup_processor(
        source_file, reload_interval=reload_interval, match=match, span_attributes=span_attributes
    )
    _write_content(text.encode(), output)


@examples("collector lookup-source -f models.yaml -o source.yaml")
def write_lookup_source(
    files: FilesOption = None,
    match: NameMatchOption = None,
    span_attributes: SpanAttributesOption = None,
    output: ReplacedFileOption = None,
) -> None:
    """Write the source of the lookup processor: the attributes of each name.

    Pass the same --match and --span-attributes as to the command lookup-processor.
    """
    _write_rendered(files, partial(render_lookup_source, match=match, span_attributes=span_attributes), output)


def _write_rendered(files: list[str] | None, render: Callable[..., str], output: str | None) -> None:
    registry = load_registry(files)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        content = render(registry).encode()
    for warning in caught:
        print_line(f"warning: {warning.message}", "warning", stderr=True)
    _write_content(content, output)


def _write_content(content: bytes, output: str | None) -> None:
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        replace_output(output, content)
