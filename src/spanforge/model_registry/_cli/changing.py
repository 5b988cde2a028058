"""``register``, ``deprecate``, ``retire`` and ``set``: changes of a registry file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_args

import typer

from spanforge.model_registry import ModelAlreadyRegisteredError, RiskTier
from spanforge.model_registry._cli.assignments import make_setter, parse_assignment
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.difference_texts import show_value
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.registries import UsageError, find_registry_files
from spanforge.model_registry._cli.registry_changes import ChangeRequest, change_file, plan_change
from spanforge.model_registry._cli.row_tables import print_table
from spanforge.model_registry._cli.terminal import print_json, print_line
from spanforge.model_registry._core.registry_addresses import hide_credentials, is_registry_address
from spanforge.model_registry._core.registry_sources import list_files
from spanforge.model_registry._core.settings import FILE

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
    from spanforge.model_registry._cli.registry_changes import ChangedFile

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL_ID", help="The id of the model.")]
OneFileOption = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help=f"The registry file, in JSON or YAML. Default: the setting {FILE.variable}, if it names one file.",
    ),
]
ActorOption = Annotated[str | None, typer.Option(metavar="NAME", help="Who makes the change, for the history.")]
ReasonOption = Annotated[str, typer.Option(help="The reason, for the history.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the difference, and change nothing.")]
WaitOption = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for others who change the file.")
]
_DEFAULT_WAIT: Final = 30.0
"""The seconds to wait while another process changes the file. A change takes milliseconds, also of a large file."""
_DIFF_STYLES: Final = {"+": "good", "-": "error", "@": "weak"}


@examples(
    "register acme-chat-3 --name 'Acme Chat 3' --version 2026-11-01 --risk-tier high"
    " --owner chat-team --purpose 'answers customers' --alias chat-preview"
    " --contact '#chat-team' --file models.yaml",
)
def add_model(  # noqa: PLR0913 - the payload's fields are the options
    model_id: ModelArgument,
    *,
    name: Annotated[str, typer.Option(help="The name for display.")],
    version: Annotated[str, typer.Option(help="The version of the model.")],
    risk_tier: Annotated[str, typer.Option(metavar="TIER", help=f"One of {', '.join(get_args(RiskTier))}.")],
    owner: Annotated[str, typer.Option(metavar="OWNER", help="The team or person responsible.")],
    purpose: Annotated[str, typer.Option(help="The intended use.")],
    deployment_date: Annotated[str | None, typer.Option(metavar="DATE", help="The first use. Default: now.")] = None,
    alias: Annotated[list[str] | None, typer.Option(help="Another name or a glob; repeat it for several.")] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(metavar="PROVIDER", help="Match only calls of this provider; repeat it for several."),
    ] = None,
    contact: Annotated[str | None, typer.Option(help="How to reach the owner.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A key of your own; KEY:=JSON for other types.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="If the model is registered already, replace its values. Status, dates, successor and reason stay.",
        ),
    ] = False,
    actor: ActorOption = None,
    files: OneFileOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = _DEFAULT_WAIT,
    output: FormatOption = "text",
) -> None:
    """Add a model to a registry file.

    The file keeps its comments and layout. It is created if it is missing. This command sends no
    event. To send one, use emit.
    """
    own = {each.key: each.value for each in (parse_assignment(text, "metadata.") for text in metadata or ())}

    def operate(registry: ModelRegistry) -> ModelRegistryEntry:
        return registry.register(
            model_id,
            name,
            version,
            cast("RiskTier", risk_tier),  # the registry checks it
            owner,
            purpose,
            deployment_date=deployment_date,
            metadata={**own, **({"contact": contact} if contact is not None else {})},
            aliases=alias or (),
            provider=_join_providers(provider or []),
            replace=replace,
            actor=actor,
        )

    try:
        change = _change(files, ChangeRequest(model_id, operate, registers=True), dry_run=dry_run, wait=wait)
    except ModelAlreadyRegisteredError as error:
        raise UsageError(str(error).replace("replace=True", "--replace")) from error
    _print_change(change, "registered", output, dry_run=dry_run)


@examples(
    "deprecate acme-chat-2 --reason 'replaced by acme-chat-3' --successor acme-chat-3"
    " --sunset-date 2027-06-30 --file models.yaml",
)
def deprecate(  # noqa: PLR0913 - the arguments of the operation are the options
    model_id: ModelArgument,
    *,
    reason: ReasonOption = "",
    successor: Annotated[str | None, typer.Option(metavar="MODEL_ID", help="The model to use instead.")] = None,
    sunset_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="From then on, calls are exceptions in evidence.")
    ] = None,
    actor: ActorOption = None,
    files: OneFileOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = _DEFAULT_WAIT,
    output: FormatOption = "text",
) -> None:
    """Mark a model in a registry file as deprecated.

    A deprecated model may be deprecated again with other values. This command sends no event. To send one, use emit.
    """

    def operate(registry: ModelRegistry) -> ModelRegistryEntry:
        return registry.deprecate(model_id, reason=reason, successor=successor, sunset_date=sunset_date, actor=actor)

    change = _change(files, ChangeRequest(model_id, operate), dry_run=dry_run, wait=wait)
    _print_change(change, "deprecated", output, dry_run=dry_run)


@examples(
    "retire acme-chat-1 --reason 'nobody calls it' --actor chat-team --file models.yaml --dry-run",
    "retire acme-chat-1 --reason 'nobody calls it' --actor chat-team --file models.yaml",
)
def retire(  # noqa: PLR0913 - the arguments of the operation are the options
    model_id: ModelArgument,
    *,
    reason: ReasonOption = "",
    actor: ActorOption = None,
    files: OneFileOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = _DEFAULT_WAIT,
    output: FormatOption = "text",
) -> None:
    """Retire a model in a registry file, for good.

    A retired model never changes again. This command sends no event. To send one, use emit.
    """

    def operate(registry: ModelRegistry) -> ModelRegistryEntry:
        return registry.retire(model_id, reason=reason, actor=actor)

    change = _change(files, ChangeRequest(model_id, operate), dry_run=dry_run, wait=wait)
    _print_change(change, "retired", output, dry_run=dry_run)


@examples(
    "set acme-embed-1 owner=platform-team risk-tier=medium --file models.yaml",
    "set acme-embed-1 aliases+=embed contact='#platform' metadata.seats:=5 --file models.yaml",
)
def set_values(  # noqa: PLR0913 - each is an option
    model_id: ModelArgument,
    assignments: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE", help="The new values.")],
    *,
    actor: ActorOption = None,
    files: OneFileOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = _DEFAULT_WAIT,
    output: FormatOption = "text",
) -> None:
    """Change fields of a model in a registry file.

    FIELD=VALUE sets a text. FIELD+=VALUE and FIELD-=VALUE add and remove one item of a list, such as aliases.
    metadata.KEY=VALUE sets a key of your own, and metadata.KEY:=JSON one that is not text. Without VALUE, an optional
    field is removed, unless deprecate sets it. The status, deployment_date and decommission_date stay. This command
    sends no event. To send one, use emit.
    """
    operate = make_setter(model_id, [parse_assignment(text) for text in assignments], actor)
    change = _change(files, ChangeRequest(model_id, operate), dry_run=dry_run, wait=wait)
    _print_change(change, "changed", output, dry_run=dry_run)


def _join_providers(providers: list[str]) -> str | list[str] | None:
    return providers if len(providers) > 1 else next(iter(providers), None)


def _change(files: list[str] | None, request: ChangeRequest, *, dry_run: bool, wait: float) -> ChangedFile:
    chosen = [path for source in find_registry_files(files) for path in list_files(source).files]
    if len(chosen) != 1:
        msg = f"a change needs one registry file, not {len(chosen)}: pass --file FILE"
        raise UsageError(msg)
    if is_registry_address(chosen[0]):
        name = hide_credentials(chosen[0])
        msg = f"{name}: is an address, and a change needs a file: pass the file that the server serves"
        raise UsageError(msg)
    return plan_change(chosen[0], request) if dry_run else change_file(chosen[0], request, wait)


def _print_change(change: ChangedFile, operation: str, output: str, *, dry_run: bool) -> None:
    if output == "json":
        print_json(_make_result(change, operation, dry_run=dry_run))
        return
    has_changed = change.new != change.old
    model = f"{change.path}: {change.after.model_id}"
    if not has_changed:
        print_line(f"{model} is as it should be; nothing changed", "weak")
    elif dry_run:
        print_line(f"{model} would be {operation}; nothing changed")
        for line in change.list_diff_lines():
            print_line(line.replace("\t", "    "), _DIFF_STYLES.get(line[:1], ""))
    else:
        print_line(f"{model} {operation}", "good")
        rows = [
            (each.field, _show_field_value(each.before), _show_field_value(each.after))
            for each in change.list_changes()
        ]
        print_table(("field", "before", "after"), rows, ("name", "weak"))


def _make_result(change: ChangedFile, operation: str, *, dry_run: bool) -> dict[str, Any]:
    """Return the result of a command for other programs."""
    return {
        "file": change.path,
        "model_id": change.after.model_id,
        "operation": operation,
        "changed": change.new != change.old,
        "dry_run": dry_run,
        "changes": [each._asdict() for each in change.list_changes()],
        "entry": change.after.to_dict(),
        "diff": change.list_diff_lines(),
    }


def _show_field_value(value: Any) -> str:
    return "-" if value is None else show_value(value)
