"""
`python -m runbook_lib` is `runbook`.
"""

from runbook_lib.cli import main

main()
