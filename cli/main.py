"""The `iirp` command: registers the groups, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

COMMANDS = {
    "cluster": ("cli.cluster", "a development cluster: kind, an existing one, or embedded"),
    "external": ("cli.external", "the external side: Prometheus, Loki, S3, gateway, analysis server"),
    "demo": ("cli.demo", "the whole story on a real cluster"),
    "logs": ("cli.telemetry", "log lines by time and labels"),
    "metrics": ("cli.telemetry", "metric values by time and labels"),
    "ask": ("cli.ask", "a question about incidents, in words"),
    "rca": ("cli.rca", "run a report's queries again: does it still say what it claims?"),
    "history": ("cli.history", "incidents and changes, also long after their objects are gone"),
    "rules": ("cli.rules", "when something is a fault, and the tests of that"),
    "grant": ("cli.grant", "the RoleBindings that opt a namespace in, as YAML for GitOps"),
    "doctor": ("cli.doctor", "what works, what is missing, and the command that helps"),
    "completion": ("cli.doctor", "the completion script of bash, zsh or fish"),
    "policy": ("cli.policy", "test policies, and hold changed ones against the past"),
    "plan": ("cli.plan", "who else writes what a plan changes, and the change as a patch for Git"),
    "autonomy": ("cli.autonomy", "what each remedy has earned, and why"),
    "predictions": ("cli.predictions", "which predicted harm came, was prevented, or never came"),
    "audit": ("cli.audit", "verify and anchor the log of all decisions"),
    "replay": ("cli.audit", "decide everything about an incident again, from the log alone"),
    "bundle": ("cli.audit", "one sealed archive of an incident's decisions"),
    "ui": ("cli.ui", "where to look at incidents in a browser"),
}


class LazyGroup(click.Group):
    """Imports a command's module only when it is called: `iirp --help` stays fast."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All commands, in the order people meet them."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands with their one-line help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="iirp")
def cli() -> None:
    """Intelligent Incident Response Platform."""


def main(args: list[str] | None = None) -> Any:
    """Entry point. Bad arguments exit 2 with one line, failures exit 1 with one, Ctrl-C exits 130."""
    try:
        return cli.main(args=args, prog_name="iirp", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "iirp"
        click.echo(f"{command}: {error.format_message()} (see {command} --help)", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"iirp: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("iirp: interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    sys.exit(main())  # click hands an exit code back as the result
