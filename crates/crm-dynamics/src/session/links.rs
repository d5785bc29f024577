//! Where requests go: below the organisation's root, and never to another host.

use crm_core::{Error, ErrorKind, Result};
use crm_http::Url;

/// The organisation's root with a slash at its end: on premise the path is the organisation's name (section 1).
pub(super) fn root_of(url: &str) -> Result<Url> {
    let wrong = || Error::new(ErrorKind::OptionValue, "option \"url\" is not an address");
    let mut root = Url::parse(url).map_err(|_| wrong())?;
    if root.scheme() != "https" || root.host_str().is_none() {
        return Err(wrong());
    }
    root.set_query(None);
    root.set_fragment(None);
    if !root.path().ends_with('/') {
        let path = format!("{}/", root.path());
        root.set_path(&path);
    }
    Ok(root)
}

/// See [`DynamicsSession::resolve`].
pub(super) fn resolve(root: &Url, link: &str, rebases: bool) -> Result<Url> {
    let wrong = |message: String| Error::new(ErrorKind::Undecodable, message);
    let target = root
        .join(link)
        .map_err(|_| wrong("the reply holds a link that is not one".into()))?;
    let has_user = !target.username().is_empty() || target.password().is_some();
    if target.origin() == root.origin() && !has_user {
        return Ok(target);
    }
    if rebases && matches!(target.scheme(), "http" | "https") {
        let mut own = root.clone();
        own.set_path(target.path());
        own.set_query(target.query());
        return Ok(own);
    }
    let refusal = wrong(format!(
        "refused to follow a link from host \"{}\" to another host",
        host_of(root)
    ));
    Err(refusal.with_detail(format!("The link leads to \"{}\".", host_of(&target))))
}

/// Host and, where it is not the usual one, port.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_on_the_own_host() {
        let online = root_of("https://contoso.crm4.dynamics.com").unwrap();
        let own = root_of("https://crm.contoso.example/Org").unwrap();
        for (root, link, rebases, expected) in [
            (
                &online,
                "/api/data/v9.2/accounts?$skiptoken=%3Ca%20b=%221%22",
                false,
                Some(
                    "https://contoso.crm4.dynamics.com/api/data/v9.2/accounts?$skiptoken=%3Ca%20b=%221%22",
                ),
            ),
            (
                &online,
                "https://CONTOSO.crm4.dynamics.com:443/x?a=%253c",
                false,
                Some("https://contoso.crm4.dynamics.com/x?a=%253c"),
            ),
            (&online, "https://evil.example/x", false, None),
            (&online, "//evil.example/x", false, None),
            (&online, "http://contoso.crm4.dynamics.com/x", false, None),
            (
                &online,
                "https://u@contoso.crm4.dynamics.com/x",
                false,
                None,
            ),
            (
                &own,
                "http://inner:5555/Org/api/data/v9.0/accounts?$skiptoken=1",
                true,
                Some("https://crm.contoso.example/Org/api/data/v9.0/accounts?$skiptoken=1"),
            ),
            (&own, "javascript:alert(1)", true, None),
        ] {
            let resolved = resolve(root, link, rebases);
            assert_eq!(resolved.ok().as_ref().map(Url::as_str), expected, "{link}");
        }
    }
}
