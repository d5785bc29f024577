//! The documentation page names every option as the program does.

use crm_core::{COLUMN_OPTIONS, COMMON_OPTIONS, Connector, OptionDef, Place};
use crm_oracle::ORACLE;

const PAGE: &str = include_str!("../../../docs/oracle-on-demand.md");

fn row(option: &OptionDef) -> String {
    let places: Vec<_> = option.places.iter().map(|place| place.words()).collect();
    let mut marks = String::new();
    if option.secret {
        marks.push_str(" Secret.");
    }
    if option.superuser {
        marks.push_str(" Superusers only.");
    }
    format!(
        "| `{}` | {} | {}{marks} |",
        option.name,
        places.join(", "),
        option.doc
    )
}

#[test]
fn every_option_has_its_row() {
    let options = COMMON_OPTIONS
        .iter()
        .chain(ORACLE.options())
        .chain(COLUMN_OPTIONS)
        .filter(|option| option.places != [Place::Wrapper]);
    let missing: Vec<_> = options.map(row).filter(|row| !PAGE.contains(row)).collect();
    assert!(missing.is_empty(), "missing rows:\n{}", missing.join("\n"));
}
