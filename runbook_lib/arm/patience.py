"""
When a request is sent again. Takes the place of azure-core's own policy, which gives up on a 429 after three tries and
sends a POST again after a 500, whatever became of the first (measured).

A refusal for throttling is waited out, for nothing was done. A read whose answer was lost, or is an error in passing,
is sent again. A write never is: whoever sent it reads back what became of it. Imports azure-core and `limiter`.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from azure.core.exceptions import IncompleteReadError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import RetryPolicy

from runbook_lib.arm.limiter import Budgets, Limiter, budgets_of

__all__ = ["MOST_WAIT", "PASSING", "Patience", "backoff"]

# Seconds that one request waits for its budget, all told: a longer wait ends the run, to be resumed.
MOST_WAIT = 900.0
# Tries of a read; with the pauses between them a minute goes by.
TRIES = 6
PASSING = frozenset({408, 500, 502, 503, 504})
_TOLD = re.compile(r"try again after '?(\d+)'? seconds", re.IGNORECASE)
LOST = (ServiceRequestError, ServiceResponseError, IncompleteReadError)


def backoff(tries: int) -> float:
    """
    Return how many seconds to wait before the next try: twice as long each time, with some chance in it.
    """
    return float(min(2.0**tries, 32.0) * random.uniform(0.75, 1.0))


# Policies that see every try are put behind one of this class.
class Patience(RetryPolicy[Any, Any]):
    """
    Sends requests as fast as the limiter lets them, and again where that can do no harm.
    """

    def __init__(self, limiter: Limiter, sleep: Callable[[float], None], principal: str) -> None:
        super().__init__(retry_total=0)
        self._limiter = limiter
        self._sleep = sleep
        self._principal = principal

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """
        Send a request until there is an answer that counts, or a limit is reached.
        """
        http = request.http_request
        budgets = budgets_of(http.method, http.url, self._principal)
        reads = http.method in ("GET", "HEAD")
        tries, waited, refusals = 1, 0.0, 0
        while True:
            try:
                response = self._once(request, budgets)
            except LOST:
                if not reads or tries == TRIES:
                    raise
            else:
                status = response.http_response.status_code
                if status == 429:
                    refusals += 1
                    code, pause = _told(response)
                    pause = pause or backoff(refusals)
                    waited += pause
                    if waited > MOST_WAIT:
                        return response
                    self._limiter.refused(budgets, pause, whole=code == "SubscriptionRequestsThrottled")
                    continue
                if status not in PASSING or not reads or tries == TRIES:
                    return response
            self._sleep(backoff(tries - 1))
            tries += 1

    def _once(self, request: PipelineRequest[Any], budgets: Budgets) -> PipelineResponse[Any, Any]:
        self._limiter.acquire(budgets)
        headers: Any = {}
        try:
            response = self.next.send(request)
            headers = response.http_response.headers
            return response
        finally:
            self._limiter.answered(budgets, headers)


def _told(response: PipelineResponse[Any, Any]) -> tuple[str, float]:
    """
    Read the code of a refusal and how long it asks to wait: in its header, as seconds or as a date, or in its message
    (recorded without a header); 0 where it does not say.
    """
    answer = response.http_response
    answer.read()
    code, message = _error(answer.content)
    said = answer.headers.get("Retry-After", "").strip()
    if said.replace(".", "", 1).isdecimal():
        return code, float(said)
    if found := _TOLD.search(message):
        return code, float(found[1])
    try:
        return code, (parsedate_to_datetime(said) - parsedate_to_datetime(answer.headers["Date"])).total_seconds()
    except (KeyError, TypeError, ValueError):
        return code, 0.0


def _error(content: bytes) -> tuple[str, str]:
    # A gateway also refuses in HTML (real-shapes): such an answer has no code.
    text = content.decode(errors="replace")
    try:
        body = json.loads(text)
    except ValueError:
        return "", text
    error = body.get("error", body) if isinstance(body, dict) else {}
    return (str(error.get("code", "")) if isinstance(error, dict) else ""), text
