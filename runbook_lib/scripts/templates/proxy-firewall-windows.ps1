<#
.SYNOPSIS
On a proxy VM with Windows: let the other VMs reach the proxy's port, or take that back.

.DESCRIPTION
The guide's step 2 as commands: an inbound rule for all programs, TCP, the proxy's port, from any port. It has a name of
its own, so that Undo takes away nothing else. An NSG may narrow down who gets there.

.PARAMETER Action
Apply makes the rule; a second time changes nothing. Undo removes it. Show says whether it is there.
#>
#Requires -RunAsAdministrator
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [ValidateSet('Apply', 'Undo', 'Show')]
    [string]$Action
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProxyPort = %%proxy_port%%
$MadeFor = %%target%%
$Name = 'azure-vm-backup-runbook-proxy'

function Find-Rule { Get-NetFirewallRule -Name $Name -ErrorAction SilentlyContinue }

"made for: $MadeFor"
switch ($Action) {
    'Apply' {
        $wanted = @{
            Direction  = 'Inbound'
            Action     = 'Allow'
            Enabled    = 'True'
            Profile    = 'Any'
            Program    = 'Any'
            Protocol   = 'TCP'
            LocalPort  = $ProxyPort
            RemotePort = 'Any'
        }
        if (Find-Rule) {
            Set-NetFirewallRule -Name $Name @wanted
        } else {
            New-NetFirewallRule -Name $Name -DisplayName 'HTTP proxy for Azure Backup' @wanted | Out-Null
        }
        "open: TCP $ProxyPort"
    }
    'Undo' {
        if (Find-Rule) {
            Remove-NetFirewallRule -Name $Name
            "closed: TCP $ProxyPort"
        } else {
            'There is nothing to undo.'
        }
    }
    'Show' {
        $rule = Find-Rule
        if ($rule) { $rule | Get-NetFirewallPortFilter | Format-List Protocol, LocalPort, RemotePort } else { 'There is no rule of this script.' }
    }
}
