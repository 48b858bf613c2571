"""
Estate files, and what the built-in estate `contoso` holds.
"""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.sandbox import Sandbox, bodies
from runbook_lib.sandbox.estate import Estate, SandboxError, builtin_estates, read_estate, write_estate

CONTOSO = read_estate("contoso")
BY_ID = {body["id"].lower(): body for body in CONTOSO.resources}

VM = "Microsoft.Compute/virtualMachines"
NIC = "Microsoft.Network/networkInterfaces"
NSG = "Microsoft.Network/networkSecurityGroups"
VNET = "Microsoft.Network/virtualNetworks"
GROUP = "Microsoft.Resources/resourceGroups"
VAULT = "Microsoft.RecoveryServices/vaults"
POLICY = f"{VAULT}/backupPolicies"
ITEM = f"{VAULT}/backupFabrics/protectionContainers/protectedItems"
JOB = f"{VAULT}/backupJobs"


def of_type(kind: str) -> list[dict[str, Any]]:
    """
    List the bodies of a type in contoso.
    """
    return [body for body in CONTOSO.resources if body["type"] == kind]


def vm(name: str, group: str = "") -> dict[str, Any]:
    """
    Return the one VM of that name (in that group).
    """
    (found,) = [
        body for body in of_type(VM) if body["name"] == name and group.lower() in ("", body["id"].split("/")[4].lower())
    ]
    return found


def view(name: str) -> dict[str, Any]:
    """
    Return the instance view of a VM.
    """
    return CONTOSO.status[vm(name)["id"].lower()]


def power(body: dict[str, Any]) -> str:
    """
    Return the power state of a VM.
    """
    codes = [status["code"] for status in CONTOSO.status[body["id"].lower()]["statuses"]]
    (state,) = [code.removeprefix("PowerState/") for code in codes if code.startswith("PowerState/")]
    return state


def agent(body: dict[str, Any]) -> str:
    """
    Return what the agent of a VM says, empty when there is none.
    """
    found = CONTOSO.status[body["id"].lower()].get("vmAgent")
    return found["statuses"][0]["displayStatus"] if found else ""


def item_of(body: dict[str, Any]) -> dict[str, Any] | None:
    """
    Return the protected item of a VM.
    """
    found = [each for each in of_type(ITEM) if each["properties"]["virtualMachineId"].lower() == body["id"].lower()]
    assert len(found) <= 1
    return found[0] if found else None


def subnet_of(body: dict[str, Any]) -> dict[str, Any]:
    """
    Return the subnet of a VM's NIC.
    """
    nic = BY_ID[body["properties"]["networkProfile"]["networkInterfaces"][0]["id"].lower()]
    subnet_id = nic["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"].lower()
    (found,) = [
        each for each in BY_ID[subnet_id.rsplit("/", 2)[0]]["properties"]["subnets"] if each["id"].lower() == subnet_id
    ]
    return found


def outbound(body: dict[str, Any]) -> list[tuple[str, str, str]]:
    """
    List destination, ports and access of the own outbound rules on a VM's subnet, first priority first.
    """
    nsg = subnet_of(body)["properties"].get("networkSecurityGroup")
    rules = [rule["properties"] for rule in BY_ID[nsg["id"].lower()]["properties"]["securityRules"]] if nsg else []
    return [
        (
            rule["destinationAddressPrefix"],
            rule.get("destinationPortRange") or ",".join(rule["destinationPortRanges"]),
            rule["access"],
        )
        for rule in sorted(rules, key=lambda rule: rule["priority"])
        if rule["direction"] == "Outbound"
    ]


def texts(node: Any) -> Iterator[str]:
    """
    Walk all texts of a JSON value.
    """
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """
    Walk all objects of a JSON value.
    """
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from nodes(value)


