"""Requests as the ordinary protobuf library writes them."""

from __future__ import annotations

from benchmarks.wire import Request as Request
from benchmarks.wire import WriteRequest as WriteRequest
from benchmarks.wire import request as request
