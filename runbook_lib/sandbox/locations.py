"""
The public regions that the sandbox knows. Imports the standard library and `state` only.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook_lib.sandbox.state import Body, normal_location

__all__ = ["REGIONS", "Region", "region"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """
    A region; a logical one is a name for several and holds no resources.
    """

    name: str
    display: str
    geography: str
    group: str
    paired: str = ""
    physical: bool = True
    zones: bool = False

    def body(self, subscription: str) -> Body:
        """
        Return the region as `GET locations` of *subscription* tells it.
        """
        scope = f"/subscriptions/{subscription}/locations"
        metadata: Body = {
            "regionType": "Physical" if self.physical else "Logical",
            "regionCategory": "Recommended" if self.zones else "Other",
        }
        if self.physical:
            metadata |= {"geography": self.geography, "geographyGroup": self.group}
        if self.paired:
            metadata["pairedRegion"] = [{"name": self.paired, "id": f"{scope}/{self.paired}"}]
        body: Body = {
            "id": f"{scope}/{self.name}",
            "name": self.name,
            "type": "Region",
            "displayName": self.display,
            "regionalDisplayName": f"({self.group}) {self.display}" if self.physical else self.display,
            "metadata": metadata,
        }
        if self.zones:
            body["availabilityZoneMappings"] = [
                {"logicalZone": str(number), "physicalZone": f"{self.name}-az{number}"} for number in (1, 2, 3)
            ]
        return body


# name | display name | geography | group | paired region | "zones" where there are availability zones
_PHYSICAL = """
australiacentral|Australia Central|Australia|Asia Pacific|australiacentral2|
australiacentral2|Australia Central 2|Australia|Asia Pacific|australiacentral|
australiaeast|Australia East|Australia|Asia Pacific|australiasoutheast|zones
australiasoutheast|Australia Southeast|Australia|Asia Pacific|australiaeast|
austriaeast|Austria East|Austria|Europe||zones
belgiumcentral|Belgium Central|Belgium|Europe||zones
brazilsouth|Brazil South|Brazil|South America|southcentralus|zones
brazilsoutheast|Brazil Southeast|Brazil|South America|brazilsouth|
canadacentral|Canada Central|Canada|Canada|canadaeast|zones
canadaeast|Canada East|Canada|Canada|canadacentral|
centralindia|Central India|India|Asia Pacific|southindia|zones
centralus|Central US|United States|US|eastus2|zones
centraluseuap|Central US EUAP|Canary (US)|US|eastus2euap|
chilecentral|Chile Central|Chile|South America||zones
eastasia|East Asia|Asia Pacific|Asia Pacific|southeastasia|zones
eastus|East US|United States|US|westus|zones
eastus2|East US 2|United States|US|centralus|zones
eastus2euap|East US 2 EUAP|Canary (US)|US|centraluseuap|
francecentral|France Central|France|Europe|francesouth|zones
francesouth|France South|France|Europe|francecentral|
germanynorth|Germany North|Germany|Europe|germanywestcentral|
germanywestcentral|Germany West Central|Germany|Europe|germanynorth|zones
indonesiacentral|Indonesia Central|Indonesia|Asia Pacific||zones
israelcentral|Israel Central|Israel|Middle East||zones
italynorth|Italy North|Italy|Europe||zones
japaneast|Japan East|Japan|Asia Pacific|japanwest|zones
japanwest|Japan West|Japan|Asia Pacific|japaneast|zones
koreacentral|Korea Central|Korea|Asia Pacific|koreasouth|zones
koreasouth|Korea South|Korea|Asia Pacific|koreacentral|
malaysiawest|Malaysia West|Malaysia|Asia Pacific||zones
mexicocentral|Mexico Central|Mexico|Mexico||zones
newzealandnorth|New Zealand North|New Zealand|Asia Pacific||zones
northcentralus|North Central US|United States|US|southcentralus|
northeurope|North Europe|Europe|Europe|westeurope|zones
norwayeast|Norway East|Norway|Europe|norwaywest|zones
norwaywest|Norway West|Norway|Europe|norwayeast|
polandcentral|Poland Central|Poland|Europe||zones
qatarcentral|Qatar Central|Qatar|Middle East||zones
southafricanorth|South Africa North|South Africa|Africa|southafricawest|zones
southafricawest|South Africa West|South Africa|Africa|southafricanorth|
southcentralus|South Central US|United States|US|northcentralus|zones
southeastasia|Southeast Asia|Asia Pacific|Asia Pacific|eastasia|zones
southindia|South India|India|Asia Pacific|centralindia|
spaincentral|Spain Central|Spain|Europe||zones
swedencentral|Sweden Central|Sweden|Europe|swedensouth|zones
swedensouth|Sweden South|Sweden|Europe|swedencentral|
switzerlandnorth|Switzerland North|Switzerland|Europe|switzerlandwest|zones
switzerlandwest|Switzerland West|Switzerland|Europe|switzerlandnorth|
uaecentral|UAE Central|UAE|Middle East|uaenorth|
uaenorth|UAE North|UAE|Middle East|uaecentral|zones
uksouth|UK South|United Kingdom|Europe|ukwest|zones
ukwest|UK West|United Kingdom|Europe|uksouth|
westcentralus|West Central US|United States|US|westus2|
westeurope|West Europe|Europe|Europe|northeurope|zones
westindia|West India|India|Asia Pacific|southindia|
westus|West US|United States|US|eastus|
westus2|West US 2|United States|US|westcentralus|zones
westus3|West US 3|United States|US|eastus|zones
"""
_LOGICAL = """
asia|Asia
asiapacific|Asia Pacific
australia|Australia
brazil|Brazil
canada|Canada
europe|Europe
france|France
germany|Germany
global|Global
india|India
japan|Japan
korea|Korea
norway|Norway
southafrica|South Africa
switzerland|Switzerland
uae|United Arab Emirates
uk|United Kingdom
unitedstates|United States
"""


def _table() -> dict[str, Region]:
    regions: dict[str, Region] = {}
    for line in _PHYSICAL.strip().splitlines():
        name, display, geography, group, paired, zones = line.split("|")
        regions[name] = Region(
            name=name, display=display, geography=geography, group=group, paired=paired, zones=bool(zones)
        )
    for line in _LOGICAL.strip().splitlines():
        name, display = line.split("|")
        regions[name] = Region(name=name, display=display, geography="", group="", physical=False)
    return regions


REGIONS: dict[str, Region] = _table()


def region(location: str) -> Region | None:
    """
    Return the physical region that *location* names, by name or display name.
    """
    found = REGIONS.get(normal_location(location))
    return found if found is not None and found.physical else None