class TestContoso:
    """
    The estate that people meet first.
    """

    def test_is_built_in(self) -> None:
        """
        contoso comes with the package.
        """
        assert ("contoso",) == builtin_estates()
        assert ("contoso", "built-in contoso") == (CONTOSO.name, CONTOSO.origin)

    def test_is_kept_as_it_is_written(self, tmp_path: Path) -> None:
        """
        The file is byte for byte what `write_estate` makes of it, so an edit by hand keeps to the form.
        """
        write_estate(CONTOSO, tmp_path / "again.json")

        source = Path(bodies.__file__).with_name("estates") / "contoso.json"
        assert source.read_bytes() == (tmp_path / "again.json").read_bytes()

    def test_holds_two_subscriptions_of_one_tenant_in_five_regions(self) -> None:
        """
        Two subscriptions of one tenant hold VMs in five regions; vaults are offered in four of them.
        """
        subscriptions = of_type("Microsoft.Resources/subscriptions")

        assert ["Contoso Production", "Contoso Development"] == [each["displayName"] for each in subscriptions]
        assert 1 == len({each["tenantId"] for each in subscriptions})
        assert {each["subscriptionId"] for each in subscriptions} == {each["id"].split("/")[2] for each in of_type(VM)}
        assert {"westeurope", "northeurope", "spaincentral", "uksouth", "mexicocentral"} == {
            each["location"] for each in of_type(VM)
        }
        assert 43 == len(of_type(VM))

    def test_provider_is_missing_in_development(self) -> None:
        """
        Microsoft.RecoveryServices is registered in Production only.
        """
        names = {each["id"]: each["displayName"] for each in of_type("Microsoft.Resources/subscriptions")}
        states = {
            (names[each["id"].split("/providers/")[0]], each["namespace"]): each["registrationState"]
            for each in of_type("Microsoft.Resources/providers")
        }

        assert {
            ("Contoso Production", "Microsoft.RecoveryServices"): "Registered",
            ("Contoso Development", "Microsoft.RecoveryServices"): "NotRegistered",
        } == states

    def test_every_resource_stands_in_a_known_group_and_subscription(self) -> None:
        """
        The group and the subscription in each id are resources of the estate, and each group has tags.
        """
        for each in CONTOSO.resources:
            parts = each["id"].lower().split("/")
            assert "/".join(parts[:3]) in BY_ID
            assert parts[3:4] != ["resourcegroups"] or "/".join(parts[:5]) in BY_ID
        assert all(each["tags"] for each in of_type(GROUP))

    def test_every_body_says_what_its_id_says(self) -> None:
        """
        Name and type of each body, and of the rules and subnets in it, are those of its id.
        """
        inline = [
            child
            for each in CONTOSO.resources
            for listing in ("securityRules", "defaultSecurityRules", "subnets", "routes")
            for child in each.get("properties", {}).get(listing, [])
            if "name" in child
        ]

        assert 6 * 6 <= len(inline)
        for each in [*CONTOSO.resources, *inline]:
            assert (each["id"].rpartition("/")[2], bodies.arm_type(each["id"])) == (each["name"], each["type"])

    def test_everything_provisioned_has_succeeded(self) -> None:
        """
        No resource is left half-made, but for the backup extension of report01, which failed.
        """
        failed = [
            each["id"].split("/")[-3:]
            for each in CONTOSO.resources
            if each.get("properties", {}).get("provisioningState", "Succeeded") != "Succeeded"
        ]

        assert [["report01", "extensions", "VMSnapshot"]] == failed

    def test_every_referent_exists(self) -> None:
        """
        What a body refers to stands in the estate too, but for images, which the sandbox does not serve, and the disk
        of a system that lives on its host.
        """
        everything = list(nodes(list(CONTOSO.resources)))
        known = {each["id"].lower() for each in everything if {"id", "name"} <= set(each)}
        missing = {
            value
            for each in everything
            for name, value in each.items()
            if name.lower().endswith("id")
            and isinstance(value, str)
            and value.startswith("/subscriptions/")
            and value.lower() not in known
            and bodies.arm_type(value) != "Microsoft.Compute/images"
        }

        assert {"render01_OsDisk_1"} == {value.rpartition("/")[2].rpartition("_")[0] for value in missing}

    def test_nics_and_vms_point_at_each_other(self) -> None:
        """
        Each VM has a NIC that names it, router01 has two, with an address inside its subnet that no other NIC has.
        """
        addresses = Counter()
        for each in of_type(VM):
            references = each["properties"]["networkProfile"]["networkInterfaces"]
            assert (2 if each["name"] == "router01" else 1) == len(references)
            for nic in [BY_ID[reference["id"].lower()] for reference in references]:
                address = nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
                addresses[address] += 1
                assert each["id"].lower() == nic["properties"]["virtualMachine"]["id"].lower()
                assert each["location"] == nic["location"]
                assert ipaddress.ip_address(address) in ipaddress.ip_network(
                    subnet_of(each)["properties"]["addressPrefix"]
                )
        assert len(of_type(NIC)) == len(addresses)
        assert {1} == set(addresses.values())

    def test_every_security_group_keeps_azures_rules(self) -> None:
        """
        Each NSG has the six default rules, and own priorities that are unique per direction and within 100 to 4096.
        """
        for each in of_type(NSG):
            own = [rule["properties"] for rule in each["properties"]["securityRules"]]
            slots = [(rule["direction"], rule["priority"]) for rule in own]
            assert 6 == len(each["properties"]["defaultSecurityRules"])
            assert len(set(slots)) == len(slots)
            assert all(100 <= rule["priority"] <= 4096 and len(rule["description"]) <= 140 for rule in own)

    def test_every_vm_has_a_status(self) -> None:
        """
        Each VM has an instance view with a power state.
        """
        assert {each["id"].lower() for each in of_type(VM)} == set(CONTOSO.status)
        assert {"running": 41, "deallocated": 1, "stopped": 1} == Counter(power(each) for each in of_type(VM))

    def test_ids_are_cased_as_azure_does_it(self) -> None:
        """
        References differ from ids in case: groups in capitals in NICs, subnets and items, a policy id all lower.
        """
        ids = {each["id"] for each in CONTOSO.resources}
        nics = [each["properties"]["virtualMachine"]["id"] for each in of_type(NIC)]
        items = [each["properties"] for each in of_type(ITEM)]

        assert all(each not in ids and each.lower() in BY_ID for each in nics)
        assert {"sql01"} == {each["friendlyName"] for each in items if each["policyId"] not in ids | {""}}
        assert {"web01"} == {each["friendlyName"] for each in items if each["virtualMachineId"] not in ids}


