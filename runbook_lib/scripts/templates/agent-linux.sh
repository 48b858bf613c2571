#!/bin/sh
# Install, update or check the Azure Linux agent.
#
#   sh agent-linux.sh validate                           say what is there; ends with 1 when something is missing
#   sh agent-linux.sh install                            install the distribution's package where there is none
#   sh agent-linux.sh update "no backup is running"      update it; look into notebook 05 first
#   sh agent-linux.sh undo                               remove the package, if it was this script that installed it
#
# The guide takes the agent from GitHub; today the distribution's own package is advised.
# No script inside a VM can see whether a backup job runs, so an update wants you to say that none does.
set -eu
export LC_ALL=C

minimum=%%minimum_linux%%
made_for=%%target%%
sentence="no backup is running"

root=${RUNBOOK_ROOT:-}
home=$root/var/lib/azure-vm-backup-runbook
installed=$home/agent

say() { printf '%s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}
has() { command -v "$1" > /dev/null 2>&1; }

distribution() {
    [ -e "$root/etc/os-release" ] || fail "/etc/os-release is not there, so the distribution is not known. Install the agent as its vendor says."
    # In a shell of its own: the file sets names of its own.
    (
        . "$root/etc/os-release"
        say "${ID:-} ${ID_LIKE:-}"
    )
}

# Sets package, unit, and the tool that installs.
choose() {
    unit=waagent yes=-y
    for name in $(distribution); do
        case $name in
        ubuntu)
            package=walinuxagent unit=walinuxagent tool=apt-get
            return
            ;;
        debian)
            # Debian's package has a name of its own; its unit is called as on Ubuntu.
            package=waagent unit=walinuxagent tool=apt-get
            return
            ;;
        azurelinux | mariner)
            package=WALinuxAgent tool=tdnf
            return
            ;;
        rhel | centos | fedora | ol | almalinux | rocky)
            package=WALinuxAgent tool=yum
            if has dnf; then tool=dnf; fi
            return
            ;;
        sles | suse | opensuse)
            package=python-azure-agent tool=zypper yes=--non-interactive
            return
            ;;
        esac
    done
    fail "No package of the agent is known for this distribution. Install it as its vendor says, or see https://github.com/Azure/WALinuxAgent."
}

run_tool() {
    case "$tool $1" in
    "apt-get install" | "apt-get update")
        # apt's own word for an update of one package is install.
        apt-get update
        # Debian's package conflicts with network-manager: what would be removed for it is a person's to decide.
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-remove "$package"
        ;;
    *) "$tool" "$yes" "$1" "$package" ;;
    esac
}

# The agent that works is the newer of the package and what it updated itself to (the goal state agent).
version() {
    waagent --version 2> /dev/null | awk '
        match($0, /WALinuxAgent-[0-9.]+/) { print substr($0, RSTART + 13, RLENGTH - 13) }
        match($0, /Goal state agent: [0-9.]+/) { print substr($0, RSTART + 18, RLENGTH - 18) }
    ' | sort -t . -k 1,1n -k 2,2n -k 3,3n -k 4,4n | tail -n 1
}

# is_enough VERSION MINIMUM
is_enough() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -t . -k 1,1n -k 2,2n -k 3,3n -k 4,4n | head -n 1)" = "$2" ]
}

validate() {
    verdict=0
    if ! has waagent; then
        say "FAIL: there is no agent (no command waagent)."
        return 1
    fi
    found=$(version)
    if [ -z "$found" ]; then
        say "FAIL: waagent --version tells no version."
        verdict=1
    elif is_enough "$found" "$minimum"; then
        say "PASS: agent $found; at least $minimum is supported."
    else
        say "FAIL: agent $found is older than $minimum."
        verdict=1
    fi
    conf=$root/etc/waagent.conf
    if [ -e "$conf" ] && grep -q -i -E '^[[:space:]]*Extensions[.]Enabled[[:space:]]*=[[:space:]]*n' "$conf"; then
        say "FAIL: $conf has Extensions.Enabled=n: the backup extension cannot be installed. Set it to y and restart the agent."
        verdict=1
    else
        say "PASS: extensions are enabled."
    fi
    if has systemctl; then
        if systemctl is-active --quiet waagent || systemctl is-active --quiet walinuxagent; then
            say "PASS: the agent runs."
        else
            say "FAIL: the agent does not run: systemctl start waagent (Ubuntu, Debian: walinuxagent)."
            verdict=1
        fi
    fi
    return $verdict
}

install() {
    if has waagent; then
        say "unchanged: there is an agent already."
    else
        choose
        run_tool install
        # Only now: what undo removes must have come by this script.
        mkdir -p "$home"
        say "$package" > "$installed"
    fi
    if has systemctl; then
        if [ -z "${package:-}" ]; then choose; fi
        systemctl enable --now "$unit"
    fi
    validate
}

update() {
    has waagent || fail "There is no agent to update: use install."
    choose
    said=${1:-}
    if [ -z "$said" ] && [ -t 0 ]; then
        printf 'Look into notebook 05 first. Type "%s" to go on: ' "$sentence"
        read -r said
    fi
    if [ "$said" != "$sentence" ]; then
        fail "Nothing was changed: look into notebook 05 first, then say: sh agent-linux.sh update \"$sentence\""
    fi
    run_tool update
    if has systemctl; then systemctl restart "$unit"; fi
    validate
}

undo() {
    if [ ! -e "$installed" ]; then
        say "This script did not install the agent: there is nothing to undo. An update cannot be taken back."
        return
    fi
    choose
    run_tool remove
    rm "$installed"
    rmdir "$home" 2> /dev/null || say "kept, for it is in use: $home"
}

say "made for: $made_for"
action=${1:-}
if [ "$action" != validate ] && [ -z "$root" ] && [ "$(id -u)" != 0 ]; then fail "Run this as root."; fi
case $action in
validate | install | undo) "$action" ;;
update) update "${2:-}" ;;
*) fail "usage: sh agent-linux.sh validate|install|update|undo" ;;
esac
