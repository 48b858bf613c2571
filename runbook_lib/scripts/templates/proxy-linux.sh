#!/bin/sh
# Send the Azure Linux agent and the backup extension through an HTTP proxy, or take that back.
#
#   sh proxy-linux.sh apply    set the proxy; a second time changes nothing
#   sh proxy-linux.sh undo     put every file back as it was, byte for byte
#   sh proxy-linux.sh show     say what is set now
#
# What it writes:
#   /etc/environment    http_proxy, as the guide has it
#   /etc/waagent.conf   HttpProxy.Host and HttpProxy.Port, as the guide has it; the backup extension reads them
#   a drop-in for the agent's systemd unit: today's way, which other extensions inherit
# A proxy that asks for a password is not supported by the agent.
# RUNBOOK_ROOT=/some/folder works on a copy of a file system instead, for a rehearsal.
set -eu
export LC_ALL=C
umask 022

proxy_host=%%proxy_host%%
proxy_port=%%proxy_port%%
made_for=%%target%%

root=${RUNBOOK_ROOT:-}
home=$root/var/lib/azure-vm-backup-runbook
kept=$home/proxy
environment=$root/etc/environment
agent_conf=$root/etc/waagent.conf
# The platform's own addresses are reached directly: the agent's 168.63.129.16 and the instance metadata service.
direct=localhost,127.0.0.1,168.63.129.16,169.254.169.254

say() { printf '%s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

unit_name() {
    for name in walinuxagent waagent; do
        for folder in etc lib usr/lib; do
            if [ -f "$root/$folder/systemd/system/$name.service" ]; then
                say "$name"
                return
            fi
        done
    done
}

# with_line KEY LINE: copy the input; where KEY is set, LINE stands instead; where it is not, LINE is added at the end.
with_line() {
    KEY=$1 LINE=$2 awk '
        {
            name = $0
            sub(/^[ \t]*(export[ \t]+)?/, "", name)
            cut = index(name, "=")
            name = cut ? substr(name, 1, cut - 1) : ""
            sub(/[ \t]+$/, "", name)
            if (name == ENVIRON["KEY"]) { print ENVIRON["LINE"]; found = 1 } else print
        }
        END { if (!found) print ENVIRON["LINE"] }
    '
}

wanted_environment() {
    with_line http_proxy "http_proxy=http://$proxy_host:$proxy_port"
}

wanted_agent_conf() {
    with_line HttpProxy.Host "HttpProxy.Host=$proxy_host" | with_line HttpProxy.Port "HttpProxy.Port=$proxy_port"
}

wanted_drop_in() {
    cat > /dev/null
    say "[Service]"
    say "Environment=\"http_proxy=http://$proxy_host:$proxy_port\""
    say "Environment=\"https_proxy=http://$proxy_host:$proxy_port\""
    say "Environment=\"no_proxy=$direct\""
}

# now FILE: its content; nothing where there is no such file.
now() { if [ -e "$1" ]; then cat "$1"; fi; }

# prepare NAME FILE: keep what FILE was before the first time, and write what it is to be beside that.
prepare() {
    if [ ! -e "$kept/$1.before" ] && [ ! -e "$kept/$1.absent" ]; then
        if [ -e "$2" ]; then
            cp -p "$2" "$kept/$1.part"
            mv "$kept/$1.part" "$kept/$1.before"
        else
            : > "$kept/$1.absent"
        fi
    elif [ -e "$kept/$1.after" ] && ! is_ours "$1" "$2"; then
        fail "$2 was changed by somebody else since this script wrote it. Compare it with $kept/$1.after, then settle it by hand."
    fi
    now "$2" | "wanted_$1" > "$kept/$1.next"
}

# is_ours NAME FILE: whether FILE is as it was before, or as this script left it.
is_ours() {
    if [ -e "$2" ]; then
        cmp -s "$2" "$kept/$1.after" || { [ -e "$kept/$1.before" ] && cmp -s "$2" "$kept/$1.before"; }
    else
        [ -e "$kept/$1.absent" ]
    fi
}

# put NAME FILE: make FILE what was prepared; its owner and mode stay.
put() {
    mv "$kept/$1.next" "$kept/$1.after"
    if [ -e "$2" ] && cmp -s "$2" "$kept/$1.after"; then
        say "unchanged: $2"
    else
        cat "$kept/$1.after" > "$2"
        say "written: $2"
    fi
}

# check_undo NAME FILE: stop before anything is touched where FILE is not ours any more.
check_undo() {
    [ -e "$kept/$1.after" ] || return 0
    is_ours "$1" "$2" || fail "$2 was changed by somebody else since this script wrote it. Settle it by hand: what it was is in $kept."
}

put_back() {
    # Nothing was written yet when the script was stopped.
    [ -e "$kept/$1.after" ] || return 0
    if [ -e "$kept/$1.before" ]; then
        cmp -s "$2" "$kept/$1.before" || cat "$kept/$1.before" > "$2"
        say "put back: $2"
    elif [ -e "$kept/$1.absent" ]; then
        rm -f "$2"
        say "removed: $2"
    fi
}

restart_hint() {
    [ -n "$unit" ] || return 0
    if [ -z "$root" ] && command -v systemctl > /dev/null 2>&1; then systemctl daemon-reload; fi
    say "It counts once the agent was restarted, while no backup runs: systemctl restart $unit"
}

apply() {
    [ -e "$agent_conf" ] || fail "$agent_conf is not there: install the agent first (agent-linux.sh). Nothing was changed."
    mkdir -p "$kept"
    if [ -n "$unit" ] && [ ! -d "$(dirname "$drop_in")" ]; then
        mkdir "$(dirname "$drop_in")"
        : > "$kept/folder.made"
    fi
    prepare environment "$environment"
    prepare agent_conf "$agent_conf"
    [ -z "$unit" ] || prepare drop_in "$drop_in"
    put environment "$environment"
    put agent_conf "$agent_conf"
    [ -z "$unit" ] || put drop_in "$drop_in"
    restart_hint
}

undo() {
    if [ ! -d "$kept" ]; then
        say "There is nothing to undo."
        return
    fi
    check_undo environment "$environment"
    check_undo agent_conf "$agent_conf"
    [ -z "$unit" ] || check_undo drop_in "$drop_in"
    put_back environment "$environment"
    put_back agent_conf "$agent_conf"
    [ -z "$unit" ] || put_back drop_in "$drop_in"
    if [ -e "$kept/folder.made" ]; then rmdir "$(dirname "$drop_in")" 2> /dev/null || say "kept, for it is in use: $(dirname "$drop_in")"; fi
    rm -r "$kept"
    rmdir "$home" 2> /dev/null || say "kept, for it is in use: $home"
    restart_hint
}

show() {
    for file in "$environment" "$agent_conf" "$drop_in"; do
        if [ ! -e "$file" ]; then continue; fi
        say "$file"
        grep -E '^[^#]*(http_proxy|https_proxy|no_proxy|HttpProxy[.](Host|Port))' "$file" || say "  no proxy is set"
    done
}

say "made for: $made_for"
unit=$(unit_name)
drop_in=$root/etc/systemd/system/${unit:-waagent}.service.d/50-azure-vm-backup-runbook.conf
if [ "${1:-}" != show ] && [ -z "$root" ] && [ "$(id -u)" != 0 ]; then fail "Run this as root."; fi
case ${1:-} in
apply | undo | show) "$1" ;;
*) fail "usage: sh proxy-linux.sh apply|undo|show" ;;
esac
