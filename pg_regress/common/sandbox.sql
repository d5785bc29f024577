-- Brings what cargo xtask says of the sandbox into psql variables, and settings that make output repeatable.
-- Begin a test with:
--   \getenv inputs PG_ABS_SRCDIR
--   \set sandbox :inputs '/common/sandbox.sql'
--   \i :sandbox
\getenv login_url CRM_SANDBOX_LOGIN_URL
\getenv instance_url CRM_SANDBOX_INSTANCE_URL
\getenv admin_url CRM_SANDBOX_ADMIN_URL
\getenv ca_file CRM_SANDBOX_CA
\getenv username CRM_SANDBOX_USERNAME
\getenv password CRM_SANDBOX_PASSWORD
\getenv security_token CRM_SANDBOX_SECURITY_TOKEN
\getenv client_id CRM_SANDBOX_CLIENT_ID
\getenv client_secret CRM_SANDBOX_CLIENT_SECRET
\getenv refresh_token CRM_SANDBOX_REFRESH_TOKEN
\getenv private_key_file CRM_SANDBOX_PRIVATE_KEY_FILE
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