class TestProtection:
    """
    Where the VMs of contoso stand.
    """

    def test_three_vaults_hold_their_default_policies(self) -> None:
        """
        Each vault has the three policies it was born with, one has a policy of ours beside them; the oldest is the only
        one that is not geo-redundant, and deletes for good.
        """
        policies = {(each["id"].split("/")[8], each["name"]) for each in of_type(POLICY)}
        born_with = ("DefaultPolicy", "EnhancedPolicy", "HourlyLogBackup")

        assert {
            ("rg-backup-westeurope", "rsv-westeurope", "GeoRedundant", "AlwaysON"),
            ("rg-finance", "rsv-finance", "GeoRedundant", "AlwaysON"),
            ("rg-backup-legacy", "rsv-legacy", "LocallyRedundant", "Disabled"),
        } == {
            (
                each["id"].split("/")[4],
                each["name"],
                each["properties"]["redundancySettings"]["standardTierStorageRedundancy"],
                each["properties"]["securitySettings"]["softDeleteSettings"]["softDeleteState"],
            )
            for each in of_type(VAULT)
        }
        assert {(vault, name) for vault in ("rsv-westeurope", "rsv-finance", "rsv-legacy") for name in born_with} | {
            ("rsv-westeurope", "daily-1900")
        } == policies

    def test_own_policy_runs_at_seven_in_the_evening(self) -> None:
        """
        The policy `daily-1900` runs at 19:00, Madrid time, and its retention keeps to the same time.
        """
        (policy,) = [each["properties"] for each in of_type(POLICY) if each["name"] == "daily-1900"]

        assert "Romance Standard Time" == policy["timeZone"]
        assert ["2025-03-12T19:00:00Z"] == policy["schedulePolicy"]["scheduleRunTimes"]
        assert ["2025-03-12T19:00:00Z"] == policy["retentionPolicy"]["dailySchedule"]["retentionTimes"]

    def test_policies_count_their_items(self) -> None:
        """
        `protectedItemsCount` of each policy is the number of items that name it.
        """
        uses = Counter(each["properties"]["policyId"].lower() for each in of_type(ITEM))

        for each in of_type(POLICY):
            assert uses[each["id"].lower()] == each["properties"]["protectedItemsCount"]

    def test_one_of_two_vms_of_one_name_is_protected(self) -> None:
        """
        Two VMs are called web01 in one region; the one in rg-shop-prod is protected, with a point some hours old.
        """
        assert vm("web01", "rg-shop-prod")["location"] == vm("web01", "rg-shop-staging")["location"]
        assert item_of(vm("web01", "rg-shop-staging")) is None
        item = item_of(vm("web01", "rg-shop-prod"))
        assert item is not None
        properties = item["properties"]
        assert ("Protected", "Healthy", "Passed", "Completed") == (
            properties["protectionState"],
            properties["protectionStatus"],
            properties["healthStatus"],
            properties["lastBackupStatus"],
        )
        age = CONTOSO.as_of - datetime.fromisoformat(properties["lastRecoveryPoint"])
        assert timedelta(hours=1) < age < timedelta(hours=12)

    @pytest.mark.parametrize(
        ("name", "vault", "state", "policy"),
        [
            ("sql01", "rsv-finance", "Protected", "DefaultPolicy"),
            ("web02", "rsv-westeurope", "IRPending", "daily-1900"),
            ("sql02", "rsv-westeurope", "ProtectionStopped", ""),
            ("erp01", "rsv-westeurope", "ProtectionStopped", ""),
        ],
    )
    def test_item(self, name: str, vault: str, state: str, policy: str) -> None:
        """
        A VM is protected in another vault, one awaits its first backup, one was stopped and one deleted.
        """
        item = item_of(vm(name))
        assert item is not None
        properties = item["properties"]
        assert (vault, state, policy) == (
            properties["vaultId"].rpartition("/")[2],
            properties["protectionState"],
            properties["policyName"],
        )
        assert bool(policy) == bool(properties["policyId"])
        assert (name == "erp01") == properties.get("isScheduledForDeferredDelete", False)

    def test_deleted_item_has_days_left(self) -> None:
        """
        The soft-deleted item has what is left of 14 days since its deletion.
        """
        item = item_of(vm("erp01"))
        assert item is not None
        days, _, clock = item["properties"]["deferredDeleteTimeRemaining"].partition(".")
        hours, minutes, seconds = clock.split(":")
        left = timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=int(float(seconds)))
        deleted = datetime.fromisoformat(item["properties"]["deferredDeleteTimeInUTC"])

        assert timedelta(0) <= deleted + timedelta(days=14) - CONTOSO.as_of - left < timedelta(seconds=1)

    def test_waiting_item_was_never_backed_up(self) -> None:
        """
        The item that awaits its first backup says so by the year 2001, while it calls itself healthy.
        """
        item = item_of(vm("web02"))
        assert item is not None
        assert ("2001-01-01T00:00:00Z", "", "Healthy") == tuple(
            item["properties"][each] for each in ("lastBackupTime", "lastBackupStatus", "protectionStatus")
        )

    def test_items_stand_in_the_region_of_their_vm(self) -> None:
        """
        Each item's vault is in the region and the subscription of its VM, and each VM has one item at most.
        """
        sources = [each["properties"]["virtualMachineId"].lower() for each in of_type(ITEM)]

        assert len(set(sources)) == len(sources) == 8
        for each in of_type(ITEM):
            source = BY_ID[each["properties"]["virtualMachineId"].lower()]
            vault = BY_ID[each["id"].lower().partition("/backupfabrics/")[0]]
            assert (source["location"], source["id"].split("/")[2]) == (vault["location"], vault["id"].split("/")[2])

    def test_jobs_tell_how_it_came_to_this(self) -> None:
        """
        The jobs began before the estate was read; all are over but the backup of nightly01; that of report01 failed.
        """
        assert Counter({"Backup": 4, "ConfigureBackup": 1, "DisableBackup": 1, "DeleteBackupData": 1}) == Counter(
            each["properties"]["operation"] for each in of_type(JOB)
        )
        assert {"InProgress": ["nightly01"], "Failed": ["report01"]} == {
            status: [
                each["properties"]["entityFriendlyName"]
                for each in of_type(JOB)
                if each["properties"]["status"] == status
            ]
            for status in ("InProgress", "Failed")
        }
        for each in of_type(JOB):
            start = datetime.fromisoformat(each["properties"]["startTime"])
            end = datetime.fromisoformat(each["properties"].get("endTime", "2026-11-18T07:29:59Z"))
            assert start < end < CONTOSO.as_of


