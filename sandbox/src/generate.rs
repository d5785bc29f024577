//! Contacts computed from their number: any of a million can be asked for without keeping one.
//! The same number and seed give the same record in every process.

use chrono::{DateTime, Days, NaiveDate};

use crate::salesforce::id;
use crate::salesforce::store::Cell;

/// Number of the first generated id; stored records lie below.
const FIRST_NUMBER: u64 = 1_000_000;
const ACCOUNTS: u64 = 1_298;

const FIRST_NAMES: &[&str] = &[
    "Ada",
    "Björn",
    "Chloé",
    "Dmitri",
    "Esra",
    "Fatima",
    "Grace",
    "Hiro",
    "Inés",
    "Jürgen",
    "Kateřina",
    "Liam",
    "Mei",
    "Nnamdi",
    "Olga",
    "Priya",
    "Quentin",
    "Rosa",
    "Søren",
    "Tane",
    "Uma",
    "Vikram",
    "Wanda",
    "Xiomara",
    "Yusuf",
    "Zoë",
];
const LAST_NAMES: &[&str] = &[
    "Abernathy",
    "Brandvold",
    "Castellanos",
    "D'Angelo",
    "Eriksson",
    "Fitzgerald",
    "Gutiérrez",
    "Hakimi",
    "Iwasaki",
    "Jankowski",
    "Kowalczyk",
    "Lindqvist",
    "McAllister",
    "Nakamura",
    "O'Connor",
    "Papadopoulos",
    "Quispe",
    "Rasmussen",
    "Szymański",
    "Thorvaldsen",
    "Usman",
    "Vandenberg",
    "Wójcik",
    "Yamaguchi",
    "Zimmermann",
    "Østergård",
];
const TITLES: &[&str] = &[
    "Head of Procurement",
    "Senior Buyer",
    "VP Operations",
    "Analyst, Pricing",
    "Plant Manager",
    "CFO",
    "Director of \"New\" Business",
    "Engineer II",
];
const DEPARTMENTS: &[&str] = &[
    "Purchasing",
    "Finance",
    "Operations",
    "Sales & Marketing",
    "R&D",
];
const CITIES: &[(&str, &str, &str)] = &[
    ("San Francisco", "CA", "USA"),
    ("Newark", "DE", "USA"),
    ("Zürich", "ZH", "Switzerland"),
    ("São Paulo", "SP", "Brazil"),
    ("Kraków", "MA", "Poland"),
    ("Ōsaka", "OS", "Japan"),
    ("Leeds", "ENG", "United Kingdom"),
];
const STREETS: &[&str] = &[
    "Market Street",
    "Del Mar Pass",
    "Vera Court",
    "Hauptstraße",
    "Rue de l'Église",
];
const SALUTATIONS: &[&str] = &["Mr.", "Ms.", "Mrs.", "Dr.", "Prof."];
const SOURCES: &[&str] = &[
    "Web",
    "Phone Inquiry",
    "Partner Referral",
    "Purchased List",
    "Other",
];

/// A column of the generated contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Id,
    IsDeleted,
    AccountId,
    LastName,
    FirstName,
    Salutation,
    Name,
    MailingStreet,
    MailingCity,
    MailingState,
    MailingPostalCode,
    MailingCountry,
    MailingAddress,
    Phone,
    MobilePhone,
    Email,
    Title,
    Department,
    LeadSource,
    Birthdate,
    OwnerId,
    CreatedDate,
    CreatedById,
    LastModifiedDate,
    LastModifiedById,
    SystemModstamp,
    IsEmailBounced,
    Score,
    Visits,
    Balance,
    IsVip,
    LastContacted,
    ExternalKey,
}

impl Column {
    /// The column behind a Contact field name; other fields are null in generated records.
    pub fn of(field: &str) -> Option<Self> {
        Some(match field {
            "Id" => Self::Id,
            "IsDeleted" => Self::IsDeleted,
            "AccountId" => Self::AccountId,
            "LastName" => Self::LastName,
            "FirstName" => Self::FirstName,
            "Salutation" => Self::Salutation,
            "Name" => Self::Name,
            "MailingStreet" => Self::MailingStreet,
            "MailingCity" => Self::MailingCity,
            "MailingState" => Self::MailingState,
            "MailingPostalCode" => Self::MailingPostalCode,
            "MailingCountry" => Self::MailingCountry,
            "MailingAddress" => Self::MailingAddress,
            "Phone" => Self::Phone,
            "MobilePhone" => Self::MobilePhone,
            "Email" => Self::Email,
            "Title" => Self::Title,
            "Department" => Self::Department,
            "LeadSource" => Self::LeadSource,
            "Birthdate" => Self::Birthdate,
            "OwnerId" => Self::OwnerId,
            "CreatedDate" => Self::CreatedDate,
            "CreatedById" => Self::CreatedById,
            "LastModifiedDate" => Self::LastModifiedDate,
            "LastModifiedById" => Self::LastModifiedById,
            "SystemModstamp" => Self::SystemModstamp,
            "IsEmailBounced" => Self::IsEmailBounced,
            "Score__c" => Self::Score,
            "Visits__c" => Self::Visits,
            "Balance__c" => Self::Balance,
            "IsVip__c" => Self::IsVip,
            "LastContacted__c" => Self::LastContacted,
            "ExternalKey__c" => Self::ExternalKey,
            _ => return None,
        })
    }
}

