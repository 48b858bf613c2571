"""
Where the backups of VMs go: for each its vault and its policy. Pure: imports `parameters`, `policy` and `records`.

A selection is placed as a whole, for vaults fill up. Whoever is in a vault stays there; the others go, in the order of
their ids, into the vaults that are there, in the order of their numbers, and only what does not fit makes new ones. So
a run that goes on where another stopped places the rest as the first one did.
"""

from runbook_lib.placement.fleet import place
from runbook_lib.placement.place import MOST_VMS, Place, Placement, entry_of, held_of, policy_type

__all__ = ["MOST_VMS", "Place", "Placement", "entry_of", "held_of", "place", "policy_type"]
