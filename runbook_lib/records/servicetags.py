"""
The service tags list: which addresses stand behind the names of Azure's services. Imports the standard library and
`base`.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook_lib.records.base import Resource

__all__ = ["SERVICE_TAGS", "ServiceTag", "ServiceTagsList"]

# Its type, as what could not be read is recorded.
SERVICE_TAGS = "Microsoft.Network/serviceTags"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTag:
    """
    One service tag, for all regions or for one.

    Attributes:
        name: as the list writes it, such as `Storage.WestEurope`.
        change_number: of the tag alone; it grows when the tag's prefixes change.
        prefixes: IPv4 only, in the list's order.
    """

    name: str
    change_number: str = ""
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTagsList(Resource):
    """
    The list at one moment, with the tags that the job looks at.

    Attributes:
        cloud: such as `Public`.
        change_number: version of the whole list.
    """

    cloud: str = ""
    change_number: str = ""
    tags: tuple[ServiceTag, ...] = ()

    def tag(self, name: str, location: str) -> ServiceTag | None:
        """
        Return the tag *name* of a region, else that of all regions; None when the list has neither.

        Args:
            location: empty for a service that is one for all regions.
        """
        known = {each.name.lower(): each for each in self.tags}
        return known.get(f"{name}.{location}".lower()) or known.get(name.lower())
