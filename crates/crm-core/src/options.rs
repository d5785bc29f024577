//! Options as data: what exists, where it may stand, what it may be.
//! Validators, hints and documentation are made from the same tables.

use crate::error::{Error, ErrorKind, Result};
use crate::schema::Conversion;
use crate::temporal::Zone;

/// Where an option may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `CREATE FOREIGN DATA WRAPPER`
    Wrapper,
    /// `CREATE SERVER`
    Server,
    /// `CREATE USER MAPPING`
    UserMapping,
    /// `CREATE FOREIGN TABLE`
    Table,
    /// A column of a foreign table
    Column,
}

impl Place {
    /// For messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::Wrapper => "a foreign-data wrapper",
            Self::Server => "a server",
            Self::UserMapping => "a user mapping",
            Self::Table => "a foreign table",
            Self::Column => "a column",
        }
    }
}

/// What an option's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Any text that is not empty.
    Text,
    /// `true` or `false`, in any spelling PostgreSQL takes.
    Bool,
    /// A whole number within bounds, both included.
    Integer(i64, i64),
    /// One of these.
    Choice(&'static [&'static str]),
    /// An `https` address: scheme, host, optional port, nothing else.
    HttpsUrl,
    /// A host name with optional port.
    Host,
    /// An IANA time zone.
    TimeZone,
    /// An interface version such as `66.0`.
    Version,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct OptionDef {
    /// Its name.
    pub name: &'static str,
    /// Where it may stand.
    pub places: &'static [Place],
    /// What it may be.
    pub kind: OptionKind,
    /// Never shown, and read into [`crate::SecretString`].
    pub secret: bool,
    /// Is a secret or leads to one, so that it goes to no host that its owner did not choose.
    pub guarded: bool,
    /// Names a file, a proxy or a waiver that only a superuser may grant.
    pub superuser: bool,
    /// One sentence for the documentation.
    pub doc: &'static str,
}

impl OptionDef {
    /// An ordinary option.
    pub const fn plain(
        name: &'static str,
        places: &'static [Place],
        kind: OptionKind,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            places,
            kind,
            secret: false,
            guarded: false,
            superuser: false,
            doc,
        }
    }

    /// A file on the database server with a secret of the user mapping in it; for superusers only.
    pub const fn secret_file(name: &'static str, doc: &'static str) -> Self {
        let mut option = Self::plain(name, &[Place::UserMapping], OptionKind::Text, doc);
        option.guarded = true;
        option.superuser = true;
        option
    }

    /// A secret of the user mapping.
    pub const fn secret(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            places: &[Place::UserMapping],
            kind: OptionKind::Text,
            secret: true,
            guarded: true,
            superuser: false,
            doc,
        }
    }

    /// The same option, for superusers only.
    #[must_use]
    pub const fn for_superusers(mut self) -> Self {
        self.superuser = true;
        self
    }
}

