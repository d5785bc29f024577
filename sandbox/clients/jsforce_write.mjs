// Writes to the sandbox with jsforce. Usage: NODE_EXTRA_CA_CERTS=STATE_DIR/ca.pem node jsforce_write.mjs STATE_DIR
// Single records and collections, all or none, what changed since. Everything it creates it deletes again.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import jsforce from "jsforce";

const state = JSON.parse(readFileSync(`${process.argv[2]}/sandbox.json`, "utf8"));
const known = state.salesforce;
const client = new jsforce.Connection({ loginUrl: state.login_url, version: "64.0" });
await client.login(known.username, known.password + known.security_token);
const since = new Date(Date.now() - 5 * 60_000);
const contact = client.sobject("Contact");
const account = client.sobject("Account");

const one = await contact.create({ LastName: "Žižek", Balance__c: -5.25, IsVip__c: true });
assert.ok(one.success && one.id.length === 18);
assert.ok((await contact.update({ Id: one.id, FirstName: "Zoë", Balance__c: null })).success);
const read = await contact.retrieve(one.id);
assert.equal(read.Name, "Zoë Žižek");
assert.equal(read.Balance__c, null);
const upserted = await contact.upsert({ ExternalKey__c: "js-force", LastName: "Key" }, "ExternalKey__c");
assert.ok(upserted.success);
await assert.rejects(contact.create({ FirstName: "x" }), { errorCode: "REQUIRED_FIELD_MISSING" });

const made = await account.create(
  Array.from({ length: 200 }, (_, n) => (n === 3 ? { Site: "no name" } : { Name: `Batch ${n}` })),
);
assert.equal(made.length, 200);
assert.deepEqual(made.map((entry) => entry.success).indexOf(false), 3);
assert.equal(made[3].errors[0].statusCode, "REQUIRED_FIELD_MISSING");
const ids = made.filter((entry) => entry.success).map((entry) => entry.id);

const changed = await account.update(ids.map((Id, n) => ({ Id, Site: `Site ${n}` })));
assert.ok(changed.every((entry) => entry.success));
assert.equal((await client.query("SELECT Id FROM Account WHERE Site LIKE 'Site %'")).totalSize, ids.length);
const none = await account.create([{ Name: "In vain" }, { Name: "Refused" }], { allOrNone: true });
assert.deepEqual(
  none.map((entry) => entry.errors[0].statusCode),
  ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "FIELD_CUSTOM_VALIDATION_EXCEPTION"],
);
assert.equal((await client.query("SELECT Id FROM Account WHERE Name = 'In vain'")).totalSize, 0);

const keys = [0, 1].map((n) => ({ ExternalKey__c: `js-${n}`, LastName: `Key ${n}` }));
for (const created of [true, false]) {
  const answer = await contact.upsert(keys, "ExternalKey__c");
  assert.deepEqual(answer.map((entry) => entry.created), [created, created]);
}
const found = await client.query("SELECT Id FROM Contact WHERE ExternalKey__c LIKE 'js-%'");
assert.equal(found.totalSize, 3);

const until = new Date(Date.now() + 86_400_000);
assert.ok((await account.updated(since, until)).ids.includes(ids[0]));
const gone = await account.destroy(ids);
assert.ok(gone.every((entry) => entry.success));
const log = await account.deleted(since, until);
const told = new Set(log.deletedRecords.map((entry) => entry.id));
assert.ok(ids.every((id) => told.has(id)));
assert.ok((await contact.destroy([one.id, ...found.records.map((record) => record.Id)])).every((entry) => entry.success));
await assert.rejects(contact.retrieve(one.id), { errorCode: "NOT_FOUND" });
console.log("jsforce writes to the sandbox as it writes to Salesforce");