class TestMachines:
    """
    What the checks have to tell apart.
    """

    def test_agent_is_missing_on_a_running_vm(self) -> None:
        """
        print01 and image01 run without an agent, dev-build01 has none because it is deallocated.
        """
        assert {("print01", "running"), ("image01", "running"), ("dev-build01", "deallocated")} == {
            (each["name"], power(each)) for each in of_type(VM) if not agent(each)
        }

    def test_agent_is_not_ready_on_two_vms(self) -> None:
        """
        The agent of mail01 is unresponsive, that of resolver01 has not reported yet.
        """
        assert {"mail01", "resolver01"} == {each["name"] for each in of_type(VM) if agent(each) == "Not Ready"}
        assert "VM Agent is unresponsive." == view("mail01")["vmAgent"]["statuses"][0]["message"]

    def test_stopped_vm_still_says_ready(self) -> None:
        """
        The agent of dev-test01 is stale: the VM is stopped, its last word was Ready.
        """
        assert ("stopped", "Ready") == (power(vm("dev-test01")), agent(vm("dev-test01")))

    @pytest.mark.parametrize(
        ("name", "version"),
        [
            ("dc01", "2.5.1198.700"),
            ("dc02", "2.7.41491.1004"),
            ("etl01", "WALinuxAgent-2.0.16"),
            ("hr01", "2.7.41491.1183"),
            ("bi01", "2.14.0.1"),
        ],
    )
    def test_agent_version(self, name: str, version: str) -> None:
        """
        Agents are older than the guide's minimum, older than today's, of the old Linux naming, and up to date.
        """
        assert (version, "Ready") == (view(name)["vmAgent"]["vmAgentVersion"], agent(vm(name)))

    def test_disks_at_the_limits(self) -> None:
        """
        file01 has one managed data disk more than the guide allows, archive01 one more than Azure does today.
        """
        disks = {each["name"]: each["properties"]["storageProfile"]["dataDisks"] for each in of_type(VM)}

        assert {"file01": 17, "archive01": 33} == {name: len(found) for name, found in disks.items() if len(found) > 16}
        assert all("managedDisk" in disk for found in disks.values() for disk in found)

    @pytest.mark.parametrize(
        ("name", "rules"),
        [
            ("pay01", [("Internet", "*", "Deny")]),
            (
                "hr01",
                [
                    ("AzureBackup", "443", "Allow"),
                    ("Storage", "443", "Allow"),
                    ("AzureActiveDirectory", "443", "Allow"),
                    ("Internet", "*", "Deny"),
                ],
            ),
            ("dev-web01", []),
            ("app01", [("INTERNET", "*", "Deny")]),
        ],
    )
    def test_outbound_rules(self, name: str, rules: list[tuple[str, str, str]]) -> None:
        """
        Subnets deny the Internet, allow by service tag above a denial, or leave it to the default rules.
        """
        assert rules == outbound(vm(name))

    def test_proxy_is_the_one_of_the_guide(self) -> None:
        """
        vm-proxy has 10.0.0.5 in a subnet under NSG-lockdown, beside an app, and an address on the Internet; 200, the
        priority that the guide gives its exception, is free.
        """
        proxy = vm("vm-proxy")
        (nic,) = proxy["properties"]["networkProfile"]["networkInterfaces"]
        configuration = BY_ID[nic["id"].lower()]["properties"]["ipConfigurations"][0]["properties"]

        assert "10.0.0.5" == configuration["privateIPAddress"]
        assert "ipAddress" in BY_ID[configuration["publicIPAddress"]["id"].lower()]["properties"]
        lockdown = subnet_of(proxy)["properties"]["networkSecurityGroup"]["id"]
        assert lockdown.endswith("/NSG-lockdown")
        assert [4000] == [
            rule["properties"]["priority"] for rule in BY_ID[lockdown.lower()]["properties"]["securityRules"]
        ]
        assert subnet_of(proxy)["id"] == subnet_of(vm("app01"))["id"]

    @pytest.mark.parametrize(
        "hostile",
        [
            "<script>alert(1)</script>",
            '=HYPERLINK("https://example.com/?x=1","open me")',
            'Fran "Paco" O\'Neill',
            "Málaga",
            "東京",
            "الموارد البشرية",
            "מעבדת הפיתוח",
            "invoice\u202efdp.exe",
        ],
    )
    def test_hostile_text_stands_in_tags(self, hostile: str) -> None:
        """
        Tags hold markup, formulas, quotes, other scripts and text that reorders its neighbours.
        """
        assert hostile in list(texts([each.get("tags", {}) for each in CONTOSO.resources]))

    def test_hostile_text_comes_from_guests(self) -> None:
        """
        Names and messages that a guest reports are as hostile as tags.
        """
        lab = view("dev-lab01")

        assert 'Ubuntu "Noble" <b onmouseover=alert(1)>24.04</b>' == lab["osName"]
        assert "מעבדה-01" == lab["computerName"]
        assert "<script>" in lab["vmAgent"]["statuses"][0]["message"]
        assert "\u202e" in lab["vmAgent"]["statuses"][0]["message"]

    def test_nothing_hides_in_the_file(self) -> None:
        """
        Characters that reorder text stand as escapes in the file, so that its reader sees them.
        """
        text = (Path(bodies.__file__).with_name("estates") / "contoso.json").read_text(encoding="utf-8")

        assert "\u202e" not in text
        assert "\\u202e" in text

    def test_groups_have_names_that_break_naive_code(self) -> None:
        """
        Names of groups hold letters beyond ASCII and parentheses.
        """
        assert {"rg-bi-málaga", "rg-mail_(legacy)"} < {each["name"] for each in of_type(GROUP)}


