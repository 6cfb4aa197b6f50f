"""The ordinary protobuf library's view of remote_write 1.0, with text as bytes: the wire format is the same."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="remote.proto", package="remote", syntax="proto3")
    shapes = {
        "Label": [("name", 1, _FIELD.TYPE_BYTES, ""), ("value", 2, _FIELD.TYPE_BYTES, "")],
        "Sample": [("value", 1, _FIELD.TYPE_DOUBLE, ""), ("timestamp", 2, _FIELD.TYPE_INT64, "")],
        "TimeSeries": [("labels", 1, _FIELD.TYPE_MESSAGE, "Label"), ("samples", 2, _FIELD.TYPE_MESSAGE, "Sample")],
        "WriteRequest": [("timeseries", 1, _FIELD.TYPE_MESSAGE, "TimeSeries")],
    }
    for name, fields in shapes.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            label = _FIELD.LABEL_REPEATED if of else _FIELD.LABEL_OPTIONAL
            one = message.field.add(name=field, number=number, type=kind, label=label)
            if of:
                one.type_name = f".remote.{of}"
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())
WriteRequest: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName("remote.WriteRequest"))


def request(*series: tuple[dict[str, str], list[tuple[float, int]]]) -> bytes:
    """An uncompressed WriteRequest of (labels, [(value, milliseconds)])."""
    made = WriteRequest()
    for labels, samples in series:
        one = made.timeseries.add()
        for name, value in sorted(labels.items()):
            one.labels.add(name=name.encode(), value=value.encode())
        for number, at in samples:
            one.samples.add(value=number, timestamp=at)
    return bytes(made.SerializeToString())
