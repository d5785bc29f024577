-- Local copies of enumerations (N-2, N-3).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA "all" LIMIT TO (account, custom__c) FROM SERVER sf INTO sf;
SELECT * FROM crm.sync_enumeration('sf.account', 'rating');
SELECT * FROM crm.enumeration_value ORDER BY position;
-- Again: nothing changes.
SELECT * FROM crm.sync_enumeration('sf.account', 'rating');
-- Values that only exist here are kept, others follow the CRM.
INSERT INTO crm.enumeration_value (server, enumeration, value, label) VALUES ('sf', 'Account.Rating', 'Icy', 'Icy');
UPDATE crm.enumeration_value SET label = 'Very hot' WHERE value = 'Hot';
DELETE FROM crm.enumeration_value WHERE value = 'Warm';
SELECT * FROM crm.sync_enumeration('sf.account', 'rating');
SELECT * FROM crm.sync_enumeration('sf.account', 'rating', replace => true);
-- Dependent values, and those of record types.
SELECT * FROM crm.sync_enumerations('sf', object => 'Custom__c');
SELECT * FROM crm.labels('sf.custom__c', 'city__c');
SELECT * FROM crm.labels('sf.custom__c', 'plan__c');
-- A list of one's own, remembered.
INSERT INTO crm.enumeration (server, name) VALUES ('sf', 'temperatures');
SELECT * FROM crm.sync_enumeration('sf.account', 'rating', 'temperatures');
SELECT * FROM crm.sync_enumeration('sf.account', 'rating');
SELECT * FROM crm.enumeration_field WHERE object = 'Account';
-- Values with their labels.
UPDATE crm.enumeration_value SET label = 'cold as ice' WHERE enumeration = 'temperatures' AND value = 'Cold';
SELECT v.rating, l.label FROM (VALUES ('Cold'), ('Hot'), ('None such'), (NULL)) AS v (rating)
  LEFT JOIN crm.labels('sf.account', 'rating') l ON l.value = v.rating ORDER BY v.rating;
-- What is none.
SELECT * FROM crm.sync_enumeration('sf.account', 'name');
SELECT * FROM crm.sync_enumeration('sf.account', 'nothing');
SELECT * FROM crm.sync_enumeration('sf.account', 'rating', 'nothing');
SELECT * FROM crm.sync_enumerations('nowhere');
DROP EXTENSION crm_fdw CASCADE;
