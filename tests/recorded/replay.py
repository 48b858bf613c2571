"""
Recorded answers of Azure, given again to a session of the library: what was answered then is answered now, in order.

Imports the library's session and the sandbox's form of a response.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse

from runbook_lib.arm.session import Session
from runbook_lib.journal import Journal
from runbook_lib.records import Target
from runbook_lib.sandbox.transport import SandboxResponse

__all__ = ["REFERENCE", "Exchange", "Replay", "chains", "cited", "path_of", "replayed", "singles"]

REFERENCE = os.environ.get("RUNBOOK_REFERENCE", "")
# A request and its answer, as the recordings have them.
Exchange = dict[str, Any]


def _records() -> Iterator[tuple[str, int, Exchange]]:
    for file in sorted((Path(REFERENCE) / "recordings").glob("*.jsonl")) if REFERENCE else ():
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            yield file.stem, number, json.loads(line)


def singles() -> Iterator[tuple[str, Exchange]]:
    """
    Give each exchange that stands alone, with the place that it is cited by.
    """
    for kind, number, record in _records():
        if "steps" not in record:
            yield f"{kind}#{number}", record


def chains() -> Iterator[tuple[str, Exchange]]:
    """
    Give each asynchronous operation that was recorded from its start.
    """
    for kind, number, record in _records():
        if "steps" in record:
            yield f"{kind}#{number}", record


def cited(place: str) -> Exchange:
    """
    Return the record at *place*, such as `vm_list#30`.
    """
    kind, _, number = place.partition("#")
    lines = (Path(REFERENCE) / "recordings" / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
    record: Exchange = json.loads(lines[int(number) - 1])
    return record


def path_of(exchange: Exchange) -> str:
    """
    Return the path that was asked, decoded.
    """
    return unquote(urlsplit(exchange["request"]["uri"]).path).rstrip("/")


class Replay(HttpTransport[HttpRequest, HttpResponse]):
    """
    Gives recorded answers in order, the last one again and again; waiting takes no time.

    Attributes:
        sent: method and path of each request.
        now: seconds that were waited so far.
    """

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._left = list(exchanges)
        self.sent: list[tuple[str, str]] = []
        self.now = 0.0

    def open(self) -> None:
        """
        Do nothing: there is no connection.
        """

    def close(self) -> None:
        """
        Do nothing: there is no connection.
        """

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *args: Any) -> None:
        self.close()

    def sleep(self, duration: float) -> None:
        self.now += duration

    def send(self, request: HttpRequest, *, stream: bool = False, **kwargs: Any) -> SandboxResponse:
        """
        Answer as it was answered then.
        """
        self.sent.append((request.method, unquote(urlsplit(request.url).path)))
        if len(self.sent) > 1000:
            raise ServiceRequestError("the library asks without end")
        answer = self._left[0]["response"]
        if len(self._left) > 1:
            self._left.pop(0)
        body = answer["body"]
        content = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        response = SandboxResponse(
            request, f"{answer['status']} Recorded", list(answer["headers"].items()), content.encode()
        )
        if not stream:
            response.read()
        return response


class _Token:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("recorded", 4102444800)


def replayed(exchanges: Sequence[Exchange], folder: Path, url: str = "") -> tuple[Session, Replay]:
    """
    Open a session that is answered with *exchanges*, at the host that they were recorded from.

    Args:
        url: what is asked first; empty where the first answer says where to go on.
    """
    told = {name.lower(): value for name, value in exchanges[0]["response"]["headers"].items()}
    # Recorders rename hosts in requests, and not everywhere in answers.
    leads = told.get("azure-asyncoperation") or told.get("location")
    parts = urlsplit(url or leads or exchanges[0]["request"]["uri"])
    transport = Replay(exchanges)
    session = Session(
        Target(kind="azure", name="recorded"),
        _Token(),
        Journal(folder / "journal.jsonl"),
        transport,
        clock=lambda: transport.now,
        base_url=f"https://{parts.netloc}",
    )
    return session, transport
