"""`iirp ask`: a question in words, answered from the objects in the cluster."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cli.options import KUBECONFIG, OUTPUT

__all__ = ["ask"]


@click.command()
@click.argument("question")
@click.option("--namespace", "-n", default=None, help="Only incidents of this namespace. Default: all.")
@KUBECONFIG
@OUTPUT
def ask(question: str, namespace: str | None, kubeconfig: Path | None, output: str) -> None:
    """Answer a QUESTION about incidents, for example "why did payments restart last night?".

    A grammar of common questions, without a model: list, count, why, when, what changed, compare. Reads with your own
    credentials and never writes. What it says, it cites: the commands and queries that show it.
    """
    from datetime import UTC, datetime

    from analysis import questions
    from cli.incidents import read
    from cli.plugin.words import harmless

    incidents, reports = read(namespace, kubeconfig)
    understood = questions.parse(question, datetime.now(UTC).astimezone(), incidents)
    if understood is None:
        known = "\n".join(f"  {one}" for one in questions.EXAMPLES)
        raise click.ClickException(f"I do not understand the question. I know questions like\n{known}")
    found = questions.answer(understood, incidents, reports)
    if output == "json":
        told = {"intent": understood.intent, "answer": found.lines, "citations": found.citations}
        click.echo(json.dumps(told, indent=2))
        return
    for line in found.lines:
        click.echo(harmless(line))
    for citation in found.citations:
        click.echo(harmless(f"[{citation}]"), err=True)
