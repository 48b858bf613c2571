"""
The pictures: what they show is what the model says, their words say what is to be seen, and the same data makes the
same bytes.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import io
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from builders import HELD, NOW, estate, inventory, nic, nsg, policy, provider, rule, subnet, subscription, vm
from nbconvert import HTMLExporter
from network_cases import APPLIANCE, BEHIND, DOUBT, NOWHERE, PRIVATE, SHUT, world
from PIL import Image
from support import RunMaker

from runbook_lib.checks import CATALOGUE, judge, verdict
from runbook_lib.checks.network import SERVICES, WIRE, Tracer, destinations
from runbook_lib.parameters import Parameters
from runbook_lib.policy import built_in
from runbook_lib.records import Inventory, IpConfiguration, Verdict, VirtualMachine, VmVerdict, key
from runbook_lib.render import Lines, escape, pictures
from runbook_lib.render.pictures import (
    Part,
    Picture,
    kept_points,
    legs,
    lost_points,
    matrix,
    matrix_data,
    timeline,
    way,
)
from runbook_lib.retention import lost

MOST_BYTES = 150_000
HOSTILE = (
    "$\\frac{1}{0}$",
    "$x$ $",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a\x1b[31mred\x07",
    "\u202egnp.exe",
    "日本語-サーバー",
    "x" * 400,
    "\ufdfd" * 40,
    "… … …",
)
LONG = {"weekly_retention_weeks": 12, "monthly_retention_months": 60, "yearly_retention_years": 10}


def _judged(there: Inventory) -> tuple[list[VmVerdict], list[Any]]:
    found = judge(there, there.vms.values())
    by_vm: dict[str, list[Any]] = {}
    for each in found:
        by_vm.setdefault(each.resource, []).append(each)
    stands = []
    for vm_id, own in by_vm.items():
        rung, decisive = verdict(own)
        stands.append(VmVerdict(vm=vm_id, verdict=rung, decisive=decisive))
    return stands, list(found)


def _matrix(there: Inventory) -> Picture:
    return matrix(there, *_judged(there), "en")


def _many(count: int, **fields: Any) -> Inventory:
    """
    VMs of which every tenth has no agent, every seventh is of a set, and each hundredth has its own number of disks.
    """
    machines = [
        vm(
            f"vm-{number:05}",
            agent=None if number % 10 == 0 else vm().agent,
            data_disks=number // 100 % 40 if number % 100 == 0 else 0,
            scale_set_id="/set" if number % 7 == 0 else "",
            **fields,
        )
        for number in range(count)
    ]
    return inventory(subscription(), provider(), *machines) if count < 100 else _quick(machines)


def _quick(machines: list[VirtualMachine]) -> Inventory:
    return replace(inventory(subscription(), provider()), vms={key(each.id): each for each in machines})


def _png(picture: Any) -> Image.Image:
    assert isinstance(picture, Picture)
    return Image.open(io.BytesIO(picture.png))


# The matrix.


def test_the_matrix_has_what_each_check_found_on_each_vm() -> None:
    """
    A cell is the finding of that VM and that check, and those that decided are named.
    """
    there = estate(vm("off", power_state="deallocated"), vm("broken", agent=None), vm("wide", data_disks=33))
    stands, found = _judged(there)
    data = matrix_data(there, stands, found)

    cells = {(row.name, check.id): cell for row in data.rows for check, cell in zip(CATALOGUE, row.cells, strict=True)}
    assert {(there.vms[key(each.resource)].name, each.check): each.status for each in found} == cells
    assert {there.vms[key(each.vm)].name: (each.verdict, each.decisive) for each in stands} == {
        row.name: (row.verdict, row.decisive) for row in data.rows
    }
    assert Counter((each.check, each.status) for each in found) == {
        (check, status): count for check, own in data.found.items() for status, count in own.items()
    }


def test_the_worst_stand_first_in_the_matrix() -> None:
    """
    By verdict, in the order of the ladder.
    """
    data = matrix_data(there := _many(40), *_judged(there))
    ranks = [list(Verdict).index(row.verdict) for row in data.rows]

    assert sorted(ranks) == ranks
    assert (40, 40) == (data.total, data.shown)


def test_of_two_vms_with_one_name_the_group_is_told() -> None:
    """
    Names are unique in their resource group only.
    """
    there = estate(vm("twin", "rg-one"), vm("Twin", "rg-two"))
    rows = matrix_data(there, *_judged(there)).rows

    assert {"rg-one/twin", "rg-two/Twin", "web"} == {row.name for row in rows}


def test_what_was_not_looked_at_stays_empty() -> None:
    """
    No finding is no status, neither good nor bad.
    """
    there = estate()
    stands, found = _judged(there)
    (row,) = matrix_data(there, stands, [each for each in found if each.check != "agent"]).rows

    assert {"agent"} == {check.id for check, cell in zip(CATALOGUE, row.cells, strict=True) if cell is None}


def test_many_vms_that_look_alike_share_a_line() -> None:
    """
    None is left out where the lines suffice, and the title says that lines are shared.
    """
    there = _many(1000)
    stands, found = _judged(there)
    data = matrix_data(there, stands, found)

    assert (1000, 1000) == (data.total, data.shown)
    assert len(data.rows) < 60
    assert Counter(each.verdict for each in stands) == {
        one: sum(row.count for row in data.rows if row.verdict is one) for one in {row.verdict for row in data.rows}
    }
    assert f"share one of {len(data.rows)} lines" in matrix(there, stands, found, "en").caption


def test_of_too_many_lines_the_worst_are_shown_and_the_title_says_so() -> None:
    """
    What is left out is no worse than what is shown.
    """
    there = _many(70)
    stands, found = _judged(there)
    # Each with a look of its own: another check missing of two.
    kept = [each for number, each in enumerate(found) if number % 33 and number % 37 != number // 1000]
    data = matrix_data(there, stands, kept)
    picture = matrix(there, stands, kept, "en")

    assert pictures.MOST_LINES == len(data.rows)
    assert data.shown < data.total == 70
    assert picture.caption.startswith(f"The worst {data.shown} of 70 VMs")
    assert picture.alternative.startswith(f"Matrix: {picture.caption}.")


def test_the_matrix_says_in_words_what_is_to_be_seen() -> None:
    """
    How many VMs have each verdict, and which checks fail most.
    """
    there = estate(vm("broken", agent=None), vm("wide", data_disks=33))
    stands, _ = _judged(there)
    picture = _matrix(there)

    for one, count in Counter(each.verdict for each in stands).items():
        assert f"{one.value} {count}" in picture.alternative
    assert "Number of data disks 1" in picture.alternative
    assert len(CATALOGUE) == len(picture.table.rows)
    assert picture.alternative in picture.text()


@pytest.mark.parametrize("count", [1000, 20_000])
def test_a_matrix_of_many_vms_stays_small(count: int) -> None:
    """
    Neither its bytes nor its size on the page grow with the estate.
    """
    there = _many(count)
    stands, found = _judged(there)
    began = time.monotonic()
    picture = matrix(there, stands, found, "en")

    assert len(picture.png) < MOST_BYTES
    assert _png(picture).height < 1700
    assert time.monotonic() - began < 30
    assert len(picture.alternative) < 1000


# Recovery points.


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=each) for each in range((last - first).days + 1)]


def test_the_points_of_a_policy_are_counted_right() -> None:
    """
    Daily at 19:00 in UTC, seen at noon: worked out here from the calendar alone.
    """
    own = policy(HELD, backup_time="19:00", time_zone="UTC", **LONG)
    held = timeline(own, NOW)
    assert held is not None
    today = NOW.date()
    days = _days(date(2010, 1, 1), today - timedelta(days=1))
    sundays = [each for each in days if calendar.day_name[each.weekday()] == "Sunday"]
    firsts = [each for each in sundays if each.day <= 7]
    expected = {
        "instant": days[-2:],
        "daily": days[-30:],
        "weekly": [each for each in sundays if (today - each).days <= 12 * 7],
        "monthly": [each for each in firsts if each >= today.replace(year=2021)],
        "yearly": [each for each in firsts if each.month == 1 and each.year >= 2017],
    }

    assert expected == {tier.name: [each.date() for each in tier.points] for tier in held.tiers}
    assert sorted(set().union(*expected.values())) == [each.date() for each in held.points]
    assert {19} == {each.hour for each in held.points}


def test_of_several_backups_of_a_day_the_last_outlives_instant_restore() -> None:
    """
    Every four hours from 08:00 for twelve hours is three a day (backup-azure-vms-enhanced-policy).
    """
    held = timeline(built_in("EnhancedPolicy", HELD.id), NOW)
    assert held is not None
    instant, daily = held.tiers
    older = [each for each in daily.points if each < NOW - timedelta(days=2)]

    assert {16} == {each.hour for each in older}
    assert len(older) == len({each.date() for each in older})
    assert [8, 12, 16] == [each.hour for each in instant.points if each.date() == NOW.date() - timedelta(days=1)]


def test_a_weekly_schedule_makes_points_on_its_days_only() -> None:
    """
    Two days a week for eight weeks are sixteen.
    """
    asked = {"weekly_days": ("Monday", "Thursday"), "weekly_retention_weeks": 8, "instant_restore_days": 5}
    held = timeline(policy(HELD, schedule="Weekly", **asked), NOW)
    assert held is not None

    assert 16 == len(held.points)
    assert {0, 3} == {each.weekday() for each in held.points}


def test_the_days_are_those_of_the_policys_zone() -> None:
    """
    At noon in UTC it is 21:00 in Tokyo, and the backup of 20:00 there has been made.
    """
    held = timeline(policy(HELD, backup_time="20:00", time_zone="Tokyo Standard Time"), NOW)
    assert held is not None

    assert held.points[-1] == datetime(2026, 11, 22, 11, 0, tzinfo=UTC)


def test_what_a_change_drops_is_what_the_retention_says() -> None:
    """
    The dropped points are those that `lost` names, of the points that the old policy holds.
    """
    old = policy(HELD, **LONG)
    new = policy(HELD, policy_name="shorter", daily_retention_days=14, monthly_retention_months=12)
    before = timeline(old, NOW)
    assert before is not None
    gone = lost(new, before.points, before.now)
    assert gone
    picture = lost_points(old, new, NOW, "en")
    assert isinstance(picture, Picture)
    rows = {row[0]: row for row in picture.table.rows}

    assert picture.caption == (
        f"From policy DefaultPolicy to shorter: {len(gone)} of {len(before.points)} recovery points would be dropped"
    )
    assert len(gone) == rows["All points, each once"][3]
    for tier in before.tiers:
        name = {"instant": "Instant restore"}.get(tier.name, tier.name.capitalize())
        assert (len(tier.points), len(set(gone) & set(tier.points))) == (rows[name][1], rows[name][3])


def test_a_change_may_be_held_against_the_points_that_there_are() -> None:
    """
    An item whose backups began last week loses none, whatever the policy held in the end.
    """
    young = [NOW - timedelta(days=each) for each in range(5)]
    picture = lost_points(policy(HELD, **LONG), policy(HELD, daily_retention_days=14), NOW, "en", young)
    assert isinstance(picture, Picture)

    assert picture.caption.endswith("0 of 5 recovery points would be dropped")


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"retentionPolicy": {"dailySchedule": {"retentionDuration": {"count": "?", "durationType": "Days"}}}},
        {"retentionPolicy": {"dailySchedule": {"retentionDuration": {"count": 10_000_000, "durationType": "Days"}}}},
        {"retentionPolicy": {"dailySchedule": {"retentionDuration": {"count": 30, "durationType": "Days"}}}},
    ],
    ids=["none", "no-number", "before-all-time", "no-schedule"],
)
def test_a_policy_that_is_not_understood_gets_no_picture(properties: dict[str, Any]) -> None:
    """
    A sentence says so, of either policy.
    """
    strange = replace(policy(HELD), name="strange", properties=properties)

    for shown in (kept_points(strange, NOW, "en"), lost_points(policy(HELD), strange, NOW, "en")):
        assert isinstance(shown, Lines)
        assert "policy strange holds cannot be told" in shown.text()
    assert timeline(strange, NOW) is None


def test_the_longest_retention_can_be_drawn() -> None:
    """
    The service's own limits: 9,999 days, 5,163 weeks, 1,188 months, 99 years.
    """
    most = {"weekly_retention_weeks": 5163, "monthly_retention_months": 1188, "yearly_retention_years": 99}
    picture = kept_points(policy(HELD, daily_retention_days=9999, **most), NOW, "en")

    assert isinstance(picture, Picture)
    assert len(picture.png) < MOST_BYTES
    assert "Daily, 9999 days, 9999, 1999-" in picture.alternative


# The way of packets.


def _legs(there: Inventory, **asked: Any) -> tuple[pictures.Leg, ...]:
    (machine,) = there.vms.values()
    return legs(there, machine, SERVICES[0], Parameters(**asked))


def _decisive(there: Inventory) -> Part:
    (leg,) = _legs(there)
    (part,) = [part for part in leg.parts if part.decides]
    return part


PLACES = [
    ("deny", "nsg_subnet", "stops", world(SHUT, place={"nsg_id": SHUT.id})),
    ("doubt", "nsg_subnet", "unknown", world(DOUBT, place={"nsg_id": DOUBT.id})),
    ("dropped", "route", "stops", world(NOWHERE, place=BEHIND)),
    ("appliance", "route", "unknown", world(APPLIANCE, place=BEHIND)),
    ("no-way-out", "exit", "stops", world(place=PRIVATE)),
    ("open", "exit", "passes", world()),
    ("allowed", "nsg_subnet", "passes", world(nsg("fine"), place={"nsg_id": nsg("fine").id})),
    ("unread-nsg", "nsg_subnet", "unknown", world(place={"nsg_id": SHUT.id})),
]


@pytest.mark.parametrize(("kind", "state", "there"), [each[1:] for each in PLACES], ids=[each[0] for each in PLACES])
def test_the_part_that_decides_is_marked(kind: str, state: str, there: Inventory) -> None:
    """
    Exactly one, and it is what holds packets up, or lets them through last.
    """
    part = _decisive(there)

    assert (kind, state) == (part.kind, part.state)


def test_the_rule_that_decides_is_the_tracers() -> None:
    """
    Of two NSGs that both deny the first counts; of two that both allow, the last.
    """
    own = nsg("own", rule("own-deny", 300))
    allowing = nsg("own", rule("own-allow", 300, "Allow"))
    both = nsg("both", rule("both-allow", 200, "Allow"))
    for first, second in ((own, SHUT), (allowing, SHUT), (allowing, both), (own, both)):
        there = world(first, second, place={"nsg_id": second.id})
        (card,) = there.nics.values()
        there = replace(there, nics={key(card.id): replace(card, nsg_id=first.id)})
        (machine,) = there.vms.values()
        path = Tracer(there).path(machine, card.id, SERVICES[0])
        part = _decisive(there)

        assert (path.nsg, path.decision) == (part.name, part.decision)
        assert path.decision is not None
        assert path.decision.rule in way(there, machine, SERVICES[0], Parameters(), "en").alternative


def test_nothing_is_reached_behind_what_stops_packets() -> None:
    """
    The picture's arrows end there.
    """
    (leg,) = _legs(world(SHUT, place={"nsg_id": SHUT.id}))

    assert ["passes", "absent", "stops", "unreached", "unreached", "unreached"] == [part.state for part in leg.parts]


def test_the_way_to_the_platform_has_neither_rules_nor_routes() -> None:
    """
    As the page on 168.63.129.16 says, also where an NSG denies everything.
    """
    there = world(SHUT, place={"nsg_id": SHUT.id})
    (machine,) = there.vms.values()
    (leg,) = legs(there, machine, WIRE, Parameters())

    assert ["passes", "absent", "absent", "absent", "passes", "passes"] == [part.state for part in leg.parts]
    assert "the platform itself" in way(there, machine, WIRE, Parameters(), "en").alternative


def test_the_proxy_stands_between_where_it_was_chosen() -> None:
    """
    The first leg ends at the proxy, the second is the proxy's own; one that nobody read has no second.
    """
    asked: dict[str, Any] = {"network_option": "http_proxy", "proxy_host": "10.0.9.9", "proxy_port": 3128}
    there = world(place=PRIVATE)
    (machine,) = there.vms.values()
    card = nic("nic-proxy", ip_configurations=(IpConfiguration(subnet_id=subnet().id, private_ip="10.0.9.9"),))
    proxy = vm("proxy", nic_ids=(card.id,))
    known = replace(
        there,
        vms=dict(there.vms) | {key(proxy.id): proxy},
        nics=dict(there.nics) | {key(card.id): replace(card, vm_id=proxy.id)},
    )
    (alone,) = legs(there, machine, SERVICES[0], Parameters(**asked))
    first, second = legs(known, machine, SERVICES[0], Parameters(**asked))

    assert ("proxy", "10.0.9.9:3128", "passes") == (alone.parts[-1].kind, alone.parts[-1].name, alone.parts[-1].state)
    assert (alone.parts[-1], "proxy") == (first.parts[-1], second.vm)
    assert ("destination", "AzureBackup", "unreached") == (
        second.parts[-1].kind,
        second.parts[-1].name,
        second.parts[-1].state,
    )


@pytest.mark.parametrize("there", [estate(), estate(vm(nic_ids=("/unread",)))], ids=["no-nic", "unread-nic"])
def test_a_vm_without_a_nic_that_was_read_is_told_so(there: Inventory) -> None:
    """
    Unknown is not open.
    """
    (machine,) = there.vms.values()
    picture = way(there, machine, SERVICES[0], Parameters(), "en")

    assert "no network interface" in picture.alternative or "Unknown from unread" in picture.alternative
    assert picture.png


# All of them.


def _hostile(name: str) -> list[Picture]:
    there = world(nsg(name, rule(name, 200)), place={"nsg_id": nsg(name).id})
    (machine,) = there.vms.values()
    (card,) = there.nics.values()
    machine = replace(machine, name=name)
    there = replace(there, vms={key(machine.id): machine}, nics={key(card.id): replace(card, name=name)})
    own = replace(policy(HELD, **LONG), name=name)
    shown = [kept_points(own, NOW, "en"), lost_points(own, policy(HELD), NOW, "en")]
    made = [_matrix(there), *shown, way(there, machine, SERVICES[0], Parameters(), "en")]
    return [each for each in made if isinstance(each, Picture)]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_drawn_and_not_obeyed(name: str) -> None:
    """
    Not as a formula, not as markup, not as a control character; and what the font lacks is no warning.
    """
    made = _hostile(name)

    assert 4 == len(made)
    for picture in made:
        assert _png(picture).width == pictures.WIDTH
        content = picture.html()
        assert not re.search(r"<script|<img src=x|\x1b|\x07|\u202e", content)
        assert 1 == content.count("<img ")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", picture.text())


@pytest.mark.parametrize("number", range(4))
def test_a_picture_carries_its_words_in_html(number: int) -> None:
    """
    The alternative text is the image's own, the caption stands below, and the table follows.
    """
    picture = _hostile("web01")[number]
    bundle = picture._repr_mimebundle_()
    found = re.fullmatch(
        r'<div class="tex2jax_ignore mathjax_ignore"><figure style="margin:0">'
        r'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)" alt="([^"]+)" width="1160">'
        r"<figcaption>([^<]+)</figcaption></figure>\n<details><summary>The same as a table</summary>.*</details></div>",
        bundle["text/html"],
        re.DOTALL,
    )

    assert found is not None
    assert picture.png == base64.b64decode(found[1])
    assert (picture.alternative, picture.caption) == (found[2].replace("&#x27;", "'"), found[3])
    assert {"text/html", "text/plain"} == set(bundle)
    assert picture.alternative in bundle["text/plain"]


def test_a_converted_notebook_keeps_the_picture_and_its_words() -> None:
    """
    nbconvert's page, read offline, has the image in itself, with its alternative text.
    """
    picture = _hostile('"><b>x</b>')[0]
    output = nbformat.v4.new_output("execute_result", dict(picture._repr_mimebundle_()), execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
    page, _ = HTMLExporter().from_notebook_node(notebook)

    assert f'alt="{escape(picture.alternative)}"' in page
    assert f'src="data:image/png;base64,{base64.b64encode(picture.png).decode()}"' in page


def test_the_same_data_makes_the_same_bytes(tmp_path: Path) -> None:
    """
    In another process too, whose account has settings and a clock of its own.
    """
    (tmp_path / "matplotlibrc").write_text("font.size: 30\ntext.usetex: True\nfigure.facecolor: red\n")
    code = (
        "import hashlib, test_pictures as t; "
        "print(*(hashlib.sha256(each.png).hexdigest() for each in t._hostile('web01')))"
    )
    folder = str(Path(__file__).parent)
    environment = dict(os.environ) | {"MPLCONFIGDIR": str(tmp_path), "SOURCE_DATE_EPOCH": "1", "TZ": "Asia/Tokyo"}
    environment["PYTHONPATH"] = os.pathsep.join([folder, str(Path(folder).parent)])
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert [hashlib.sha256(each.png).hexdigest() for each in _hostile("web01")] == ran.stdout.split()
    assert [each.png for each in _hostile("web01")] == [each.png for each in _hostile("web01")]
    assert {} == _png(_hostile("web01")[0]).info.get("text", {})


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    """
    Whoever draws in the same kernel keeps their own settings.
    """
    import matplotlib

    with matplotlib.rc_context({"font.size": 31.0, "text.usetex": True}):
        assert _matrix(estate()).png
        assert (31.0, True) == (matplotlib.rcParams["font.size"], matplotlib.rcParams["text.usetex"])


def test_the_pictures_of_the_example_estate_are_small(make_run: RunMaker, tmp_path: Path) -> None:
    """
    Its matrix, every policy, and a way of every VM: below 150 KB each, and as wide as a notebook.
    """
    run = make_run()
    there = run.inventory
    found = [matrix(there, run.verdicts(there), run.findings(there), "en")]
    found += [
        each for one in there.policies.values() if isinstance(each := kept_points(one, there.read_at, "en"), Picture)
    ]
    machines = sorted(there.vms.values(), key=lambda each: each.id)
    found += [
        way(there, each, destinations(run.asked)[number % 4], run.asked, "en")
        for number, each in enumerate(machines[::5])
    ]
    found[0].write_png(tmp_path / "matrix.png")

    assert len(there.policies) + 10 == len(found)
    assert [] == [each.caption for each in found if len(each.png) > MOST_BYTES]
    assert found[0].png == (tmp_path / "matrix.png").read_bytes()
