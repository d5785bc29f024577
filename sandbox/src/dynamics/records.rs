//! The organisation's recorded rows: the sample rows of `data/records`, users, and a few rows with a value
//! of every type.

use std::collections::HashMap;

use uuid::Uuid;

use super::model::{Entity, Schema};
use super::store::{Row, Store, made_id};
use super::value::{self, Val};
use crate::generate::Contacts;

/// Moment the first recorded row was made.
const FIRST_DAY: i64 = 1_672_531_200;
/// A column of the data files and the column it fills.
type Columns = &'static [(&'static str, &'static str)];

const ACCOUNT: Columns = &[
    ("Name", "name"),
    ("Phone", "telephone1"),
    ("Fax", "fax"),
    ("Website", "websiteurl"),
    ("NumberOfEmployees", "numberofemployees"),
    ("AnnualRevenue", "revenue"),
    ("Description", "description"),
    ("Type", "customertypecode"),
    ("Industry", "industrycode"),
    ("BillingStreet", "address1_line1"),
    ("BillingCity", "address1_city"),
    ("BillingState", "address1_stateorprovince"),
    ("BillingPostalCode", "address1_postalcode"),
    ("BillingCountry", "address1_country"),
];
const CONTACT: Columns = &[
    ("Salutation", "salutation"),
    ("FirstName", "firstname"),
    ("LastName", "lastname"),
    ("Title", "jobtitle"),
    ("Email", "emailaddress1"),
    ("Phone", "telephone1"),
    ("MobilePhone", "mobilephone"),
    ("MailingStreet", "address1_line1"),
    ("MailingCity", "address1_city"),
    ("MailingState", "address1_stateorprovince"),
    ("MailingPostalCode", "address1_postalcode"),
    ("MailingCountry", "address1_country"),
];
const OPPORTUNITY: Columns = &[
    ("Name", "name"),
    ("StageName", "stepname"),
    ("Amount", "estimatedvalue"),
    ("CloseDate", "estimatedclosedate"),
    ("Probability", "closeprobability"),
    ("Description", "description"),
];
const LEAD: Columns = &[
    ("FirstName", "firstname"),
    ("LastName", "lastname"),
    ("Company", "companyname"),
    ("Title", "jobtitle"),
    ("Email", "emailaddress1"),
    ("MobilePhone", "mobilephone"),
    ("NumberOfEmployees", "numberofemployees"),
    ("Street", "address1_line1"),
    ("City", "address1_city"),
    ("State", "address1_stateorprovince"),
    ("PostalCode", "address1_postalcode"),
    ("Country", "address1_country"),
];

struct Loader {
    store: Store,
    version: i64,
    /// Rows by the key of the data files.
    keys: HashMap<String, (Uuid, usize)>,
}

/// Builds the organisation.
///
/// # Errors
/// A sentence naming what does not parse.
pub fn build(schema: &'static Schema, contacts: Contacts) -> Result<Store, String> {
    let mut loader = Loader {
        store: Store::new(schema, contacts)?,
        version: 100_000,
        keys: HashMap::new(),
    };
    loader.people()?;
    loader.file(
        "account",
        include_str!("../../data/records/accounts.csv"),
        ACCOUNT,
    )?;
    loader.file(
        "contact",
        include_str!("../../data/records/contacts.csv"),
        CONTACT,
    )?;
    loader.file("lead", include_str!("../../data/records/leads.csv"), LEAD)?;
    loader.file(
        "opportunity",
        include_str!("../../data/records/opportunities.csv"),
        OPPORTUNITY,
    )?;
    loader.all_types()?;
    loader.wide()?;
    Ok(loader.store)
}

impl Loader {
    fn entity(&self, name: &str) -> Result<(usize, &'static Entity), String> {
        self.store
            .schema
            .entity(name)
            .ok_or_else(|| format!("entities.json: no {name}"))
    }

