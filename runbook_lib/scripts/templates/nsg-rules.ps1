<#
.SYNOPSIS
Make the NSG rules of the plan with Az PowerShell, or take them back.

.DESCRIPTION
The guide's command is one of classic Azure PowerShell (Set-AzureNetworkSecurityRule), with ports 80-443; these are for
Azure Resource Manager. Sign in first: Connect-AzAccount. `runbook run ... --apply` makes the same
rules, and leaves evidence.

.PARAMETER Action
Apply makes the rules; a second time changes nothing. Undo deletes them, or puts back what they were before.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [ValidateSet('Apply', 'Undo')]
    [string]$Action
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$MadeFor = %%target%%

function Get-Group {
    param([string]$Subscription, [string]$ResourceGroupName, [string]$NsgName)
    Set-AzContext -Subscription $Subscription | Out-Null
    Get-AzNetworkSecurityGroup -ResourceGroupName $ResourceGroupName -Name $NsgName
}

function Set-Rule {
    param(
        [string]$Subscription, [string]$ResourceGroupName, [string]$NsgName, [string]$Name,
        [int]$Priority, [string]$Direction, [string]$Access, [string]$Protocol, [string]$Description,
        [string[]]$SourceAddressPrefix, [string[]]$DestinationAddressPrefix, [string[]]$DestinationPortRange
    )
    $group = Get-Group -Subscription $Subscription -ResourceGroupName $ResourceGroupName -NsgName $NsgName
    $rule = @{
        NetworkSecurityGroup     = $group
        Name                     = $Name
        Priority                 = $Priority
        Direction                = $Direction
        Access                   = $Access
        Protocol                 = $Protocol
        SourceAddressPrefix      = $SourceAddressPrefix
        SourcePortRange          = '*'
        DestinationAddressPrefix = $DestinationAddressPrefix
        DestinationPortRange     = $DestinationPortRange
    }
    if ($Description) { $rule.Description = $Description }
    if ($group.SecurityRules | Where-Object { $_.Name -eq $Name }) {
        Set-AzNetworkSecurityRuleConfig @rule | Out-Null
    } else {
        Add-AzNetworkSecurityRuleConfig @rule | Out-Null
    }
    Set-AzNetworkSecurityGroup -NetworkSecurityGroup $group | Out-Null
    "set: $Name in $NsgName"
}

function Remove-Rule {
    param([string]$Subscription, [string]$ResourceGroupName, [string]$NsgName, [string]$Name)
    $group = Get-Group -Subscription $Subscription -ResourceGroupName $ResourceGroupName -NsgName $NsgName
    if ($group.SecurityRules | Where-Object { $_.Name -eq $Name }) {
        Remove-AzNetworkSecurityRuleConfig -NetworkSecurityGroup $group -Name $Name | Out-Null
        Set-AzNetworkSecurityGroup -NetworkSecurityGroup $group | Out-Null
        "removed: $Name from $NsgName"
    }
}

"made for: $MadeFor"
if ($Action -eq 'Apply') {
%%apply%%
} else {
%%undo%%
}
