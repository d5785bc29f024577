-- The extension, and a server "ora" that is the sandbox. Begin a test with:
--   \getenv inputs PG_ABS_SRCDIR
--   \set oracle :inputs '/common/oracle.sql'
--   \i :oracle
\set sandbox :inputs '/common/sandbox.sql'
\i :sandbox
\getenv base_url CRM_SANDBOX_ORACLE_BASE_URL
\getenv oracle_username CRM_SANDBOX_ORACLE_USERNAME
\getenv oracle_password CRM_SANDBOX_ORACLE_PASSWORD
CREATE EXTENSION crm_fdw;
CREATE SERVER ora FOREIGN DATA WRAPPER oracle_on_demand OPTIONS (url :'base_url', ca_file :'ca_file');
CREATE USER MAPPING FOR CURRENT_USER SERVER ora OPTIONS (username :'oracle_username', password :'oracle_password');