class TestWaves:
    """
    The tag `wave`.
    """

    def test_first_wave_is_what_nothing_stands_against(self) -> None:
        """
        Of the VMs with a wave, wave 1 is exactly the unprotected ones that a current, ready agent reports from, or that
        are deallocated, with at most 32 disks and a way out.
        """
        outdated = {"dc01", "dc02", "etl01"}
        fit = {
            each["id"]
            for each in of_type(VM)
            if "wave" in each["tags"]
            and item_of(each) is None
            and (power(each) == "deallocated" or (power(each) == "running" and agent(each) == "Ready"))
            and each["name"] not in outdated
            and len(each["properties"]["storageProfile"]["dataDisks"]) <= 32
            and outbound(each)[:1] not in ([("Internet", "*", "Deny")], [("INTERNET", "*", "Deny")])
        }

        assert fit == {each["id"] for each in of_type(VM) if each["tags"].get("wave") == "1"}

    def test_first_wave_spans_the_estate(self) -> None:
        """
        Wave 1 is seven VMs in both subscriptions and all three regions.
        """
        first = [each for each in of_type(VM) if each["tags"].get("wave") == "1"]

        assert ["bi01", "dev-build01", "dev-lab01", "dev-web01", "file01", "hr01", "web01"] == sorted(
            each["name"] for each in first
        )
        assert 2 == len({each["id"].split("/")[2] for each in first})
        assert 3 == len({each["location"] for each in first})

    def test_a_vm_that_shows_a_limitation_is_in_no_wave(self) -> None:
        """
        Of 43 VMs 22 are in wave 1, 2 or 3; the others are there for one check each.
        """
        waves = Counter(each["tags"].get("wave", "") for each in of_type(VM))

        assert {"1", "2", "3", ""} == set(waves)
        assert 21 == waves[""]


