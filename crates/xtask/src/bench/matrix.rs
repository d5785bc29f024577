//! Which sizes, delays and columns are measured, and in which order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Records that the small sandbox has.
pub const FEW: u64 = 10_000;
/// Records that the large one has.
pub const MANY: u64 = 1_000_000;
/// Milliseconds that an answer takes longer.
pub const LATENCIES: [u64; 2] = [0, 50];

/// The CRM that is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Crm {
    /// Salesforce.
    Salesforce,
    /// Microsoft Dynamics.
    Dynamics,
    /// Oracle CRM On Demand.
    Oracle,
}

impl Crm {
    /// Its foreign table.
    pub fn table(self) -> &'static str {
        match self {
            Self::Salesforce => "sf.contact",
            Self::Dynamics => "dynamics.contact",
            Self::Oracle => "oracle.contact",
        }
    }

    /// What stands before the calls of the sandbox's own interface.
    pub fn face(self) -> &'static str {
        match self {
            Self::Salesforce => "",
            Self::Dynamics => "/dynamics",
            Self::Oracle => "/oracle",
        }
    }

    /// Three columns that every record fills, or many, as an import names them.
    pub fn columns(self, width: Width) -> &'static str {
        match (self, width) {
            (Self::Salesforce, Width::Narrow) => "id, name, createddate",
            (Self::Salesforce, Width::Wide) => {
                "id, accountid, lastname, firstname, salutation, name, mailingstreet, mailingcity, \
                 mailingstate, mailingpostalcode, mailingcountry, phone, mobilephone, email, title, \
                 department, leadsource, birthdate, ownerid, createddate, lastmodifieddate, score__c, \
                 visits__c, balance__c, isvip__c"
            }
            (Self::Dynamics, Width::Narrow) => "contactid, fullname, createdon",
            (Self::Dynamics, Width::Wide) => {
                "contactid, parentcustomerid, lastname, firstname, salutation, fullname, \
                 address1_line1, address1_city, address1_stateorprovince, address1_postalcode, \
                 address1_country, telephone1, mobilephone, emailaddress1, jobtitle, department, \
                 birthdate, ownerid, createdon, modifiedon, new_score, new_visits, annualincome, \
                 new_isvip, statecode"
            }
            (Self::Oracle, Width::Narrow) => "id, contactlastname, createddate",
            // What the service's description in the sandbox has, which rivals go by.
            (Self::Oracle, Width::Wide) => {
                "id, externalsystemid, contactfirstname, contactlastname, contactemail, jobtitle, contacttype, \
                 accountid, customboolean0, custominteger0, customnumber0, customcurrency0, customdate0, \
                 customdate25, createddate, modifieddate"
            }
        }
    }
}

impl fmt::Display for Crm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Salesforce => "Salesforce",
            Self::Dynamics => "Dynamics",
            Self::Oracle => "Oracle CRM On Demand",
        })
    }
}

/// How many columns are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Width {
    /// 3.
    Narrow,
    /// 25, or as many as the rivals can read.
    Wide,
}

/// What is read in which circumstances.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// From which CRM.
    pub crm: Crm,
    /// Records.
    pub rows: u64,
    /// Columns.
    pub width: Width,
    /// Milliseconds that an answer takes longer.
    pub latency_ms: u64,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} × {} columns, {} ms",
            self.crm,
            grouped(self.rows),
            self.crm.columns(self.width).split(',').count(),
            self.latency_ms
        )
    }
}

/// The cells of one sandbox. Those that a bar of quality stands on come first.
pub fn cells(rows: u64) -> Vec<Cell> {
    let cell = |crm, width, latency_ms| Cell {
        crm,
        rows,
        width,
        latency_ms,
    };
    let mut cells = Vec::new();
    for latency_ms in LATENCIES {
        for width in [Width::Wide, Width::Narrow] {
            cells.push(cell(Crm::Salesforce, width, latency_ms));
        }
    }
    if rows == FEW {
        cells.push(cell(Crm::Dynamics, Width::Wide, 0));
        cells.push(cell(Crm::Oracle, Width::Wide, 0));
    }
    cells
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let check = |number, expected| assert_eq!(grouped(number), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(1_234_567, "1,234,567");
    }

    #[test]
    fn other_crms_are_read_where_it_takes_seconds() {
        assert_eq!((cells(FEW).len(), cells(MANY).len()), (6, 4));
        assert_eq!(
            cells(MANY)[0].to_string(),
            "Salesforce, 1,000,000 × 25 columns, 0 ms"
        );
    }
}
