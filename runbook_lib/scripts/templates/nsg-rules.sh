#!/bin/sh
# Make the NSG rules of the plan with the Azure CLI, or take them back.
#
#   sh nsg-rules.sh apply    make the rules; a second time changes nothing
#   sh nsg-rules.sh undo     delete them, or put back what they were before
#
# The guide's command is one of classic Azure PowerShell, with ports 80-443; these are for Azure Resource Manager.
# Sign in first: az login. `runbook run ... --apply` makes the same rules, and leaves evidence.
set -eu

made_for=%%target%%

apply() {
    set -x
%%apply%%
}

undo() {
    set -x
%%undo%%
}

printf '%s\n' "made for: $made_for"
case ${1:-} in
apply | undo) "$1" ;;
*)
    printf '%s\n' "usage: sh nsg-rules.sh apply|undo" >&2
    exit 1
    ;;
esac