class TestServed:
    """
    The estate behind the real clients.
    """

    @pytest.fixture
    def estate(self) -> Estate:
        """
        What the sandbox holds here.
        """
        return CONTOSO

    def test_every_vm_is_read_through_the_sdk(self, sandbox: Sandbox, clients_of: Callable[..., Any]) -> None:
        """
        The compute client lists each VM of both subscriptions, with its tags, disks and instance view as they are kept.
        """
        read = {}
        for subscription in of_type("Microsoft.Resources/subscriptions"):
            compute = clients_of(sandbox, subscription["subscriptionId"]).compute
            for each in compute.virtual_machines.list_all():
                whole = compute.virtual_machines.get(each.id.split("/")[4], each.name, expand="instanceView")
                read[each.id.lower()] = (
                    whole.tags,
                    len(whole.storage_profile.data_disks),
                    [status.code for status in whole.instance_view.statuses],
                    whole.instance_view.vm_agent and whole.instance_view.vm_agent.vm_agent_version,
                )

        assert {
            each["id"].lower(): (
                each["tags"],
                len(each["properties"]["storageProfile"]["dataDisks"]),
                [status["code"] for status in CONTOSO.status[each["id"].lower()]["statuses"]],
                CONTOSO.status[each["id"].lower()].get("vmAgent", {}).get("vmAgentVersion"),
            )
            for each in of_type(VM)
        } == read

    def test_every_item_is_read_through_the_sdk(self, sandbox: Sandbox, clients_of: Callable[..., Any]) -> None:
        """
        The backup client lists the items of all vaults with their states.
        """
        backup = clients_of(sandbox, of_type(VAULT)[0]["id"].split("/")[2]).backup
        read = {
            (vault["name"], item.properties["friendlyName"], item.properties["protectionState"])
            for vault in of_type(VAULT)
            for item in backup.backup_protected_items.list(
                vault["name"], vault["id"].split("/")[4], filter="backupManagementType eq 'AzureIaasVM'"
            )
        }

        assert {
            ("rsv-finance", "sql01", "Protected"),
            ("rsv-westeurope", "web01", "Protected"),
            ("rsv-westeurope", "web02", "IRPending"),
            ("rsv-westeurope", "sql02", "ProtectionStopped"),
            ("rsv-westeurope", "erp01", "ProtectionStopped"),
            ("rsv-westeurope", "nightly01", "Protected"),
            ("rsv-westeurope", "report01", "Protected"),
            ("rsv-legacy", "crm01", "Protected"),
        } == read


GUID = "11111111-2222-4333-8444-555555555555"
VM_ID = f"/subscriptions/{GUID}/resourceGroups/rg/providers/{VM}/vm1"


def document(**changes: Any) -> dict[str, Any]:
    """
    Return a small estate file with *changes*.
    """
    return {
        "estate": 1,
        "name": "small",
        "asOf": "2026-01-31T07:30:00Z",
        "profile": {},
        "resources": [{"id": VM_ID, "location": "westeurope", "properties": {}}],
        "status": {},
    } | changes


