"""
What a run hands out to be run elsewhere: scripts for the guests and commands for the NSG, from templates.

Pure but for reading its own templates. Imports `checks`, `errors`, `parameters` and `records`. `quoting` is the only
way for a value into a script.
"""

from runbook_lib.scripts.files import File, files

__all__ = ["File", "files"]