    /// Adds a row with the columns that every table has.
    fn add(&mut self, table: &str, number: u64, values: &[(&str, Val)]) -> Result<Uuid, String> {
        let (at, entity) = self.entity(table)?;
        let id = made_id(entity.code, number);
        self.version += 1;
        let mut row = Row {
            id,
            values: vec![Val::Null; entity.attributes.len()],
            version: self.version,
        };
        let step = i64::try_from(number).unwrap_or_default() * 7_919;
        let users = self.entity("systemuser")?.0;
        let units = self.entity("businessunit")?.0;
        let currencies = self.entity("transactioncurrency")?.0;
        let user = Val::Row(made_id(8, number % 3 + 1), users);
        let usual = [
            (entity.key.as_str(), Val::Guid(id)),
            ("createdon", Val::Time(FIRST_DAY + step)),
            ("modifiedon", Val::Time(FIRST_DAY + step + step % 86_400)),
            ("versionnumber", Val::Int(self.version)),
            ("createdby", user.clone()),
            ("modifiedby", user.clone()),
            ("ownerid", user),
            ("owningbusinessunit", Val::Row(made_id(10, 1), units)),
            ("statecode", Val::Int(0)),
            (
                "transactioncurrencyid",
                Val::Row(made_id(9_105, 1), currencies),
            ),
            ("exchangerate", Val::Number(1.into())),
        ];
        for (name, value) in usual {
            if let Some(column) = entity.column(name) {
                row.values[column] = value;
            }
        }
        if let Some(column) = entity.column("statuscode") {
            let first = entity.attributes[column].choices.first();
            row.values[column] = first.map_or(Val::Null, |c| Val::Int(c.value.into()));
        }
        for (name, value) in values {
            let column = entity
                .column(name)
                .ok_or_else(|| format!("entities.json: {table} has no {name}"))?;
            row.values[column] = value.clone();
        }
        derive(entity, &mut row);
        self.store.put(at, row);
        Ok(id)
    }

    fn people(&mut self) -> Result<(), String> {
        let text = |text: &str| Val::Text(text.to_owned());
        self.add("businessunit", 1, &[("name", text("Contoso Test"))])?;
        self.add(
            "transactioncurrency",
            1,
            &[
                ("currencyname", text("US Dollar")),
                ("isocurrencycode", text("USD")),
                ("currencysymbol", text("$")),
                ("currencyprecision", Val::Int(2)),
            ],
        )?;
        self.add(
            "organization",
            1,
            &[
                ("name", text("contosotest")),
                ("isauditenabled", Val::Bool(true)),
                ("languagecode", Val::Int(1_033)),
            ],
        )?;
        let unit = Val::Row(made_id(10, 1), self.entity("businessunit")?.0);
        self.add(
            "team",
            1,
            &[
                ("name", text("Sales Team")),
                ("businessunitid", unit.clone()),
            ],
        )?;
        for (number, (first, last, name)) in [
            ("Tess", "Tester", "tester@contoso.test"),
            ("Sam", "Second", "second@contoso.test"),
            ("# Test", "Application", "application@contoso.test"),
        ]
        .iter()
        .enumerate()
        {
            self.add(
                "systemuser",
                number as u64 + 1,
                &[
                    ("firstname", text(first)),
                    ("lastname", text(last)),
                    ("domainname", text(name)),
                    ("internalemailaddress", text(name)),
                    ("isdisabled", Val::Bool(false)),
                    ("businessunitid", unit.clone()),
                ],
            )?;
        }
        Ok(())
    }

    fn file(&mut self, table: &str, text: &str, columns: Columns) -> Result<(), String> {
        let (at, entity) = self.entity(table)?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = reader
            .headers()
            .map_err(|e| format!("{table}: {e}"))?
            .clone();
        for (number, record) in reader.records().enumerate() {
            let record = record.map_err(|error| format!("{table}: {error}"))?;
            let field = |name: &str| {
                let place = headers.iter().position(|header| header == name);
                place
                    .and_then(|place| record.get(place))
                    .unwrap_or_default()
            };
            let mut values = Vec::new();
            for (from, to) in columns {
                let column = entity
                    .column(to)
                    .ok_or_else(|| format!("entities.json: {table} has no {to}"))?;
                // Values that fit no option or type of this organisation are left out.
                let described = &entity.attributes[column];
                let value = value::from_text(field(from), described).unwrap_or(Val::Null);
                let fits = match (&value, described.length) {
                    (Val::Text(text), Some(most)) => text.chars().count() <= most,
                    _ => true,
                };
                if fits {
                    values.push((*to, value));
                }
            }
            let parent = |key: &str| self.keys.get(key).map(|(id, at)| Val::Row(*id, *at));
            let account = parent(field("account_key"));
            match (table, account) {
                ("contact", Some(account)) => values.push(("parentcustomerid", account)),
                ("opportunity", account) => {
                    let contact = parent(field("contact_key"));
                    if let Some(customer) = account.clone().or_else(|| contact.clone()) {
                        values.push(("customerid", customer));
                    }
                    values.push(("parentaccountid", account.unwrap_or(Val::Null)));
                    values.push(("parentcontactid", contact.unwrap_or(Val::Null)));
                }
                _ => {}
            }
            if table == "account" {
                let text = Val::Text(format!("ACC-{:05}", number + 1));
                values.push(("accountnumber", text));
            }
            let key = field("key").to_owned();
            let id = self.add(table, number as u64 + 1, &values)?;
            self.keys.insert(key, (id, at));
        }
        Ok(())
    }

