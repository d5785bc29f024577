//! Values the server computes itself when others change: names of people, compound addresses and places.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::salesforce::rows::Values;
use crate::salesforce::store::{Cell, SObject};

/// Parts of an address by the end of the field's name, in the order of the compound value.
const ADDRESS: &[(&str, &str)] = &[
    ("City", "city"),
    ("Country", "country"),
    ("GeocodeAccuracy", "geocodeAccuracy"),
    ("Latitude", "latitude"),
    ("Longitude", "longitude"),
    ("PostalCode", "postalCode"),
    ("State", "state"),
    ("Street", "street"),
];

/// The computed values that follow from `values`; `before` gives the others.
pub fn computed(object: &SObject, values: &Values, before: impl Fn(usize) -> Cell) -> Values {
    let now = |place: usize| -> Cow<'_, Cell> {
        match values.iter().find(|(field, _)| *field == place) {
            Some((_, cell)) => Cow::Borrowed(cell),
            None => Cow::Owned(before(place)),
        }
    };
    let mut compounds: Vec<&str> = values
        .iter()
        .filter_map(|(place, _)| object.fields[*place].compound.as_deref())
        .collect();
    compounds.sort_unstable();
    compounds.dedup();
    compounds
        .into_iter()
        .filter_map(|compound| {
            let place = object.field(compound)?;
            let parts: Vec<(usize, &str)> = object
                .fields
                .iter()
                .enumerate()
                .filter(|(_, field)| field.compound.as_deref() == Some(compound))
                .map(|(at, field)| (at, field.name.trim_end_matches("__s")))
                .collect();
            let part = |name: &str| {
                let found = parts.iter().find(|(_, part)| part.ends_with(name));
                found.map_or(Cow::Owned(Cell::Null), |(at, _)| now(*at))
            };
            let cell = match object.fields[place].remote_type.as_str() {
                "address" => shape(ADDRESS, &part),
                "location" => shape(
                    &[("Latitude", "latitude"), ("Longitude", "longitude")],
                    &part,
                ),
                _ => {
                    let words = ["FirstName", "LastName"].map(|name| match part(name).as_ref() {
                        Cell::Text(word) => word.to_string(),
                        _ => String::new(),
                    });
                    Cell::text(words.join(" ").trim())
                }
            };
            Some((place, cell))
        })
        .collect()
}

/// A compound value, or null when all its parts are.
fn shape<'c>(members: &[(&str, &str)], part: &dyn Fn(&str) -> Cow<'c, Cell>) -> Cell {
    let mut map = Map::new();
    for (name, member) in members {
        let value = match part(name).as_ref() {
            Cell::Text(text) => Value::from(text.as_ref()),
            Cell::Number(digits) => serde_json::from_str(digits).unwrap_or(Value::Null),
            _ => Value::Null,
        };
        map.insert((*member).to_owned(), value);
    }
    match map.values().all(Value::is_null) {
        true => Cell::Null,
        false => Cell::Object(Value::Object(map).to_string().into()),
    }
}
