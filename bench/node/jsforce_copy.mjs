// Salesforce by jsforce, page by page, into PostgreSQL by pg-copy-streams.
// Usage: NODE_EXTRA_CA_CERTS=STATE_DIR/ca.pem node jsforce_copy.mjs STATE_DIR; the signals are those of contest.py.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import jsforce from "jsforce";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";

const state = JSON.parse(readFileSync(`${process.argv[2]}/sandbox.json`, "utf8"));
const columns = JSON.parse(process.env.BENCH_COLUMNS);
const fields = columns.map((column) => column.field);
const target = process.env.BENCH_TARGET;
const known = state.salesforce;

const crm = new jsforce.Connection({
  oauth2: { loginUrl: state.login_url, clientId: known.client_id, clientSecret: known.client_secret },
  version: process.env.BENCH_VERSION,
});
await crm.login(known.username, known.password + known.security_token);
const database = new pg.Client();
await database.connect();
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const SPECIAL = /[\\\t\n\r]/g;
const ESCAPES = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function cell(value) {
  if (value === null || value === undefined) return "\\N";
  if (typeof value !== "string") return String(value);
  return value.replace(SPECIAL, (letter) => ESCAPES[letter]);
}

async function load() {
  await database.query("BEGIN");
  await database.query(`TRUNCATE ${target}`);
  const names = columns.map((column) => column.name).join(", ");
  const copy = database.query(copyFrom(`COPY ${target} (${names}) FROM STDIN`));
  const finished = once(copy, "finish");
  let rows = 0;
  let page = await crm.query(process.env.BENCH_QUERY);
  for (;;) {
    let text = "";
    for (const record of page.records) text += `${fields.map((field) => cell(record[field])).join("\t")}\n`;
    rows += page.records.length;
    if (!copy.write(text)) await once(copy, "drain");
    if (page.done) break;
    page = await crm.queryMore(page.nextRecordsUrl);
  }
  copy.end();
  await finished;
  await database.query("COMMIT");
  return rows;
}

console.log("ready");
await lines.next();
console.log("done", await load());
await lines.next();
await database.end();
process.exit(0);