/// Options that every CRM has, server, mapping and table level.
pub const COMMON_OPTIONS: &[OptionDef] = &[
    OptionDef::plain(
        "connector",
        &[Place::Wrapper],
        OptionKind::Text,
        "Which CRM the wrapper speaks to.",
    ),
    OptionDef::plain(
        "url",
        &[Place::Server],
        OptionKind::HttpsUrl,
        "Address of the account's sign-in host or organisation, https only.",
    ),
    OptionDef::plain(
        "ca_file",
        &[Place::Server],
        OptionKind::Text,
        "PEM file with an additional certificate authority to trust.",
    )
    .for_superusers(),
    OptionDef::plain(
        "proxy",
        &[Place::Server],
        OptionKind::Text,
        "HTTP proxy through which all requests go.",
    )
    .for_superusers(),
    OptionDef::plain(
        "connect_timeout",
        &[Place::Server],
        OptionKind::Integer(1, 600),
        "Seconds to wait for a connection; default 30.",
    ),
    OptionDef::plain(
        "request_timeout",
        &[Place::Server],
        OptionKind::Integer(1, 3600),
        "Seconds to wait for a reply; default 150.",
    ),
    OptionDef::plain(
        "max_retries",
        &[Place::Server],
        OptionKind::Integer(0, 100),
        "How often one request is sent again after throttling or a lost connection; default 5.",
    ),
    OptionDef::plain(
        "retry_timeout",
        &[Place::Server],
        OptionKind::Integer(0, 86_400),
        "Seconds after which a request is no longer sent again; default 120.",
    ),
    OptionDef::plain(
        "time_zone",
        &[Place::Server],
        OptionKind::TimeZone,
        "The account's time zone, an IANA name; default UTC.",
    ),
    OptionDef::plain(
        "pushdown",
        &[Place::Server, Place::Table],
        OptionKind::Choice(&["connector", "extended", "off"]),
        "Which conditions are sent: connector (numbers, dates, null tests; the default), extended (also text and booleans), off (none).",
    ),
    OptionDef::plain(
        "fetch_size",
        &[Place::Server, Place::Table],
        OptionKind::Integer(1, 50_000),
        "Records a page; the default is the most the CRM gives.",
    ),
    OptionDef::plain(
        "api_budget",
        &[Place::Server],
        OptionKind::Integer(1, 1_000_000_000),
        "Calls that one statement may make at most; default no bound.",
    ),
    OptionDef::plain(
        "api_reserve",
        &[Place::Server],
        OptionKind::Integer(0, 100),
        "Percentage of the account's daily allotment that must stay; default 0.",
    ),
    OptionDef::plain(
        "short_read",
        &[Place::Server],
        OptionKind::Choice(&["error", "warning"]),
        "What to do when fewer records arrive than were announced; default error.",
    ),
    OptionDef::plain(
        "on_reject",
        &[Place::Server, Place::Table],
        OptionKind::Choice(&["warning", "error"]),
        "What to do with a value that does not convert or a record that the CRM refuses: warning (the default; the value is null, the record left out) or error.",
    ),
    OptionDef::plain(
        "process_rejects",
        &[Place::Server, Place::Table],
        OptionKind::Bool,
        "Whether refused records and values are also kept in crm.rejects; default false.",
    ),
    OptionDef::plain(
        "process_errors",
        &[Place::Server, Place::Table],
        OptionKind::Bool,
        "Whether records of a call that failed go to crm.rejects while the statement goes on with a warning; default false.",
    ),
    OptionDef::plain(
        "batch_size",
        &[Place::Server, Place::Table],
        OptionKind::Integer(1, 10_000),
        "Records written in one call at most; the default is the most the CRM takes.",
    ),
    OptionDef::plain(
        "password_required",
        &[Place::UserMapping],
        OptionKind::Bool,
        "Whether a role that is not superuser must bring its own secret; default true.",
    )
    .for_superusers(),
    OptionDef::plain(
        "object",
        &[Place::Table],
        OptionKind::Text,
        "Name of the remote object.",
    ),
    OptionDef::plain(
        "label",
        &[Place::Table, Place::Column],
        OptionKind::Text,
        "The object's or field's label in the CRM.",
    ),
    OptionDef::plain(
        "sync_overlap",
        &[Place::Server, Place::Table],
        OptionKind::Integer(0, 2_592_000),
        "Seconds that crm.sync reads further back than its mark, for records committed late; default 300.",
    ),
    OptionDef::plain(
        "sync_computed",
        &[Place::Server, Place::Table],
        OptionKind::Choice(&["exclude", "reread"]),
        "What crm.sync does with computed fields, which change without a modification stamp: exclude them (the default) or read them anew of all records each time.",
    ),
    OptionDef::plain(
        "updatable",
        &[Place::Server, Place::Table],
        OptionKind::Bool,
        "Whether records may be written; default true. Of a table: whether they may be changed.",
    ),
    OptionDef::plain(
        "insertable",
        &[Place::Table],
        OptionKind::Bool,
        "Whether the CRM takes new records of the object; default true.",
    ),
    OptionDef::plain(
        "deletable",
        &[Place::Table],
        OptionKind::Bool,
        "Whether the CRM lets records of the object be deleted; default true.",
    ),
    OptionDef::plain(
        "key",
        &[Place::Table],
        OptionKind::Text,
        "Remote field by which INSERT updates the record that has its value, or creates it: an external id, alternate key or user key.",
    ),
    OptionDef::plain(
        "journal_key",
        &[Place::Table],
        OptionKind::Text,
        "Remote field that export jobs fill with a value of their own, so that a record whose answer was lost can be found again.",
    ),
];