    /// Three rows of the table with too many columns, every second column filled.
    fn wide(&mut self) -> Result<(), String> {
        let (_, entity) = self.entity("new_wide")?;
        for number in 1..=3u64 {
            let mut values = vec![("new_name", Val::Text(format!("Wide {number}")))];
            for (n, column) in entity.attributes.iter().enumerate() {
                if column.label.starts_with("new_") && n % 2 == 0 && !column.is_id {
                    values.push((column.name.as_str(), Val::Text(format!("{number}-{n}"))));
                }
            }
            self.add("new_wide", number, &values)?;
        }
        Ok(())
    }

    /// Rows with a value of every type, with the smallest and the largest, with none, and with texts that
    /// break readers.
    fn all_types(&mut self) -> Result<(), String> {
        let (_, entity) = self.entity("new_alltypes")?;
        let accounts = self.entity("account")?.0;
        let contacts = self.entity("contact")?.0;
        let samples: &[&[(&str, &str)]] = &[
            &[
                ("new_name", "Everything"),
                ("new_email", "a@b.example"),
                ("new_memo", "first line\nsecond \"line\"\t\u{1f9ea} %_[x]"),
                ("new_whole", "42"),
                ("new_big", "9007199254740993"),
                ("new_decimal", "12345.67891"),
                ("new_float", "47.63958"),
                ("new_money", "20000.0000"),
                ("new_yesno", "1"),
                ("new_when", "2024-02-29T23:59:59Z"),
                ("new_whenlocal", "2024-02-29T08:30:00Z"),
                ("new_day", "2024-02-29"),
                ("new_dayuser", "2024-02-28T22:00:00Z"),
                ("new_choice", "100000000"),
                ("new_globalchoice", "2"),
                ("new_choices", "2,3,8"),
                ("new_guid", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
                ("new_entityname", "account"),
            ],
            &[
                ("new_name", "Smallest"),
                ("new_whole", "-2147483648"),
                ("new_big", "-9223372036854775808"),
                ("new_decimal", "-100000000000.00000"),
                ("new_float", "-0.5"),
                ("new_money", "-0.0001"),
                ("new_yesno", "0"),
                ("new_when", "1753-01-01T00:00:00Z"),
                ("new_whenlocal", "1753-01-01T00:00:00Z"),
                ("new_day", "1753-01-01"),
                ("new_choice", "100000001"),
                ("new_choices", "9"),
            ],
            &[
                ("new_name", "Largest"),
                ("new_whole", "2147483647"),
                ("new_big", "9223372036854775807"),
                ("new_decimal", "100000000000.00000"),
                ("new_money", "922337203685477.5807"),
                ("new_when", "9999-12-31T23:59:59Z"),
                ("new_day", "9999-12-30"),
            ],
            &[("new_name", "Nothing else")],
            &[("new_name", "O'Brien & <Sons> 100% [sic] \\ \u{202e}rtl")],
            &[("new_name", "everything")],
        ];
        for (number, sample) in samples.iter().enumerate() {
            let mut values = vec![("new_code", Val::Text(format!("Code-{number}")))];
            for (name, text) in *sample {
                let column = entity.column(name).map(|at| &entity.attributes[at]);
                let value = column.and_then(|column| value::from_text(text, column));
                values.push((name, value.ok_or_else(|| format!("{name}: {text}"))?));
            }
            if number == 0 {
                values.push(("new_accountid", Val::Row(made_id(1, 1), accounts)));
                values.push(("new_lowerid", Val::Row(made_id(2, 1), contacts)));
                values.push(("new_customer", Val::Row(made_id(2, 2), contacts)));
                values.push(("new_regarding", Val::Row(made_id(1, 2), accounts)));
            }
            self.add("new_alltypes", number as u64 + 1, &values)?;
        }
        Ok(())
    }
}

/// Fills what follows from other columns: full names, converted amounts.
pub fn derive(entity: &Entity, row: &mut Row) {
    if let (Some(full), Some(first), Some(last)) = (
        entity.column("fullname"),
        entity.column("firstname"),
        entity.column("lastname"),
    ) {
        let parts: Vec<&str> = [first, last]
            .iter()
            .filter_map(|at| match &row.values[*at] {
                Val::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        row.values[full] = match parts.is_empty() {
            true => Val::Null,
            false => Val::Text(parts.join(" ")),
        };
    }
    for (at, column) in entity.attributes.iter().enumerate() {
        if let Some(base) = column.base.as_deref().and_then(|base| entity.column(base)) {
            row.values[at] = row.values[base].clone();
        }
    }
}
