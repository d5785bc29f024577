//! Picklists: codes, what people see, and what controls them.

use crm_core::{CallStats, EnumerationValue, RemoteObject};

use crate::company::Company;

async fn contact(company: &Company, more: &[(&'static str, &str)]) -> (RemoteObject, u64) {
    let session = company.session(more);
    let names = ["Contact".to_owned()];
    let stats = CallStats::default();
    let described = session.describe(&names, &stats).await.unwrap().remove(0);
    let before = stats.calls();
    let told = session.with_values(described, &stats).await.unwrap();
    (told, stats.calls() - before)
}

fn values<'a>(object: &'a RemoteObject, field: &str) -> &'a [EnumerationValue] {
    let field = object.fields.iter().find(|known| known.name == field);
    &field.expect("a field").values
}

fn shown(values: &[EnumerationValue]) -> Vec<String> {
    values
        .iter()
        .map(|value| {
            let controlling = value.controlling.as_ref().map(|codes| codes.join("+"));
            format!(
                "{} {} {} {}",
                value.value,
                value.label,
                value.active,
                controlling.unwrap_or_default()
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn picklists_are_listed_with_what_people_see_and_what_controls_them() {
    let company = Company::start(10).await;
    let (described, calls) = contact(&company, &[("language", "DEU")]).await;
    assert_eq!(
        shown(values(&described, "ContactType")),
        [
            "Customer Kunde true ",
            "Prospect Interessent true ",
            "Partner Partner true ",
            "Competitor Wettbewerber false "
        ]
    );
    assert_eq!(
        shown(values(&described, "CustomPickList2")),
        [
            "Berlin Berlin true DE",
            "Munich München true DE",
            "Paris Paris true FR",
            "Lyon Lyon false FR"
        ]
    );
    assert_eq!(
        shown(values(&described, "CustomMultiSelectPickList0")),
        ["Mail Post true ", "Phone Telefon true ", "Fax Fax false "]
    );
    // What the layouts call a picklist and the service does not is none.
    let listed: Vec<_> = (described.fields.iter())
        .filter(|field| field.enumeration.is_some())
        .collect();
    assert!(listed.iter().all(|field| !field.values.is_empty()));
    let source = described
        .fields
        .iter()
        .find(|field| field.name == "LeadSource");
    assert!(source.expect("a field").enumeration.is_none());
    assert!(calls > listed.len() as u64 && calls < 30, "{calls}");
    let (plain, _) = contact(&company, &[]).await;
    assert_eq!(values(&plain, "ContactType")[0].label, "Customer");
}