def written(folder: Path, content: Any) -> Path:
    """
    Write an estate file: JSON of *content*, or its bytes as they are.
    """
    path = folder / "estate.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def said(folder: Path, content: Any) -> list[str]:
    """
    Return the lines of the refusal of an estate file, without its path.
    """
    path = written(folder, content)
    with pytest.raises(SandboxError) as caught:
        read_estate(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


class TestEstateFile:
    """
    The form of an estate file, and what breaks it.
    """

    def test_reads_what_was_written(self, tmp_path: Path) -> None:
        """
        Writing and reading gives the same estate; only where it came from differs.
        """
        estate = Estate(
            name='"quoted" 東京 \u202e',
            as_of=datetime(2026, 1, 31, 7, 30, 0, 123456, tzinfo=UTC),
            resources=({"id": VM_ID, "name": "vm1", "type": VM, "properties": {"tags": [None, 1.5, True]}},),
            status={VM_ID.lower(): {"statuses": []}},
            profile={"page_sizes": {"vaults": 2}},
            origin="here",
        )
        path = tmp_path / "estate.json"
        write_estate(estate, path)

        read = read_estate(str(path))

        assert str(path) == read.origin
        assert (estate.name, estate.as_of, estate.resources, estate.status, estate.profile) == (
            read.name,
            read.as_of,
            read.resources,
            read.status,
            read.profile,
        )

    def test_name_and_type_follow_from_the_id(self, tmp_path: Path) -> None:
        """
        A body without name and type gets those that its id implies, in one spelling.
        """
        ids = [
            f"/Subscriptions/{GUID}",
            f"/subscriptions/{GUID}/resourcegroups/RG",
            f"/subscriptions/{GUID}/providers/Microsoft.RecoveryServices",
            f"/subscriptions/{GUID}/resourcegroups/rg/providers/microsoft.recoveryservices/vaults/providers",
        ]
        read = read_estate(written(tmp_path, document(resources=[{"id": each} for each in ids])))

        assert [
            (GUID, "Microsoft.Resources/subscriptions"),
            ("RG", "Microsoft.Resources/resourceGroups"),
            ("Microsoft.RecoveryServices", "Microsoft.Resources/providers"),
            ("providers", "Microsoft.RecoveryServices/vaults"),
        ] == [(each["name"], each["type"]) for each in read.resources]

    def test_own_name_and_type_stay(self, tmp_path: Path) -> None:
        """
        A body keeps the name and type that Azure gave it, however they are spelled.
        """
        body = {"id": VM_ID.lower(), "name": "VM1", "type": "microsoft.compute/VirtualMachines", "properties": {}}

        assert (body,) == read_estate(written(tmp_path, document(resources=[body]))).resources

    def test_status_is_found_whatever_its_case(self, tmp_path: Path) -> None:
        """
        The status of a VM is kept under the lower-cased id.
        """
        read = read_estate(written(tmp_path, document(status={VM_ID.upper().replace("/SUB", "/sub"): {"osName": "x"}})))

        assert {VM_ID.lower(): {"osName": "x"}} == read.status

    def test_moment_is_kept_in_utc(self, tmp_path: Path) -> None:
        """
        `asOf` may be in any zone; the estate has it in UTC.
        """
        read = read_estate(written(tmp_path, document(asOf="2026-01-31T09:30:00.5+02:00")))

        assert datetime(2026, 1, 31, 7, 30, 0, 500000, tzinfo=UTC) == read.as_of
        assert UTC is read.as_of.tzinfo

    def test_byte_order_mark_is_no_matter(self, tmp_path: Path) -> None:
        """
        A file that an editor on Windows saved is read.
        """
        assert "small" == read_estate(written(tmp_path, b"\xef\xbb\xbf" + json.dumps(document()).encode())).name

    @pytest.mark.parametrize(
        ("content", "place", "rule"),
        [
            (b"{", "is not JSON in UTF-8", "write it anew with a JSON tool"),
            (b"\xff\xfe{}", "is not JSON in UTF-8", "write it anew with a JSON tool"),
            (b'{"estate": NaN}', "is not JSON in UTF-8 (NaN is no JSON number)", "write it anew"),
            (b'{"estate": 1, "name": "\\ud800"}', "holds half of a surrogate pair", "write both halves"),
            (b"[" * 101 + b"]" * 101, "nests deeper than 100 levels", "no ARM body does"),
            (b"[" * 100_000, "nests deeper than 100 levels", "no ARM body does"),
            (b"[]", "is no estate: its top level has to be an object", "asOf"),
            ({"estate": 2}, "estate: the version is 2, this release reads 1", "write the file anew"),
            ({"name": "x"}, "estate: the version is None, this release reads 1", "write the file anew"),
            (document(asOf="yesterday"), "asOf: 'yesterday' is no moment", "write it in UTC: 2026-01-31T07:30:00Z"),
            (
                document(asOf="2026-01-31T07:30:00"),
                "asOf: '2026-01-31T07:30:00' is no moment (it has no time zone)",
                "UTC",
            ),
            (document(asOf="0001-01-01T00:00:00+10:00"), "asOf: '0001-01-01T00:00:00+10:00' is no moment", "UTC"),
            (document(asOf=5), "asOf: has to be a text", "it is 5"),
            (document(resources={}), "resources: has to be a list", "it is {}"),
            (document(status=[]), "status: has to be an object", "it is []"),
            (document(comment="x"), "comment: is no field of an estate", "remove it"),
            (document(resources=["x"]), "resources[0]: has to be an object", "remove it"),
            (document(resources=[{"name": "vm1"}]), "resources[0].id: is missing", "every resource has the id"),
            (document(resources=[{"id": 7}]), "resources[0].id: is missing", "every resource has the id"),
            (
                document(resources=[{"id": "/tenants/x"}]),
                "resources[0].id: '/tenants/x' names no ARM resource",
                "starts with",
            ),
            (
                document(resources=[{"id": f"{VM_ID}/x"}]),
                f"resources[0].id: '{VM_ID}/x' names no ARM resource",
                "in pairs",
            ),
            (
                document(resources=[{"id": "/subscriptions/"}]),
                "resources[0].id: '/subscriptions/' names no",
                "in pairs",
            ),
            (
                document(resources=[{"id": VM_ID, "properties": []}]),
                "resources[0].properties: has to be an object",
                "put in",
            ),
            (
                document(resources=[{"id": VM_ID}, {"id": VM_ID.upper()}]),
                "resources[1].id: is also the id of resources[0]",
                "keep one of them",
            ),
            (document(status={"/x": {}}), "status['/x']: names no virtual machine of this estate", "remove the status"),
            (
                document(status={VM_ID: {}, VM_ID.lower(): {}}),
                f"status[{VM_ID.lower()!r}]: is given twice",
                "keep one of them",
            ),
            (document(status={VM_ID: "running"}), f"status[{VM_ID!r}]: has to be an object", "instance view"),
        ],
    )
    def test_fault_is_named_with_rule_and_remedy(self, tmp_path: Path, content: Any, place: str, rule: str) -> None:
        """
        A malformed file is refused in one line that says where, what and what to do.
        """
        (line,) = said(tmp_path, content)

        assert place == line[: len(place)]
        assert rule in line

    def test_hundred_levels_are_not_too_deep(self, tmp_path: Path) -> None:
        """
        The limit of the nesting is inclusive.
        """
        deep: dict[str, Any] = {}
        for _ in range(100 - 4):
            deep = {"x": deep}
        body = {"id": VM_ID, "properties": deep}

        assert deep == read_estate(written(tmp_path, document(resources=[body]))).resources[0]["properties"]
        (line,) = said(tmp_path, document(resources=[body | {"properties": {"x": deep}}]))
        assert "nests deeper than 100 levels; no ARM body does" == line

    def test_all_problems_are_told_at_once(self, tmp_path: Path) -> None:
        """
        Faults of fields, resources and status come in one refusal.
        """
        content = document(asOf="x", resources=[{"id": VM_ID}, {}, {"id": "x"}], status={"/y": {}})
        del content["name"]

        assert ["name", "asOf", "resources[1].id", "resources[2].id", "status['/y']"] == [
            line.split(":")[0] for line in said(tmp_path, content)
        ]

    def test_many_problems_are_cut_short(self, tmp_path: Path) -> None:
        """
        A refusal shows twenty problems and counts the rest.
        """
        lines = said(tmp_path, document(resources=[{}] * 50))

        assert 21 == len(lines)
        assert "and 30 more" in lines[-1]

    def test_oversize_file_is_not_read(self, tmp_path: Path) -> None:
        """
        A file above one GiB is refused by its size alone.
        """
        path = tmp_path / "estate.json"
        with path.open("wb") as file:
            file.truncate((1 << 30) + 1)

        with pytest.raises(SandboxError, match=r"holds 1,073,741,825 bytes, the limit is 1,073,741,824; split it"):
            read_estate(path)

    def test_missing_estate_names_the_choices(self, tmp_path: Path) -> None:
        """
        An unknown name is refused with what there is.
        """
        with pytest.raises(
            SandboxError, match=r"fabrikam: no such estate; give a built-in one \(contoso\), an estate file"
        ):
            read_estate("fabrikam")
        with pytest.raises(SandboxError, match="no such estate"):
            read_estate(tmp_path / "contoso")

    def test_path_is_no_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        A `Path` is never taken for the name of a built-in estate.
        """
        monkeypatch.chdir(tmp_path)
        Path("contoso").write_text(json.dumps(document()))

        assert "small" == read_estate(Path("contoso")).name
        assert "contoso" == read_estate("contoso").name

    def test_unwritable_path_is_named(self, tmp_path: Path) -> None:
        """
        Writing into a folder that does not exist is refused by name.
        """
        with pytest.raises(
            SandboxError, match=r"missing.estate\.json: cannot be written \(No such file or directory\)"
        ):
            write_estate(CONTOSO, tmp_path / "missing" / "estate.json")
