-- The extension, and a server "sf" that is the sandbox. Begin a test with:
--   \getenv inputs PG_ABS_SRCDIR
--   \set salesforce :inputs '/common/salesforce.sql'
--   \i :salesforce
\set sandbox :inputs '/common/sandbox.sql'
\i :sandbox
CREATE EXTENSION crm_fdw;
CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url :'login_url', ca_file :'ca_file');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (
    username :'username', password :'password', security_token :'security_token',
    client_id :'client_id', client_secret :'client_secret');
