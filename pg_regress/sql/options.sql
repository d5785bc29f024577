-- Options are checked when they are set (A-1, A-2), and a wrong name gets the nearest right one as hint.
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE EXTENSION crm_fdw;
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (urll 'https://login.salesforce.com');
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url 'http://login.salesforce.com');
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://me:secret@login.salesforce.com');
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (password 'x');
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com', time_zone 'Vienna');
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com', max_retries 'many');
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com', pushdown 'all');
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com', api_version '66');
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com', auth 'magic');
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (user_name 'me');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (username 'me', password '');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (username 'me');
CREATE FOREIGN TABLE t (id text OPTIONS (feld 'Id')) SERVER sf OPTIONS (object 'Account');
CREATE FOREIGN TABLE t (id text OPTIONS (field 'Id', conversion 'none')) SERVER sf OPTIONS (object 'Account');
CREATE FOREIGN TABLE t (id text OPTIONS (field 'Id'), name text) SERVER sf;
-- What is missing is named when it is first needed.
SELECT * FROM t;
ALTER FOREIGN TABLE t OPTIONS (ADD object 'Account');
SELECT * FROM t;
ALTER FOREIGN TABLE t ALTER COLUMN name OPTIONS (ADD field 'Name');
SELECT * FROM t;
-- What only a superuser may set.
CREATE ROLE analyst;
GRANT USAGE ON FOREIGN DATA WRAPPER salesforce TO analyst;
GRANT USAGE ON FOREIGN SERVER sf TO analyst;
GRANT SELECT ON t TO analyst;
SET ROLE analyst;
CREATE SERVER own FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com', ca_file '/etc/passwd');
CREATE USER MAPPING FOR analyst SERVER sf OPTIONS (username 'me', password_required 'false');
CREATE USER MAPPING FOR analyst SERVER sf OPTIONS (username 'me');
-- A role that is not superuser brings its own secret (A-5).
SELECT * FROM t;
RESET ROLE;
DROP OWNED BY analyst;
DROP ROLE analyst;
DROP EXTENSION crm_fdw CASCADE;