/// Options of a foreign table's column, the same for every CRM.
pub const COLUMN_OPTIONS: &[OptionDef] = &[
    OptionDef::plain(
        "field",
        &[Place::Column],
        OptionKind::Text,
        "Name of the remote field.",
    ),
    OptionDef::plain(
        "remote_type",
        &[Place::Column],
        OptionKind::Text,
        "The CRM's word for the field's type.",
    ),
    OptionDef::plain(
        "conversion",
        &[Place::Column],
        OptionKind::Choice(Conversion::NAMES),
        "How values cross the border: default, date_only, without_time_offset, copy_paste.",
    ),
    OptionDef::plain(
        "identifier",
        &[Place::Column],
        OptionKind::Bool,
        "The column is the record identifier.",
    ),
    OptionDef::plain(
        "filterable",
        &[Place::Column],
        OptionKind::Bool,
        "Whether the CRM takes the field in a filter; default true.",
    ),
    OptionDef::plain(
        "sortable",
        &[Place::Column],
        OptionKind::Bool,
        "Whether the CRM sorts by the field; default true.",
    ),
    OptionDef::plain(
        "case_sensitive",
        &[Place::Column],
        OptionKind::Bool,
        "Whether the CRM compares the field with regard to case; default false.",
    ),
    OptionDef::plain(
        "insertable",
        &[Place::Column],
        OptionKind::Bool,
        "Whether the field may be given when a record is created; default true.",
    ),
    OptionDef::plain(
        "updatable",
        &[Place::Column],
        OptionKind::Bool,
        "Whether the field may be given when a record is changed; default true.",
    ),
    OptionDef::plain(
        "computed",
        &[Place::Column],
        OptionKind::Bool,
        "Whether the CRM computes the field when it is read, so that no modification stamp tells of a change; default false.",
    ),
];

/// The definition of `name` at `place`, in the common tables or `own`.
///
/// # Errors
/// [`ErrorKind::OptionUnknown`] with the nearest valid name as hint.
pub fn find_option(
    own: &'static [OptionDef],
    place: Place,
    name: &str,
) -> Result<&'static OptionDef> {
    let known = || {
        COMMON_OPTIONS
            .iter()
            .chain(own)
            .chain(COLUMN_OPTIONS)
            .filter(|option| option.places.contains(&place))
    };
    if let Some(option) = known().find(|option| option.name == name) {
        return Ok(option);
    }
    let error = Error::new(
        ErrorKind::OptionUnknown,
        format!("option \"{name}\" is not valid for {}", place.words()),
    );
    if let Some(elsewhere) = COMMON_OPTIONS
        .iter()
        .chain(own)
        .chain(COLUMN_OPTIONS)
        .find(|option| option.name == name)
    {
        let belongs = elsewhere.places.iter().map(|place| place.words());
        let belongs = belongs.collect::<Vec<_>>().join(" or ");
        return Err(error.with_hint(format!("It belongs to {belongs}.")));
    }
    let nearest = known()
        .map(|option| (strsim::jaro_winkler(option.name, name), option.name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    Err(match nearest {
        Some((_, nearest)) => error.with_hint(format!("Perhaps you meant \"{nearest}\".")),
        None => {
            let names: Vec<_> = known().map(|option| option.name).collect();
            error.with_hint(format!("Valid options here are: {}.", names.join(", ")))
        }
    })
}

/// Checks one option's name and value.
///
/// # Errors
/// [`ErrorKind::OptionUnknown`] or [`ErrorKind::OptionValue`]; the value of a secret is in neither.
pub fn check_option(
    own: &'static [OptionDef],
    place: Place,
    name: &str,
    value: &str,
) -> Result<&'static OptionDef> {
    let option = find_option(own, place, name)?;
    match fault_of(option.kind, value) {
        None => Ok(option),
        Some(_) if option.secret => Err(Error::new(
            ErrorKind::OptionValue,
            format!("option \"{name}\" must not be empty"),
        )),
        Some(fault) => Err(Error::new(
            ErrorKind::OptionValue,
            format!("invalid value for option \"{name}\": \"{value}\""),
        )
        .with_hint(fault)),
    }
}

