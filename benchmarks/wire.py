"""The ordinary protobuf library's view of remote_write, with text as bytes: the wire format is the same."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_BYTES, _DOUBLE, _INT64, _UINT32 = _FIELD.TYPE_BYTES, _FIELD.TYPE_DOUBLE, _FIELD.TYPE_INT64, _FIELD.TYPE_UINT32
_SINT32, _SINT64, _UINT64 = _FIELD.TYPE_SINT32, _FIELD.TYPE_SINT64, _FIELD.TYPE_UINT64
_MANY = frozenset({"labels", "samples", "histograms", "timeseries", "symbols", "labels_refs", "negative_spans"})
_MANY |= {"negative_deltas", "negative_counts", "positive_spans", "positive_deltas", "positive_counts", "custom_values"}
_ONE_OF = {"count_int": 0, "count_float": 0, "zero_count_int": 1, "zero_count_float": 1}

_Shapes = dict[str, list[tuple[str, int, int | str]]]
_COMMON: _Shapes = {
    "Label": [("name", 1, _BYTES), ("value", 2, _BYTES)],
    "Sample": [("value", 1, _DOUBLE), ("timestamp", 2, _INT64)],
    "BucketSpan": [("offset", 1, _SINT32), ("length", 2, _UINT32)],
    "Histogram": [
        ("count_int", 1, _UINT64),
        ("count_float", 2, _DOUBLE),
        ("sum", 3, _DOUBLE),
        ("schema", 4, _SINT32),
        ("zero_threshold", 5, _DOUBLE),
        ("zero_count_int", 6, _UINT64),
        ("zero_count_float", 7, _DOUBLE),
        ("negative_spans", 8, "BucketSpan"),
        ("negative_deltas", 9, _SINT64),
        ("negative_counts", 10, _DOUBLE),
        ("positive_spans", 11, "BucketSpan"),
        ("positive_deltas", 12, _SINT64),
        ("positive_counts", 13, _DOUBLE),
        ("reset_hint", 14, _FIELD.TYPE_INT32),
        ("timestamp", 15, _INT64),
        ("custom_values", 16, _DOUBLE),
    ],
}
_V1: _Shapes = {
    **_COMMON,
    "TimeSeries": [("labels", 1, "Label"), ("samples", 2, "Sample"), ("histograms", 4, "Histogram")],
    "WriteRequest": [("timeseries", 1, "TimeSeries")],
}
_V2: _Shapes = {
    **_COMMON,
    "TimeSeries": [("labels_refs", 1, _UINT32), ("samples", 2, "Sample"), ("histograms", 3, "Histogram")],
    "Request": [("symbols", 4, _BYTES), ("timeseries", 5, "TimeSeries")],
}


def _message(package: str, shapes: _Shapes, name: str) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for of, fields in shapes.items():
        message = file.message_type.add(name=of)
        for field, number, kind in fields:
            label = _FIELD.LABEL_REPEATED if field in _MANY else _FIELD.LABEL_OPTIONAL
            one = message.field.add(name=field, number=number, label=label)
            one.type = _FIELD.TYPE_MESSAGE if isinstance(kind, str) else kind
            if isinstance(kind, str):
                one.type_name = f".{package}.{kind}"
            if field in _ONE_OF:
                one.oneof_index = _ONE_OF[field]
        if of == "Histogram":
            message.oneof_decl.add(name="count")
            message.oneof_decl.add(name="zero_count")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))


WriteRequest: Any = _message("remote", _V1, "WriteRequest")
"""Of remote_write 1.0."""
Request: Any = _message("remote2", _V2, "Request")
"""Of remote_write 2.0."""


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
