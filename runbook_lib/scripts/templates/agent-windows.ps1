<#
.SYNOPSIS
Install, update or check the Azure VM agent of a Windows VM.

.DESCRIPTION
The guide's table as commands: the agent's MSI, run as administrator, and the product version of WaAppAgent.exe in
C:\WindowsAzure\Packages, or in the folder of today's agents beside it. No script inside a VM can see whether a backup
job runs: look into notebook 05 before an update, then say that none does.

.PARAMETER Action
Validate says what is there, and ends with 1 when something is missing. Install installs the agent where there is none.
Update installs the newest one over it. Undo removes the agent, if it was this script that installed it; an update
cannot be taken back.

.PARAMETER Msi
The agent's MSI, when this VM cannot download it. It must be signed by Microsoft, as a downloaded one must.

.PARAMETER Confirmation
For Update: the words "no backup is running"; without them the script asks.
#>
#Requires -RunAsAdministrator
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [ValidateSet('Validate', 'Install', 'Update', 'Undo')]
    [string]$Action,
    [string]$Msi,
    [string]$Confirmation
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$MadeFor = %%target%%
$GuideMinimum = [version]%%guide_windows%%
$Minimum = [version]%%minimum_windows%%
$Sentence = 'no backup is running'
$Releases = 'https://api.github.com/repos/Azure/WindowsVMAgent/releases/latest'
$Folder = Join-Path $env:ProgramData 'azure-vm-backup-runbook'
$Kept = Join-Path $Folder 'agent.msi'

# The newest WaAppAgent.exe: in the guide's folder, or in that of an agent of today.
function Find-Agent {
    $places = 'C:\WindowsAzure\Packages\WaAppAgent.exe', 'C:\WindowsAzure\Packages\*\WaAppAgent.exe', 'C:\WindowsAzure\GuestAgent*\WaAppAgent.exe'
    Get-Item -Path $places -ErrorAction SilentlyContinue |
        Sort-Object { Get-Version -File $_ } |
        Select-Object -Last 1
}

function Get-Version {
    param($File)
    $said = [regex]::Match([string]$File.VersionInfo.ProductVersion, '\d+(\.\d+){1,3}').Value
    if ($said) { [version]$said } else { [version]'0.0' }
}

function Test-Agent {
    $agent = Find-Agent
    if (-not $agent) {
        'FAIL: WaAppAgent.exe is not there: there is no agent.'
        return
    }
    $found = Get-Version -File $agent
    "found: $($agent.FullName), product version $found"
    if ($found -lt $GuideMinimum) { "FAIL: older than $GuideMinimum, the guide's minimum." } else { "PASS: at least $GuideMinimum, the guide's minimum." }
    if ($found -lt $Minimum) { "FAIL: older than $Minimum, today's minimum." } else { "PASS: at least $Minimum, today's minimum." }
    foreach ($name in 'RdAgent', 'WindowsAzureGuestAgent') {
        $service = Get-Service -Name $name -ErrorAction SilentlyContinue
        if ($service -and $service.Status -eq 'Running') { "PASS: service $name runs." } else { "FAIL: service $name does not run." }
    }
}

function Get-Installer {
    New-Item -ItemType Directory -Path $Folder -Force | Out-Null
    $file = Join-Path $Folder 'download.msi'
    if ($Msi) {
        Copy-Item -LiteralPath $Msi -Destination $file -Force
    } else {
        [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
        $release = Invoke-RestMethod -Uri $Releases -UseBasicParsing
        $arm = $env:PROCESSOR_ARCHITECTURE -eq 'ARM64'
        $asset = $release.assets |
            Where-Object { $_.name -like '*.msi' -and ($_.name -like '*arm64*') -eq $arm } |
            Select-Object -First 1
        if (-not $asset) { throw "No MSI for this machine at $Releases. Download one, and name it with -Msi." }
        Invoke-WebRequest -Uri $asset.browser_download_url -OutFile $file -UseBasicParsing
    }
    $signature = Get-AuthenticodeSignature -LiteralPath $file
    if ($signature.Status -ne 'Valid' -or $signature.SignerCertificate.Subject -notlike '*O=Microsoft Corporation*') {
        Remove-Item -LiteralPath $file
        throw 'The MSI is not signed by Microsoft: nothing was installed.'
    }
    $file
}

function Start-Installer {
    param([string]$Switch, [string]$File)
    $run = Start-Process -FilePath 'msiexec.exe' -ArgumentList $Switch, "`"$File`"", '/quiet', '/norestart' -Wait -PassThru
    # 3010: done, and Windows wants to be restarted.
    if ($run.ExitCode -notin 0, 3010) { throw "msiexec ended with $($run.ExitCode)." }
    if ($run.ExitCode -eq 3010) { 'Windows wants to be restarted.' }
}

"made for: $MadeFor"
switch ($Action) {
    'Install' {
        if (Find-Agent) {
            'unchanged: there is an agent already.'
        } else {
            $file = Get-Installer
            Move-Item -LiteralPath $file -Destination $Kept -Force
            Start-Installer -Switch '/i' -File $Kept
        }
    }
    'Update' {
        if (-not (Find-Agent)) { throw 'There is no agent to update: use Install.' }
        if (-not $Confirmation) { $Confirmation = Read-Host "Look into notebook 05 first. Type '$Sentence' to go on" }
        if ($Confirmation -cne $Sentence) { throw "Nothing was changed: look into notebook 05 first, then say -Confirmation '$Sentence'." }
        $file = Get-Installer
        Start-Installer -Switch '/i' -File $file
        Remove-Item -LiteralPath $file
    }
    'Undo' {
        if (-not (Test-Path -LiteralPath $Kept)) {
            'This script did not install the agent: there is nothing to undo. An update cannot be taken back.'
            return
        }
        Start-Installer -Switch '/x' -File $Kept
        Remove-Item -LiteralPath $Kept
        if (-not (Get-ChildItem -LiteralPath $Folder)) { Remove-Item -LiteralPath $Folder }
        'removed: the agent that this script installed.'
        return
    }
}
$result = @(Test-Agent)
$result
if ($result -like 'FAIL:*') { exit 1 }
