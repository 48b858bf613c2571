"""
What the error codes of Azure mean for this job: a table, one file per language. Imports the standard library only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["ServiceError", "explain", "service_errors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceError:
    """
    An error code met on this job.

    Attributes:
        notebook: which mends the cause; empty where none does.
        simulated: whether the code is the sandbox's own, for a refusal whose code at Azure is not known.
    """

    code: str
    cause: str
    remedy: str
    notebook: str
    simulated: bool = False


@cache
def service_errors(language: str) -> Mapping[str, ServiceError]:
    """
    Return the whole table, by lower-cased code.
    """
    read = tomllib.loads((files(__package__) / f"service_errors.{language}.toml").read_text(encoding="utf-8"))
    return {code.lower(): ServiceError(code=code, **entry) for code, entry in read.items()}


def explain(code: str, language: str) -> ServiceError | None:
    """
    Return what is known of an error code; None for one that the table does not have.
    """
    return service_errors(language).get(code.lower())
