//! A token together with the only place it may be sent to (spec A-4).

use crm_core::{Error, ErrorKind, ExposeSecret, Result, SecretString};
use reqwest::header::HeaderValue;
use url::Url;

/// A bearer token and the origin it belongs to.
#[derive(Clone, Debug)]
pub struct Bearer {
    secret: SecretString,
    origin: Url,
}

impl Bearer {
    /// A token for the scheme, host and port of `origin`.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] unless it is a plain https address.
    pub fn new(secret: SecretString, origin: &str) -> Result<Self> {
        let refusal = || {
            Error::new(
                ErrorKind::Undecodable,
                "the sign-in names an address for data that is not https",
            )
            .with_detail(shortened(origin))
        };
        let mut url = Url::parse(origin).map_err(|_| refusal())?;
        if url.scheme() != "https" || url.host_str().is_none() || has_user(&url) {
            return Err(refusal());
        }
        url.set_path("/");
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self {
            secret,
            origin: url,
        })
    }

    /// Host with port, for messages.
    pub fn host(&self) -> String {
        host_of(&self.origin)
    }

    /// The token itself.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The address of a path, or of a link a reply gave.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it leads to another host, port or scheme; nothing is fetched then.
    pub fn resolve(&self, link: &str) -> Result<Url> {
        let url = self.origin.join(link).map_err(|_| {
            Error::new(
                ErrorKind::Undecodable,
                "the reply holds a link that is not one",
            )
            .with_detail(shortened(link))
        })?;
        if self.owns(&url) {
            return Ok(url);
        }
        Err(Error::new(
            ErrorKind::Undecodable,
            format!(
                "refused to follow a link from host \"{}\" to another host",
                self.host()
            ),
        )
        .with_detail(format!("The link leads to \"{}\".", host_of(&url))))
    }

    /// The token may be sent there.
    pub(crate) fn owns(&self, url: &Url) -> bool {
        url.scheme() == "https" && url.origin() == self.origin.origin() && !has_user(url)
    }

    /// The `Authorization` header, marked so that no log shows it.
    pub(crate) fn header(&self) -> Result<HeaderValue> {
        let text = format!("Bearer {}", self.secret.expose_secret());
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(
                ErrorKind::Undecodable,
                "the sign-in returned a token that cannot be sent",
            )
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Host and, where it is not the usual one, port.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.into(),
    }
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_on_the_tokens_own_host() {
        let bearer =
            Bearer::new("TEST-token".into(), "https://acme.my.salesforce.com/x?y").unwrap();
        for (link, expected) in [
            ("/a/b-2000", Some("https://acme.my.salesforce.com/a/b-2000")),
            (
                "https://acme.my.salesforce.com/next",
                Some("https://acme.my.salesforce.com/next"),
            ),
            (
                "https://ACME.my.salesforce.com:443/next",
                Some("https://acme.my.salesforce.com/next"),
            ),
            ("https://acme.my.salesforce.com.evil.example/next", None),
            ("https://evil.example/next", None),
            ("//evil.example/next", None),
            (r"\\evil.example\next", None),
            ("http://acme.my.salesforce.com/next", None),
            ("https://acme.my.salesforce.com:8443/next", None),
            ("https://user@acme.my.salesforce.com/next", None),
            ("javascript:alert(1)", None),
            ("https://", None),
        ] {
            let resolved = bearer.resolve(link);
            assert_eq!(
                resolved.as_ref().ok().map(Url::as_str),
                expected,
                "{link}: {resolved:?}"
            );
            if let Err(error) = resolved {
                assert_eq!(error.kind(), ErrorKind::Undecodable);
            }
        }
    }

    #[test]
    fn only_https_may_hold_a_token() {
        for bad in ["http://a.example", "a.example", "https://u:p@a.example", ""] {
            assert!(Bearer::new("TEST-token".into(), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_token_is_not_printed() {
        let bearer = Bearer::new("TEST-token".into(), "https://a.example").unwrap();
        assert!(!format!("{bearer:?}").contains("TEST-token"));
        assert!(!format!("{:?}", bearer.header().unwrap()).contains("TEST-token"));
    }
}
