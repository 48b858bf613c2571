"""
Azure Backup: what Recovery Services vaults know and do about the virtual machines that they protect.

Imports the standard library and other modules of the sandbox only.
"""