/// `true`, `on`, `yes`, `1` and their opposites, in any case, as PostgreSQL reads them.
pub fn parse_bool(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "on" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "off" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn fault_of(kind: OptionKind, value: &str) -> Option<String> {
    match kind {
        OptionKind::Text => value
            .is_empty()
            .then(|| "The value must not be empty.".into()),
        OptionKind::Bool => parse_bool(value)
            .is_none()
            .then(|| "Valid values are true and false.".into()),
        OptionKind::Integer(low, high) => value
            .parse()
            .map_or(true, |number: i64| !(low..=high).contains(&number))
            .then(|| format!("It must be a whole number from {low} to {high}.")),
        OptionKind::Choice(choices) => (!choices.contains(&value))
            .then(|| format!("Valid values are: {}.", choices.join(", "))),
        OptionKind::HttpsUrl => https_fault(value),
        OptionKind::Host => (value.is_empty() || value.contains(['/', '@', '?', '#', ' ']))
            .then(|| "It must be a host name, with a port if needed.".into()),
        OptionKind::TimeZone => value
            .parse::<Zone>()
            .is_err()
            .then(|| "It must be an IANA time zone such as Europe/Vienna.".into()),
        OptionKind::Version => {
            let good = value
                .split_once('.')
                .is_some_and(|(major, minor)| major.parse::<u16>().is_ok() && minor == "0");
            (!good).then(|| "It must be a version such as 66.0.".into())
        }
    }
}

fn https_fault(value: &str) -> Option<String> {
    let Ok(url) = url::Url::parse(value) else {
        return Some("It must be an address such as https://login.example.com.".into());
    };
    if url.scheme() != "https" {
        return Some("Only https is allowed.".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("User and password belong to the user mapping.".into());
    }
    let bare = url.query().is_none() && url.fragment().is_none();
    (url.host_str().is_none() || !bare)
        .then(|| "It must be scheme, host and optional port and path, without parameters.".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_options_name_the_nearest() {
        let hint = |place, name| {
            let error = find_option(&[], place, name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OptionUnknown);
            error.hint().unwrap().to_string()
        };
        assert_eq!(hint(Place::Server, "urll"), "Perhaps you meant \"url\".");
        assert_eq!(hint(Place::Table, "url"), "It belongs to a server.");
        assert!(hint(Place::Table, "zzz").starts_with("Valid options here are: "));
        assert_eq!(
            hint(Place::Wrapper, "zzz"),
            "Valid options here are: connector."
        );
    }

    #[test]
    fn values_are_checked_by_kind() {
        for (name, value, good) in [
            ("url", "https://login.salesforce.com", true),
            ("url", "http://login.salesforce.com", false),
            ("url", "https://user:pw@host", false),
            ("url", "https://host/?a=b", false),
            ("url", "login.salesforce.com", false),
            ("time_zone", "Europe/Vienna", true),
            ("time_zone", "Vienna", false),
            ("max_retries", "0", true),
            ("max_retries", "-1", false),
            ("pushdown", "extended", true),
            ("pushdown", "Extended", false),
            ("updatable", "off", true),
            ("updatable", "maybe", false),
            ("ca_file", "", false),
        ] {
            let checked = check_option(&[], Place::Server, name, value);
            assert_eq!(checked.is_ok(), good, "{name} {value}");
        }
    }
}
