// Bulk API 2.0 of the sandbox with jsforce.
// Usage: NODE_EXTRA_CA_CERTS=STATE_DIR/ca.pem node jsforce_bulk.mjs STATE_DIR
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import jsforce from "jsforce";

const state = JSON.parse(readFileSync(`${process.argv[2]}/sandbox.json`, "utf8"));
const known = state.salesforce;
const client = new jsforce.Connection({
  oauth2: { loginUrl: state.login_url, clientId: known.client_id, clientSecret: known.client_secret },
  version: "66.0",
});
await client.login(known.username, known.password + known.security_token);
client.bulk2.pollInterval = 10;

const names = Array.from({ length: 260 }, (_, number) => `jsforce "${number}"`);
const input = names.map((LastName) => ({ LastName, Company: "One, two\nthree", Status: "Open - Not Contacted" }));
input.push({ LastName: "Refused", Company: "x", Status: "Open - Not Contacted" });
const loaded = await client.bulk2.loadAndWaitForResults({ object: "Lead", operation: "insert", input });
assert.deepEqual(new Set(loaded.successfulResults.map((row) => row.LastName)), new Set(names));
assert.ok(loaded.successfulResults.every((row) => row.sf__Created === "true" && row.sf__Id.length === 18));
assert.equal(loaded.failedResults.length, 1);
assert.match(loaded.failedResults[0].sf__Error, /^FIELD_CUSTOM_VALIDATION_EXCEPTION:.*:LastName --$/);
assert.equal(loaded.unprocessedRecords.length, 0);

const stream = await client.bulk2.query("SELECT Id, LastName, Company FROM Lead WHERE LastName LIKE 'jsforce%'");
const records = await stream.toArray();
assert.equal(records.length, names.length);
assert.ok(records.every((record) => record.Company === "One, two\nthree"));

const ids = loaded.successfulResults.map((row) => ({ Id: row.sf__Id }));
const deleted = await client.bulk2.loadAndWaitForResults({ object: "Lead", operation: "delete", input: ids });
assert.equal(deleted.successfulResults.length, ids.length);
const left = await client.query("SELECT COUNT() FROM Lead WHERE LastName LIKE 'jsforce%'");
assert.equal(left.totalSize, 0);

const job = client.bulk2.createJob({ object: "Lead", operation: "insert" });
await job.open();
await job.abort();
assert.equal((await job.check()).state, "Aborted");
await job.delete();
await assert.rejects(client.bulk2.query("SELECT Address FROM Lead"), /compound data/);
console.log("jsforce loads the sandbox as it loads Salesforce");
