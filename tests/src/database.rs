//! A session at the server, as an ordinary client has it, that keeps what it is told beside the rows.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use tokio::task::JoinHandle;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

use crate::cluster::Place;
use crate::process::Backend;

/// One row, each value as text.
pub type Row = Vec<Option<String>>;

/// A NOTICE or WARNING.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `NOTICE`, `WARNING`, ….
    pub severity: String,
    /// SQLSTATE.
    pub sqlstate: String,
    /// The message.
    pub message: String,
    /// The detail, empty if there is none.
    pub detail: String,
    /// The hint, empty if there is none.
    pub hint: String,
}

/// Why a statement failed.
pub type Refusal = Note;

impl From<&DbError> for Note {
    fn from(error: &DbError) -> Self {
        Self {
            severity: error.severity().to_owned(),
            sqlstate: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().unwrap_or_default().to_owned(),
            hint: error.hint().unwrap_or_default().to_owned(),
        }
    }
}

/// A session. Statements go by the simple protocol, whose text the server does not log.
pub struct Database {
    client: Client,
    backend: Backend,
    notes: Arc<Mutex<Vec<Note>>>,
    connection: JoinHandle<()>,
}

impl Database {
    /// Connects as `role`, or as the one that the environment names.
    ///
    /// # Panics
    /// Without a server, or without the variable `CRM_TEST_DSN`.
    pub async fn connect(role: Option<&str>) -> Self {
        Self::connect_to(&Place::shared(), role).await
    }

    /// Connects to a server of the test's own, or to the shared one.
    ///
    /// # Panics
    /// Without a server there.
    pub async fn connect_to(place: &Place, role: Option<&str>) -> Self {
        match Self::try_connect(place, role).await {
            Ok(database) => database,
            Err(error) => panic!("cannot connect: {error}"),
        }
    }

    /// The same, where the server may be down or on its way up.
    ///
    /// # Errors
    /// When there is no server, or none that takes connections yet.
    ///
    /// # Panics
    /// When the connection string cannot be read.
    pub async fn try_connect(
        place: &Place,
        role: Option<&str>,
    ) -> Result<Self, tokio_postgres::Error> {
        let dsn = &place.dsn;
        let mut config: tokio_postgres::Config = dsn.parse().expect("a connection string");
        if let Some(role) = role {
            config.user(role);
        }
        let (client, mut connection) = config.connect(NoTls).await?;
        let notes = Arc::new(Mutex::new(Vec::new()));
        let connection = tokio::spawn({
            let notes = Arc::clone(&notes);
            async move {
                let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
                while let Some(message) = messages.next().await {
                    match message {
                        Ok(AsyncMessage::Notice(notice)) => lock(&notes).push(Note::from(&notice)),
                        Ok(_) => {}
                        // The statement under way is told as well.
                        Err(_) => return,
                    }
                }
            }
        });
        let mut database = Self {
            client,
            backend: Backend { pid: 0 },
            notes,
            connection,
        };
        let row = database
            .client
            .query_one("SELECT pg_backend_pid()", &[])
            .await?;
        database.backend.pid = row.get(0);
        Ok(database)
    }

    /// The process that serves this session.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Cancels what `other` has under way. When this returns the signal is sent, and no second one follows, as may
    /// happen with a cancel request of the protocol.
    ///
    /// # Panics
    /// When the other session is gone.
    pub async fn cancel(&self, other: &Self) {
        let sql = format!("SELECT pg_cancel_backend({})", other.backend.pid);
        assert_eq!(self.value(&sql).await, "t");
    }

    /// What was noticed or warned of since the last call.
    pub fn notes(&self) -> Vec<Note> {
        std::mem::take(&mut lock(&self.notes))
    }

    /// Runs statements, rows thrown away.
    ///
    /// # Panics
    /// When one fails.
    pub async fn run(&self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql).await {
            panic!("{sql}\n{}", told(&error));
        }
    }

    /// The rows of one or more statements.
    ///
    /// # Panics
    /// When one fails.
    pub async fn rows(&self, sql: &str) -> Vec<Row> {
        match self.try_rows(sql).await {
            Ok(rows) => rows,
            Err(refusal) => panic!("{sql}\n{refusal:#?}"),
        }
    }

    /// The rows, or why there are none.
    ///
    /// # Errors
    /// What the server says.
    ///
    /// # Panics
    /// When the connection breaks without a word.
    pub async fn try_rows(&self, sql: &str) -> Result<Vec<Row>, Refusal> {
        let messages =
            self.client
                .simple_query(sql)
                .await
                .map_err(|error| match error.as_db_error() {
                    Some(error) => Note::from(error),
                    None => panic!("{sql}\n{error}"),
                })?;
        Ok(rows_of(messages))
    }

    /// How many rows the statement's command tag counts.
    ///
    /// # Panics
    /// When it fails.
    pub async fn counted(&self, sql: &str) -> u64 {
        let messages = match self.client.simple_query(sql).await {
            Ok(messages) => messages,
            Err(error) => panic!("{sql}\n{}", told(&error)),
        };
        let counted = messages.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        counted.expect("a command tag")
    }

    /// The one value of the one row.
    ///
    /// # Panics
    /// When it is something else, or null.
    pub async fn value(&self, sql: &str) -> String {
        let mut rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        let value = rows.pop().and_then(|mut row| row.pop()).flatten();
        value.unwrap_or_else(|| panic!("{sql}: null"))
    }

    /// The first column of all rows, nulls as empty texts.
    ///
    /// # Panics
    /// When the statement fails.
    pub async fn column(&self, sql: &str) -> Vec<String> {
        let rows = self.rows(sql).await;
        rows.into_iter()
            .map(|mut row| row.swap_remove(0).unwrap_or_default())
            .collect()
    }

    /// Why the statement fails.
    ///
    /// # Panics
    /// When it does not.
    pub async fn refused(&self, sql: &str) -> Refusal {
        match self.try_rows(sql).await {
            Ok(rows) => panic!("not refused: {sql}\n{rows:?}"),
            Err(refusal) => refusal,
        }
    }

    /// Why the session ends while the statement runs: its last words, or nothing if it broke without any.
    ///
    /// # Panics
    /// When the statement succeeds.
    pub async fn dies(&self, sql: &str) -> Option<Refusal> {
        match self.client.simple_query(sql).await {
            Ok(_) => panic!("went well: {sql}"),
            Err(error) => error.as_db_error().map(Note::from),
        }
    }

    /// The rows, or why there are none: the server's last words, or nothing if the connection broke without any.
    ///
    /// # Errors
    /// What the server said, if it did.
    pub async fn attempt(&self, sql: &str) -> Result<Vec<Row>, Option<Refusal>> {
        match self.client.simple_query(sql).await {
            Ok(messages) => Ok(rows_of(messages)),
            Err(error) => Err(error.as_db_error().map(Note::from)),
        }
    }

    /// # Panics
    /// When the session does not answer any more, or another process does.
    pub async fn is_alive(&self) {
        let pid = self.value("SELECT pg_backend_pid()").await;
        assert_eq!(pid, self.backend.pid.to_string());
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn rows_of(messages: Vec<SimpleQueryMessage>) -> Vec<Row> {
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(
            (0..row.len())
                .map(|column| row.get(column).map(str::to_owned))
                .collect(),
        ),
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{:#?}", Note::from(error)),
        None => error.to_string(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text as an SQL literal.
pub fn literal(text: impl Display) -> String {
    format!("'{}'", text.to_string().replace('\'', "''"))
}
