//! Option sets of every kind, with labels in the languages of the organisation.

use crm_core::{CallStats, RemoteField};

use crate::organisation::Organisation;

async fn fields(organisation: &Organisation, more: &[(&'static str, &str)]) -> Vec<RemoteField> {
    let session = organisation.session(more);
    let names = ["new_alltypes".to_owned()];
    let described = session.describe(&names, &CallStats::default()).await;
    described.unwrap().remove(0).fields
}

#[tokio::test(flavor = "multi_thread")]
async fn option_sets_of_every_kind_have_values_and_labels() {
    let organisation = Organisation::start(10).await;
    for (more, suffix) in [(&[][..], ""), (&[("language", "1031")], " (de)")] {
        let fields = fields(&organisation, more).await;
        for (name, enumeration, values) in [
            (
                "new_choice",
                "new_alltypes.new_choice",
                &[("100000000", "Grün"), ("100000001", "Rouge")][..],
            ),
            (
                "new_globalchoice",
                "new_colour",
                &[("1", "Red"), ("2", "Green")],
            ),
            (
                "new_choices",
                "new_alltypes.new_choices",
                &[("1", "One"), ("2", "Two")],
            ),
            (
                "statecode",
                "new_alltypes.statecode",
                &[("0", "Active"), ("1", "Inactive")],
            ),
        ] {
            let field = fields.iter().find(|field| field.name == name).unwrap();
            assert_eq!(field.enumeration.as_deref(), Some(enumeration), "{name}");
            assert!(field.restricted);
            for (known, (value, label)) in field.values.iter().zip(values) {
                assert_eq!(known.value, *value, "{name}");
                assert_eq!(known.label, format!("{label}{suffix}"), "{name}");
            }
        }
        let chosen = |name: &str| -> Vec<String> {
            let field = fields.iter().find(|field| field.name == name).unwrap();
            let chosen = field.values.iter().filter(|value| value.is_default);
            chosen.map(|value| value.value.clone()).collect()
        };
        for (name, expected) in [
            ("new_choice", &["100000001"][..]),
            // Told as -1, or as nothing.
            ("new_globalchoice", &[]),
            ("new_choices", &[]),
            ("statuscode", &[]),
            ("new_yesno", &["false"]),
        ] {
            assert_eq!(chosen(name), expected, "{name}");
        }
        let of = |name: &str| fields.iter().find(|field| field.name == name).unwrap();
        let states = of("statuscode")
            .values
            .iter()
            .map(|value| value.controlling.clone());
        let states: Vec<_> = states
            .map(|states| states.unwrap_or_default().join(","))
            .collect();
        assert_eq!(states, ["0", "1", "0"]);
        let mut truths: Vec<_> = (of("new_yesno").values.iter())
            .map(|value| (value.value.as_str(), value.label.clone()))
            .collect();
        truths.sort_unstable();
        assert_eq!(
            truths,
            [
                ("false", format!("Wrong{suffix}")),
                ("true", format!("Right{suffix}"))
            ]
        );
    }
}
