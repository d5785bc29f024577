-- Ten minutes with crm_fdw. The CRM behind it is a sandbox on this machine that speaks Salesforce's protocol;
-- with a real account only the address and the credentials would differ.
CREATE EXTENSION crm_fdw;
-- An external account is a server. Credentials live in the user mapping, never in the server.
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url :'login_url', ca_file :'ca_file');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (
    username :'username', password :'password', security_token :'security_token',
    client_id :'client_id', client_secret :'client_secret');
-- Does it work, and who am I there?
SELECT user_name, organization, api_version, auth FROM crm.check('sf');
-- What can be collected? The first few of what there is.
SELECT object, label, custom, insertable, updatable, deletions_tracked FROM crm.tables('sf') WHERE selectable LIMIT 8;
-- What has an object?
SELECT field, remote_type, local_type, length, filterable FROM crm.fields('sf', 'Opportunity') LIMIT 8;
-- Collect three objects as foreign tables. No record is read: only their description.
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, contact, opportunity) FROM SERVER sf INTO sf;
SELECT crm.comment('sf');
-- Plain SQL from here on. Names typed as in the CRM work, for they fold to lower case.
SELECT Name, AnnualRevenue, NumberOfEmployees FROM sf.Account WHERE AnnualRevenue > 1e6 ORDER BY AnnualRevenue DESC LIMIT 5;
-- What was sent for it? Filter, order and limit all went to the CRM: one call.
EXPLAIN (VERBOSE, COSTS OFF) SELECT Name, AnnualRevenue FROM sf.Account WHERE AnnualRevenue > 1e6 ORDER BY AnnualRevenue DESC LIMIT 5;
-- Text is compared here unless you ask for more: the plan names the rule that kept it local.
EXPLAIN (VERBOSE, COSTS OFF) SELECT Name FROM sf.Account WHERE Name = 'Omba 230' AND NumberOfEmployees > 100;
-- With pushdown 'extended' the CRM narrows it down first, and it is checked again here, for CRMs ignore case.
ALTER FOREIGN TABLE sf.account OPTIONS (ADD pushdown 'extended');
EXPLAIN (VERBOSE, COSTS OFF) SELECT Name FROM sf.Account WHERE Name = 'Omba 230' AND NumberOfEmployees > 100;
SELECT Name, BillingCity FROM sf.Account WHERE Name = 'Omba 230' AND NumberOfEmployees > 100;
-- A count is one call, whatever the size of the object.
EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM sf.Opportunity WHERE Amount >= 100000;
SELECT count(*) FROM sf.Opportunity WHERE Amount >= 100000;
-- Joins are PostgreSQL's own: revenue by stage and state.
SELECT a.BillingState, o.StageName, count(*), sum(o.Amount)
  FROM sf.Opportunity o JOIN sf.Account a ON a.Id = o.AccountId
 WHERE o.CloseDate >= DATE '2021-01-01' GROUP BY 1, 2 ORDER BY 4 DESC NULLS LAST LIMIT 5;
-- Records by identifier are fetched in batches, up to 2,000 a call.
SELECT Id, LastName FROM crm.fetch(NULL::sf.contact, ARRAY(SELECT id FROM sf.contact LIMIT 3)) ORDER BY Id;
-- A local copy is one statement, and the same statement keeps it true.
CREATE SCHEMA mart;
CALL crm.sync('sf.account', 'mart.account');
CALL crm.sync('sf.account', 'mart.account');
SELECT count(*), count(annualrevenue), max(lastmodifieddate) FROM mart.account;
-- Values of enumerations become labels.
SELECT * FROM crm.sync_enumeration('sf.account', 'rating');
SELECT a.Name, l.label FROM sf.account a LEFT JOIN crm.labels('sf.account', 'rating') l ON l.value = a.Rating LIMIT 3;
-- Writing: records go in batches, and RETURNING gives the identifiers that the CRM chose.
INSERT INTO sf.account (name, industry) VALUES ('Example Ltd', 'Energy'), ('Sample plc', 'Banking') RETURNING length(id), name, industry;
EXPLAIN (VERBOSE, COSTS OFF) DELETE FROM sf.account WHERE name = 'Sample plc';
DELETE FROM sf.account WHERE name = 'Sample plc';
-- What the CRM refuses is a warning that names record and reason; it can be kept, mended and sent again.
ALTER FOREIGN TABLE sf.contact OPTIONS (ADD process_rejects 'true');
INSERT INTO sf.contact (lastname, salutation, email) VALUES ('Doe', 'Ms.', 'jane@example.com'), (repeat('x', 90), NULL, NULL);
SELECT left(record ->> 'lastname', 5) AS lastname, error_symbol, tries FROM crm.rejects;
UPDATE crm.rejects SET record = record || '{"lastname": "Roe"}';
SELECT * FROM crm.retry_rejects('sf.contact');
-- A large export gets a name. Run again after a failure, it sends nothing twice: here the first run is rolled back.
SET crm.export_job = 'tour';
BEGIN;
INSERT INTO sf.account (name) SELECT 'Tour ' || n FROM generate_series(1, 300) n;
ROLLBACK;
INSERT INTO sf.account (name) SELECT 'Tour ' || n FROM generate_series(1, 300) n;
SELECT job, state, records, accepted, rejected, unknown FROM crm.export_jobs;
SELECT count(*) FROM sf.account WHERE name LIKE 'Tour %';
RESET crm.export_job;
-- Who is connected, and what has it cost so far? The CRM reports its own count of calls.
SELECT server, signed_in, user_name, calls_used > 0 AS calls_counted FROM crm.connections();
