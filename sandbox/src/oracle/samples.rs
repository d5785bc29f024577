//! What the company holds at the start: recorded samples, users, the trash, and records with a value of
//! every type.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::objects::{all, system};
use super::store::{BLOCK, Deleted, Record, Store, Table, WRITTEN, column, make_id, user_id};
use super::time;
use crate::generate::Contacts;
use crate::record_rules::RecordRules;

/// An object, its sample file, and which of the file's columns fills which tag.
type Sample = (
    &'static str,
    &'static [u8],
    &'static [(&'static str, &'static str)],
);

const SAMPLES: &[Sample] = &[
    (
        "Account",
        include_bytes!("../../data/records/accounts.csv"),
        &[
            ("Name", "AccountName"),
            ("Phone", "MainPhone"),
            ("Fax", "MainFax"),
            ("Website", "WebSite"),
            ("NumberOfEmployees", "NumberEmployees"),
            ("AnnualRevenue", "AnnualRevenues"),
            ("Description", "Description"),
            ("BillingStreet", "PrimaryBillToStreetAddress"),
            ("BillingCity", "PrimaryBillToCity"),
            ("BillingPostalCode", "PrimaryBillToPostalCode"),
            ("BillingCountry", "PrimaryBillToCountry"),
        ],
    ),
    (
        "Contact",
        include_bytes!("../../data/records/contacts.csv"),
        &[
            ("Salutation", "MrMrs"),
            ("FirstName", "ContactFirstName"),
            ("LastName", "ContactLastName"),
            ("Title", "JobTitle"),
            ("Email", "ContactEmail"),
            ("Phone", "WorkPhone"),
            ("MobilePhone", "CellularPhone"),
            ("MailingStreet", "PrimaryAddress"),
            ("MailingCity", "PrimaryCity"),
            ("MailingPostalCode", "PrimaryZipCode"),
            ("MailingCountry", "PrimaryCountry"),
        ],
    ),
    (
        "Lead",
        include_bytes!("../../data/records/leads.csv"),
        &[
            ("FirstName", "LeadFirstName"),
            ("LastName", "LeadLastName"),
            ("Company", "Company"),
            ("Title", "JobTitle"),
            ("Email", "LeadEmail"),
            ("MobilePhone", "CellularPhone"),
            ("NumberOfEmployees", "NumberEmployees"),
            ("Street", "StreetAddress"),
            ("City", "City"),
            ("PostalCode", "ZipCode"),
            ("Country", "Country"),
        ],
    ),
    (
        "Opportunity",
        include_bytes!("../../data/records/opportunities.csv"),
        &[
            ("Name", "OpportunityName"),
            ("StageName", "SalesStage"),
            ("Amount", "Revenue"),
            ("CloseDate", "CloseDate"),
            ("NextStep", "NextStep"),
            ("Probability", "Probability"),
            ("Description", "Description"),
        ],
    ),
];

impl Store {
    /// The tables with the samples and so many generated contacts.
    ///
    /// # Errors
    /// A sentence naming the data that cannot be read.
    pub fn build(contacts: Contacts) -> Result<Self, String> {
        let mut tables: Vec<Table> = all()?
            .into_iter()
            .zip(2..)
            .map(|(object, block)| Table {
                block: if object.name == "User" { 1 } else { block },
                columns: object
                    .fields
                    .iter()
                    .map(|field| column(&field.name))
                    .collect(),
                generated: (object.name == "Contact").then_some(contacts),
                object,
                stored: BTreeMap::new(),
                removed: BTreeSet::new(),
                next: WRITTEN,
                externals: HashMap::new(),
                version: 0,
            })
            .collect();
        let mut accounts: HashMap<String, String> = HashMap::new();
        for (name, data, columns) in SAMPLES {
            let table = tables
                .iter_mut()
                .find(|table| table.object.name == *name)
                .ok_or_else(|| format!("no object {name}"))?;
            let mut reader = csv::Reader::from_reader(*data);
            let rows: Vec<HashMap<String, String>> = reader
                .deserialize()
                .collect::<Result<_, _>>()
                .map_err(|error| format!("{name}: {error}"))?;
            for (row, number) in rows.iter().zip(1u64..) {
                let mut record = stamped(1_700_000_000 + i64::try_from(number).unwrap_or(0) * 601);
                for (column, tag) in *columns {
                    let place = table
                        .object
                        .place(tag)
                        .ok_or_else(|| format!("{name}.{tag}"))?;
                    if let Some(value) = row.get(*column).filter(|value| !value.is_empty()) {
                        record.insert(place, value.clone());
                    }
                }
                if *name == "Account" {
                    accounts.insert(
                        row.get("key").cloned().unwrap_or_default(),
                        table.id(number),
                    );
                } else if let Some(account) =
                    row.get("account_key").and_then(|key| accounts.get(key))
                {
                    record.extend(
                        table
                            .object
                            .place("AccountId")
                            .map(|place| (place, account.clone())),
                    );
                }
                record.insert(system::EXTERNAL, format!("{name}-S{number}"));
                table.keep(number, Some(record), false);
            }
        }
        let mut store = Self {
            tables,
            deleted: Vec::new(),
            rules: RecordRules::default(),
            trashed: 0,
        };
        store.users();
        store.trash();
        store.all_types()?;
        Ok(store)
    }

