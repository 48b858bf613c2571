#!/bin/sh
# On a proxy VM with Linux: let the other VMs reach the proxy's port, or take that back.
#
#   sh proxy-firewall-linux.sh apply    open the port in ufw, firewalld or iptables, whichever is active
#   sh proxy-firewall-linux.sh undo     close it again, if it was this script that opened it
#   sh proxy-firewall-linux.sh show     say whether it is open
#
# As in the guide's step 2: TCP, the proxy's port, from any port. An NSG may narrow down who gets there.
set -eu
export LC_ALL=C

proxy_port=%%proxy_port%%
made_for=%%target%%

root=${RUNBOOK_ROOT:-}
home=$root/var/lib/azure-vm-backup-runbook
opened=$home/firewall

say() { printf '%s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}
has() { command -v "$1" > /dev/null 2>&1; }

active() {
    if has ufw && ufw status | grep -q '^Status: active'; then
        say ufw
    elif has firewall-cmd && firewall-cmd --state > /dev/null 2>&1; then
        say firewalld
    elif has iptables; then
        say iptables
    fi
}

is_open() {
    case $1 in
    ufw) ufw show added | grep -q -x -F "ufw allow $proxy_port/tcp" ;;
    firewalld) firewall-cmd --quiet --permanent --query-port="$proxy_port/tcp" ;;
    iptables) iptables -C INPUT -p tcp --dport "$proxy_port" -j ACCEPT 2> /dev/null ;;
    esac
}

set_open() {
    case $1 in
    ufw) ufw allow "$proxy_port/tcp" ;;
    firewalld)
        firewall-cmd --quiet --permanent --add-port="$proxy_port/tcp"
        firewall-cmd --quiet --reload
        ;;
    iptables)
        iptables -I INPUT -p tcp --dport "$proxy_port" -j ACCEPT
        say "iptables forgets this at the next start: save the rules as your distribution does."
        ;;
    esac
}

set_closed() {
    case $1 in
    ufw) ufw delete allow "$proxy_port/tcp" ;;
    firewalld)
        firewall-cmd --quiet --permanent --remove-port="$proxy_port/tcp"
        firewall-cmd --quiet --reload
        ;;
    iptables) iptables -D INPUT -p tcp --dport "$proxy_port" -j ACCEPT ;;
    esac
}

apply() {
    firewall=$(active)
    if [ -z "$firewall" ]; then
        say "No firewall is active here: nothing to open."
    elif is_open "$firewall"; then
        say "open already in $firewall: $proxy_port/tcp"
    else
        mkdir -p "$home"
        say "$firewall" > "$opened"
        set_open "$firewall"
        say "opened in $firewall: $proxy_port/tcp"
    fi
}

undo() {
    if [ ! -e "$opened" ]; then
        say "This script opened nothing: there is nothing to undo."
        return
    fi
    firewall=$(cat "$opened")
    if is_open "$firewall"; then set_closed "$firewall"; fi
    rm "$opened"
    rmdir "$home" 2> /dev/null || say "kept, for it is in use: $home"
    say "closed in $firewall: $proxy_port/tcp"
}

show() {
    firewall=$(active)
    if [ -n "$firewall" ] && is_open "$firewall"; then
        say "open in $firewall: $proxy_port/tcp"
    else
        say "not opened in ${firewall:-any firewall}: $proxy_port/tcp"
    fi
}

say "made for: $made_for"
if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then fail "Run this as root."; fi
case ${1:-} in
apply | undo | show) "$1" ;;
*) fail "usage: sh proxy-firewall-linux.sh apply|undo|show" ;;
esac
