// The guide's job with Microsoft's clients for JavaScript: `node guide.mjs URL SUBSCRIPTION GROUP VM`.
// Prints what came of it as one JSON object.
import {ComputeManagementClient} from '@azure/arm-compute';
import {RecoveryServicesClient} from '@azure/arm-recoveryservices';
import {RecoveryServicesBackupClient} from '@azure/arm-recoveryservicesbackup';

const [url, subscription, group, name] = process.argv.slice(2);
const credential = {getToken: async () => ({token: 'any', expiresOnTimestamp: Date.now() + 3600000})};
const options = {endpoint: url, allowInsecureConnection: true, retryOptions: {maxRetries: 0}};
// The clients refuse to send a token without TLS; this policy sends it, to the loopback interface only.
const token = {
  name: 'token',
  sendRequest: (request, next) => {
    request.headers.set('Authorization', 'Bearer any');
    request.allowInsecureConnection = true;
    return next(request);
  },
};

function client(kind) {
  const made = new kind(credential, subscription, options);
  made.pipeline.removePolicy({name: 'bearerTokenAuthenticationPolicy'});
  made.pipeline.addPolicy(token);
  return made;
}

async function all(pages) {
  const rows = [];
  for await (const row of pages) {
    rows.push(row);
  }
  return rows;
}

const compute = client(ComputeManagementClient);
const services = client(RecoveryServicesClient);
const backup = client(RecoveryServicesBackupClient);

const vms = await all(compute.virtualMachines.listAll());
const vm = vms.find((each) => each.name === name);
const vault = await services.vaults.createOrUpdate(group, 'rsv-js', {
  location: vm.location,
  sku: {name: 'Standard'},
  properties: {
    publicNetworkAccess: 'Enabled',
    redundancySettings: {standardTierStorageRedundancy: 'LocallyRedundant', crossRegionRestore: 'Disabled'},
  },
});
const time = new Date('2026-01-01T19:00:00Z');
const policy = await backup.protectionPolicies.createOrUpdate('rsv-js', group, 'daily-js', {
  properties: {
    backupManagementType: 'AzureIaasVM',
    schedulePolicy: {
      schedulePolicyType: 'SimpleSchedulePolicy',
      scheduleRunFrequency: 'Daily',
      scheduleRunTimes: [time],
    },
    retentionPolicy: {
      retentionPolicyType: 'LongTermRetentionPolicy',
      dailySchedule: {retentionTimes: [time], retentionDuration: {count: 30, durationType: 'Days'}},
    },
    timeZone: 'UTC',
  },
});
await backup.protectionContainers.refresh('rsv-js', group, 'Azure');
const unique = `iaasvmcontainerv2;${vm.id.split('/')[4]};${name}`;
await backup.protectedItems.createOrUpdate('rsv-js', group, 'Azure', `IaasVMContainer;${unique}`, `VM;${unique}`, {
  properties: {
    protectedItemType: 'Microsoft.Compute/virtualMachines',
    sourceResourceId: vm.id,
    policyId: policy.id,
  },
});
let jobs = [];
do {
  await new Promise((resolve) => setTimeout(resolve, 100));
  jobs = await all(backup.backupJobs.list('rsv-js', group));
} while (jobs.some((each) => each.properties.status === 'InProgress'));
const items = await all(
  backup.backupProtectedItems.list('rsv-js', group, {filter: "backupManagementType eq 'AzureIaasVM'"}),
);
process.stdout.write(
  JSON.stringify({
    vms: vms.length,
    vault: vault.properties.provisioningState,
    redundancy: vault.properties.redundancySettings.standardTierStorageRedundancy,
    policy: policy.name,
    items: items.map((each) => each.properties.protectionState ?? each.properties.additionalProperties?.protectionState),
    operations: jobs.map((each) => each.properties.operation),
  }),
);
