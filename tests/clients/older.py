"""
The guide's job with Microsoft's Python clients of 2019 and 2020: `python older.py URL SUBSCRIPTION GROUP VM`.

Runs in an environment of its own that holds `older.txt`. Prints what came of it as one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.recoveryservices import RecoveryServicesClient
from azure.mgmt.recoveryservices.models import Sku, Vault, VaultProperties
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient
from azure.mgmt.recoveryservicesbackup import models as backup_models
from msrest.authentication import BasicTokenAuthentication

url, subscription, group, name = sys.argv[1:]
credential = BasicTokenAuthentication({"access_token": "any"})
compute = ComputeManagementClient(credential, subscription, base_url=url)
services = RecoveryServicesClient(credential, subscription, base_url=url)
backup = RecoveryServicesBackupClient(credential, subscription, base_url=url)

vms = list(compute.virtual_machines.list_all())
vm = next(each for each in vms if each.name == name)
vault = Vault(location=vm.location, sku=Sku(name="Standard"), properties=VaultProperties())
services.vaults.create_or_update(group, "rsv-old", vault)
while services.vaults.get(group, "rsv-old").properties.provisioning_state != "Succeeded":
    time.sleep(0.1)
backup.backup_resource_storage_configs.update(
    "rsv-old",
    group,
    backup_models.BackupResourceConfigResource(
        properties=backup_models.BackupResourceConfig(storage_model_type="LocallyRedundant")
    ),
)
at = datetime(2026, 1, 1, 19, tzinfo=UTC)
policy = backup.protection_policies.create_or_update(
    "rsv-old",
    group,
    "daily-old",
    backup_models.ProtectionPolicyResource(
        properties=backup_models.AzureIaaSVMProtectionPolicy(
            schedule_policy=backup_models.SimpleSchedulePolicy(schedule_run_frequency="Daily", schedule_run_times=[at]),
            retention_policy=backup_models.LongTermRetentionPolicy(
                daily_schedule=backup_models.DailyRetentionSchedule(
                    retention_times=[at],
                    retention_duration=backup_models.RetentionDuration(count=30, duration_type="Days"),
                )
            ),
            time_zone="UTC",
        )
    ),
)
backup.protection_containers.refresh("rsv-old", group, "Azure")
found: list[object] = []
while not found:
    time.sleep(0.1)
    listed = backup.backup_protectable_items.list("rsv-old", group, "backupManagementType eq 'AzureIaasVM'")
    found = [each for each in listed if each.properties.friendly_name == name]
unique = f"iaasvmcontainerv2;{vm.id.split('/')[4]};{name}"
backup.protected_items.create_or_update(
    "rsv-old",
    group,
    "Azure",
    f"IaasVMContainer;{unique}",
    f"VM;{unique}",
    backup_models.ProtectedItemResource(
        properties=backup_models.AzureIaaSComputeVMProtectedItem(source_resource_id=vm.id, policy_id=policy.id)
    ),
)
jobs = []
while not jobs or any(each.properties.status == "InProgress" for each in jobs):
    time.sleep(0.1)
    jobs = list(backup.backup_jobs.list("rsv-old", group))
items = list(backup.backup_protected_items.list("rsv-old", group, "backupManagementType eq 'AzureIaasVM'"))
storage = backup.backup_resource_storage_configs.get("rsv-old", group).properties
sys.stdout.write(
    json.dumps(
        {
            "vms": len(vms),
            "vault": services.vaults.get(group, "rsv-old").properties.provisioning_state,
            "redundancy": storage.storage_model_type,
            "policy": policy.name,
            "items": [each.properties.protection_state for each in items],
            "operations": [each.properties.operation for each in jobs],
        }
    )
)
