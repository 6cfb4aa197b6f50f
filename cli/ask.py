"""`iirp ask`: a question in words, answered from the objects in the cluster."""

from __future__ import annotations

import json

import click

__all__ = ["ask"]


@click.command()
@click.argument("question")
@click.option("--namespace", "-n", default=None, help="Only incidents of this namespace.  [default: all]")
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False), default=None, help="[default: as kubectl]")
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text")
def ask(question: str, namespace: str | None, kubeconfig: str | None, output: str) -> None:
    """Answer a QUESTION about incidents, for example "why did payments restart last night?".

    A grammar of common questions, without a model: list, count, why, when, what changed, compare. Reads with your own
    credentials and never writes. What it says, it cites: the commands and queries that show it.
    """
    from datetime import UTC, datetime

    import requests
    from pydantic import ValidationError
    from pykube.exceptions import PyKubeError

    from analysis import questions
    from cli.incidents import read

    try:
        incidents, reports = read(namespace, kubeconfig)
    except (requests.RequestException, PyKubeError, ValidationError, OSError, KeyError, ValueError) as error:
        raise click.ClickException(f"cannot read incidents: {' '.join(str(error).split())[:300]}") from error
    understood = questions.parse(question, datetime.now(UTC).astimezone(), incidents)
    if understood is None:
        known = "\n".join(f"  {one}" for one in questions.EXAMPLES)
        raise click.ClickException(f"I do not understand the question. I know questions like\n{known}")
    found = questions.answer(understood, incidents, reports)
    if output == "json":
        click.echo(json.dumps({"intent": understood.intent, "answer": found.lines, "citations": found.citations}))
        return
    for line in found.lines:
        click.echo(_printable(line))
    for citation in found.citations:
        click.echo(_printable(f"[{citation}]"), err=True)


def _printable(text: str) -> str:
    """Without control characters: log templates and event messages come from outside."""
    return "".join(char if char.isprintable() else " " for char in text)
