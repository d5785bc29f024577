//! Every way in, named or found out by asking, and what is said when it does not lead in.

use crm_core::{CallStats, ErrorKind};

use super::{Organisation, WAYS, Way};

#[tokio::test(flavor = "multi_thread")]
async fn every_way_leads_in_named_or_not() {
    let place = Organisation::start(0).await;
    for way in WAYS {
        for names in [true, false] {
            let session = Organisation::open(&place.options(way, names)).unwrap();
            let stats = CallStats::default();
            let told = session.check(&stats).await;
            let told = told.unwrap_or_else(|error| panic!("{way:?} {names}: {error:?}"));
            let expected = match way {
                Way::Ntlm | Way::OldNtlm => "ntlm",
                Way::Adfs => "adfs",
                Way::WsTrust => "ws_trust",
            };
            assert_eq!(told.auth, expected, "{way:?} {names}");
            assert!(
                !told.user.is_empty() && !told.organization.is_empty(),
                "{told:?}"
            );
            assert!(session.signed_in().is_some());
            let clock = session.clock(&stats).await.unwrap();
            assert!(clock > 1_600_000_000_000_000);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_sent_once() {
    let place = Organisation::start(0).await;
    for way in WAYS {
        let mut options = place.options(way, true);
        options.push(("password", "test-only-wrong".into()));
        let session = Organisation::open(&options).unwrap();
        for _ in 0..3 {
            let stats = CallStats::default();
            let error = session.check(&stats).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LoginRefused, "{way:?} {error:?}");
            assert!(error.hint().is_some(), "{way:?}");
            assert!(!format!("{error:?}").contains("test-only-wrong"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_does_not_follow_a_pointer_to_another_host() {
    let place = Organisation::start(0).await;
    for way in [Way::Adfs, Way::WsTrust] {
        let mut options = place.options(way, true);
        options.retain(|(name, _)| *name != "authority");
        let session = Organisation::open(&options).unwrap();
        let error = session.check(&CallStats::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OptionMissing, "{way:?} {error:?}");
        assert!(error.hint().unwrap().contains("authority"));
    }
}
