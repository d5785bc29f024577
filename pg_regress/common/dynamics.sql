-- The extension, and a server "dyn" that is the sandbox's organisation online. Begin a test with:
--   \getenv inputs PG_ABS_SRCDIR
--   \set dynamics :inputs '/common/dynamics.sql'
--   \i :dynamics
\set sandbox :inputs '/common/sandbox.sql'
\i :sandbox
\getenv organisation_url CRM_SANDBOX_DYNAMICS_ORGANISATION_URL
\getenv tenant CRM_SANDBOX_DYNAMICS_TENANT
\getenv application_id CRM_SANDBOX_DYNAMICS_CLIENT_ID
\getenv application_secret CRM_SANDBOX_DYNAMICS_CLIENT_SECRET
CREATE EXTENSION crm_fdw;
CREATE SERVER dyn FOREIGN DATA WRAPPER dynamics OPTIONS (
    url :'organisation_url', authority :'login_url', tenant :'tenant', ca_file :'ca_file');
CREATE USER MAPPING FOR CURRENT_USER SERVER dyn OPTIONS (client_id :'application_id', client_secret :'application_secret');
