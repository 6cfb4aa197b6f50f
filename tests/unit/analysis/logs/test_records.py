from __future__ import annotations

import pytest

from analysis.logs.records import MAX_EXCERPT, MAX_LINES, joined, line_id, time_of
from analysis.telemetry.loki import LogLine

PYTHON = """\
ERROR:app:payment 17 failed
Traceback (most recent call last):
  File "/app/bank.py", line 12, in charge
    return self.send(order)
  File "/app/bank.py", line 40, in send
    raise Timeout("bank")
bank.Timeout: bank

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/main.py", line 3, in pay
    charge(order)
ValueError: bad amount"""
PYTHON_BARE = """\
Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    main()
KeyError: 'DATABASE_URL'"""
JAVA = """\
2026-01-02 03:04:05.678 ERROR 1 --- [exec-7] c.s.Payments : charge failed
java.lang.IllegalStateException: no connection
\tat com.shop.Bank.charge(Bank.java:42)
\tat com.shop.Main.pay(Main.java:7)
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.connect(Net.java:12)
\t... 12 more"""
GO = """\
panic: runtime error: index out of range [3] with length 3

goroutine 17 [running]:
main.(*Cart).total(0xc000012345, 0x3)
\t/src/cart.go:31 +0x1d
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3086 +0x5cb
exit status 2"""
NODE = """\
/app/server.js:10
    throw new TypeError('cart is undefined')
    ^

TypeError: cart is undefined
    at total (/app/server.js:10:11)
    at Layer.handle [as handle_request] (/app/node_modules/express/lib/router/layer.js:95:5) {
  code: 'ERR_CART'
}"""
DOTNET = """\
Unhandled exception. System.InvalidOperationException: order 17
 ---> System.TimeoutException: bank
   at Shop.Bank.Send(Order order) in /src/Bank.cs:line 40
   --- End of inner exception stack trace ---
   at Shop.Program.Main(String[] args) in /src/Program.cs:line 7"""
LOGGED_DOTNET = """\
fail: Shop.Payments[0] charge failed
System.TimeoutException: bank
   at Shop.Bank.Send(Order order) in /src/Bank.cs:line 40"""
PRETTY = """\
{
  "level": "info",
  "msg": "started"
}"""


def lines(*texts: str, start: int = 1_000, step: int = 1_000, pod: str = "p", stream: str = "") -> list[LogLine]:
    flat = [text for one in texts for text in one.split("\n")]
    return [LogLine(start + at * step, text, pod, "app", stream) for at, text in enumerate(flat)]


@pytest.mark.parametrize(
    ("trace", "head"),
    [
        (PYTHON, "ERROR:app:payment 17 failed"),
        (PYTHON_BARE, "KeyError: 'DATABASE_URL'"),
        (JAVA, "2026-01-02 03:04:05.678 ERROR 1 --- [exec-7] c.s.Payments : charge failed"),
        (GO, "panic: runtime error: index out of range [3] with length 3"),
        (NODE, "TypeError: cart is undefined"),
        (DOTNET, "Unhandled exception. System.InvalidOperationException: order 17"),
        (LOGGED_DOTNET, "fail: Shop.Payments[0] charge failed"),
        (PRETTY, "{"),
    ],
)
def test_a_trace_is_one_record_between_ordinary_lines(trace: str, head: str) -> None:
    found = joined(lines("GET /cart 200", trace, "GET /cart 200", "GET /pay 201"))
    assert [len(one.lines) for one in found] == [1, len(trace.split("\n")), 1, 1]
    assert found[1].head.text == head


def test_two_traces_in_a_row_are_two_records() -> None:
    assert len(joined(lines(JAVA, JAVA))) == 2
    assert len(joined(lines(GO.removesuffix("\nexit status 2"), "listening", PYTHON_BARE))) == 3


def test_error_lines_without_frames_stay_apart() -> None:
    assert len(joined(lines("ERROR charge failed", "TimeoutError: bank", "TimeoutError: bank"))) == 3


def test_streams_pods_and_pauses_part_records() -> None:
    mixed = sorted(
        [*lines(PYTHON_BARE, stream="stderr"), *lines(*["GET /cart 200"] * 4, stream="stdout")], key=lambda one: one.at
    )
    assert sorted(len(one.lines) for one in joined(mixed)) == [1, 1, 1, 1, 4]
    assert len(joined(lines("failed:", "  late detail", step=10**10))) == 2


def test_frames_whose_head_was_not_read_are_left_out() -> None:
    found = joined(lines("\tat com.shop.Main.pay(Main.java:7)", "\t... 12 more", "GET /cart 200"))
    assert [one.head.text for one in found] == ["GET /cart 200"]


def test_a_record_without_end_is_cut_and_its_excerpt_short() -> None:
    found = joined(lines("dump of everything", *(f"  item {at} {'x' * 50}" for at in range(3 * MAX_LINES))))
    assert max(len(one.lines) for one in found) == MAX_LINES
    excerpt = found[0].excerpt()
    assert len(excerpt) <= MAX_EXCERPT + 3
    assert excerpt.startswith("dump of everything")


def test_an_id_holds_the_time_and_tells_lines_apart() -> None:
    line = LogLine(1_767_225_600_123_456_789, "boom", "p-1", "app")
    same_time = LogLine(line.at, "bang", "p-1", "app")
    assert time_of(line_id(line)) == line.at
    assert line_id(line) == line_id(LogLine(line.at, "boom", "p-1", "app"))
    assert len({line_id(line), line_id(same_time), line_id(LogLine(line.at, "boom", "p-2", "app"))}) == 3
    assert len(line_id(line)) <= 32
    assert time_of("cause-memoryleak") is None
