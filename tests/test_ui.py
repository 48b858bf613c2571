"""
The widgets: what they say beside a control, what they leave in the saved notebook, and what they come to as parameters.

How they look and whether they can be used is shown in the browser tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pytest
from builders import ONE, TWO, inventory, subscription, vm
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from IPython.utils.capture import capture_output
from support import RunMaker

from runbook_lib.errors import InvalidParameters
from runbook_lib.folder import CHAINED
from runbook_lib.offering import Offer, offers
from runbook_lib.parameters import Parameters, build, schema
from runbook_lib.records import Verdict
from runbook_lib.render import Lines, Shown, Table
from runbook_lib.render.pictures import Picture
from runbook_lib.text import exists
from runbook_lib.ui import Form, Look, Picker

VIEW = "application/vnd.jupyter.widget-view+json"
REASON = "the platform team owns it"
# Of one estate with a subscription, what is on offer.
GUID = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
OFFERED = offers(inventory(vm(guid=GUID), subscription(GUID)), (vm(guid=GUID),), Parameters())
# What a form can ask for.
LABELLED = [row for row in schema() if exists(f"label.{row.name}", "en")]


@pytest.fixture
def shell() -> Iterator[None]:
    """
    An IPython shell, without which nothing is displayed.
    """
    InteractiveShell.instance()
    yield
    InteractiveShell.clear_instance()


def _told(form: Form, name: str) -> str:
    """
    Return what stands beside a control.
    """
    *_, remark = form.children[form.names.index(name)].children
    return str(remark.value)


def _texts(outputs: list[Any]) -> list[str]:
    return [each.data["text/plain"] for each in outputs]


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize("name", ["form", "approval", "picker"])
def test_every_widget_leaves_its_values_in_the_saved_notebook(make_run: RunMaker, name: str) -> None:
    """
    Beside each widget stands a table, and a click changes it in place: it is what an ordinary save keeps.
    """
    run = make_run(vm_selector="tag:wave=1")
    run.arrive("01_create_vault")
    run.show_plan()
    widget: Any = {"form": lambda: run.form("vault_name"), "approval": run.approval, "picker": run.pick}[name]()
    clicks = {
        "form": lambda: setattr(widget.controls["vault_name"], "value", "rsv-clicked"),
        "approval": lambda: setattr(widget, "value", True),
        "picker": lambda: setattr(widget.table, "selected_rows", []),
    }
    with capture_output() as shown:
        display(widget)  # type: ignore[no-untyped-call]
    with capture_output() as clicked:
        clicks[name]()

    first, twin = shown.outputs
    assert VIEW in first.data
    assert "need a running kernel" in first.data["text/plain"]
    assert VIEW not in twin.data
    (after,) = clicked.outputs
    assert after.data["text/plain"] != twin.data["text/plain"]
    assert {"form": "rsv-clicked", "approval": "yes", "picker": "0 of 43"}[name] in after.data["text/plain"]


def test_a_broken_rule_is_named_beside_its_control_while_it_is_typed(make_run: RunMaker) -> None:
    """
    The reason stands under the field as soon as the value breaks the rule, and goes when it does not.
    """
    form = make_run().form("vault_name", "resource_group")
    assert "" == _told(form, "vault_name")

    form.controls["vault_name"].value = "1st"
    assert "2 to 50 characters" in _told(form, "vault_name")
    assert "" == _told(form, "resource_group")

    form.controls["vault_name"].value = "first"
    assert "" == _told(form, "vault_name")


def test_a_rule_about_a_parameter_that_is_not_in_the_form_is_named_below_it(make_run: RunMaker) -> None:
    """
    Nothing that is wrong is kept back because its field is elsewhere.
    """
    form = make_run(policy_type="Enhanced", instant_restore_days=20).form("policy_type")
    form.controls["policy_type"].value = "Standard"

    assert "instant_restore_days" in form.children[1].value
    assert "not taken over yet" in form.children[2].value


@pytest.mark.parametrize("typed", ["", "12.7", "1e3", "1_000", "a week"])
def test_what_is_no_whole_number_is_named_and_not_taken(make_run: RunMaker, typed: str) -> None:
    """
    What a field shows is what it takes: neither the number that it had before, nor a part of what was typed.
    """
    run = make_run()
    form = run.form("daily_retention_days", "instant_restore_days")
    form.controls["daily_retention_days"].value = typed

    assert typed == form.values["daily_retention_days"]
    assert "digits alone" in _told(form, "daily_retention_days")
    assert "" == _told(form, "instant_restore_days")
    with pytest.raises(InvalidParameters, match="'daily_retention_days' takes a int"):
        run.choose(form)
    assert 30 == run.asked.daily_retention_days

    form.controls["daily_retention_days"].value = " 14 "
    assert "" == _told(form, "daily_retention_days")
    run.choose(form)
    assert 14 == run.asked.daily_retention_days


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize("name", ["form", "picker"])
def test_the_saved_notebook_does_not_pass_off_what_was_not_taken_over(make_run: RunMaker, name: str) -> None:
    """
    The twin says that its values are no decision, until they are one.
    """
    run = make_run()
    widget: Any = run.form("vault_name") if name == "form" else run.pick()
    with capture_output() as shown:
        display(widget)  # type: ignore[no-untyped-call]
    with capture_output() as clicked:
        if name == "form":
            widget.controls["vault_name"].value = "rsv-clicked"
        else:
            widget.table.selected_rows = [3]
    with capture_output() as taken:
        run.choose(widget)

    said = ["is not taken over" in _texts(each.outputs)[-1] for each in (shown, clicked, taken)]
    assert [False, True, False] == said


@pytest.mark.parametrize(
    ("given", "hidden"),
    [
        ({}, {"hourly_interval", "hourly_duration", "weekly_days"}),
        ({"weekly_retention_weeks": 4}, {"hourly_interval", "hourly_duration"}),
        (
            {"schedule": "Weekly", "weekly_retention_weeks": 4, "instant_restore_days": 5},
            {"hourly_interval", "hourly_duration", "daily_retention_days"},
        ),
        ({"schedule": "Hourly", "policy_type": "Enhanced"}, {"weekly_days"}),
    ],
)
def test_what_has_no_effect_is_not_asked(given: dict[str, Any], hidden: set[str]) -> None:
    """
    A designer of policies shows the fields of the schedule that is chosen.
    """
    names = ("schedule", "hourly_interval", "hourly_duration", "daily_retention_days", "weekly_days")
    form = Form(Parameters(**given), names)

    assert hidden == {name for name, field in zip(names, form.children, strict=False) if field.layout.display == "none"}


def test_a_field_comes_back_when_it_matters_again() -> None:
    """
    Choosing another schedule changes at once what is asked.
    """
    form = Form(Parameters(), ("policy_type", "schedule", "hourly_interval"))
    form.controls["policy_type"].value = "Enhanced"
    form.controls["schedule"].value = "Hourly"

    assert "" == form.children[2].layout.display


@pytest.mark.parametrize(
    ("given", "changed", "name", "mended"),
    [
        ({"cross_region_restore": True}, {"redundancy": "LocallyRedundant"}, "cross_region_restore", False),
        ({}, {"network_option": "http_proxy", "proxy_host": "a:1", "network_option ": "none"}, "proxy_host", ""),
        ({"weekly_retention_weeks": 4}, {"weekly_days": (), "weekly_retention_weeks": "0"}, "weekly_days", ("Friday",)),
        (
            {"schedule": "Hourly", "policy_type": "Enhanced"},
            {"hourly_interval": "", "schedule": "Daily"},
            "hourly_interval",
            "4",
        ),
    ],
)
def test_what_breaks_a_rule_can_be_reached(
    make_run: RunMaker, given: dict[str, Any], changed: dict[str, Any], name: str, mended: Any
) -> None:
    """
    A field without effect is out of sight only while nothing is wrong with it, and does not go while it is mended.
    """
    names = ("redundancy", "cross_region_restore", "network_option", "proxy_host", "schedule", "hourly_interval")
    run = make_run(**given)
    form = run.form(*names, "weekly_days", "weekly_retention_weeks")
    field = form.children[form.names.index(name)]
    for each, value in changed.items():
        form.controls[each.strip()].value = value

    assert "" == field.layout.display
    assert "" != _told(form, name)

    form.controls[name].value = mended
    assert ("", "") == (field.layout.display, _told(form, name))
    form.controls["proxy_host"].value += "a"
    assert ("none" if name != "proxy_host" else "") == field.layout.display
    run.choose(form)


@pytest.mark.parametrize("offered", [OFFERED, {}])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((row.name, each) for row in LABELLED for each in row.choices or [row.default]),
        ("subscription_ids", [GUID.upper()]),
        ("subscription_ids", [TWO, GUID]),
        ("vault_subscription", GUID.upper()),
        ("vault_subscription", TWO),
        ("location", "WestEurope"),
        ("location", "West Europe"),
        ("vm_selector", "name:nobody"),
        ("vault_name", "rsv-nowhere"),
        ("weekly_days", ["Friday", "Monday"]),
        ("hourly_interval", 5),
        ("accept_risk", {"/subscriptions/x": "it is «ours»"}),
    ],
)
def test_a_form_takes_every_value_that_a_parameter_takes(name: str, value: Any, offered: Mapping[str, Offer]) -> None:
    """
    Untouched it leaves the value as it is written, whether it is on offer here or not.
    """
    # With these every choice keeps the rules.
    others = {"policy_type": "Enhanced", "weekly_retention_weeks": 4, "proxy_host": "proxy"}
    form = Form(build(others | {name: value}), (name,), offered)

    assert {name: value} == form.values
    assert "" == _told(form, name)


def test_a_subscription_in_capitals_is_the_one_on_offer() -> None:
    """
    It stands in the list by its name, once; so does one that is in the parameters twice.
    """
    form = Form(build({"subscription_ids": [GUID, GUID.upper()]}), ("subscription_ids",), OFFERED)
    control = form.controls["subscription_ids"]

    assert ((f"Production ({GUID})", GUID.upper()),) == control.options
    assert [GUID.upper()] == form.values["subscription_ids"]


def test_what_exists_is_offered_first(make_run: RunMaker) -> None:
    """
    The names of vaults and policies in the selected VMs' regions come before the template for new ones.
    """
    run = make_run(location="westeurope")
    form = run.form("vault_name", "policy_name", "location")

    assert ("rsv-westeurope", "rsv-{location}") == form.controls["vault_name"].options[-2:]
    assert "DefaultPolicy" == form.controls["policy_name"].options[-1]
    assert "westeurope" in dict(form.controls["location"].options).values()


def test_a_form_says_where_its_names_lead(make_run: RunMaker) -> None:
    """
    Under the names stands each region's vault, and whether it exists.
    """
    run = make_run()
    said = run.form("vault_name", "resource_group").static().text()

    assert "rsv-westeurope: exists, is used" in said
    assert "rsv-northeurope: new" in said


@pytest.mark.usefixtures("shell")
def test_an_error_in_a_callback_is_shown_and_not_lost() -> None:
    """
    Jupyter shows nothing of it: it stands beside the controls and in the saved notebook, and is raised all the same.
    """

    def preview(asked: Parameters) -> Shown:
        if asked.vault_name == "boom":
            raise ZeroDivisionError("<b>no</b>")
        return Lines(["fine"])

    form = Form(Parameters(), ("vault_name",), preview=preview)
    with capture_output() as shown:
        display(form)  # type: ignore[no-untyped-call]
    with capture_output() as after, pytest.raises(ZeroDivisionError):
        form.controls["vault_name"].value = "boom"

    assert "fine" in _texts(shown.outputs)[-1]
    assert "ZeroDivisionError" in _texts(after.outputs)[-1]
    assert "&lt;b&gt;no" in form.children[-1].value

    form.controls["vault_name"].value = "better"

    assert "" == form.children[-1].value


def test_an_untouched_table_of_vms_leaves_the_selection_as_it_was(make_run: RunMaker) -> None:
    """
    Run All, and a headless run, take the selector as it was given.
    """
    run = make_run(vm_selector="tag:wave=1")
    picker = run.pick()
    run.choose(picker)

    assert "tag:wave=1" == run.asked.vm_selector
    assert 43 == len(picker.table.df)


def test_chosen_rows_become_a_selector_that_selects_the_same(make_run: RunMaker) -> None:
    """
    What is clicked is a list of full ids for the next run; all rows are `all`.
    """
    run = make_run(vm_selector="tag:wave=1", location="westeurope")
    picker = run.pick()
    picker.table.selected_rows = [7, 3, 99_999]
    wanted = picker.chosen
    run.choose(picker)

    assert 2 == len(wanted)
    assert set(wanted) == {vm.id for vm in run.chosen}
    assert "" == run.asked.location

    again = make_run(vm_selector=run.asked.vm_selector)
    assert {vm.id for vm in run.chosen} == {vm.id for vm in again.chosen}

    picker = run.pick()
    picker.table.selected_rows = list(range(43))
    run.choose(picker)
    assert "all" == run.asked.vm_selector


def test_picked_vms_are_told_by_their_names(make_run: RunMaker) -> None:
    """
    Nobody reads ARM ids off the top of a notebook.
    """
    run = make_run()
    picker = run.pick()
    picker.table.selected_rows = [3, 7]
    run.choose(picker)
    run.arrive("05_vm_agent")
    run.inherited = {"vm_selector": run.asked.vm_selector}
    names = [each.rsplit("/", 1)[-1] for each in picker.chosen]

    assert f"vm_selector is 2 VMs by their ids: {', '.join(names)}." in run.mark.text()


def test_a_vm_that_is_held_back_wants_a_reason(make_run: RunMaker) -> None:
    """
    Chosen without one it stays in the selection and is told of; with one, the risk is accepted for it alone.
    """
    run = make_run()
    picker = run.pick()
    verdicts = picker.table.df["Verdict"].tolist()
    place = next(
        place
        for place, vm in enumerate(picker.table.df["VM"])
        if verdicts[place] == Verdict.BLOCKED and vm == "audit01"
    )
    ready = verdicts.index(Verdict.READY)
    picker.table.selected_rows = [place, ready]

    assert {} == picker.values["accept_risk"]
    assert "held back by its verdict" in picker.static().text()

    picker.reason.value = REASON

    assert [REASON] == list(picker.values["accept_risk"].values())
    assert next(iter(picker.values["accept_risk"])).endswith("/audit01")
    run.choose(picker)
    assert picker.values["accept_risk"] == run.asked.accept_risk


def _picker(held: Mapping[str, str], names: Sequence[str] = ("a1", "b1", "c1"), chosen: Sequence[int] = ()) -> Picker:
    """
    Make a table of VMs to choose from.
    """
    columns = ("vm", "resource_group", "region", "verdict", "protection", "why")
    rows = [dict.fromkeys(columns, "x") | {"vm": name, "resource_group": "rg"} for name in names]
    ids = [f"/subscriptions/s/{place}/{name}" for place, name in enumerate(names)]
    reasons = {each: held[name] for each, name in zip(ids, names, strict=True) if name in held}
    given = Parameters().as_dict() | {"accept_risk": {each: why for each, why in reasons.items() if why}}
    return Picker(Table("VMs", columns, rows), ids, [ids[each] for each in chosen], reasons, given, "en")


def _risks(picker: Picker) -> dict[str, str]:
    return {vm[-2:]: why for vm, why in picker.values["accept_risk"].items()}


def test_a_reason_that_was_given_can_be_corrected_and_taken_back(make_run: RunMaker) -> None:
    """
    When the VMs are shown again the field has the reason that the run holds.
    """
    run = make_run()
    frame = run.pick().table.df
    place = frame["VM"].tolist().index("audit01")
    picker = run.pick()
    picker.table.selected_rows = [place]
    picker.reason.value = "typed wrong"
    run.choose(picker)

    picker = run.pick()
    assert ("", "typed wrong") == (picker.reason.layout.display, picker.reason.value)
    assert not picker.is_open
    assert "tried in spite of its verdict" in picker.static().text()

    picker.reason.value = REASON
    assert picker.is_open
    run.choose(picker)
    assert [REASON] == list(run.asked.accept_risk.values())

    picker = run.pick()
    picker.reason.value = ""
    assert "held back by its verdict" in picker.static().text()
    run.choose(picker)
    assert {} == run.asked.accept_risk


def test_reasons_that_differ_are_kept_unless_one_is_typed_for_all() -> None:
    """
    An empty field keeps each VM's own.
    """
    picker = _picker({"a1": "one", "b1": "two"}, chosen=[0, 1, 2])

    assert ("", "") == (picker.reason.layout.display, picker.reason.value)
    assert "each VM keeps" in picker.reason.placeholder
    assert {"a1": "one", "b1": "two"} == _risks(picker)

    picker.reason.value = "three"
    assert {"a1": "three", "b1": "three"} == _risks(picker)

    picker.reason.value = ""
    assert {"a1": "one", "b1": "two"} == _risks(picker)
    assert not picker.is_open


def test_a_reason_is_not_lent_to_a_vm_that_is_chosen_later() -> None:
    """
    The risk of a VM is accepted when somebody types a reason in sight of it, not because another one has one.
    """
    picker = _picker({"a1": "one", "b1": ""}, chosen=[0])
    assert "one" == picker.reason.value

    picker.table.selected_rows = [0, 1]
    assert ("", {"a1": "one"}) == (picker.reason.value, _risks(picker))
    assert "One of them will be tried" in picker.children[1].value
    assert "One of them is held back" in picker.children[1].value

    picker.reason.value = "one"
    assert {"a1": "one", "b1": "one"} == _risks(picker)

    picker.table.selected_rows = [2]
    assert "none" == picker.reason.layout.display


@pytest.mark.parametrize("typed", ["b1", " B1 (rg) ", "/subscriptions/S/1/b1"])
def test_a_vm_is_chosen_and_left_out_by_its_name(typed: str) -> None:
    """
    Rows take a mouse; a field and two buttons do not.
    """
    picker = _picker({}, chosen=[0])
    picker.name.value = typed
    picker.choose.click()

    assert [0, 1] == picker.table.selected_rows
    assert "" == picker.name.value
    assert f"Chosen: {typed.strip()}" in picker.children[3].value

    picker.name.value = typed
    picker.leave_out.click()
    assert [0] == picker.table.selected_rows
    assert "Left out" in picker.children[3].value

    picker.table.selected_rows = [2]
    assert "" == picker.children[3].value


@pytest.mark.parametrize(
    ("typed", "said"), [("nobody", "No VM is called"), ("", "No VM is called"), ("a1", "2 VMs are called")]
)
def test_a_name_that_is_not_one_vms_chooses_none(typed: str, said: str) -> None:
    """
    It is said beside the field, where what was typed stays to be mended.
    """
    picker = _picker({}, ("a1", "b1", "a1"), chosen=[1])
    picker.name.value = typed
    picker.choose.click()

    assert said in picker.children[3].value
    assert ([1], typed) == (picker.table.selected_rows, picker.name.value)


def test_thousands_of_names_are_typed_and_not_listed() -> None:
    """
    The page is not sent a list that nobody reads; the saved notebook says where the long choice is.
    """
    picker = _picker({}, [f"vm-{number}" for number in range(20_000)], chosen=range(1000))
    picker.name.value = "vm-19999"
    picker.choose.click()

    assert () == picker.name.options
    assert ("a1 (rg)", "b1 (rg)", "c1 (rg)") == _picker({}).name.options
    assert 19_999 == picker.table.selected_rows[-1]
    assert "all of them: vm_selector in parameters.json" in picker.static().text().splitlines()[0]


def test_no_vm_at_all_is_no_choice(make_run: RunMaker) -> None:
    """
    It is said beside the table and where it is to be taken over, and the run keeps the choice that it had.
    """
    run = make_run(vm_selector="tag:wave=1")
    run.arrive("04_select_vms")
    picker = run.pick()
    picker.table.selected_rows = []

    assert "choose at least one row" in picker.children[1].value
    with pytest.raises(InvalidParameters, match="Choose at least one row"):
        run.choose(picker)
    assert "tag:wave=1" == run.asked.vm_selector


def test_every_row_says_why_its_vm_stands_where_it_does(make_run: RunMaker) -> None:
    """
    Nobody has to look elsewhere for the reason of a verdict.
    """
    frame = make_run().pick().table.df

    assert [] == [vm for vm, why in zip(frame["VM"], frame["Why"], strict=True) if not why]


def test_names_that_make_no_plan_are_told_and_the_form_still_works(make_run: RunMaker) -> None:
    """
    One name for vaults in several regions, taken from a parameter file, is mended in the notebook that shows it.
    """
    run = make_run(vault_name="rsv-one", resource_group="rg-one")
    run.arrive("01_create_vault")

    assert "put {location} into vault_name" in run.mark.text()

    form = run.form("vault_name")
    form.controls["vault_name"].value = "rsv-{location}"
    run.choose(form)

    assert "planned" in run.mark.text()


def test_a_selection_of_nothing_is_not_taken(make_run: RunMaker) -> None:
    """
    The run keeps the selection that it had.
    """
    run = make_run(vm_selector="tag:wave=1")
    form = run.form("vm_selector")
    form.controls["vm_selector"].value = "name:nobody"

    with pytest.raises(InvalidParameters, match=r"vm_selector.*selects none"):
        run.choose(form)

    assert "tag:wave=1" == run.asked.vm_selector
    assert "tag:wave=1" == run.folder.parameters()["vm_selector"]


def test_a_policy_can_be_looked_at_and_held_against_another(make_run: RunMaker) -> None:
    """
    The picture that stays in the saved notebook is that of the chosen policies.
    """
    run = make_run(location="westeurope")
    run.arrive("03_backup_policy")
    look = run.points()
    alone = look.static()
    policies = look.controls["policy"].options

    assert "DefaultPolicy" in policies[0]
    assert isinstance(alone, Picture)
    assert "30" in alone.alternative

    look.controls["instead"].value = next(each for each in policies if "EnhancedPolicy (rsv-westeurope)" in each)

    assert alone.alternative != cast(Picture, look.static()).alternative


def test_the_way_of_packets_begins_with_a_vm_that_is_not_plainly_open(make_run: RunMaker) -> None:
    """
    Whoever only looks at what is shown first sees the trouble.
    """
    run = make_run()
    run.arrive("06_network")
    look = run.way()
    shown = cast(Picture, look.static())

    assert "deny" in shown.text().lower()
    look.controls["vm"].value = "web01 (rg-shop-prod)"
    assert "web01" in cast(Picture, look.static()).alternative


def test_a_name_that_is_being_typed_changes_nothing() -> None:
    """
    A long list is searched by typing, and half a name names nobody.
    """
    look = Look({"vm": [(f"vm-{number}", number) for number in range(100)]}, lambda vm: Lines([str(vm)]), "en")
    look.controls["vm"].value = "vm-7"
    assert "7" == look.static().text()

    look.controls["vm"].value = "vm-"
    look.controls["vm"].value = "vm-77"
    assert "77" == look.static().text()


def test_what_reads_alike_in_a_look_is_told_apart() -> None:
    """
    Two that are called the same are two, also beside one that is called like the second.
    """
    look = Look({"vm": [("web", 1), ("web", 2), ("web (2)", 3)]}, lambda vm: Lines([str(vm)]), "en")
    shown = []
    for label in look.controls["vm"].options:
        look.controls["vm"].value = label
        shown.append(look.static().text())

    assert ["1", "2", "3"] == shown


def test_vms_of_one_name_and_group_are_told_by_their_subscriptions(make_run: RunMaker) -> None:
    """
    Who looks at the way of packets sees whose they are.
    """
    run = make_run()
    both = (vm("web"), vm("web", guid=TWO), vm("app"), subscription(ONE, "Production"))
    run.folder.save_inventory("before", inventory(*both))
    run.arrive("06_network")

    assert {"web (rg-app), Production", f"web (rg-app), {TWO}", "app (rg-app)"} == set(run.way().controls["vm"].options)


def test_a_headless_chain_draws_nothing(make_run: RunMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Drawing would be a third of its work: it shows the table that the picture is made of.
    """
    run = make_run(vm_selector="tag:wave=1")
    assert isinstance(run.matrix(), Picture)

    monkeypatch.setenv(CHAINED, "1")
    assert isinstance(run.matrix(), Table)


@pytest.mark.usefixtures("shell")
def test_a_headless_chain_has_the_chosen_vms_and_no_table_to_click(
    make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nobody is there to choose; the selection stays, and is said.
    """
    monkeypatch.setenv(CHAINED, "1")
    run = make_run(vm_selector="tag:wave=1")
    picker = run.pick()
    with capture_output() as shown:
        display(picker)  # type: ignore[no-untyped-call]
    run.choose(picker)

    (twin,) = shown.outputs
    assert "Chosen VMs: 7 of 43" in twin.data["text/plain"]
    assert "tag:wave=1" == run.asked.vm_selector
