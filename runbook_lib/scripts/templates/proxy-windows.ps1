<#
.SYNOPSIS
Send a Windows VM's system account through an HTTP proxy, or take that back.

.DESCRIPTION
The VM agent and the backup extension run as the local system account. The guide sets its proxy by starting Internet
Explorer in that account with PsExec; Internet Explorer is gone, and netsh sets the machine's WinHTTP proxy instead.
A proxy that asks for a password is not supported.

.PARAMETER Action
Apply sets the proxy; a second time changes nothing. Undo puts back what was there. Show says what is set now.

.PARAMETER CopyFromUser
With Apply: do what the guide's script does as well, and copy the proxy settings of the account that runs this to the
system account (HKEY_USERS\S-1-5-18).
#>
#Requires -RunAsAdministrator
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [ValidateSet('Apply', 'Undo', 'Show')]
    [string]$Action,
    [switch]$CopyFromUser
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProxyHost = %%proxy_host%%
$ProxyPort = %%proxy_port%%
$MadeFor = %%target%%
$Proxy = $ProxyHost + ':' + $ProxyPort
# The platform's own addresses are reached directly: the agent's 168.63.129.16 and the instance metadata service.
$Direct = '168.63.129.16;169.254.169.254;<local>'

$Folder = Join-Path $env:ProgramData 'azure-vm-backup-runbook'
$Kept = Join-Path $Folder 'proxy.json'
$Settings = 'Software\Microsoft\Windows\CurrentVersion\Internet Settings'
$WinHttp = @{ Path = "Registry::HKEY_LOCAL_MACHINE\$Settings\Connections"; Name = 'WinHttpSettings' }
# The four values of the guide's script, and where it takes them from.
$Copied = @(
    @{ Path = "Registry::HKEY_USERS\S-1-5-18\$Settings\Connections"; Name = 'DefaultConnectionSettings'; From = "Registry::HKEY_CURRENT_USER\$Settings\Connections" }
    @{ Path = "Registry::HKEY_USERS\S-1-5-18\$Settings\Connections"; Name = 'SavedLegacySettings'; From = "Registry::HKEY_CURRENT_USER\$Settings\Connections" }
    @{ Path = "Registry::HKEY_USERS\S-1-5-18\$Settings"; Name = 'ProxyEnable'; From = "Registry::HKEY_CURRENT_USER\$Settings" }
    @{ Path = "Registry::HKEY_USERS\S-1-5-18\$Settings"; Name = 'ProxyServer'; From = "Registry::HKEY_CURRENT_USER\$Settings" }
)

function Test-Value {
    param([string]$Path, [string]$Name)
    (Test-Path -LiteralPath $Path) -and ((Get-Item -LiteralPath $Path).Property -contains $Name)
}

# A registry value as JSON can hold it; a value that is not there has no kind.
function Read-Value {
    param([string]$Path, [string]$Name)
    $found = @{ Path = $Path; Name = $Name; Kind = ''; Data = '' }
    if (Test-Value -Path $Path -Name $Name) {
        $key = Get-Item -LiteralPath $Path
        $found.Kind = [string]$key.GetValueKind($Name)
        $value = $key.GetValue($Name, $null, 'DoNotExpandEnvironmentNames')
        $found.Data = if ($found.Kind -eq 'Binary') { [Convert]::ToBase64String($value) } else { [string]$value }
    }
    $found
}

function Write-Value {
    param($Value)
    if (-not $Value.Kind) {
        if (Test-Value -Path $Value.Path -Name $Value.Name) {
            Remove-ItemProperty -LiteralPath $Value.Path -Name $Value.Name
        }
        return
    }
    $data = switch ($Value.Kind) {
        'Binary' { , [Convert]::FromBase64String($Value.Data) }
        'DWord' { [int]$Value.Data }
        default { $Value.Data }
    }
    if (-not (Test-Path -LiteralPath $Value.Path)) { New-Item -Path $Value.Path -Force | Out-Null }
    New-ItemProperty -LiteralPath $Value.Path -Name $Value.Name -PropertyType $Value.Kind -Value $data -Force | Out-Null
}

# Keep what was there before the first time; later ones must not replace it.
function Save-Before {
    if (Test-Path -LiteralPath $Kept) { return }
    New-Item -ItemType Directory -Path $Folder -Force | Out-Null
    $before = @($WinHttp) + $Copied | ForEach-Object { Read-Value -Path $_.Path -Name $_.Name }
    ConvertTo-Json -InputObject @($before) | Set-Content -LiteralPath "$Kept.part" -Encoding UTF8
    Move-Item -LiteralPath "$Kept.part" -Destination $Kept
}

"made for: $MadeFor"
switch ($Action) {
    'Apply' {
        Save-Before
        & netsh.exe winhttp set proxy "proxy-server=$Proxy" "bypass-list=$Direct" | Out-Null
        if ($LASTEXITCODE -ne 0) { throw "netsh winhttp set proxy ended with $LASTEXITCODE." }
        "set: the machine's WinHTTP proxy is $Proxy"
        if ($CopyFromUser) {
            foreach ($each in $Copied) {
                $value = Read-Value -Path $each.From -Name $each.Name
                $value.Path = $each.Path
                Write-Value -Value $value
                "copied to the system account: $($each.Name)"
            }
        }
        'It counts once the agent was restarted, while no backup runs: Restart-Service RdAgent, WindowsAzureGuestAgent'
    }
    'Undo' {
        if (-not (Test-Path -LiteralPath $Kept)) {
            'There is nothing to undo.'
            return
        }
        foreach ($value in @(Get-Content -LiteralPath $Kept -Raw -Encoding UTF8 | ConvertFrom-Json)) {
            foreach ($each in $value) { Write-Value -Value $each }
        }
        Remove-Item -LiteralPath $Kept
        if (-not (Get-ChildItem -LiteralPath $Folder)) { Remove-Item -LiteralPath $Folder }
        'Put back: the proxy settings are as they were before the first Apply.'
    }
    'Show' {
        & netsh.exe winhttp show proxy
        foreach ($each in $Copied | Where-Object { $_.Name -like 'Proxy*' }) {
            $value = Read-Value -Path $each.Path -Name $each.Name
            "system account, $($each.Name): $(if ($value.Kind) { $value.Data } else { 'not set' })"
        }
    }
}
