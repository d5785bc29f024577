//! By what a record is known again when the export is run a second time.

use crm_core::{Operation, Value};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A digest of operation, object and values: equal records have equal ones (spec X-6).
///
/// It is half of a SHA-256: among ten million records two different ones meet with a chance below 10⁻²⁴.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(crate) u128);

impl Fingerprint {
    /// The fingerprint of a record as the source gave it, without anything the exporter makes up.
    ///
    /// `fields` are remote names with their values; their order does not matter, and an absent value differs from
    /// a field that is not there.
    pub fn new<'a>(
        operation: Operation,
        object: &str,
        key: Option<&Value>,
        fields: impl IntoIterator<Item = (&'a str, Option<&'a Value>)>,
    ) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_unstable_by_key(|(name, _)| *name);
        // JSON keeps the parts apart whatever they hold.
        let text = serde_json::to_vec(&(operation.name(), object, key, fields))
            .expect("values have no maps with odd keys, the only thing JSON refuses");
        Self(first_half(&Sha256::digest(&text)))
    }

    pub(crate) fn to_text(self) -> String {
        format!("{:032x}", self.0)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        (text.len() == 32)
            .then(|| u128::from_str_radix(text, 16).ok().map(Self))
            .flatten()
    }
}

/// A SHA-256 as text.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes everything");
            text
        })
}

fn first_half(digest: &[u8]) -> u128 {
    let half = digest[..16].try_into().expect("a SHA-256 has 32 bytes");
    u128::from_be_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn whatever_makes_a_record_another_makes_another_fingerprint() {
        let (a, b) = (text("a"), text("b"));
        let one = Value::Int(1);
        let of = |operation, object, key, fields: &[(&'static str, Option<&Value>)]| {
            let fields: Vec<_> = fields.to_vec();
            Fingerprint::new(operation, object, key, fields.iter().map(|(n, v)| (*n, *v)))
        };
        let all = [
            of(Operation::Create, "Account", None, &[("Name", Some(&a))]),
            of(Operation::Update, "Account", None, &[("Name", Some(&a))]),
            of(Operation::Create, "Contact", None, &[("Name", Some(&a))]),
            of(
                Operation::Create,
                "Account",
                Some(&a),
                &[("Name", Some(&a))],
            ),
            of(Operation::Create, "Account", None, &[("Name", Some(&b))]),
            of(Operation::Create, "Account", None, &[("Name", None)]),
            of(Operation::Create, "Account", None, &[]),
            of(Operation::Create, "Account", None, &[("Title", Some(&a))]),
            of(Operation::Create, "Account", None, &[("Name", Some(&one))]),
            of(
                Operation::Create,
                "Account",
                None,
                &[("Name", Some(&text("1")))],
            ),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn the_order_of_columns_does_not_matter() {
        let (a, b) = (text("a"), text("b"));
        let there = [("X", Some(&a)), ("Y", Some(&b))];
        let back = [("Y", Some(&b)), ("X", Some(&a))];
        assert_eq!(
            Fingerprint::new(Operation::Create, "O", None, there),
            Fingerprint::new(Operation::Create, "O", None, back)
        );
    }

    #[test]
    fn it_survives_as_text() {
        let print = Fingerprint::new(Operation::Delete, "O", Some(&text("1")), []);
        assert_eq!(Fingerprint::from_text(&print.to_text()), Some(print));
        assert_eq!(Fingerprint::from_text("12"), None);
        assert_eq!(Fingerprint::from_text(&"g".repeat(32)), None);
    }

    #[test]
    fn the_digest_is_the_same_in_every_release() {
        // Another value here would make a job of an earlier release send everything again.
        let print = Fingerprint::new(
            Operation::Create,
            "Account",
            None,
            [("Name", Some(&text("Acme")))],
        );
        assert_eq!(print.to_text(), "9f39e0083527b91b3b129f7920cc48c5");
    }
}