/// `count` contacts; `seed` changes every value but the ids.
#[derive(Debug, Clone, Copy)]
pub struct Contacts {
    count: u32,
    seed: u64,
}

impl Contacts {
    /// Describes the set; nothing is computed yet.
    pub fn new(count: u32, seed: u64) -> Self {
        Self { count, seed }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The index of the record whose id carries this number.
    pub fn index_of(&self, number: u64) -> Option<u32> {
        let index = u32::try_from(number.checked_sub(FIRST_NUMBER)?).ok()?;
        (index < self.count).then_some(index)
    }

    /// The index of the record that may hold a value of a column whose values can be traced back.
    pub fn index_of_value(&self, column: Column, value: &str) -> Option<u32> {
        let value = value.to_ascii_lowercase();
        let digits = match column {
            Column::ExternalKey => value.strip_prefix("contact-")?,
            Column::Email => value
                .strip_prefix("contact.")?
                .strip_suffix("@crm-sandbox.example")?,
            _ => return None,
        };
        let index = digits.parse().ok()?;
        (index < self.count).then_some(index)
    }

    /// One value of one record, in wire form.
    pub fn cell(&self, index: u32, column: Option<Column>) -> Cell {
        let Some(column) = column else {
            return Cell::Null;
        };
        let dice = |salt: u64| mix(self.seed ^ (u64::from(index) << 8) ^ salt);
        let of =
            |list: &[&str], salt: u64| list[(dice(salt) % list.len() as u64) as usize].to_owned();
        let rare = |salt: u64, one_in: u64, text: String| match dice(salt).is_multiple_of(one_in) {
            true => Cell::Null,
            false => Cell::Text(text.into()),
        };
        let first = || of(FIRST_NAMES, 1);
        let last = || format!("{} {}", of(LAST_NAMES, 2), index);
        let city = CITIES[(dice(3) % CITIES.len() as u64) as usize];
        let street = || format!("{} {}", dice(4) % 9_900 + 1, of(STREETS, 5));
        let zip = || format!("{:05}", dice(6) % 100_000);
        match column {
            Column::Id => Cell::Text(id::make("003", FIRST_NUMBER + u64::from(index)).into()),
            Column::IsDeleted => Cell::Bool(false),
            Column::AccountId => rare(7, 20, id::make("001", dice(8) % ACCOUNTS + 1)),
            Column::LastName => Cell::Text(last().into()),
            Column::FirstName => Cell::Text(first().into()),
            Column::Salutation => rare(9, 3, of(SALUTATIONS, 10)),
            Column::Name => Cell::Text(format!("{} {}", first(), last()).into()),
            Column::MailingStreet => rare(11, 15, street()),
            Column::MailingCity => Cell::Text(city.0.into()),
            Column::MailingState => Cell::Text(city.1.into()),
            Column::MailingPostalCode => Cell::Text(zip().into()),
            Column::MailingCountry => Cell::Text(city.2.into()),
            Column::MailingAddress => {
                let street = match dice(11).is_multiple_of(15) {
                    true => serde_json::Value::Null,
                    false => street().into(),
                };
                Cell::Object(address(street, city.0, city.1, &zip(), city.2).into())
            }
            Column::Phone => Cell::Text(format!("+1 (415) 555-{:04}", dice(12) % 10_000).into()),
            Column::MobilePhone => rare(13, 4, format!("+44 7700 9{:05}", dice(14) % 100_000)),
            Column::Email => rare(15, 25, format!("contact.{index}@crm-sandbox.example")),
            Column::Title => rare(16, 5, of(TITLES, 17)),
            Column::Department => rare(18, 6, of(DEPARTMENTS, 19)),
            Column::LeadSource => rare(20, 2, of(SOURCES, 21)),
            Column::Birthdate => rare(22, 3, day(1940, dice(23) % 24_000)),
            Column::OwnerId | Column::CreatedById | Column::LastModifiedById => {
                Cell::Text(id::make("005", dice(24) % 3 + 1).into())
            }
            Column::CreatedDate => Cell::Text(instant(self.created(index)).into()),
            Column::LastModifiedDate | Column::SystemModstamp => {
                let later = (dice(25) % 5_000_000) as i64;
                let extra =
                    i64::from(column == Column::SystemModstamp && dice(26).is_multiple_of(4));
                Cell::Text(instant(self.created(index) + later + extra * 61).into())
            }
            Column::IsEmailBounced => Cell::Bool(dice(27).is_multiple_of(50)),
            Column::Score => match dice(28) % 10 {
                0 => Cell::Null,
                1 => Cell::Number(format!("{}", dice(29) % 1_000).into()),
                _ => Cell::Number(format!("{}.{:03}", dice(29) % 1_000, dice(30) % 1_000).into()),
            },
            Column::Visits => match dice(31).is_multiple_of(8) {
                true => Cell::Null,
                false => Cell::Number(format!("{}.0", dice(32) % 400).into()),
            },
            Column::Balance => {
                let sign = if dice(33).is_multiple_of(7) { "-" } else { "" };
                Cell::Number(
                    format!("{sign}{}.{:02}", dice(34) % 1_000_000, dice(35) % 99 + 1).into(),
                )
            }
            Column::ExternalKey => Cell::Text(format!("Contact-{index:07}").into()),
            Column::IsVip => Cell::Bool(dice(36).is_multiple_of(10)),
            Column::LastContacted => rare(
                37,
                4,
                instant(1_735_689_600 + (dice(38) % 20_000_000) as i64),
            ),
        }
    }

    /// Seconds since 1970: 2023 and 2024, rising with the index as in an organisation that grew.
    fn created(&self, index: u32) -> i64 {
        let span = 63_000_000u64;
        let step = span * u64::from(index) / u64::from(self.count.max(1));
        1_672_531_200 + step as i64
    }
}

/// An address in the compound form of section 3.3.
pub fn address(
    street: serde_json::Value,
    city: &str,
    state: &str,
    postal_code: &str,
    country: &str,
) -> String {
    let or_null = |text: &str| match text {
        "" => serde_json::Value::Null,
        text => text.into(),
    };
    serde_json::json!({
        "city": or_null(city), "country": or_null(country), "geocodeAccuracy": null,
        "latitude": null, "longitude": null, "postalCode": or_null(postal_code),
        "state": or_null(state), "street": street,
    })
    .to_string()
}

/// A moment in wire form, from seconds since 1970.
pub fn instant(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .format("%Y-%m-%dT%H:%M:%S.000+0000")
        .to_string()
}

/// The day `days` after the first of January of `year`.
pub fn day(year: i32, days: u64) -> String {
    NaiveDate::from_ymd_opt(year, 1, 1)
        .and_then(|date| date.checked_add_days(Days::new(days)))
        .unwrap_or_default()
        .to_string()
}

/// A well-spread number from any number (the finaliser of splitmix64).
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_the_same_each_time_and_found_by_its_id() {
        let contacts = Contacts::new(1_000_000, 7);
        let again = Contacts::new(1_000_000, 7);
        for index in [0, 1, 62, 999_999] {
            for column in [Column::Id, Column::Email, Column::Score, Column::Birthdate] {
                assert_eq!(
                    contacts.cell(index, Some(column)),
                    again.cell(index, Some(column))
                );
            }
            let Cell::Text(id) = contacts.cell(index, Some(Column::Id)) else {
                panic!("an id is text");
            };
            let number = id::number("003", &id).unwrap();
            assert_eq!(contacts.index_of(number), Some(index));
        }
        assert_eq!(contacts.index_of(FIRST_NUMBER + 1_000_000), None);
        assert_eq!(contacts.index_of(3), None);
    }

    #[test]
    fn nulls_and_both_number_forms_occur() {
        let contacts = Contacts::new(1_000, 7);
        let scores: Vec<Cell> = (0..1_000)
            .map(|i| contacts.cell(i, Some(Column::Score)))
            .collect();
        let number = |dot: bool| {
            scores
                .iter()
                .filter(|c| matches!(c, Cell::Number(n) if n.contains('.') == dot))
                .count()
        };
        assert!(scores.contains(&Cell::Null));
        assert!(number(true) > 0 && number(false) > 0);
    }
}
