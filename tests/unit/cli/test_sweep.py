"""Every command of `iirp` against what does not work: one clear line, an exit code, and never a traceback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from cli.main import cli, main

ADDRESS = "https://127.0.0.1:9"
"""Nobody listens there."""
POLICY = str(Path(__file__).parents[3] / "config/policies/default.yaml")

CLUSTER = {
    "iirp ask": ["ask", "why did payments restart?"],
    "iirp autonomy": ["autonomy"],
    "iirp doctor": ["doctor"],
    "iirp plan patch": ["plan", "patch", "p", "-n", "shop"],
    "iirp plan writers": ["plan", "writers", "p"],
    "iirp policy backtest": ["policy", "backtest", "-p", POLICY],
    "iirp predictions": ["predictions"],
    "iirp rca logs": ["rca", "logs", "r"],
    "iirp rca verify": ["rca", "verify", "r"],
    "iirp ui": ["ui", "--no-open"],
}
"""Those that ask the cluster of the current kubeconfig."""
EXTERNAL = {
    "iirp cluster kubeconfig": ["cluster", "kubeconfig", "--name", "none"],
    "iirp cluster load-image": ["cluster", "load-image", "--name", "none", POLICY],
    "iirp cluster status": ["cluster", "status", "--name", "none"],
    "iirp external bucket": ["external", "bucket", "--name", "none", "--settings", POLICY],
    "iirp external connect": ["external", "connect", "--name", "none"],
    "iirp external logs": ["external", "logs", "loki", "--name", "No Name"],
    "iirp external status": ["external", "status", "--name", "none"],
    "iirp external up": ["external", "up", "--name", "none", "--settings", POLICY],
    "iirp history changes": ["history", "changes", "-n", "shop"],
    "iirp history incidents": ["history", "incidents"],
    "iirp history show": ["history", "show", "i"],
    "iirp logs": ["logs", "-l", "app=x"],
    "iirp metrics": ["metrics", "up"],
}
"""Those that ask a cluster or an external side of this machine, of which there is none."""
FILES = {
    "iirp audit anchor": ["audit", "anchor", "{}", "--anchor", "s3://b/p", "--endpoint", ADDRESS],
    "iirp audit verify": ["audit", "verify", "{}"],
    "iirp autonomy": ["autonomy", "--from", "{}"],
    "iirp bundle": ["bundle", "i", "{}"],
    "iirp demo": ["demo", "--scenario-file", "{}"],
    "iirp external render": ["external", "render", "folder", "--settings", "{}"],
    "iirp external up": ["external", "up", "--settings", "{}"],
    "iirp policy backtest": ["policy", "backtest", "-p", "{}", "--from", "{}"],
    "iirp policy lint": ["policy", "lint", "{}"],
    "iirp policy test": ["policy", "test", "{}"],
    "iirp replay": ["replay", "i", "{}"],
    "iirp rules check": ["rules", "check", "{}"],
    "iirp rules test": ["rules", "test", "{}"],
}
"""Those that read a file of the person's."""
ALONE = {
    "iirp cluster down", "iirp cluster list", "iirp cluster up", "iirp completion", "iirp demo down",
    "iirp external down", "iirp grant",
}  # fmt: skip
"""Those that need nothing, end in peace where there is nothing to end, or would make what they need."""
CONTENTS = {
    "no YAML": b"kind: [open",
    "a text": b"just text",
    "a list": b"- 1\n- 2\n",
    "not UTF-8": b"\xff\xfe\x00",
    "a policy of a wrong shape": b"kind: ActionPolicy\nmetadata: []\nspec: 3\n",
    "a list of nothing": b"kind: ActionPlanList\nitems: 3\n",
    "an object without a name": b"kind: Namespace\n",
    "a circle": b"&a [*a]\n",
}


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its whole name."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, click.Context(found, parent=context, info_name=name))
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield context.command_path, command


ALL = dict(commands(cli, click.Context(cli, info_name="iirp")))


@pytest.fixture(autouse=True)
def nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without clusters, and a kubeconfig that leads nowhere."""
    for name in ("IIRP_CLUSTER", "IIRP_EXTERNAL_URL", "IIRP_CA_FILE", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IIRP_STATE_DIR", str(tmp_path / "state"))
    path = str(kubeconfig(tmp_path))
    monkeypatch.setenv("KUBECONFIG", path)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", path)  # read at import
    monkeypatch.chdir(tmp_path)


def kubeconfig(folder: Path) -> Path:
    path = folder / "kubeconfig"
    body = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": ADDRESS}}], "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(body))
    return path


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a person reads of a command that cannot work."""
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    told = "".join(capsys.readouterr())
    assert code in {1, 2, 3}, told
    assert told.strip()
    assert "Traceback" not in told
    assert max(map(len, told.splitlines())) < 500
    assert len(told.splitlines()) <= 8
    return told


def test_every_command_is_swept() -> None:
    assert set(ALL) == {*CLUSTER, *EXTERNAL, *FILES, *ALONE}


@pytest.mark.parametrize("arguments", CLUSTER.values(), ids=CLUSTER)
def test_an_api_server_that_is_away_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    needs_kubectl(arguments)
    told = refused(arguments, capsys)
    assert "127.0.0.1:9" in told
    assert "iirp doctor" in told or "kubectl config get-contexts" in told, "the next step"


@pytest.mark.parametrize("content", [b"clusters: [open", b"text", b"", b"[]", b"\xff\xfe", None])
@pytest.mark.parametrize("arguments", CLUSTER.values(), ids=CLUSTER)
def test_a_kubeconfig_that_is_none(
    arguments: list[str], content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_kubectl(arguments)
    path = tmp_path / "kubeconfig"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    refused(arguments, capsys)


@pytest.mark.parametrize("arguments", EXTERNAL.values(), ids=EXTERNAL)
def test_a_cluster_that_is_not_there(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(arguments, capsys)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("arguments", FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_used_is_named(
    arguments: list[str], content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "given.yaml"
    path.write_bytes(content)
    assert "given" in refused([one.format(path) for one in arguments], capsys)


@pytest.mark.parametrize("arguments", FILES.values(), ids=FILES)
def test_a_file_that_is_not_there_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "'none.yaml' does not exist" in refused([one.format("none.yaml") for one in arguments], capsys)


def test_shared_options_are_spelt_the_same() -> None:
    spelt = {"-o": {"-o", "--output"}, "-n": {"-n", "--namespace"}, "-f": {"-f", "--file", "--follow", "--values"}}
    for path, command in ALL.items():
        for option in command.params:
            for short, names in spelt.items():
                assert short not in option.opts or set(option.opts) <= names, f"{path} {option.opts}"


def test_what_prints_for_people_prints_for_scripts() -> None:
    silent = {
        "audit anchor", "cluster down", "cluster kubeconfig", "cluster load-image", "cluster up", "completion",
        "demo down", "external bucket", "external connect", "external down", "external logs", "external render",
        "external up",
    }  # fmt: skip
    without = {path for path, command in ALL.items() if all("--output" not in one.opts for one in command.params)}
    assert without == {f"iirp {name}" for name in silent}


def test_everything_is_explained() -> None:
    for path, command in ALL.items():
        assert command.help, path
        assert all(one.help for one in command.params if isinstance(one, click.Option)), path


def needs_kubectl(arguments: list[str]) -> None:
    if arguments[0] in {"doctor", "ui"} and shutil.which("kubectl") is None:
        pytest.skip("no kubectl on the PATH")
