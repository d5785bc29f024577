// Drives the sandbox's Dynamics face with DynamicsWebApi, a client its authors never saw.
//
// Usage: NODE_EXTRA_CA_CERTS=STATE_DIR/ca.pem node dynamics_web_api.mjs STATE_DIR
//
// It deletes what it creates.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DynamicsWebApi } from "dynamics-web-api";

const directory = process.argv[2];
const known = JSON.parse(readFileSync(join(directory, "sandbox.json"))).dynamics;

function check(holds, what) {
  if (!holds) {
    console.error(`not so: ${what}`);
    process.exit(1);
  }
  console.log(`ok: ${what}`);
}

const granted = await fetch(known.token_url, {
  method: "POST",
  body: new URLSearchParams({
    grant_type: "client_credentials",
    client_id: known.client_id,
    client_secret: known.client_secret,
    scope: `${known.organisation_url}/.default`,
  }),
});
const { access_token: accessToken } = await granted.json();
const api = new DynamicsWebApi({
  serverUrl: known.organisation_url,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => accessToken,
});

const who = await api.callFunction({ name: "WhoAmI" });
check(who.UserId, "the application signs in");

const all = await api.retrieveAll({ collection: "accounts", select: ["name"], maxPageSize: 50 });
const names = new Set(all.value.map((row) => row.accountid));
check(all.value.length > 100 && names.size === all.value.length, "all pages are read, no row twice");

const some = await api.retrieveMultiple({
  collection: "contacts",
  select: ["fullname", "_parentcustomerid_value"],
  filter: "_parentcustomerid_value ne null",
  orderBy: ["createdon desc"],
  top: 3,
  includeAnnotations: "*",
});
check(some.value.length === 3, "a filter, an order and a limit");
check(some.value.every((row) => row["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"]), "with annotations");

const account = await api.create({
  collection: "accounts",
  data: { name: "By DynamicsWebApi", revenue: 12.5, customertypecode: 3 },
  returnRepresentation: true,
  select: ["name", "revenue", "_transactioncurrencyid_value"],
});
check(account.name === "By DynamicsWebApi" && account.revenue === 12.5, "a row is made");
const contact = await api.create({
  collection: "contacts",
  data: { lastname: "Bound", "parentcustomerid_account@odata.bind": `/accounts(${account.accountid})` },
});
const bound = await api.retrieve({
  collection: "contacts",
  key: contact,
  select: ["lastname"],
  expand: [{ property: "parentcustomerid_account", select: ["name"] }],
});
check(bound.parentcustomerid_account.name === "By DynamicsWebApi", "and another that points at it");
await api.update({ collection: "accounts", key: account.accountid, data: { name: "Renamed" } });
const renamed = await api.retrieve({ collection: "accounts", key: account.accountid, select: ["name"] });
check(renamed.name === "Renamed", "changed");
const refused = await api
  .update({ collection: "accounts", key: "00000000-0000-4000-8000-00000000dead", data: { name: "None" } })
  .then(() => null, (error) => error);
check(refused?.code === "0x80040217", "what is not there is not made by a change");

const found = await api.fetch({
  collection: "accounts",
  fetchXml: `<fetch count="5"><entity name="account"><attribute name="name"/><order attribute="name"/></entity></fetch>`,
});
check(found.value.length === 5, "FetchXML is answered");
const fetched = await api.fetchAll({
  collection: "accounts",
  fetchXml: `<fetch count="90"><entity name="account"><attribute name="accountid"/></entity></fetch>`,
  includeAnnotations: "Microsoft.Dynamics.CRM.fetchxmlpagingcookie",
});
check(fetched.value.length === all.value.length + 1, "page by page by its cookies");

api.startBatch();
api.create({ collection: "contacts", data: { lastname: "One" }, inChangeSet: false });
api.deleteRecord({ collection: "contacts", key: contact, inChangeSet: false });
const [one] = await api.executeBatch();
check(typeof one === "string", "a batch makes and deletes");
api.startBatch();
api.deleteRecord({ collection: "contacts", key: one });
api.deleteRecord({ collection: "accounts", key: account.accountid });
await api.executeBatch();
const gone = await api.retrieve({ collection: "accounts", key: account.accountid }).catch((error) => error);
check(gone.status === 404, "a change set deletes");

const tables = await api.retrieveEntities({ select: ["LogicalName", "EntitySetName"] });
check(tables.value.some((table) => table.EntitySetName === "opportunities"), "tables are listed");
const columns = await api.retrieveAttributes({
  entityKey: "LogicalName='account'",
  castType: "Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
  select: ["LogicalName"],
  expand: [{ property: "OptionSet" }],
});
check(columns.value.some((column) => column.OptionSet.Options.length > 2), "and option sets");
