//! What PostgreSQL's side asks of a session, given to the transport that serves the account.

use super::{DynamicsSession, Transport, links};
use crate::auth::Form;
use crate::deferred::{DeferredChanges, DeferredPages};
use crate::native::{self, Documents};
use crate::{changes, deleted, deparse, describe, scan, settle, soap, write};
use crm_core::{
    AccountInfo, BoxFuture, CallStats, ChangeStream, Deletions, Dialect, Enumeration, Error,
    ErrorKind, ObjectSummary, PageStream, RecordOutcome, RemoteObject, RemoteQuery, Result,
    Session, TicketKeeper, Usage, WriteBatch, WriteReply, json,
};
use crm_http::Call;
use serde::Deserialize;
use std::sync::{Arc, PoisonError};

impl DynamicsSession {
    async fn identify(&self, stats: &CallStats) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct WhoAmI {
            user_id: String,
            organization_id: String,
        }
        let reply = self.call(&Call::get(self.path("WhoAmI")), stats).await?;
        let who: WhoAmI = json::parse(&reply.body, "the user's identity")?;
        // Names are for people: who may not read them still is who he is.
        let user = format!("systemusers({})", deparse::guid(&who.user_id)?);
        let user = self.name_of(&user, "domainname", stats).await;
        let organization = format!("organizations({})", deparse::guid(&who.organization_id)?);
        let organization = self.name_of(&organization, "name", stats).await;
        self.known_as((
            user.unwrap_or(who.user_id),
            organization.unwrap_or(who.organization_id),
        ));
        Ok(())
    }

    /// Keeps user and organisation.
    fn known_as(&self, identity: (String, String)) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }

    async fn name_of(&self, record: &str, field: &str, stats: &CallStats) -> Option<String> {
        let link = self.path(&format!("{record}?$select={field}"));
        let reply = self.call(&Call::get(link), stats).await.ok()?;
        let record: serde_json::Value = json::parse(&reply.body, "a record").ok()?;
        let name = record.get(field)?.as_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn info(&self) -> Option<AccountInfo> {
        let access = self.access.get()?;
        let signed_in = match access.form {
            Form::Ntlm | Form::WsTrust => true,
            _ => self.token.peek().is_some(),
        };
        if !signed_in {
            return None;
        }
        let known = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, organization) = known.clone().unwrap_or_else(|| {
            let user = self.account.get("username");
            let user = user.or_else(|| self.account.get("client_id"));
            (user.unwrap_or_default().to_owned(), String::new())
        });
        Some(AccountInfo {
            user,
            organization,
            host: links::host_of(&self.root),
            api_version: self.version().to_owned(),
            auth: access.form.name().to_owned(),
        })
    }
}

impl Session for DynamicsSession {
    fn check<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<AccountInfo>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => self.identify(stats).await?,
                Transport::Soap => self.known_as(soap::check(self, stats).await?),
            }
            self.info().ok_or_else(|| {
                Error::new(
                    ErrorKind::ConnectionLost,
                    "the sign-in was lost while it was checked",
                )
            })
        })
    }

    fn objects<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<Vec<ObjectSummary>>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => describe::objects(self, stats).await,
                Transport::Soap => soap::objects(self, stats).await,
            }
        })
    }

    fn describe<'a>(
        &'a self,
        objects: &'a [String],
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RemoteObject>>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => {
                    let entities = describe::entities(self, objects, stats).await?;
                    Ok(entities
                        .iter()
                        .map(|entity| entity.object.clone())
                        .collect())
                }
                Transport::Soap => soap::describe(self, objects, stats).await,
            }
        })
    }

    /// Over SOAP only the sets that attributes use are known here.
    fn global_enumerations<'a>(
        &'a self,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<Enumeration>>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => describe::shared_sets(self, stats).await,
                Transport::Soap => Ok(Vec::new()),
            }
        })
    }

    fn scan(self: Arc<Self>, query: RemoteQuery, stats: Arc<CallStats>) -> Box<dyn PageStream> {
        Box::new(DeferredPages::new(
            self,
            stats,
            move |session, transport, stats| {
                Ok(match transport {
                    Transport::OData => scan::start(session, query, stats),
                    Transport::Soap => soap::scan(session, query, stats),
                })
            },
        ))
    }

    fn native(
        self: Arc<Self>,
        statement: &str,
        stats: Arc<CallStats>,
    ) -> Result<Box<dyn PageStream>> {
        let statement = native::checked(statement)?;
        Ok(Box::new(DeferredPages::new(
            self,
            stats,
            move |session, transport, stats| match transport {
                Transport::OData => {
                    let documents = Documents::new(session, &statement, stats)?;
                    Ok(Box::new(documents) as Box<dyn PageStream>)
                }
                Transport::Soap => soap::native(session, &statement, stats),
            },
        )))
    }

    fn count<'a>(
        &'a self,
        query: &'a RemoteQuery,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => scan::count(self, query, stats).await,
                Transport::Soap => soap::count(self, query, stats).await,
            }
        })
    }

    fn write<'a>(
        &'a self,
        batch: &'a WriteBatch,
        _tickets: &'a dyn TicketKeeper,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, WriteReply> {
        Box::pin(async move {
            match self.transport(stats).await {
                Ok(Transport::OData) => write::write(self, batch, stats).await,
                Ok(Transport::Soap) => soap::write(self, batch, stats).await,
                Err(error) => WriteReply::not_applied(batch.records.len(), error),
            }
        })
    }

    fn settle<'a>(
        &'a self,
        batch: &'a WriteBatch,
        _ticket: Option<&'a str>,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RecordOutcome>>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => settle::settle(self, batch, stats).await,
                Transport::Soap => soap::settle(self, batch, stats).await,
            }
        })
    }

    fn changes(
        self: Arc<Self>,
        query: RemoteQuery,
        token: Option<String>,
        stats: Arc<CallStats>,
    ) -> Option<Box<dyn ChangeStream>> {
        Some(Box::new(DeferredChanges::new(
            self,
            stats,
            move |session, transport, stats| {
                Ok(match transport {
                    Transport::OData => changes::start(session, query, token, stats),
                    Transport::Soap => soap::changes(session, query, token, stats),
                })
            },
        )))
    }

    fn clock<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<i64>> {
        Box::pin(async move {
            if self.transport(stats).await? == Transport::Soap {
                return soap::clock(self, stats).await;
            }
            let reply = self.call(&Call::get(self.path("WhoAmI")), stats).await?;
            reply.date().ok_or_else(|| {
                Error::new(
                    ErrorKind::NotSupported,
                    "the CRM does not say what time it is",
                )
            })
        })
    }

    fn deleted<'a>(
        &'a self,
        object: &'a str,
        start: i64,
        end: i64,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Deletions>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => deleted::deleted(self, object, start, end, stats).await,
                Transport::Soap => soap::deleted(self, object, start, end, stats).await,
            }
        })
    }

    /// The limits of the interface are of five minutes and say nothing of a day (section 10).
    fn usage(&self) -> Option<Usage> {
        self.allotment.usage()
    }

    fn signed_in(&self) -> Option<AccountInfo> {
        self.info()
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(match self.known_transport()? {
            Transport::OData => Dialect {
                language: "OData",
                transport: "rest",
                deparse: deparse::query,
            },
            Transport::Soap => Dialect {
                language: "FetchXML",
                transport: "soap",
                deparse: soap::shown_query,
            },
        })
    }
}