    fn users(&mut self) {
        let Some(table) = self
            .tables
            .iter_mut()
            .find(|table| table.object.name == "User")
        else {
            return;
        };
        let people = [
            ("Ada", "Admin", super::session::USERNAME),
            ("Björn", "Buyer", super::session::SECOND_USERNAME),
        ];
        for ((first, last, login), number) in people.iter().zip(1u64..) {
            let mut record = stamped(1_690_000_000);
            for (tag, value) in [
                ("FirstName", *first),
                ("LastName", *last),
                ("UserLoginId", *login),
                ("UserSignInId", *login),
                ("Alias", *last),
                ("Status", "Active"),
            ] {
                record.extend(
                    table
                        .object
                        .place(tag)
                        .map(|place| (place, value.to_owned())),
                );
            }
            table.keep(number, Some(record), false);
        }
    }

    /// Three entries of the trash, as in the recorded shapes.
    fn trash(&mut self) {
        let seed = [
            ("Contact", "Doe, Ann", "X-1", 1_706_976_672, 3u64),
            ("Account", "Contoso & Sons", "", 1_707_026_399, 2),
            ("Asset Mgmt - Asset", "Asset 1", "", 1_707_026_400, 7),
        ];
        for (kind, name, external, at, block) in seed {
            let id = self.next_trash_id();
            self.deleted.push(Deleted {
                id,
                object_id: make_id(block, BLOCK - 1),
                kind: kind.to_owned(),
                name: name.to_owned(),
                external: external.to_owned(),
                by: 0,
                at,
                from: None,
            });
        }
    }

    /// Service requests with a value of every type under generic tags, with the smallest and the largest,
    /// with none, and with texts that break readers.
    fn all_types(&mut self) -> Result<(), String> {
        const SUBJECT: &str = "Subject";
        let rows: &[&[(&str, &str)]] = &[
            &[
                (SUBJECT, "Everything"),
                (
                    "Description",
                    "first line\nsecond \"line\"\t\u{1f9ea} *?\\ <&>",
                ),
                ("CustomText0", "x"),
                ("CustomPickList0", "Gold"),
                ("CustomMultiSelectPickList0", "Red;Green"),
                ("CustomPhone0", "+1 8725550199"),
                ("CustomBoolean0", "true"),
                ("CustomInteger0", "42"),
                ("CustomNumber0", "12345.6789"),
                ("CustomCurrency0", "20000.00"),
                ("CustomDate0", "2024-02-29T23:59:59Z"),
                ("CustomDate25", "2024-02-29"),
                ("IndexedBoolean0", "false"),
                ("IndexedNumber0", "0"),
            ],
            &[
                (SUBJECT, "Smallest"),
                ("CustomBoolean0", "false"),
                ("CustomInteger0", "-2147483648"),
                ("CustomNumber0", "-9999999999999.9999999"),
                ("CustomCurrency0", "-0.01"),
                ("CustomDate0", "1900-01-01T00:00:00Z"),
                ("CustomDate25", "1900-01-01"),
            ],
            &[
                (SUBJECT, "Largest"),
                ("CustomInteger0", "2147483647"),
                ("CustomNumber0", "9999999999999.9999999"),
                ("CustomDate0", "9999-12-31T23:59:59Z"),
                ("CustomDate25", "9999-12-31"),
            ],
            &[(SUBJECT, "Nothing else")],
            &[(SUBJECT, "O'Brien & <Sons> 100% [sic] \\ \u{202e}rtl")],
            &[(SUBJECT, "everything")],
        ];
        let place = self
            .place("ServiceRequest")
            .ok_or("no object ServiceRequest")?;
        let table = &mut self.tables[place];
        for (row, number) in rows.iter().zip(1u64..) {
            let mut record = stamped(1_700_000_000 + i64::try_from(number).unwrap_or(0) * 601);
            for (tag, value) in *row {
                let field = table.object.place(tag).ok_or_else(|| (*tag).to_owned())?;
                record.insert(field, (*value).to_owned());
            }
            record.insert(system::EXTERNAL, format!("ServiceRequest-S{number}"));
            table.keep(number, Some(record), false);
        }
        Ok(())
    }
}

fn stamped(seconds: i64) -> Record {
    let at = time::xsd(seconds);
    Record::from([
        (system::CREATED, at.clone()),
        (system::MODIFIED, at),
        (system::CREATED_BY, user_id(0)),
        (system::MODIFIED_BY, user_id(0)),
        (system::MOD_ID, "0".to_owned()),
    ])
}
