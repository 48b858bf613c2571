"""
What every ARM resource has: its id, and how ids are compared and taken apart. Imports the standard library only.

A field marked `VOLATILE` changes by itself (power, health, last backup): it is judged by checks, but it is no drift.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass

__all__ = ["VOLATILE", "Resource", "id_part", "key", "resource_group_of", "subscription_of"]

VOLATILE = {"volatile": True}


def key(arm_id: str) -> str:
    """
    Normalise *arm_id* for comparison: ARM ids are case-insensitive and may carry a trailing slash.
    """
    # What is known of a resource is kept under its key in many places: one text serves them all.
    return sys.intern(arm_id.lower().rstrip("/"))


def id_part(arm_id: str, segment: str) -> str:
    """
    Return what follows *segment* in *arm_id*, in the id's own casing; empty when it is not there.
    """
    parts = arm_id.split("/")
    for name, value in itertools.pairwise(parts):
        if name.lower() == segment.lower():
            return value
    return ""


def subscription_of(arm_id: str) -> str:
    """
    Return the subscription's GUID in lower case.
    """
    lowered = arm_id.lower()
    if lowered.startswith("/subscriptions/"):
        return lowered.split("/", 3)[2]
    return id_part(lowered, "subscriptions")


def resource_group_of(arm_id: str) -> str:
    """
    Return the resource group's name as the id has it.
    """
    return id_part(arm_id, "resourceGroups")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """
    What every ARM resource has. `id` is kept as it was read.
    """

    id: str
    name: str

    @property
    def subscription(self) -> str:
        """
        GUID of the subscription, lower case.
        """
        return subscription_of(self.id)

    @property
    def resource_group(self) -> str:
        """
        Name of the resource group, in the id's casing.
        """
        return resource_group_of(self.id)
