-- What the benchmark reads from: each CRM of the sandbox as foreign tables, and rows that need no CRM.
CREATE EXTENSION crm_fdw;
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url :'login_url', ca_file :'ca_file');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (
    username :'username', password :'password', security_token :'security_token',
    client_id :'client_id', client_secret :'client_secret');
CREATE SERVER dynamics FOREIGN DATA WRAPPER dynamics OPTIONS (
    url :'dynamics_organisation_url', deployment 'web_api', authority :'login_url', tenant :'dynamics_tenant', ca_file :'ca_file');
CREATE USER MAPPING FOR CURRENT_USER SERVER dynamics OPTIONS (
    client_id :'dynamics_client_id', client_secret :'dynamics_client_secret');
CREATE SERVER oracle FOREIGN DATA WRAPPER oracle_on_demand OPTIONS (url :'instance_url', ca_file :'ca_file');
CREATE USER MAPPING FOR CURRENT_USER SERVER oracle OPTIONS (username :'oracle_username', password :'oracle_password');
CREATE SCHEMA sf;
CREATE SCHEMA dynamics;
CREATE SCHEMA oracle;
SET client_min_messages = warning;
IMPORT FOREIGN SCHEMA standard LIMIT TO (contact) FROM SERVER sf INTO sf;
IMPORT FOREIGN SCHEMA standard LIMIT TO (contact) FROM SERVER dynamics INTO dynamics;
IMPORT FOREIGN SCHEMA standard LIMIT TO (contact) FROM SERVER oracle INTO oracle;
-- The same object by bulk jobs, where the build reads by them.
CREATE SCHEMA bulk;
IMPORT FOREIGN SCHEMA standard LIMIT TO (contact) FROM SERVER sf INTO bulk;
ALTER FOREIGN TABLE bulk.contact OPTIONS (ADD transport 'bulk');

CREATE FUNCTION bench_raw_handler() RETURNS fdw_handler AS :'raw_library', 'bench_raw_handler' LANGUAGE c STRICT;
CREATE FOREIGN DATA WRAPPER raw HANDLER bench_raw_handler;
CREATE SERVER raw FOREIGN DATA WRAPPER raw;
CREATE SCHEMA raw;
CREATE SCHEMA wrappers;
CREATE SCHEMA target;
