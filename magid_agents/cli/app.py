"""The `magid` command: its subcommands, global options and exit status.

Exit status: 0 done; 2 the command, config or input cannot be used, or a collector takes no trace; 3 some
dialogues failed; 4 stopped by a cost limit, an outage or a full disk, to be resumed by the same command; 130
interrupted by Ctrl-C or SIGTERM.

Each command parses, delegates and prints. It imports what it needs inside its function, so that `magid
--help` answers at once.
"""

import signal
import sys
from typing import Annotated

import typer

from magid_agents.cli import (
    calibrate,
    compare,
    doctor,
    evaluate,
    export,
    init,
    models,
    prompts,
    run,
    trace,
    view,
)

app = typer.Typer(
    name="magid",
    help="Text-only dialogues in, multi-modal dialogues out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (
    run.run,
    run.merge,
    trace.trace,
    view.view,
    view.report,
    export.export,
    compare.compare,
    calibrate.calibrate,
    doctor.doctor,
    init.init,
):
    app.command()(command)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(models.app, name="models")
app.add_typer(prompts.app, name="prompts")

state = {"debug": False}


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command."""
    state["debug"] = debug


def main() -> None:
    """Run the command; print an expected error as one line on stderr."""
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the command like Ctrl-C
    try:
        code = app(standalone_mode=False, prog_name="magid")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if state["debug"]:
            raise
        sys.stderr.write(_line(error))
        sys.exit(4 if getattr(error, "resumable", False) else 2)
    sys.exit(code if isinstance(code, int) else 0)


def _line(error: Exception) -> str:
    """Return the error as one line without control characters, since it may quote untrusted text."""
    from magid_agents.errors import MagidError
    from magid_agents.text import printable

    if isinstance(error, MagidError):
        message = str(error)
    # A usage error, whose class Typer keeps private. It is empty if help was shown instead.
    elif say := getattr(error, "format_message", None):
        if not say():
            return ""
        message = f"{say()} (see magid --help)"
    else:
        message = f"{error!r} (see --debug)"
    return f"magid: {printable(message)}\n"
