// Reads the sandbox with jsforce. Usage: NODE_EXTRA_CA_CERTS=STATE_DIR/ca.pem node jsforce_read.mjs STATE_DIR
// Sign-in goes by OAuth password grant and by SOAP; then describe, query, queryMore, retrieve, limits.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import jsforce from "jsforce";

const state = JSON.parse(readFileSync(`${process.argv[2]}/sandbox.json`, "utf8"));
const known = state.salesforce;
const password = known.password + known.security_token;

const soap = new jsforce.Connection({ loginUrl: state.login_url, version: "64.0" });
await soap.login(known.username, password);
const oauth = new jsforce.Connection({
  oauth2: { loginUrl: state.login_url, clientId: known.client_id, clientSecret: known.client_secret },
  version: "64.0",
});
const user = await oauth.login(known.username, password);
assert.equal(user.id.length, 18);

for (const client of [soap, oauth]) {
  assert.equal(client.instanceUrl, state.instance_url);
  const global = await client.describeGlobal();
  assert.ok(global.sobjects.some((entry) => entry.name === "AllTypes__c"));
  const account = await client.sobject("Account").describe();
  assert.equal(account.fields[0].name, "Id");

  let page = await client.query("SELECT Id, Name FROM Contact");
  const total = page.totalSize;
  const records = [...page.records];
  while (!page.done) {
    page = await client.queryMore(page.nextRecordsUrl);
    records.push(...page.records);
  }
  assert.equal(new Set(records.map((record) => record.Id)).size, total);

  const ids = records.slice(0, 50).map((record) => record.Id);
  const retrieved = await client.sobject("Contact").retrieve(ids);
  assert.deepEqual(retrieved.map((record) => record.Id), ids);
  await assert.rejects(client.query("SELECT Nope FROM Account"), { errorCode: "INVALID_FIELD" });
  const limits = await client.request("/services/data/v64.0/limits");
  assert.ok(limits.DailyApiRequests.Remaining < limits.DailyApiRequests.Max);
}
await assert.rejects(
  new jsforce.Connection({ loginUrl: state.login_url, version: "64.0" }).login(known.expired_username, password),
);
console.log("jsforce reads the sandbox as it reads Salesforce");
