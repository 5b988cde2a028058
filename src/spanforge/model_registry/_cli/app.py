"""The program: finds and runs a command, and turns each failure into one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import subprocess
import sys
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from spanforge.model_registry import ModelRegistryError, __version__
from spanforge.model_registry._cli.commands import PROGRAM, build_command, list_command_names, list_sections
from spanforge.model_registry._core.atomic_files import explain_os_error
from spanforge.model_registry._core.shown_values import make_printable
from spanforge.model_registry._core.values import quote

BAD_INPUT: Final = 2
"""The exit code for wrong usage and for input that cannot be used."""
_INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""
_SHELLS: Final = ("bash", "zsh", "fish", "powershell", "pwsh")
"""The shells for which typer has a script."""
_COMPLETION: Final = {
    "install_completion": "Install completion for the current shell, or for the shell that follows, such as zsh.",
    "show_completion": "Print the script for completion, likewise.",
}
"""The help of typer's options for completion."""
_WrongUsage: Final[Any] = typer.BadParameter.__mro__[1]
"""The class of errors about arguments and options, of which typer exports only this subclass."""


class _Program(TyperGroup):
    """The top level. It imports a command when the command is needed."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, with our help for typer's."""
        params: list[Any] = super().get_params(ctx)
        for param in params:
            param.help = _COMPLETION.get(param.name, param.help)
        return params

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature of the base class
        """Return the names of the commands, for the help and for completion."""
        return list_command_names()

    def get_command(self, ctx: Any, cmd_name: str) -> Any | None:  # noqa: ARG002 - likewise
        """Return the command with this name; ``None`` if there is none."""
        return build_command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - likewise
        """Write the list of commands without importing them."""
        for section, rows in list_sections().items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options of the top level. A shell may follow the options for completion, as in other programs."""
        option, shell = [*args, "", ""][:2]
        for param in self.params:
            is_completion = option in param.opts and param.name in _COMPLETION
            if is_completion and not shell.startswith("-") and not ctx.resilient_parsing:
                _complete_for(ctx, param, shell)
        try:
            return super().parse_args(ctx, args)
        except _WrongUsage as error:
            _explain_usage(error)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. A failure becomes a line on standard error for each fault, never a traceback."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except _WrongUsage as error:
            _explain_usage(error)
        except ModelRegistryError as error:
            _end_with(*map(str, getattr(error, "faults", [error])))
        except KeyboardInterrupt:
            _end_with("interrupted", code=_INTERRUPTED)
        except OSError as error:
            _end_with_os_error(error)
        return result


def _complete_for(ctx: Any, param: Any, shell: str) -> NoReturn:
    """Print or install the script of a shell; without a name, that of the shell that runs."""
    option, shells = param.opts[0], ", ".join(_SHELLS)
    if shell and shell not in _SHELLS:
        _end_with(f"{option}: {quote(shell)} is not one of {shells}")
    try:
        sys.stdout.write(_run_callback(ctx, param, shell))
        sys.stdout.flush()
    except typer.Exit:
        _end_with(f"{option}: the current shell is not one of {shells}; name one of them, such as {option} bash")
    except subprocess.CalledProcessError as error:
        _end_with(f"{option}: the program {error.cmd[0]} ended with exit code {error.returncode}")
    except UnicodeError as error:
        _end_with(f"{option}: the shell's start file cannot be read as text: {error}")
    except RuntimeError:  # from ``Path.home``
        _end_with(f"{option}: the home folder is unknown: set HOME")
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename in _SHELLS:
            _end_with(f"{option}: the program {error.filename} is not installed, or its folder is not in PATH")
        _end_with_os_error(error)
    raise typer.Exit


def _run_callback(ctx: Any, param: Any, shell: str) -> str:
    """Return the output of typer's function. On success, it exits the program."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        param.callback(ctx, param, shell or True)
    return output.getvalue()


def _end_with_os_error(error: OSError) -> NoReturn:
    """End with one line about a file, or about the output. If the output's reader has gone, there is no line."""
    if error.filename is None:
        _discard_pending_output()
    if error.errno == errno.EPIPE:
        raise typer.Exit(1) from None
    _end_with(f"{error.filename or 'the output'}: {explain_os_error(error)}")


def _explain_usage(error: Any) -> NoReturn:
    """End with one line about wrong arguments. The help of a group, which typer raises too, is printed as it is."""
    text = error.format_message().replace("Value error, ", "")  # typer 0.29 puts it before what is wrong
    if error.ctx is None:
        _end_with(text)
    if text == error.ctx.get_help():
        raise error
    _end_with(f"{' '.join(text.split()).removesuffix('.')}; see {error.ctx.command_path} --help")


def _end_with(*texts: str, code: int = BAD_INPUT) -> NoReturn:
    for text in texts:
        print(f"{PROGRAM}: {make_printable(text)}", file=sys.stderr)  # noqa: T201 - the program's own output
    raise typer.Exit(code)


def _discard_pending_output() -> None:
    """Let Python's last flush write to nowhere: the disk is full, or the reader, such as ``head``, has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


app: Final = typer.Typer(cls=_Program, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _describe_program(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _show_version(wanted=value),
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Work with a registry of AI models: check its files, change them, explain names, and make evidence.

    Exit codes: 0 done, 1 findings, 2 wrong usage or bad input.
    """


def _open_closed_streams() -> None:
    """Read from and write to nowhere where the parent closed a stream, so that no file gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; by default, that of ``sys.argv``."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the terminal may not have all characters of a name
    try:
        typer.main.get_command(app).main(arguments, prog_name=PROGRAM)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0
