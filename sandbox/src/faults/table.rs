//! Faults in CSV answers: the same harm as in JSON pages, done to the first record or the last ones.

use axum::body::Bytes;
use csv::{ByteRecord, QuoteStyle, ReaderBuilder, Terminator, WriterBuilder};

use super::Kind;

/// Changes a CSV answer whose fields are all quoted; `None` where the fault has nothing to change.
pub fn distort(kind: Kind, body: &[u8], dropped: usize) -> Option<Bytes> {
    // All fields are quoted, so the first letter behind a closing quote is the delimiter.
    let closing = body.iter().skip(1).position(|byte| *byte == b'"')? + 1;
    let delimiter = match body.get(closing + 1) {
        Some(byte) if !matches!(byte, b'\r' | b'\n') => *byte,
        _ => b',',
    };
    let crlf = body.ends_with(b"\r\n");
    let mut records: Vec<ByteRecord> = ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(body)
        .into_byte_records()
        .collect::<Result<_, _>>()
        .ok()?;
    match kind {
        Kind::ShortPage => records.truncate(records.len().saturating_sub(dropped).max(1)),
        Kind::BadUtf8 => begin_with(records.get_mut(1)?, b"\xff\xfe"),
        Kind::Nul => begin_with(records.get_mut(1)?, b"\0"),
        Kind::WrongTypes => {
            let first = records.get_mut(1)?;
            *first = first.iter().map(mistyped).collect();
        }
        _ => return None,
    }
    let mut writer = WriterBuilder::new()
        .delimiter(delimiter)
        .quote_style(QuoteStyle::Always)
        .terminator(match crlf {
            true => Terminator::CRLF,
            false => Terminator::Any(b'\n'),
        })
        .from_writer(Vec::new());
    for record in &records {
        writer.write_byte_record(record).ok()?;
    }
    writer.into_inner().ok().map(Bytes::from)
}

/// Puts bytes before the last field of a record: ids come first, as a rule.
fn begin_with(record: &mut ByteRecord, bytes: &[u8]) {
    let last = record.len().saturating_sub(1);
    *record = record
        .iter()
        .enumerate()
        .map(|(place, field)| match place == last {
            true => [bytes, field].concat(),
            false => field.to_vec(),
        })
        .collect();
}

fn mistyped(field: &[u8]) -> Vec<u8> {
    let is_day = field.len() >= 10 && field[4] == b'-' && field[7] == b'-';
    match field {
        b"true" | b"false" => b"perhaps".to_vec(),
        _ if is_day => b"whenever".to_vec(),
        _ if std::str::from_utf8(field).is_ok_and(|f| f.parse::<f64>().is_ok()) => {
            b"twelve".to_vec()
        }
        _ => field.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_distorted_and_stays_csv() {
        let body = b"\"Id\";\"On\";\"At\";\"Amount\";\"Name\"\r\n\"003a\";\"true\";\"2024-01-02\";\"1.0E7\";\"a;\"\"b\"\r\n\"003b\";\"\";\"\";\"\";\"\"\r\n";
        let changed = |kind| distort(kind, body, 1).unwrap();
        let row = |text: &str| format!("\"Id\";\"On\";\"At\";\"Amount\";\"Name\"\r\n{text}\r\n");
        let second = "\"003b\";\"\";\"\";\"\";\"\"";
        assert_eq!(
            changed(Kind::ShortPage),
            row("\"003a\";\"true\";\"2024-01-02\";\"1.0E7\";\"a;\"\"b\"")
        );
        let mistyped = "\"003a\";\"perhaps\";\"whenever\";\"twelve\";\"a;\"\"b\"";
        assert_eq!(
            changed(Kind::WrongTypes),
            row(&format!("{mistyped}\r\n{second}"))
        );
        let text = changed(Kind::Nul);
        assert!(text.windows(4).any(|w| w == b"\"\0a;"));
        assert!(
            changed(Kind::BadUtf8)
                .windows(4)
                .any(|w| w == b"\"\xff\xfea")
        );
        assert_eq!(distort(Kind::Malformed, body, 1), None);
        assert_eq!(
            distort(Kind::Nul, b"\"Id\"\n", 1),
            None,
            "no record to harm"
        );
    }
}
