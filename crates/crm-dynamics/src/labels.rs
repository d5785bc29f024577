//! Labels of options, from what people see to what records hold (spec N-3).

use crm_core::EnumerationValue;

/// What a text says in a column that shows labels (N-3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// This value.
    Value(&'a str),
    /// Nothing: no value has this label.
    Nothing,
    /// Several values have it.
    Several,
}

/// The value that `text` stands for: by its label, else by the same in another case, else by the value's own digits.
pub(crate) fn value_of<'a>(values: &'a [EnumerationValue], text: &str) -> Named<'a> {
    let is_label = |value: &&EnumerationValue| value.label == text;
    let lower = text.to_lowercase();
    let is_alike = |value: &&EnumerationValue| value.label.to_lowercase() == lower;
    let is_value = |value: &&EnumerationValue| value.value == text;
    let mut found = values.iter().filter(is_label).peekable();
    if found.peek().is_some() {
        return one_of(found);
    }
    let mut found = values.iter().filter(is_alike).peekable();
    if found.peek().is_some() {
        return one_of(found);
    }
    one_of(values.iter().filter(is_value))
}

fn one_of<'a>(mut found: impl Iterator<Item = &'a EnumerationValue>) -> Named<'a> {
    match (found.next(), found.next()) {
        (None, _) => Named::Nothing,
        (Some(value), None) => Named::Value(&value.value),
        (Some(_), Some(_)) => Named::Several,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_a_value_by_its_label() {
        let value = |value: &str, label: &str| EnumerationValue {
            value: value.into(),
            label: label.into(),
            active: true,
            is_default: false,
            controlling: None,
            variants: None,
        };
        let values = [
            value("1", "Grün"),
            value("2", "grün"),
            value("3", "Rouge"),
            value("4", "5"),
            value("5", "Twice"),
            value("6", "Twice"),
        ];
        for (text, expected) in [
            ("Grün", Named::Value("1")),
            ("grün", Named::Value("2")),
            ("GRÜN", Named::Several),
            ("ROUGE", Named::Value("3")),
            ("3", Named::Value("3")),
            // A label goes before the digits of a value.
            ("5", Named::Value("4")),
            ("Twice", Named::Several),
            ("7", Named::Nothing),
            ("", Named::Nothing),
        ] {
            assert_eq!(value_of(&values, text), expected, "{text}");
        }
    }
}
