"""The settings file: what is accepted, and how what is not is told."""

from __future__ import annotations

import pytest

from external.errors import ExternalError
from external.settings import Settings, load


def test_nothing_given_is_the_built_in_store() -> None:
    assert load("") == Settings()
    assert Settings().object_store.embedded


def test_spaces_by_values() -> None:
    store = load(
        """
        objectStore:
          endpoint: https://fra1.digitaloceanspaces.com
          region: fra1
          bucket: acme-logs
          secret: iirp-system/spaces
        """
    ).object_store
    assert not store.embedded
    assert (store.region, store.bucket, store.secret) == ("fra1", "acme-logs", "iirp-system/spaces")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("objectStore: {endpoint: fra1.digitaloceanspaces.com}", "objectStore.endpoint"),
        ("objectStore: {bucket: Not_A_Bucket}", "objectStore.bucket"),
        ("objectStore: {secret: only-a-name}", "objectStore.secret"),
        ("objectStore: {accessKeyId: AKIA}", "objectStore.accessKeyId"),
        ("logs: {retentionDays: 0}", "logs.retentionDays"),
        ("logs: {chunkEncoding: lzma}", "logs.chunkEncoding"),
        ("logs: {compactionInterval: soon}", "logs.compactionInterval"),
        ("logs: {hotDays: 40}", "hotDays (40) exceeds retentionDays (30)"),
        ("gateway: {port: 70000}", "gateway.port"),
        ("loogs: {}", "loogs"),
        ("[1, 2]", "settings"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(text: str, field: str) -> None:
    with pytest.raises(ExternalError) as refused:
        load(text)
    assert field in str(refused.value)
    assert "\n" not in str(refused.value)
