"""
Recovery Services vaults: their life, their replication and their soft delete, over both APIs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_OLD_API = "2024-04-01"


def create(azure: Any, name: str = "rsv-new", group: str = "rg-vault", **changes: Any) -> Any:
    """
    Start to create a vault.
    """
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}, **changes}
    return azure.vaults.vaults.begin_create_or_update(group, name, {k: v for k, v in body.items() if v is not None})


def patch(azure: Any, properties: Any, name: str = "rsv-old", **more: Any) -> Any:
    """
    Start to update a vault.
    """
    return azure.vaults.vaults.begin_update("rg-vault", name, {"properties": properties, **more})


def redundancy(kind: str, restore: str = "Disabled") -> dict[str, Any]:
    """
    Write replication settings as the vault API wants them.
    """
    return {"redundancySettings": {"standardTierStorageRedundancy": kind, "crossRegionRestore": restore}}


def legacy(azure: Any, vault: str, **properties: Any) -> Any:
    """
    Write the storage configuration of a vault over the older API.
    """
    body = {"properties": properties}
    return azure.backup.backup_resource_storage_configs_non_crr.update(vault, "rg-vault", body)


def test_creating_a_vault_is_a_long_operation(send: Any, sandbox: Any, ids: Any) -> None:
    """
    201 Provisioning with Azure-AsyncOperation alone; its status says InProgress, then Succeeded.
    """
    path = ids.vault.replace("rsv-old", "rsv-new")
    created = send("PUT", path, {"location": "West Europe", "sku": {"name": "Standard"}, "properties": {}})
    running = send("GET", created.headers["Azure-AsyncOperation"])
    waiting = send("GET", running.headers["Location"])
    sandbox.advance(61)
    done = send("GET", created.headers["Azure-AsyncOperation"])

    assert (201, "Provisioning", "westeurope") == (
        created.status_code,
        created.json()["properties"]["provisioningState"],
        created.json()["location"],
    )
    assert ("10", False) == (created.headers["Retry-After"], "Location" in created.headers)
    assert ("InProgress", "10", 202) == (running.json()["status"], running.headers["Retry-After"], waiting.status_code)
    assert {"id", "name", "status"} == set(done.json())
    assert done.json()["id"].endswith(f"/operationStatus/{done.json()['name']}")
    assert "Succeeded" == done.json()["status"]
    assert "rsv-new" == send("GET", running.headers["Location"]).json()["name"]


def test_a_new_vault_has_the_defaults_of_the_service(azure: Any) -> None:
    """
    Geo-redundant, soft delete always on for 14 days, public access, nothing stored yet.
    """
    vault = create(azure).result()
    settings = vault.properties.security_settings.soft_delete_settings

    assert ("Succeeded", "Enabled", "Unassigned") == (
        vault.properties.provisioning_state,
        vault.properties.public_network_access,
        vault.properties.backup_storage_version,
    )
    assert ("AlwaysON", "AlwaysON", 14) == (
        settings.soft_delete_state,
        settings.enhanced_security_state,
        settings.soft_delete_retention_period_in_days,
    )
    assert ("GeoRedundant", "Disabled") == (
        vault.properties.redundancy_settings.standard_tier_storage_redundancy,
        vault.properties.redundancy_settings.cross_region_restore,
    )
    assert vault.etag.startswith("W/\"datetime'2026-11-01T12%3A")


def test_a_list_is_thinner_than_a_get(azure: Any) -> None:
    """
    Replication, security and storage version stand in a GET only; alert settings in the rows of vaults given some.
    """
    create(azure).result()
    alerts = {"classicAlertSettings": {"alertsForCriticalOperations": "Disabled"}}
    create(azure, "rsv-quiet", properties={"monitoringSettings": alerts}).result()
    alone = azure.vaults.vaults.get("rg-vault", "rsv-new").as_dict()["properties"]
    rows = {one.name: one.as_dict()["properties"] for one in azure.vaults.vaults.list_by_subscription_id()}

    assert {
        "backupStorageVersion",
        "monitoringSettings",
        "redundancySettings",
        "securitySettings",
    } == set(alone) - set(rows["rsv-new"])
    assert alerts == rows["rsv-quiet"]["monitoringSettings"]


def test_a_vault_takes_what_its_creator_asks_for(azure: Any) -> None:
    """
    Replication, tags and identity can be set at creation.
    """
    tags = {"a": "b"}
    vault = create(
        azure, properties=redundancy("ZoneRedundant"), tags=tags, identity={"type": "SystemAssigned"}
    ).result()

    assert ("ZoneRedundant", tags, "SystemAssigned") == (
        vault.properties.redundancy_settings.standard_tier_storage_redundancy,
        vault.tags,
        vault.identity.type,
    )


def test_an_old_vault_shows_the_settings_that_its_body_leaves_out(azure: Any) -> None:
    """
    A body of years ago has no redundancy settings; a GET tells the defaults.
    """
    vault = azure.vaults.vaults.get("rg-vault", "RSV-OLD")

    assert "GeoRedundant" == vault.properties.redundancy_settings.standard_tier_storage_redundancy
    assert ("RS0", "Standard") == (vault.sku.name, vault.sku.tier)
    assert "Enabled" == vault.properties.security_settings.soft_delete_settings.soft_delete_state


def test_vaults_are_listed_by_subscription_and_group_over_pages(azure: Any, sandbox: Any) -> None:
    """
    Both lists hold every vault once.
    """
    create(azure).result()
    create(azure, group="rg-app").result()
    sandbox.configure(page_sizes={"vaults": 1})

    assert ["rsv-new", "rsv-new", "rsv-old"] == sorted(
        one.name for one in azure.vaults.vaults.list_by_subscription_id()
    )
    assert ["rsv-new", "rsv-old"] == [one.name for one in azure.vaults.vaults.list_by_resource_group("rg-vault")]


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("r", {}, (400, "InvalidResourceName")),
        ("1rsv", {}, (400, "InvalidResourceName")),
        ("rsv_new", {}, (400, "InvalidResourceName")),
        ("r" * 51, {}, (400, "InvalidResourceName")),
        ("rsv-new", {"location": None}, (400, "LocationRequired")),
        ("rsv-new", {"location": "atlantis"}, (400, "LocationNotAvailableForResourceType")),
        ("rsv-new", {"location": "europe"}, (400, "LocationNotAvailableForResourceType")),
        ("rsv-old", {"location": "northeurope"}, (409, "InvalidResourceLocation")),
        ("rsv-new", {"sku": None}, (400, "InvalidParameter")),
        ("rsv-new", {"sku": {"name": "Premium"}}, (400, "InvalidParameter")),
        ("rsv-new", {"properties": redundancy("Everywhere")}, (400, "BMSUserErrorInvalidInput")),
        (
            "rsv-new",
            {"properties": redundancy("LocallyRedundant", "Enabled")},
            (400, "BMSUserErrorCrossRegionRestoreNotSupported"),
        ),
        (
            "rsv-new",
            {"properties": {"securitySettings": {"softDeleteSettings": {"softDeleteState": "Disabled"}}}},
            (400, "BMSUserErrorSoftDeleteStateNotSetToAlwaysON"),
        ),
    ],
)
def test_a_vault_that_cannot_be_is_refused(
    azure: Any, refused: Refused, name: str, changes: Any, expected: Any
) -> None:
    """
    Name, region, sku and settings have their rules, and nothing is stored.
    """
    assert expected == refused(lambda: create(azure, name, **changes))
    assert ["rsv-old"] == [one.name for one in azure.vaults.vaults.list_by_subscription_id()]


@pytest.mark.parametrize("name", ["rs", "R" * 50, "r-1-"])
def test_a_vault_name_at_the_limits_is_taken(azure: Any, name: str) -> None:
    """
    2 to 50 letters, digits and hyphens that start with a letter.
    """
    assert name == create(azure, name).result().name


def test_a_vault_needs_its_group(azure: Any, refused: Refused) -> None:
    """
    A vault is never made together with its group.
    """
    assert (404, "ResourceGroupNotFound") == refused(lambda: create(azure, group="rg-not"))


def test_a_vault_that_exists_is_updated_by_a_put(azure: Any, send: Any, ids: Any, sandbox: Any) -> None:
    """
    The answer is 201 Updating; the change is there when the operation is done, and what was not named stays.
    """
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "tags": {"a": "b"}, "properties": {}}
    answer = send("PUT", ids.vault, body)
    sandbox.advance(62)
    vault = azure.vaults.vaults.get("rg-vault", "rsv-old")

    assert (201, "Updating") == (answer.status_code, answer.json()["properties"]["provisioningState"])
    assert ("Succeeded", {"a": "b"}, "Standard") == (vault.properties.provisioning_state, vault.tags, vault.sku.name)


def test_a_patch_is_accepted_with_an_empty_body(azure: Any, send: Any, ids: Any) -> None:
    """
    202, both headers, and the result is read from the vault.
    """
    answer = send("PATCH", ids.vault, {"tags": {"x": "y"}})
    headers = answer.headers

    assert (202, b"", "10") == (answer.status_code, answer.content, headers["Retry-After"])
    assert ("operationStatus", "operationResults") == (
        headers["Azure-AsyncOperation"].split("/")[-2],
        headers["Location"].split("/")[-2],
    )


def test_a_patch_replaces_the_tags(azure: Any) -> None:
    """
    Tags that the change does not name are gone.
    """
    patch(azure, {}, tags={"a": "1", "b": "2"}).result()

    assert {"b": "3"} == patch(azure, {}, tags={"b": "3"}).result().tags


def test_two_updates_at_once_conflict(azure: Any, send: Any, ids: Any, refused: Refused) -> None:
    """
    While a vault is being updated, another update and its deletion get 409.
    """
    send("PATCH", ids.vault, {"tags": {"x": "y"}})

    expected = (409, "RSVaultUpdateErrorConflictingOperationInProgress")
    assert expected == refused(lambda: patch(azure, {}, tags={}))
    assert expected == refused(lambda: create(azure, "rsv-old"))
    assert expected == refused(lambda: azure.vaults.vaults.begin_delete("rg-vault", "rsv-old"))


def test_replication_is_one_state_behind_two_apis(azure: Any) -> None:
    """
    What one API sets the other shows.
    """
    create(azure).result()
    legacy(azure, "rsv-new", storageModelType="LocallyRedundant", crossRegionRestoreFlag=False)
    settings = azure.vaults.vaults.get("rg-vault", "rsv-new").properties.redundancy_settings

    assert "LocallyRedundant" == settings.standard_tier_storage_redundancy

    patch(azure, redundancy("GeoRedundant", "Enabled"), "rsv-new").result()
    storage = azure.backup.backup_resource_storage_configs_non_crr.get("rsv-new", "rg-vault").properties

    assert ("GeoRedundant", "GeoRedundant", "Unlocked", True) == (
        storage.storage_model_type,
        storage.storage_type,
        storage.storage_type_state,
        storage.cross_region_restore_flag,
    )


def test_the_older_api_is_closed_once_the_vault_api_was_used(azure: Any, refused: Refused) -> None:
    """
    BMSUserErrorRedundancySettingsUseVaultApi, whether the vault API was used at creation or later.
    """
    create(azure).result()
    create(azure, "rsv-set", properties=redundancy("LocallyRedundant")).result()
    patch(azure, redundancy("LocallyRedundant"), "rsv-new").result()

    expected = (400, "BMSUserErrorRedundancySettingsUseVaultApi")
    assert expected == refused(lambda: legacy(azure, "rsv-new", storageModelType="GeoRedundant"))
    assert expected == refused(lambda: legacy(azure, "rsv-set", storageModelType="GeoRedundant"))


def test_the_older_api_answers_a_patch_with_nothing(azure: Any) -> None:
    """
    PATCH is 204, and the change is there.
    """
    create(azure).result()
    configs = azure.backup.backup_resource_storage_configs_non_crr
    configs.patch("rsv-new", "rg-vault", {"properties": {"storageModelType": "ZoneRedundant"}})

    assert "ZoneRedundant" == configs.get("rsv-new", "rg-vault").properties.storage_type


def test_replication_is_locked_once_an_item_was_registered(azure: Any, refused: Refused) -> None:
    """
    Both APIs give StorageModelModifyError, and the older one tells the lock.
    """
    storage = azure.backup.backup_resource_storage_configs_non_crr.get("rsv-old", "rg-vault").properties

    assert "Locked" == storage.storage_type_state
    expected = (400, "StorageModelModifyError")
    assert expected == refused(lambda: patch(azure, redundancy("LocallyRedundant")))
    assert expected == refused(lambda: legacy(azure, "rsv-old", storageModelType="ZoneRedundant"))


def test_protecting_the_first_vm_locks_replication(azure: Any, protect: Any, refused: Refused, ids: Any) -> None:
    """
    A new vault is open until its first item is registered.
    """
    create(azure).result()
    protect(azure, "web", vault="rsv-new").result()

    assert (400, "StorageModelModifyError") == refused(lambda: patch(azure, redundancy("LocallyRedundant"), "rsv-new"))
    assert "V2" == azure.vaults.vaults.get("rg-vault", "rsv-new").properties.backup_storage_version


def test_cross_region_restore_can_be_switched_on_later_but_not_off(azure: Any, refused: Refused) -> None:
    """
    It is allowed on a locked vault, needs geo-redundancy, and cannot be taken back.
    """
    patch(azure, redundancy("GeoRedundant", "Enabled")).result()

    expected = (400, "BMSUserErrorCrossRegionRestoreCannotBeDisabled")
    assert expected == refused(lambda: patch(azure, redundancy("GeoRedundant", "Disabled")))
    create(azure).result()
    assert (400, "BMSUserErrorCrossRegionRestoreNotSupported") == refused(
        lambda: patch(azure, redundancy("LocallyRedundant", "Enabled"), "rsv-new")
    )


def test_the_vault_configuration_shows_soft_delete(azure: Any) -> None:
    """
    The older road shows the settings of the vault, and that an always-on state cannot be edited.
    """
    create(azure).result()
    configs = azure.backup.backup_resource_vault_configs
    old, new = (configs.get(name, "rg-vault").properties for name in ("rsv-old", "rsv-new"))

    assert ("Enabled", "Enabled", 14, True) == (
        old.soft_delete_feature_state,
        old.enhanced_security_state,
        old.soft_delete_retention_period_in_days,
        old.is_soft_delete_feature_state_editable,
    )
    assert ("AlwaysON", False) == (new.soft_delete_feature_state, new.is_soft_delete_feature_state_editable)


def test_the_vault_configuration_changes_soft_delete(azure: Any) -> None:
    """
    PUT and PATCH change the settings of the vault itself.
    """
    configs = azure.backup.backup_resource_vault_configs
    configs.update("rsv-old", "rg-vault", {"properties": {"softDeleteRetentionPeriodInDays": 30}})
    configs.put("rsv-old", "rg-vault", {"properties": {"softDeleteFeatureState": "Disabled"}})
    settings = azure.vaults.vaults.get("rg-vault", "rsv-old").properties.security_settings.soft_delete_settings

    assert ("Disabled", 30) == (settings.soft_delete_state, settings.soft_delete_retention_period_in_days)


@pytest.mark.parametrize(
    ("name", "properties", "expected"),
    [
        ("rsv-new", {"softDeleteFeatureState": "Disabled"}, "BMSUserErrorDisablingSoftDeleteStateNotAllowed"),
        ("rsv-old", {"enhancedSecurityState": "Disabled"}, "UserErrorChangeEnhancedSecurityStateNotAllowed"),
        ("rsv-old", {"softDeleteRetentionPeriodInDays": 13}, "BMSUserErrorInvalidInput"),
        ("rsv-old", {"softDeleteRetentionPeriodInDays": 181}, "BMSUserErrorInvalidInput"),
        ("rsv-old", {"softDeleteRetentionPeriodInDays": "30"}, "BMSUserErrorInvalidInput"),
        ("rsv-old", {"softDeleteFeatureState": "Sometimes"}, "BMSUserErrorInvalidInput"),
    ],
)
def test_soft_delete_has_its_rules(azure: Any, refused: Refused, name: str, properties: Any, expected: str) -> None:
    """
    Always on stays on, enhanced security stays enabled, retention is 14 to 180 days.
    """
    create(azure).result()
    configs = azure.backup.backup_resource_vault_configs

    assert (400, expected) == refused(lambda: configs.update(name, "rg-vault", {"properties": properties}))


def test_soft_delete_set_over_the_vault_api_is_kept_from_the_older_one(azure: Any, refused: Refused) -> None:
    """
    BMSUserErrorSoftDeleteUseVaultApi for a change; the same values again change nothing.
    """
    create(azure).result()
    settings = {
        "softDeleteState": "AlwaysON",
        "enhancedSecurityState": "AlwaysON",
        "softDeleteRetentionPeriodInDays": 20,
    }
    patch(azure, {"securitySettings": {"softDeleteSettings": settings}}, "rsv-new").result()
    configs = azure.backup.backup_resource_vault_configs

    assert (400, "BMSUserErrorSoftDeleteUseVaultApi") == refused(
        lambda: configs.update("rsv-new", "rg-vault", {"properties": {"softDeleteRetentionPeriodInDays": 40}})
    )
    same = configs.update("rsv-new", "rg-vault", {"properties": {"softDeleteRetentionPeriodInDays": 20}})
    assert 20 == same.properties.soft_delete_retention_period_in_days


def test_an_older_api_version_may_still_choose_the_state(send: Any, ids: Any) -> None:
    """
    Only current api-versions insist on AlwaysON.
    """
    settings = {"securitySettings": {"softDeleteSettings": {"softDeleteState": "Disabled"}}}

    assert 202 == send("PATCH", ids.vault, {"properties": settings}, version=_OLD_API).status_code


def test_a_change_of_a_vault_that_others_changed_is_refused(azure: Any, send: Any, ids: Any, sandbox: Any) -> None:
    """
    PUT, PATCH and DELETE with an etag other than the vault's get 412; the right one, `*` and none pass.
    """
    path = ids.vault.replace("rsv-old", "rsv-new")
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    create(azure).result()
    current = azure.vaults.vaults.get("rg-vault", "rsv-new").etag
    stale = [send(method, path, body, If_Match='W/"stale"') for method in ("PUT", "PATCH", "DELETE")]
    passed = send("PATCH", path, {"tags": {}}, If_Match=current).status_code
    sandbox.advance(62)

    assert [(412, "PreconditionFailed")] * 3 == [(one.status_code, one.json()["error"]["code"]) for one in stale]
    assert [202, 202] == [passed, send("PATCH", path, {"tags": {}}, If_Match="*").status_code]
    assert 412 == send("PUT", f"{path}-none", body, If_Match=current).status_code


def test_a_region_takes_so_many_vaults(azure: Any, sandbox: Any, refused: Refused) -> None:
    """
    The limit holds per region of a subscription, and an existing vault can still be changed.
    """
    sandbox.configure(limits={"vaults": 2})
    create(azure).result()

    assert (409, "VaultLimitReached") == refused(lambda: create(azure, "rsv-more"))
    assert "northeurope" == create(azure, "rsv-north", location="northeurope").result().location
    assert {"a": "b"} == create(azure, tags={"a": "b"}).result().tags


def test_a_vault_with_items_is_not_deleted(send: Any, ids: Any) -> None:
    """
    The message names the items.
    """
    answer = send("DELETE", ids.vault)
    error = answer.json()["error"]

    assert (400, "ServiceResourceNotEmptyWithBackendMessage") == (answer.status_code, error["code"])
    assert "The registered items are : kept" in error["message"]


def test_an_empty_vault_is_deleted(azure: Any, send: Any, ids: Any, sandbox: Any) -> None:
    """
    202 with both headers; then the vault, all in it and the result are gone, and a repetition is 204.

    An api-version from before deleted vaults leaves nothing behind.
    """
    path = ids.vault.replace("rsv-old", "rsv-new")
    create(azure).result()
    accepted = send("DELETE", path, version=_OLD_API)
    sandbox.advance(62)

    assert 202 == accepted.status_code
    assert "Succeeded" == send("GET", accepted.headers["Azure-AsyncOperation"]).json()["status"]
    assert 404 == send("GET", accepted.headers["Location"]).status_code
    with pytest.raises(ResourceNotFoundError):
        azure.vaults.vaults.get("rg-vault", "rsv-new")
    assert [] == [body["id"] for body in sandbox.resources() if "/rsv-new" in body["id"]]
    assert 204 == send("DELETE", path).status_code


def test_the_status_of_an_unknown_operation_is_not_found(send: Any, ids: Any) -> None:
    """
    Under a vault that is there the operation is missing, else the vault is.
    """
    gone = ids.vault.replace("rsv-old", "rsv-gone")
    codes = [send("GET", f"{one}/operationStatus/nothing").json()["error"]["code"] for one in (ids.vault, gone)]

    assert ["OperationNotFound", "ResourceNotFound"] == codes


def test_usages_count_the_items(azure: Any) -> None:
    """
    One VM is protected in the small estate.
    """
    usages = {one.name.value: one.current_value for one in azure.vaults.usages.list_by_vaults("rg-vault", "rsv-old")}

    assert 1 == usages["IaaSVMProtectedItemCount"]


def test_usages_count_the_jobs_of_a_day(azure: Any, protect: Any, sandbox: Any) -> None:
    """
    Those that are under way and those that failed, since yesterday.
    """

    def counted() -> tuple[Any, Any]:
        usages = {one.name.value: one for one in azure.vaults.usages.list_by_vaults("rg-vault", "rsv-old")}
        return usages["InProgressJobsCount"].current_value, usages["FailedJobsCount"].current_value

    protect(azure, "deaf").result()
    unique = "iaasvmcontainerv2;rg-app;deaf"
    azure.backup.backups.trigger(
        "rsv-old",
        "rg-vault",
        "Azure",
        f"IaasVMContainer;{unique}",
        f"VM;{unique}",
        {"properties": {"objectType": "IaasVMBackupRequest"}},
    )
    running = counted()
    sandbox.advance(1000)
    failed = counted()
    sandbox.advance(86400)

    assert [(1, 0), (0, 1), (0, 0)] == [running, failed, counted()]


def test_nothing_is_replicated(azure: Any) -> None:
    """
    Site Recovery counts nothing.
    """
    (usage,) = azure.vaults.replication_usages.list("rg-vault", "rsv-old")

    assert (0, 0, 0) == (usage.protected_item_count, usage.recovery_plan_count, usage.jobs_summary.failed_jobs)


def test_the_encryption_of_a_vault_is_told(azure: Any) -> None:
    """
    Microsoft's key until the vault names one of the customer's.
    """
    key, identity = "https://kv.vault.azure.net/keys/k/1", "/subscriptions/s/resourceGroups/g/providers/p/i/one"
    create(
        azure,
        properties={
            "encryption": {
                "keyVaultProperties": {"keyUri": key},
                "kekIdentity": {"useSystemAssignedIdentity": False, "userAssignedIdentity": identity},
                "infrastructureEncryption": "Enabled",
            }
        },
    ).result()
    configs = azure.backup.backup_resource_encryption_configs
    old, new = (configs.get(name, "rg-vault").properties for name in ("rsv-old", "rsv-new"))

    assert ("MicrosoftManaged", "NotEnabled", "Disabled", None) == (
        old.encryption_at_rest_type,
        old.last_update_status,
        old.infrastructure_encryption_state,
        old.key_uri,
    )
    assert ("CustomerManaged", "Succeeded", "Enabled", key, identity) == (
        new.encryption_at_rest_type,
        new.last_update_status,
        new.infrastructure_encryption_state,
        new.key_uri,
        new.user_assigned_identity,
    )


def test_a_vault_is_under_a_resource_guard_when_its_estate_says_so(
    azure: Any, sandbox: Any, estate: Any, ids: Any
) -> None:
    """
    The list of proxies is empty otherwise.
    """
    before = list(azure.backup.resource_guard_proxies.get("rsv-old", "rg-vault"))
    guard = "/subscriptions/s/resourcegroups/g/providers/Microsoft.DataProtection/resourceGuards/one"
    action = "Microsoft.RecoveryServices/vaults/backupconfig/write"
    proxy = {
        "id": f"{ids.vault}/backupResourceGuardProxies/VaultProxy",
        "name": "VaultProxy",
        "type": "Microsoft.RecoveryServices/vaults/backupResourceGuardProxies",
        "properties": {
            "resourceGuardResourceId": guard,
            "resourceGuardOperationDetails": [
                {
                    "vaultCriticalOperation": action,
                    "defaultResourceRequest": f"{guard}/disableSoftDeleteRequests/default",
                }
            ],
            "lastUpdatedTime": "2026-10-01T12:00:00Z",
            "description": "guarded",
        },
    }
    sandbox.load(replace(estate, resources=(*estate.resources, proxy)))
    (listed,) = azure.backup.resource_guard_proxies.get("rsv-old", "rg-vault")

    assert ([], proxy) == (before, listed.as_dict())


def test_a_name_is_checked_within_its_group(azure: Any) -> None:
    """
    Names are unique per resource group.
    """

    def check(group: str) -> Any:
        body = {"type": "Microsoft.RecoveryServices/Vaults", "name": "RSV-old"}
        return azure.vaults.recovery_services.check_name_availability(group, "westeurope", body)

    assert (False, "AlreadyExists") == (check("rg-vault").name_available, check("rg-vault").reason)
    assert check("rg-app").name_available is True
