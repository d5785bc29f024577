use super::*;
use crm_core::{Column, ColumnData};
use proptest::prelude::*;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const FIRST: &[u8] = include_bytes!("../../tests/fixtures/query_page_contact_first.xml");
const LAST: &[u8] = include_bytes!("../../tests/fixtures/query_page_contact_last.xml");

fn decoder(fields: &[(&str, &str, ColumnType)], zone: &str) -> PageDecoder {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, word, column_type)| QueryField::plain(name, word, *column_type))
        .collect();
    PageDecoder::new("Contact", "Id", &fields, zone.parse().unwrap())
}

fn wrapped(records: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"{SOAP}\"><s:Body><n:ContactQueryPage_Output xmlns:n=\"urn:crmondemand/ws/ecbs/contact/\">\
         <ListOfContact xmlns=\"urn:/crmondemand/xml/Contact/Data\" lastpage=\"true\">{records}</ListOfContact>\
         </n:ContactQueryPage_Output></s:Body></s:Envelope>"
    )
}

fn texts(column: &Column) -> Vec<Option<&str>> {
    (0..column.len()).map(|row| column.text(row)).collect()
}

#[test]
fn the_recorded_pages() {
    let decoder = decoder(
        &[
            ("ContactLastName", "Text (Short)", ColumnType::Text),
            ("ContactFirstName", "Text (Short)", ColumnType::Text),
            ("CustomBoolean0", "Checkbox", ColumnType::Bool),
            ("CustomInteger0", "Integer", ColumnType::Int32),
            ("CustomCurrency0", "Currency", ColumnType::Numeric),
            ("CustomDate0", "Date/Time", ColumnType::Instant),
            ("CustomDate25", "Date", ColumnType::Date),
            (
                "CustomMultiSelectPickList0",
                "Multi-Select Picklist",
                ColumnType::TextArray,
            ),
            ("Id", "ID", ColumnType::Text),
        ],
        "UTC",
    );
    let reply = decoder.reply(FIRST).unwrap();
    assert_eq!((reply.last, reply.page.n_rows), (Some(false), 2));
    assert_eq!(reply.ids, ["1QA2-34ISOM", "1QA2-34ISON"]);
    assert!(reply.page.rejects.is_empty());
    let columns = &reply.page.columns;
    assert_eq!(
        texts(&columns[0]),
        [Some("Doe"), Some("D’Arcy-Łukasiewicz")]
    );
    assert_eq!(texts(&columns[1]), [Some("Ann"), None]);
    assert_eq!(columns[2].data(), &ColumnData::Bool(vec![true, false]));
    assert!(columns[2].is_null(1) && columns[3].is_null(1) && columns[5].is_null(1));
    assert_eq!(columns[3].data(), &ColumnData::Int32(vec![-7, 0]));
    assert_eq!(texts(&columns[4]), [Some("12345678901234.56"), None]);
    let ColumnData::Instant(at) = columns[5].data() else {
        panic!("no instants")
    };
    assert_eq!(at[0], parse_instant("2024-01-31T00:00:00Z").unwrap());
    let ColumnData::Date(days) = columns[6].data() else {
        panic!("no days")
    };
    assert_eq!(days[0], parse_date("2024-01-31").unwrap());
    let ColumnData::TextArray(lists) = columns[7].data() else {
        panic!("no lists")
    };
    assert_eq!(lists.range(0).len(), 2);
    assert!(columns[7].is_null(1));
    assert_eq!(decoder.reply(LAST).unwrap().last, Some(true));
}

#[test]
fn times_without_a_zone_are_the_accounts() {
    let fields = [
        ("CustomDate0", "Date/Time", ColumnType::Instant),
        ("CustomDate25", "Date", ColumnType::Date),
    ];
    let decoder = decoder(&fields, "America/New_York");
    let record = |moment: &str, day: &str| {
        wrapped(&format!(
            "<Contact><Id>1-A</Id><CustomDate0>{moment}</CustomDate0><CustomDate25>{day}</CustomDate25></Contact>"
        ))
    };
    for (moment, expected) in [
        ("2024-07-01T12:00:00", "2024-07-01T16:00:00Z"),
        ("2024-07-01T12:00:00Z", "2024-07-01T12:00:00Z"),
        // Skipped: as if the clock had not been put forward. Shown twice: the later one.
        ("2024-03-10T02:30:00", "2024-03-10T07:30:00Z"),
        ("2024-11-03T01:30:00", "2024-11-03T06:30:00Z"),
    ] {
        let reply = decoder
            .reply(record(moment, "2024-01-31T00:00:00Z").as_bytes())
            .unwrap();
        let at = vec![parse_instant(expected).unwrap()];
        assert_eq!(
            reply.page.columns[0].data(),
            &ColumnData::Instant(at),
            "{moment}"
        );
        let day = vec![parse_date("2024-01-31").unwrap()];
        assert_eq!(reply.page.columns[1].data(), &ColumnData::Date(day));
    }
    let bad = decoder.reply(record("twelve", "x").as_bytes()).unwrap();
    assert_eq!(bad.page.rejects.len(), 2);
    assert_eq!(bad.page.rejects[0].record.as_deref(), Some("1-A"));
    assert_eq!(bad.page.rejects[0].raw, "twelve");
}

#[test]
fn what_is_no_page_is_an_error() {
    let decoder = decoder(&[("A", "Text (Short)", ColumnType::Text)], "UTC");
    let good = wrapped(
        "<Contact><Id>1</Id><A>x</A><ListOfNote><Note><Id>2</Id></Note></ListOfNote></Contact>",
    );
    assert_eq!(decoder.reply(good.as_bytes()).unwrap().ids, ["1"]);
    for bad in [
        "",
        "<html><body>maintenance</body></html>",
        "not markup",
        &good[..good.len() / 2],
        &good[..good.len() - 4],
        &good.replace("ListOfContact", "ListOfAccount"),
        &wrapped("<Contact><A>x</A></Contact>"),
        &wrapped("<Contact><Id>1</Id><A><b/></A></Contact>"),
        &wrapped("<Contact><Id>1</Id><A>&bomb;</A></Contact>"),
        &format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{good}"),
        &wrapped(&format!(
            "{}{}",
            "<a>".repeat(100_000),
            "</a>".repeat(100_000)
        )),
    ] {
        let error = decoder.reply(bad.as_bytes()).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Undecodable,
            "{}",
            &bad[..bad.len().min(80)]
        );
    }
    let nul = decoder.reply(wrapped("<Contact><Id>1</Id><A>a&#0;b</A></Contact>").as_bytes());
    assert!(nul.map_or(true, |reply| reply.page.rejects.len() == 1));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(at in 0..FIRST.len(), byte in any::<u8>(), cut in 0..FIRST.len()) {
        let decoder = decoder(
            &[("CustomInteger0", "Integer", ColumnType::Int32), ("CustomDate0", "Date/Time", ColumnType::Instant)],
            "UTC",
        );
        let mut body = FIRST.to_vec();
        body[at] = byte;
        let _ = decoder.reply(&body);
        prop_assert!(decoder.reply(&FIRST[..cut.min(FIRST.len() - 3)]).is_err());
    }

    #[test]
    fn nor_any_text_of_a_value(text in any::<String>()) {
        let decoder = decoder(&[("A", "Date/Time", ColumnType::Instant), ("B", "Date", ColumnType::Date)], "Europe/Vienna");
        let body = wrapped(&format!("<Contact><Id>1</Id><A>{text}</A><B>{text}</B></Contact>"));
        let _ = decoder.reply(body.as_bytes());
    }
}
