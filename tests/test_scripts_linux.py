"""
The scripts for Linux, executed on a file system of the test's own, with commands of the test's own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import PROXY, estate, vm, with_records
from handed_out import TEMPLATES, both, log, made, run_shell, tool, tree

CONF = b"# Enable\r\nExtensions.Enabled=y\n#HttpProxy.Host=None\n\nHttpProxy.Port=None\n# the end"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """
    A file system with an agent's configuration and its systemd unit.
    """
    root = tmp_path / "root"
    for each in ("etc/systemd/system", "lib/systemd/system", "var/lib"):
        (root / each).mkdir(parents=True)
    (root / "etc/waagent.conf").write_bytes(CONF)
    (root / "etc/waagent.conf").chmod(0o640)
    (root / "etc/environment").write_bytes(b'PATH="/usr/bin"\n# http_proxy=http://old\n')
    (root / "lib/systemd/system/walinuxagent.service").write_text("[Service]\n")
    (root / "etc/os-release").write_text('ID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu"\n')
    return tmp_path


@pytest.fixture(scope="module")
def proxy_script() -> str:
    """
    The script that sets the proxy of a Linux VM.
    """
    return made(both(), **PROXY)["proxy-linux.sh"].content


DROP_IN = "etc/systemd/system/walinuxagent.service.d/50-azure-vm-backup-runbook.conf"


def test_the_proxy_is_set_where_the_guide_and_today_want_it(system: Path, proxy_script: str) -> None:
    """
    Lines that set it are replaced, missing ones added; other lines and comments stay as they are.
    """
    assert 0 == run_shell(proxy_script, system, "apply").returncode

    root = system / "root"
    assert (
        b'PATH="/usr/bin"\n# http_proxy=http://old\nhttp_proxy=http://10.0.0.9:8080\n'
        == (root / "etc/environment").read_bytes()
    )
    assert (
        b"# Enable\r\nExtensions.Enabled=y\n#HttpProxy.Host=None\n\nHttpProxy.Port=8080\n# the end\n"
        b"HttpProxy.Host=10.0.0.9\n"
    ) == (root / "etc/waagent.conf").read_bytes()
    assert (
        '[Service]\nEnvironment="http_proxy=http://10.0.0.9:8080"\nEnvironment="https_proxy=http://10.0.0.9:8080"\n'
        'Environment="no_proxy=localhost,127.0.0.1,168.63.129.16,169.254.169.254"\n'
    ) == (root / DROP_IN).read_text()
    assert 0o640 == (root / "etc/waagent.conf").stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("there", "then"),
    [
        ("export http_proxy=x\n", "{line}"),
        ("  http_proxy = x\n\thttp_proxy=y\na=b\n", "{line}{line}a=b\n"),
        ("https_proxy=x\nHTTP_PROXY=y\nx=http_proxy=z\n", "https_proxy=x\nHTTP_PROXY=y\nx=http_proxy=z\n{line}"),
        ("#export http_proxy=x", "#export http_proxy=x\n{line}"),
    ],
)
def test_every_line_that_sets_the_proxy_is_replaced_and_no_other(
    system: Path, proxy_script: str, there: str, then: str
) -> None:
    """
    In whatever form it is set; a comment, or another name that holds this one, sets nothing.
    """
    (system / "root/etc/environment").write_text(there)
    run_shell(proxy_script, system, "apply")

    assert then.format(line="http_proxy=http://10.0.0.9:8080\n") == (system / "root/etc/environment").read_text()


def test_setting_the_proxy_twice_changes_nothing(system: Path, proxy_script: str) -> None:
    """
    The second time finds everything as it wants it, and what it keeps for the undo is the first state.
    """
    run_shell(proxy_script, system, "apply")
    first = tree(system / "root")
    second = run_shell(proxy_script, system, "apply")

    assert first == tree(system / "root")
    assert 0 == second.returncode
    assert 3 == second.stdout.count("unchanged: ")
    assert "written" not in second.stdout


@pytest.mark.parametrize("absent", [(), ("etc/environment",)])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    "environment", [b"", b"no newline", b"export http_proxy=http://x:1\nhttp_proxy=y\n", b"\xff\xfe bytes\r\n\ta=b\n"]
)
def test_the_undo_puts_every_file_back(
    system: Path, proxy_script: str, absent: tuple[str, ...], times: int, environment: bytes
) -> None:
    """
    Byte for byte, with its mode; a file that was not there is gone again, and nothing of the script is left.
    """
    (system / "root/etc/environment").write_bytes(environment)
    for each in absent:
        (system / "root" / each).unlink()
    before = tree(system / "root")
    for _ in range(times):
        run_shell(proxy_script, system, "apply")
    changed = tree(system / "root")
    undone = run_shell(proxy_script, system, "undo")

    assert (0, "") == (undone.returncode, undone.stderr)
    assert before != changed
    assert before == tree(system / "root")


def test_an_undo_without_an_apply_does_nothing(system: Path, proxy_script: str) -> None:
    """
    And so does a second undo.
    """
    before = tree(system / "root")
    said = run_shell(proxy_script, system, "undo")

    assert (0, before) == (said.returncode, tree(system / "root"))
    assert "nothing to undo" in said.stdout


@pytest.mark.parametrize("action", ["apply", "undo"])
def test_what_somebody_else_wrote_since_is_not_overwritten(system: Path, proxy_script: str, action: str) -> None:
    """
    To put the old file back would take away the other's work: nothing is touched, and a person decides.
    """
    run_shell(proxy_script, system, "apply")
    (system / "root/etc/waagent.conf").write_bytes(b"Extensions.Enabled=n\n")
    before = tree(system / "root")
    said = run_shell(proxy_script, system, action)

    assert 1 == said.returncode
    assert "somebody else" in said.stderr
    assert {n: c for n, c in before.items() if n.startswith("etc")} == {
        n: c for n, c in tree(system / "root").items() if n.startswith("etc")
    }


def test_another_proxy_replaces_the_first_and_the_undo_goes_back_to_the_start(system: Path, proxy_script: str) -> None:
    """
    What is kept is what was there before the runbook, not before its last script.
    """
    before = tree(system / "root")
    other = made(both(), **PROXY | {"proxy_host": "proxy.example", "proxy_port": 3128})["proxy-linux.sh"].content
    run_shell(proxy_script, system, "apply")
    run_shell(other, system, "apply")

    assert "http_proxy=http://proxy.example:3128\n" in (system / "root/etc/environment").read_text()
    run_shell(proxy_script, system, "undo")
    assert before == tree(system / "root")


def test_a_proxy_script_that_was_stopped_can_go_on_or_back(system: Path, proxy_script: str) -> None:
    """
    It may end anywhere: what it has not written is not put back, what it has is.
    """
    before = tree(system / "root")
    stopped = proxy_script.replace('put agent_conf "$agent_conf"', "exit 9")
    assert 9 == run_shell(stopped, system, "apply").returncode
    # Somebody edits meanwhile what the script did not come to write.
    (system / "root/etc/waagent.conf").write_bytes(b"Extensions.Enabled=n\n")
    undone = run_shell(proxy_script, system, "undo")

    assert 0 == undone.returncode, undone.stderr
    assert b"Extensions.Enabled=n\n" == (system / "root/etc/waagent.conf").read_bytes()
    (system / "root/etc/waagent.conf").write_bytes(CONF)
    assert before == tree(system / "root")


def test_without_an_agent_no_proxy_is_set(system: Path, proxy_script: str) -> None:
    """
    A configuration without its agent would stand in the way of the agent's package.
    """
    (system / "root/etc/waagent.conf").unlink()
    before = tree(system / "root")
    said = run_shell(proxy_script, system, "apply")

    assert (1, before) == (said.returncode, tree(system / "root"))
    assert "agent-linux.sh" in said.stderr


def test_without_systemd_the_two_files_of_the_guide_are_written(system: Path, proxy_script: str) -> None:
    """
    And nothing else.
    """
    (system / "root/lib/systemd/system/walinuxagent.service").unlink()
    before = tree(system / "root")
    run_shell(proxy_script, system, "apply")
    written = {name for name, content in tree(system / "root").items() if before.get(name) != content}

    assert {"etc/environment", "etc/waagent.conf"} == {name for name in written if name.startswith("etc")}
    run_shell(proxy_script, system, "undo")
    assert before == tree(system / "root")


def test_show_says_what_is_set_and_changes_nothing(system: Path, proxy_script: str) -> None:
    """
    Before and after.
    """
    before = tree(system / "root")
    first = run_shell(proxy_script, system, "show")
    unchanged = tree(system / "root")
    run_shell(proxy_script, system, "apply")
    second = run_shell(proxy_script, system, "show")

    assert before == unchanged
    assert "HttpProxy.Host=10.0.0.9" not in first.stdout
    assert "HttpProxy.Host=10.0.0.9" in second.stdout


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.endswith(".sh")])
@pytest.mark.parametrize("arguments", [(), ("nonsense",)])
def test_a_script_that_is_not_told_what_to_do_does_nothing(system: Path, name: str, arguments: tuple[str, ...]) -> None:
    """
    It says its usage and ends with an error.
    """
    before = tree(system / "root")
    said = run_shell(made(both(), **PROXY)[name].content, system, *arguments)

    assert (1, before) == (said.returncode, tree(system / "root"))
    assert f"usage: sh {name}" in said.stderr


# A firewall each, in the words that its tool answers with; its state is a file.
FIREWALLS = {
    "ufw": """
        case "$1" in
        status) echo "Status: active" ;;
        show) cat "$STATE" ;;
        allow) echo "ufw allow $2" >> "$STATE" ;;
        delete) grep -v -x "ufw allow $3" "$STATE" > "$STATE.new"; mv "$STATE.new" "$STATE" ;;
        esac""",
    "firewall-cmd": """
        for each; do case "$each" in
        --query-port=*) grep -q -x "${each#*=}" "$STATE" ;;
        --add-port=*) echo "${each#*=}" >> "$STATE" ;;
        --remove-port=*) grep -v -x "${each#*=}" "$STATE" > "$STATE.new"; mv "$STATE.new" "$STATE" ;;
        esac; done""",
    "iptables": """
        action=$1; shift
        case "$action" in
        -C) grep -q -x -e "$*" "$STATE" ;;
        -I) echo "$*" >> "$STATE" ;;
        -D) grep -v -x -e "$*" "$STATE" > "$STATE.new"; mv "$STATE.new" "$STATE" ;;
        esac""",
}
OPEN = {
    "ufw": "ufw allow 8080/tcp\n",
    "firewall-cmd": "8080/tcp\n",
    "iptables": "INPUT -p tcp --dport 8080 -j ACCEPT\n",
}


@pytest.fixture(params=FIREWALLS)
def firewall(request: pytest.FixtureRequest, system: Path) -> tuple[str, Path]:
    """
    A system with one of the firewalls, and the file that holds its rules.
    """
    state = system / "state"
    state.write_text("other\n")
    for name in FIREWALLS:
        tool(system, name, "exit 1")
    if request.param != "iptables":
        tool(system, "iptables", "exit 9")
    tool(system, request.param, FIREWALLS[request.param].replace("$STATE", str(state)))
    return request.param, state


def firewall_script() -> str:
    """
    The script that opens the port of a proxy on Linux.
    """
    return made(both(), **PROXY)["proxy-firewall-linux.sh"].content


def test_the_proxys_port_is_opened_once_and_closed_again(firewall: tuple[str, Path], system: Path) -> None:
    """
    In whichever firewall is active; the undo leaves its other rules and nothing of the script.
    """
    name, state = firewall
    before = tree(system / "root")
    ended = [run_shell(firewall_script(), system, each).returncode for each in ("apply", "apply", "show")]
    opened = state.read_text()
    undone = run_shell(firewall_script(), system, "undo")

    assert [0, 0, 0, 0] == [*ended, undone.returncode]
    assert f"other\n{OPEN[name]}" == opened
    assert "other\n" == state.read_text()
    assert before == tree(system / "root")


def test_a_port_that_was_open_before_stays_open(firewall: tuple[str, Path], system: Path) -> None:
    """
    The undo takes back what the script did, and nothing more.
    """
    name, state = firewall
    state.write_text(OPEN[name])
    said = run_shell(firewall_script(), system, "apply")
    run_shell(firewall_script(), system, "undo")

    assert "open already" in said.stdout
    assert OPEN[name] == state.read_text()


# --- The Linux agent ----------------------------------------------------------------------------------------------


APT_UPDATE, APT_INSTALL = "apt-get update", "apt-get install -y --no-remove walinuxagent"
APT_DEBIAN = "apt-get install -y --no-remove waagent"


def agent_script() -> str:
    """
    The script for the Linux agent.
    """
    return made(with_records(estate(), vm(os_type="Linux")))["agent-linux.sh"].content


def agent(system: Path, *said: str, active: bool = True) -> None:
    """
    Put an agent into a system that says of its version what *said* has.
    """
    tool(system, "waagent", "\n".join(f"echo '{each}'" for each in said))
    tool(
        system,
        "systemctl",
        f'echo "systemctl $*" >> {system / "log"}\ncase "$1" in is-active) exit {int(not active)};; esac',
    )


@pytest.mark.parametrize(
    ("version", "conf", "active", "failures"),
    [
        (("WALinuxAgent-2.2.53.1 running on ubuntu 18.04",), b"", True, 0),
        (("WALinuxAgent-2.2.46 running on ubuntu 18.04", "Goal state agent: 2.12.0.2"), b"", True, 0),
        (("WALinuxAgent-2.2.46 running on ubuntu 18.04", "Goal state agent: 2.2.46"), b"", True, 1),
        (("WALinuxAgent-2.2.53 running on x",), b"", True, 1),
        (("WALinuxAgent-2.10.0.8 running on x",), b"Extensions.Enabled=y\n#Extensions.Enabled=n\n", True, 0),
        (("WALinuxAgent-2.10.0.8 running on x",), b"a=b\nExtensions.Enabled=n\n", True, 1),
        (("WALinuxAgent-2.10.0.8 running on x",), b"", False, 1),
        (("no version",), b"", True, 1),
    ],
)
def test_the_agent_is_validated(
    system: Path, version: tuple[str, ...], conf: bytes, active: bool, failures: int
) -> None:
    """
    Version, extensions and service, each with its word; a command that ends with 1 when one fails.
    """
    agent(system, *version, active=active)
    (system / "root/etc/waagent.conf").write_bytes(conf)
    before = tree(system / "root")
    said = run_shell(agent_script(), system, "validate")

    assert (min(failures, 1), failures) == (said.returncode, said.stdout.count("FAIL:"))
    assert 3 == said.stdout.count("FAIL:") + said.stdout.count("PASS:")
    assert before == tree(system / "root")


def test_a_system_without_an_agent_fails_the_validation(system: Path) -> None:
    """
    It is said, whatever else is there.
    """
    said = run_shell(agent_script(), system, "validate")

    assert 1 == said.returncode
    assert "there is no agent" in said.stdout


@pytest.mark.parametrize(
    ("distribution", "tools", "calls", "unit"),
    [
        ("ID=ubuntu\n", ("apt-get",), [APT_UPDATE, APT_INSTALL], "walinuxagent"),
        ("ID=debian\n", ("apt-get",), [APT_UPDATE, APT_DEBIAN], "walinuxagent"),
        ("ID=kali\nID_LIKE=debian\n", ("apt-get",), [APT_UPDATE, APT_DEBIAN], "walinuxagent"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', ("apt-get",), [APT_UPDATE, APT_INSTALL], "walinuxagent"),
        ("ID=ubuntu\nID_LIKE=debian\n", ("apt-get",), [APT_UPDATE, APT_INSTALL], "walinuxagent"),
        ('ID="rhel"\n', ("yum", "dnf"), ["dnf -y install WALinuxAgent"], "waagent"),
        ('ID="ol"\nID_LIKE="fedora"\n', ("yum",), ["yum -y install WALinuxAgent"], "waagent"),
        ("ID=azurelinux\n", ("tdnf",), ["tdnf -y install WALinuxAgent"], "waagent"),
        ('ID="sles"\n', ("zypper",), ["zypper --non-interactive install python-azure-agent"], "waagent"),
    ],
)
def test_the_agent_is_installed_by_the_distributions_own_tool(
    system: Path, distribution: str, tools: tuple[str, ...], calls: list[str], unit: str
) -> None:
    """
    Once; a second time there is one already, and the undo removes what was installed here.
    """
    (system / "root/etc/os-release").write_text(distribution)
    before = tree(system / "root")
    agent(system, "WALinuxAgent-2.10.0.8 running on x")
    (system / "bin/waagent").rename(system / "waagent")
    arrives = f"mv {system / 'waagent'} {system / 'bin/waagent'} 2> /dev/null"
    for each in tools:
        tool(system, each, f'echo "{each} $*" >> {system / "log"}\n{arrives}\nexit 0')
    first = run_shell(agent_script(), system, "install")
    done = log(system)
    second = run_shell(agent_script(), system, "install")
    again = log(system)[len(done) :]
    package = done[-2].split()[-1]
    run_shell(agent_script(), system, "undo")

    assert (0, 0) == (first.returncode, second.returncode), first.stderr
    assert [*calls, f"systemctl enable --now {unit}"] == done
    assert [f"systemctl enable --now {unit}"] == again
    assert log(system)[-1].endswith(f" remove {package}")
    assert before == tree(system / "root")


def test_an_agent_that_was_there_is_never_removed(system: Path) -> None:
    """
    The undo is of this script's own installation.
    """
    agent(system, "WALinuxAgent-2.10.0.8 running on x")
    tool(system, "apt-get", f'echo "apt-get $*" >> {system / "log"}')
    run_shell(agent_script(), system, "install")
    said = run_shell(agent_script(), system, "undo")

    assert "nothing to undo" in said.stdout
    assert [] == [each for each in log(system) if "apt-get" in each]


def test_an_installation_that_failed_leaves_nothing_to_undo(system: Path) -> None:
    """
    Whoever brings an agent afterwards keeps it.
    """
    before = tree(system / "root")
    tool(system, "apt-get", f'echo "apt-get $*" >> {system / "log"}\n[ "$1" != install ] || exit 100')
    failed = run_shell(agent_script(), system, "install")
    agent(system, "WALinuxAgent-2.10.0.8 running on x")
    said = run_shell(agent_script(), system, "undo")

    assert (100, before) == (failed.returncode, tree(system / "root"))
    assert "nothing to undo" in said.stdout
    assert [] == [each for each in log(system) if " remove" in each]


@pytest.mark.parametrize(("distribution", "command"), [("ID=debian\n", APT_DEBIAN), ("ID=ubuntu\n", APT_INSTALL)])
def test_an_update_takes_the_distributions_own_package(system: Path, distribution: str, command: str) -> None:
    """
    By its own name, and the unit is restarted by its own.
    """
    (system / "root/etc/os-release").write_text(distribution)
    agent(system, "WALinuxAgent-2.10.0.8 running on x")
    tool(system, "apt-get", f'echo "apt-get $*" >> {system / "log"}')
    said = run_shell(agent_script(), system, "update", "no backup is running")

    assert 0 == said.returncode, said.stderr
    assert [APT_UPDATE, command, "systemctl restart walinuxagent"] == log(system)


def test_on_an_unknown_distribution_nothing_is_installed(system: Path) -> None:
    """
    No package is guessed.
    """
    (system / "root/etc/os-release").write_text("ID=plan9\n")
    said = run_shell(agent_script(), system, "install")

    assert 1 == said.returncode
    assert "No package" in said.stderr
    assert [] == log(system)


@pytest.mark.parametrize(("words", "done"), [((), False), (("yes",), False), (("no backup is running",), True)])
def test_the_agent_is_updated_only_by_who_says_that_no_backup_runs(
    system: Path, words: tuple[str, ...], done: bool
) -> None:
    """
    A script inside the VM cannot know: it names notebook 05, and wants the words.
    """
    agent(system, "WALinuxAgent-2.10.0.8 running on x")
    tool(system, "apt-get", f'echo "apt-get $*" >> {system / "log"}')
    said = run_shell(agent_script(), system, "update", *words)

    assert (0 if done else 1) == said.returncode
    assert done == (APT_INSTALL in log(system))
    assert done == ("systemctl restart walinuxagent" in log(system))
    assert done or "notebook 05" in said.stderr
