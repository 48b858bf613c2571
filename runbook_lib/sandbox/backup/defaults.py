"""
The three policies that the service puts into every new vault.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from datetime import datetime

from runbook_lib.sandbox.state import Body

__all__ = ["POLICY_KIND", "default_policies"]

POLICY_KIND = "Microsoft.RecoveryServices/vaults/backupPolicies"

_MONTH = {"count": 30, "durationType": "Days"}


def default_policies(vault_id: str, created: datetime) -> list[Body]:
    """
    Return the policies of a vault that was created at *created*; the day is the date part of their times.
    """
    day = created.strftime("%Y-%m-%d")
    return [
        {"id": f"{vault_id}/backupPolicies/{name}", "name": name, "type": POLICY_KIND, "properties": properties}
        for name, properties in (
            ("HourlyLogBackup", _hourly_log(f"{day}T16:30:00Z")),
            ("DefaultPolicy", _default(f"{day}T16:30:00Z")),
            ("EnhancedPolicy", _enhanced(f"{day}T08:00:00Z")),
        )
    ]


def _retention(time: str) -> Body:
    return {
        "retentionPolicyType": "LongTermRetentionPolicy",
        "dailySchedule": {"retentionTimes": [time], "retentionDuration": dict(_MONTH)},
    }


def _daily(time: str) -> Body:
    return {
        "schedulePolicyType": "SimpleSchedulePolicy",
        "scheduleRunFrequency": "Daily",
        "scheduleRunTimes": [time],
        "scheduleWeeklyFrequency": 0,
    }


def _default(time: str) -> Body:
    return {
        "backupManagementType": "AzureIaasVM",
        "instantRPDetails": {},
        "schedulePolicy": _daily(time),
        "retentionPolicy": _retention(time),
        "instantRpRetentionRangeInDays": 2,
        "timeZone": "UTC",
        "protectedItemsCount": 0,
    }


def _enhanced(time: str) -> Body:
    return {
        "backupManagementType": "AzureIaasVM",
        "policyType": "V2",
        "instantRPDetails": {},
        "schedulePolicy": {
            "schedulePolicyType": "SimpleSchedulePolicyV2",
            "scheduleRunFrequency": "Hourly",
            "hourlySchedule": {"interval": 4, "scheduleWindowStartTime": time, "scheduleWindowDuration": 12},
        },
        "retentionPolicy": _retention(time),
        "instantRpRetentionRangeInDays": 2,
        "timeZone": "UTC",
        "protectedItemsCount": 0,
    }


def _hourly_log(time: str) -> Body:
    log: Body = {
        "policyType": "Log",
        "schedulePolicy": {"schedulePolicyType": "LogSchedulePolicy", "scheduleFrequencyInMins": 60},
        "retentionPolicy": {"retentionPolicyType": "SimpleRetentionPolicy", "retentionDuration": dict(_MONTH)},
    }
    return {
        "backupManagementType": "AzureWorkload",
        "workLoadType": "SQLDataBase",
        "settings": {"timeZone": "UTC", "issqlcompression": False, "isCompression": False},
        "subProtectionPolicy": [
            {"policyType": "Full", "schedulePolicy": _daily(time), "retentionPolicy": _retention(time)},
            log,
        ],
        "protectedItemsCount": 0,
    }
